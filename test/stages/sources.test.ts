import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { SluiceError } from '../../src/core/errors.ts'
import { documentId } from '../../src/core/identity.ts'
import type { Damage } from '../../src/core/stage.ts'
import { commonCrawl } from '../../stages/common-crawl.ts'
import { c4, pile } from '../../stages/corpora.ts'
import { htmlFiles } from '../../stages/html-files.ts'
import { jsonl } from '../../stages/jsonl.ts'
import { textFiles } from '../../stages/text-files.ts'
import { warc } from '../../stages/warc.ts'
import { wet } from '../../stages/wet.ts'
import { serve } from '../io/faulty-server.ts'
import { readAll } from './read-source.ts'

const fixtures = fileURLToPath(new URL('../../fixtures/warc/', import.meta.url))
const folder = await mkdtemp(join(tmpdir(), 'sluice-sources-'))
after(() => rm(folder, { recursive: true }))

async function put(name: string, content: string | Buffer): Promise<string> {
  const path = join(folder, name)
  await mkdir(join(path, '..'), { recursive: true })
  await writeFile(path, content)
  return path
}

const codes = (damages: readonly Damage[]) => damages.map(({ code, offset }) => `${offset} ${code}`)
const refuses = (code: string) => (error: unknown) => error instanceof SluiceError && error.code === code && error.fix !== undefined

// ---- WARC ----

test('warc gives the HTML pages with status 200 and counts everything else', async () => {
  const { items, ignored, damages, partitions, consumed } = await readAll(warc({ path: `${fixtures}good.warc.gz` }))
  assert.deepEqual(
    items.map(({ url }) => url),
    ['https://example.org/one', 'https://example.org/saved', 'https://example.org/two'],
  )
  assert.deepEqual(ignored, { warc_warcinfo: 1, warc_request: 1, http_status_404: 1, not_html: 1, warc_conversion: 1, warc_metadata: 1 })
  assert.deepEqual(damages, [])
  assert.equal(consumed, partitions[0].bytes)
  const [page] = items
  assert.equal(page.id, documentId(page.source, page.offset))
  assert.equal(page.contentType, 'text/html; charset=utf-8')
  assert.equal(page.date, '2024-05-01T12:00:00Z')
  assert.match(Buffer.from(page.html).toString(), /água/)
})

test('warc cut into small ranges gives the same pages, ids included', async () => {
  const compressed = ['good.warc.gz', 'whole-file.warc.gz', 'good.warc.zst', 'dictionary.warc.zst', 'whole-file.warc.zst', 'good.warc.lz4']
  for (const name of [...compressed, 'good.wacz', 'deflated.wacz', 'good.arc.gz', 'good.arc.zst', 'good.warc', 'good.arc']) {
    const whole = await readAll(warc({ path: fixtures + name }))
    const pieces = await readAll(warc({ path: fixtures + name }), 300)
    assert.ok(whole.items.length >= 3, name)
    assert.equal(new Set(whole.items.map(({ id }) => id)).size, whole.items.length)
    assert.deepEqual(pieces.items, whole.items, name)
    assert.equal(pieces.partitions.length > 1, !/\.w?arc$/.test(name), 'only compressed files are cut')
    assert.deepEqual([pieces.ignored, pieces.damages], [whole.ignored, []])
  }
})

test('damage and bodies that cannot be decoded are counted, and the rest is read', async () => {
  const { items, damages } = await readAll(warc({ path: [`${fixtures}cut-member.warc.gz`, `${fixtures}bad-encoding.warc.gz`] }))
  assert.deepEqual(
    items.map(({ url }) => url),
    ['https://example.org/one', 'https://example.org/three', 'https://example.org/one'],
  )
  assert.deepEqual(codes(damages), ['646 SLUICE_WARC_GZIP', '0 SLUICE_HTTP_BODY'])
})

test('a quarantined record is left out', async () => {
  const all = await readAll(warc({ path: `${fixtures}good.warc.gz` }))
  const rest = await readAll(warc({ path: `${fixtures}good.warc.gz` }), undefined, [all.items[1].id])
  assert.deepEqual(rest.items, [all.items[0], all.items[2]])
})

test('wet gives the extracted texts', async () => {
  const { items, ignored } = await readAll(wet({ path: `${fixtures}good.warc.gz` }))
  assert.deepEqual(
    items.map(({ url, text }) => [url, text]),
    [['https://example.org/one', 'A bridge spans what is in the way: água, 水, вода.']],
  )
  assert.equal(ignored.warc_response, 4)
})

test('commonCrawl reads the list of a crawl and its files from a server, in ranges', async () => {
  const good = await readFile(`${fixtures}good.warc.gz`)
  const paths = [
    'crawl-data/CC-TEST/segments/1/warc/a.warc.gz',
    'crawl-data/CC-TEST/segments/1/warc/b.warc.gz',
    'crawl-data/CC-TEST/segments/2/warc/c.warc.gz',
  ]
  const files = Object.fromEntries(paths.map((path) => [path, good]))
  const list = gzipSync(`${paths.join('\n')}\n`)
  await using server = await serve({ ...files, 'crawl-data/CC-TEST/warc.paths.gz': list, 'crawl-data/CC-TEST/wet.paths.gz': list })
  const { items, partitions } = await readAll(commonCrawl({ crawl: 'CC-TEST', segments: 2, baseUrl: server.url }), 1000)
  assert.equal(items.length, 6)
  assert.deepEqual([...new Set(partitions.map(({ source }) => source))], [server.url + paths[0], server.url + paths[1]])
  assert.equal(items[0].id, documentId(`https://elsewhere.example/${paths[0]}`, items[0].offset), 'ids do not depend on the host')
  assert.equal((await readAll(commonCrawl({ crawl: 'CC-TEST', kind: 'wet', baseUrl: server.url }))).items.length, 3)
  assert.equal((await readAll(commonCrawl({ crawl: 'CC-TEST', paths: [paths[2]], baseUrl: server.url }))).items.length, 3)
  await assert.rejects(readAll(commonCrawl({ crawl: 'CC-OTHER', baseUrl: server.url })), refuses('SLUICE_INPUT_MISSING'))
})

// ---- JSON lines ----

const lines = [
  '{"text":"one","url":"https://example.org/1","n":1}',
  '',
  '{"text":"two","meta":{"pile_set_name":"Books"}}',
  '{"text":"drei \\ud800 ü"}',
].join('\n')

test('jsonl reads plain, gzip and zstd alike', async () => {
  const paths = [await put('a.jsonl', lines), await put('b.jsonl.gz', gzipSync(lines)), await put('c.jsonl.zst', zstdCompressSync(lines))]
  for (const path of paths) {
    const { items, damages } = await readAll(jsonl({ path, url: 'url' }))
    assert.deepEqual(damages, [])
    assert.deepEqual(
      items.map(({ text, offset, url, metadata }) => [text, offset, url, metadata]),
      [
        ['one', 0, 'https://example.org/1', { n: 1 }],
        ['two', 52, undefined, { meta: { pile_set_name: 'Books' } }],
        ['drei \ufffd ü', 100, undefined, {}],
      ],
    )
  }
})

test('lines that are no documents are damage one by one, with their places', async () => {
  const bad = [
    Buffer.from('{"text":"good"}\n{"text":\n[1]\n{"body":"x"}\n{"text":7}\n{"text":""}\n   \n"text"\n'),
    Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d, 0x0a]),
    Buffer.from('{"text":"last"}'),
  ]
  const { items, damages, ignored } = await readAll(jsonl({ path: await put('bad.jsonl', Buffer.concat(bad)) }))
  assert.deepEqual(
    items.map(({ text }) => text),
    ['good', 'last'],
  )
  assert.deepEqual(codes(damages), [
    '16 SLUICE_JSON_SYNTAX',
    '25 SLUICE_JSON_OBJECT',
    '29 SLUICE_JSON_NO_TEXT',
    '42 SLUICE_JSON_TEXT',
    '69 SLUICE_JSON_OBJECT',
    '76 SLUICE_JSON_UTF8',
  ])
  assert.deepEqual(ignored, { empty_text: 1, blank_line: 1 })
})

test('a plain file cut into ranges gives the same documents', async () => {
  const path = await put(
    'long.jsonl',
    Array.from({ length: 200 }, (_, index) => JSON.stringify({ text: 'x'.repeat(index % 37), index })).join('\r\n'),
  )
  const whole = await readAll(jsonl({ path }))
  const pieces = await readAll(jsonl({ path }), 500)
  assert.ok(pieces.partitions.length > 5)
  assert.deepEqual(pieces.items, whole.items)
  assert.equal(pieces.consumed, whole.consumed)
})

test('the layouts of The Pile and C4, and fields by path', async () => {
  const pilePath = await put('00.jsonl.zst', zstdCompressSync('{"text":"t","meta":{"pile_set_name":"Pile-CC","more":1}}\n'))
  assert.deepEqual((await readAll(pile({ path: pilePath }))).items[0].metadata, { pile_set_name: 'Pile-CC' })
  assert.equal((await readAll(pile({ path: pilePath }))).items[0].subset, 'Pile-CC')
  const c4Path = await put(
    'c4-train.00000-of-01024.json.gz',
    gzipSync('{"text":"t","url":"https://example.org/","timestamp":"2019-04-25T12:57:54Z"}\n'),
  )
  const [item] = (await readAll(c4({ path: c4Path }))).items
  assert.deepEqual([item.url, item.date, item.metadata], ['https://example.org/', '2019-04-25T12:57:54Z', {}])
  const nested = await put('nested.jsonl', '{"doc":{"body":"deep"},"key":"k1","a.b":2,"rest":[1]}')
  const [deep] = (await readAll(jsonl({ path: nested, text: 'doc.body', id: 'key', columns: ['a.b'] }))).items
  assert.deepEqual([deep.text, deep.metadata], ['deep', { key: 'k1', b: 2 }])
})

test('a truncated gzip gives its whole lines and says where they end', async () => {
  const stored = gzipSync(Array.from({ length: 1000 }, (_, index) => `{"text":"${index} ${Math.sin(index)}"}\n`).join(''))
  const { items, damages } = await readAll(jsonl({ path: await put('cut.jsonl.gz', stored.subarray(0, stored.length - 2000)) }))
  assert.ok(items.length > 700 && items.length < 1000, `${items.length} items`)
  assert.deepEqual(
    damages.map(({ code }) => code),
    ['SLUICE_STREAM_TRUNCATED'],
  )
})

// ---- files ----

test('textFiles gives a document a file, in order, with ids that do not depend on where the folder lies', async () => {
  const names = ['b/readme.md', 'a/readme.md', 'a/empty.txt', 'a/latin.txt', 'a/wide.txt', 'skip.pdf']
  const contents = ['# b', '# a', '', Buffer.from([0x63, 0x61, 0x66, 0xe9]), Buffer.from('\ufeffwide', 'utf16le'), '%PDF']
  for (const place of ['here/notes', 'there/notes'])
    for (const [index, name] of names.entries()) await put(`${place}/${name}`, contents[index])
  const { items, ignored, partitions } = await readAll(textFiles({ path: join(folder, 'here/notes') }))
  assert.deepEqual(
    items.map(({ text, metadata }) => [metadata.file, text]),
    [
      ['notes/a/latin.txt', 'café'],
      ['notes/a/readme.md', '# a'],
      ['notes/a/wide.txt', 'wide'],
      ['notes/b/readme.md', '# b'],
    ],
  )
  assert.deepEqual(ignored, { empty_file: 1 })
  assert.equal(partitions.length, 1)
  assert.equal(new Set(items.map(({ id }) => id)).size, 4)
  const there = await readAll(textFiles({ path: join(folder, 'there/notes') }), 2)
  assert.ok(there.partitions.length > 1)
  assert.deepEqual(
    there.items.map(({ id }) => id),
    items.map(({ id }) => id),
  )
})

test('htmlFiles gives pages with URLs below the base, whatever characters their names have', async () => {
  await put('site/guide/a b.html', '<p>x</p>')
  await put('site/guide/c#d?e.html', '<p>x</p>')
  const { items } = await readAll(htmlFiles({ path: join(folder, 'site'), baseUrl: 'https://docs.example.org/v1' }))
  assert.deepEqual(
    items.map(({ url, contentType }) => [url, contentType]),
    [
      ['https://docs.example.org/v1/guide/a%20b.html', 'text/html'],
      ['https://docs.example.org/v1/guide/c%23d%3Fe.html', 'text/html'],
    ],
  )
})

// ---- refusals ----

test('what cannot be read is refused with its place and a fix', async () => {
  const path = await put('refused/a.jsonl', lines)
  await mkdir(join(folder, 'hollow'))
  await assert.rejects(readAll(jsonl({ path: join(folder, 'none.jsonl') })), refuses('SLUICE_INPUT_MISSING'))
  await assert.rejects(readAll(jsonl({ path: join(folder, '*.none') })), refuses('SLUICE_INPUT_MISSING'))
  await assert.rejects(readAll(jsonl({ path: join(folder, 'hollow') })), refuses('SLUICE_INPUT_MISSING'))
  await assert.rejects(readAll(warc({ path: 's3://x/a.warc.gz' })), refuses('SLUICE_INPUT_SCHEME'))
  await assert.rejects(readAll(warc({ path: 'ftp://host/a.warc.gz' })), refuses('SLUICE_INPUT_SCHEME'))
  if (process.getuid?.() !== 0) {
    await chmod(path, 0)
    await assert.rejects(readAll(jsonl({ path })), refuses('SLUICE_PERMISSION'))
  }
  const source = jsonl({ path: await put('changes.jsonl', lines) })
  const { signal } = new AbortController()
  const [partition] = await source.partitions({ signal, partitionBytes: 1 << 20 })
  await put('changes.jsonl', `${lines}\n{"text":"more"}`)
  const context = { signal, batchBytes: 1, begin: () => true, damaged: () => {}, ignored: () => {}, consumed: () => {} }
  await assert.rejects(Array.fromAsync(source.read(partition, context)), refuses('SLUICE_INPUT_CHANGED'))
})

test('an empty input gives no document and no complaint', async () => {
  const path = await put('empty/empty.jsonl', '')
  await put('empty/empty.warc.gz', '')
  for (const found of [await readAll(jsonl({ path })), await readAll(warc({ path: join(folder, 'empty') }))])
    assert.deepEqual([found.items, found.damages], [[], []])
})
