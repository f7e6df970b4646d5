// Sources of records: fields by path, lists, defaults; the layouts of known corpora; CSV; JSON lines that are none.

import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { DuckDBInstance } from '@duckdb/node-api'
import fc from 'fast-check'
import type { Document } from '../../src/core/document.ts'
import { missingField } from '../../src/sources/record-fields.ts'
import { c4, dolma, fineWeb, redPajama, redPajama2, shards } from '../../stages/corpora.ts'
import { csvFiles } from '../../stages/csv-files.ts'
import { jsonl } from '../../stages/jsonl.ts'
import { parquet } from '../../stages/parquet.ts'
import { parquetShards } from '../../stages/parquet-shards.ts'
import { readAll } from './read-source.ts'

const folder = await mkdtemp(join(tmpdir(), 'sluice-records-'))
after(() => rm(folder, { recursive: true }))

async function put(name: string, content: string | Buffer): Promise<string> {
  const path = join(folder, name)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, content)
  return path
}
const lines = (...records: unknown[]) => records.map((record) => `${JSON.stringify(record)}\n`).join('')

// ---- fields ----

test('texts come from nested fields, from lists, and from several fields, and are not kept twice', async () => {
  const path = await put(
    'chat.jsonl',
    lines(
      {
        messages: [
          { role: 'user', content: 'Hi' },
          { role: 'bot', content: 'Hello' },
        ],
        title: 'A chat',
        n: 1,
      },
      { messages: [{ content: 'alone' }], title: null },
      { messages: [], title: '' },
      { messages: [{ content: 7 }] },
      { other: 'x' },
    ),
  )
  const { items, ignored, damages } = await readAll(jsonl({ path, text: ['title', 'messages.content'], separator: '\n' }))
  assert.deepEqual(
    items.map(({ text, metadata }) => [text, metadata]),
    [
      ['A chat\nHi\nHello', { messages: [{ role: 'user' }, { role: 'bot' }], n: 1 }],
      ['alone', {}],
    ],
  )
  assert.deepEqual(ignored, { empty_text: 1 })
  assert.deepEqual(
    damages.map(({ code, message }) => [code, message]),
    [
      ['SLUICE_JSON_TEXT', 'line 4: the field title or messages.content is no string and no list of strings'],
      ['SLUICE_JSON_NO_TEXT', 'line 5: there is no field title or messages.content: there are other'],
    ],
  )
})

test('defaults stand in for what is missing or null; language, score and subset become the document’s own', async () => {
  const path = await put(
    'fields/part.jsonl',
    lines({ text: 'a', lang: 'de', p: 0.5, src: 'books' }, { text: 'b', lang: null }, { lang: 'fr' }),
  )
  const source = jsonl({
    path,
    language: 'lang',
    languageScore: 'p',
    subset: 'src',
    folderAsSubset: true,
    defaults: { lang: 'en', text: 'nothing', license: 'CC0' },
  })
  assert.deepEqual(
    (await readAll(source)).items.map(({ text, language, languageScore, subset, metadata }) => [
      text,
      language,
      languageScore,
      subset,
      metadata,
    ]),
    [
      ['a', 'de', 0.5, 'books', { license: 'CC0' }],
      ['b', 'en', undefined, 'fields', { license: 'CC0' }],
      ['nothing', 'fr', undefined, 'fields', { license: 'CC0' }],
    ],
  )
})

test('integers keep their digits, of two fields of one name the last counts, and __proto__ is a field like any other', async () => {
  const path = await put(
    'odd.jsonl',
    '{"text":"a","id":12345678901234567890,"n":[9007199254740993,1e300,1.5],"ok":9007199254740991}\n{"text":"first","text":"second","__proto__":{"x":1}}\n',
  )
  const { items } = await readAll(jsonl({ path }))
  assert.deepEqual(items[0].metadata, { id: '12345678901234567890', n: ['9007199254740993', 1e300, 1.5], ok: 9007199254740991 })
  assert.equal(items[1].text, 'second')
  assert.equal(JSON.stringify(items[1].metadata), '{"__proto__":{"x":1}}')
})

/** As the source promises: what a double does not hold for certain is a string. */
function exactly(value: unknown): Record<string, unknown> {
  const isLarge = (part: unknown) => Number.isInteger(part) && !Number.isSafeInteger(part) && /^-?\d+$/.test(String(part))
  return JSON.parse(JSON.stringify(value, (_name, part: unknown) => (isLarge(part) ? String(part) : part)))
}

test('any record of strings comes back from JSON lines, whatever its fields are called and in whatever order', async () => {
  let files = 0
  const records = fc.array(
    fc.record({
      text: fc.string({ unit: 'grapheme', minLength: 1 }),
      more: fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue()),
    }),
    { minLength: 1, maxLength: 8 },
  )
  const names = new Set(['text', 'url', 'date'])
  await fc.assert(
    fc.asyncProperty(records, fc.constantFrom('', '.gz', '.zst'), async (all, kind) => {
      const wanted = all.map(({ text, more }) => ({
        text,
        metadata: exactly(Object.fromEntries(Object.entries(more).filter(([name]) => !names.has(name)))),
      }))
      const content = Buffer.from(lines(...wanted.map(({ text, metadata }) => ({ ...metadata, text }))))
      const stored = kind === '' ? content : kind === '.gz' ? gzipSync(content) : zstdCompressSync(content)
      const { items, damages } = await readAll(jsonl({ path: await put(`any/${files++}.jsonl${kind}`, stored) }))
      assert.deepEqual(damages, [])
      assert.deepEqual(
        items.map(({ text, metadata }) => ({ text, metadata })),
        wanted,
      )
    }),
    { numRuns: 60 },
  )
})

test('a file that is one JSON array says what to do', async () => {
  const { damages } = await readAll(jsonl({ path: await put('array.json', '[{"text":"a"},\n{"text":"b"}]') }))
  assert.match(damages[0].message, /one JSON array/)
})

// ---- layouts ----

test('RedPajama: address and date from meta, the subset from its field or folder', async () => {
  await put('rp/arxiv/a.jsonl', lines({ text: 'x', meta: { url: 'https://arxiv.org/abs/1', timestamp: '2020-01-01', yymm: '2001' } }))
  await put('rp/c4/b.jsonl.zst', zstdCompressSync(lines({ text: 'y', meta: {}, red_pajama_subset: 'c4' })))
  const { items } = await readAll(redPajama({ path: join(folder, 'rp') }))
  assert.deepEqual(
    items.map(({ text, url, date, subset }) => [text, url, date, subset]),
    [
      ['x', 'https://arxiv.org/abs/1', '2020-01-01', 'arxiv'],
      ['y', undefined, undefined, 'c4'],
    ],
  )
})

const redPajamaDocument = (text: string) => ({
  url: 'https://example.org/',
  date_download: '2023-02-01T00:00:00Z',
  raw_content: text,
  language: 'en',
  language_score: 0.9,
  bucket: 'head',
  digest: 'sha1:X',
})
const signalsOf = (row: number, spans: object) => ({ id: `2023-06/0000/en_head.json.gz/${row}`, id_int: 1, quality_signals: spans })

test('RedPajama 2: the quality signals of the same line become annotations, and none of another line', async () => {
  const path = await put(
    'rp2/documents/2023-06/0000/en_head.json.gz',
    gzipSync(lines(redPajamaDocument('one'), redPajamaDocument('two'), redPajamaDocument('three'), redPajamaDocument('four'))),
  )
  const signals = lines(
    signalsOf(0, {
      ccnet_length: [[0, 3, 3.0]],
      rps_lines_num_words: [
        [0, 1, 2],
        [1, 3, 4],
      ],
      rps_none: [],
      rps_null: [[0, 3, null]],
    }),
    signalsOf(7, {}),
    signalsOf(2, {}),
  )
  await put(
    'rp2/quality_signals/2023-06/0000/en_head.signals.json.gz',
    gzipSync(signals.replace('"quality_signals":{}}\n', '"quality_signals":{}}\n')),
  )
  const { items, damages } = await readAll(redPajama2({ path, signals: true }))
  assert.deepEqual(
    items.map(({ text, language, languageScore, subset, annotations, metadata }) => [
      text,
      language,
      languageScore,
      subset,
      annotations,
      metadata,
    ]),
    [
      [
        'one',
        'en',
        0.9,
        'head',
        { ccnet_length: 3 },
        {
          digest: 'sha1:X',
          rps_lines_num_words: [
            [0, 1, 2],
            [1, 3, 4],
          ],
        },
      ],
      ['three', 'en', 0.9, 'head', {}, { digest: 'sha1:X' }],
    ],
  )
  assert.deepEqual(
    damages.map(({ code, message }) => [code, message.replace(/^.*\.gz: /, '')]),
    [
      ['SLUICE_ATTRIBUTES_LINE', 'its line is of another document'],
      ['SLUICE_ATTRIBUTES_LINE', 'it ends before this line'],
    ],
  )
  assert.equal((await readAll(redPajama2({ path }))).items.length, 4)
})

test('Dolma: attributes of several taggers join the document, and a missing file of them is refused', async () => {
  const document = (id: string) => ({
    id,
    text: `text ${id}`,
    source: 'wiki',
    added: '2024-01-01',
    created: '2020-05-05',
    metadata: { url: 'https://w.example/' },
  })
  await put('dolma/documents/wiki/a.json.gz', gzipSync(lines(document('1'), document('2'))))
  const attributes = (name: string) => (id: string, score: number) => ({ id, attributes: { [`${name}__score`]: [[0, 6, score]] } })
  await put('dolma/attributes/quality/wiki/a.json.gz', gzipSync(lines(attributes('q')('1', 0.1), attributes('q')('2', 0.2))))
  await put('dolma/attributes/random/wiki/a.json.gz', gzipSync(lines(attributes('r')('1', 5), attributes('r')('other', 6))))
  const path = join(folder, 'dolma/documents')
  const { items, damages } = await readAll(dolma({ path, attributes: ['quality', 'random'] }))
  assert.deepEqual(
    items.map(({ text, subset, date, url, annotations, metadata }) => [text, subset, date, url, annotations, metadata.id]),
    [['text 1', 'wiki', '2020-05-05', 'https://w.example/', { q__score: 0.1, r__score: 5 }, '1']],
  )
  assert.deepEqual(
    damages.map(({ code }) => code),
    ['SLUICE_ATTRIBUTES_LINE'],
  )
  await assert.rejects(readAll(dolma({ path, attributes: ['none'] })), { code: 'SLUICE_ATTRIBUTES_MISSING' })
  await assert.rejects(readAll(dolma({ path: await put('flat.json.gz', gzipSync(lines(document('1')))), attributes: ['quality'] })), {
    code: 'SLUICE_ATTRIBUTES_MISSING',
  })
})

test('shards that a pipeline wrote are read back with their metadata, annotations, subset and origin', async () => {
  const path = join(folder, 'written')
  await mkdir(path)
  const document: Document = {
    id: 'a'.repeat(32),
    source: 'file:///x.warc.gz',
    offset: 77,
    length: 5,
    url: 'https://example.org/',
    language: 'en',
    languageScore: 0.5,
    subset: 'web',
    metadata: { title: 'T' },
    annotations: { score: 2, kind: 'x' },
    text: 'text',
  }
  const sink = parquetShards({ path, annotations: { score: 'number' } })
  const run = await sink.open({ signal: new AbortController().signal, folder: path, partition: 'p', planHash: '', artifact: () => '' })
  await run.write([document, { ...document, annotations: undefined, offset: 78 }])
  await run.close()
  const { items } = await readAll(shards({ path }))
  const { id, source, offset, length, ...same } = document
  assert.deepEqual(
    items.map(({ id: _, source: __, offset: ___, length: ____, date: _____, ...item }) => item),
    [
      { ...same, metadata: { title: 'T', origin: { id, source, offset } } },
      { ...same, metadata: { title: 'T', origin: { id, source, offset: 78 } }, annotations: undefined },
    ],
  )
})

test('the folders beside the documents are no documents', async () => {
  const path = join(folder, 'dolma')
  assert.equal((await readAll(dolma({ path }))).items.length, 2)
})

test('C4 and FineWeb as they are published', async () => {
  const c4Path = await put(
    'c4/c4-train.00000-of-01024.json.gz',
    gzipSync(lines({ text: 't', timestamp: '2019-04-25T12:57:54Z', url: 'https://a.example/' })),
  )
  const [one] = (await readAll(c4({ path: c4Path }))).items
  assert.deepEqual([one.text, one.url, one.date, one.metadata], ['t', 'https://a.example/', '2019-04-25T12:57:54Z', {}])
  const duck = await (await DuckDBInstance.create()).connect()
  const path = join(folder, '000_00000.parquet')
  await duck.run(`copy (select 'text' as text, '<urn:uuid:1>' as id, 'CC-MAIN-2024-10' as dump, 'https://b.example/' as url, '2024-02-21T00:00:00Z' as date,
    's3://commoncrawl/x' as file_path, 'en' as language, 0.95 as language_score, 123::bigint as token_count) to '${path}' (format parquet)`)
  const [row] = (await readAll(fineWeb({ path }))).items
  assert.deepEqual(
    [row.text, row.subset, row.language, row.languageScore, row.url],
    ['text', 'CC-MAIN-2024-10', 'en', 0.95, 'https://b.example/'],
  )
  assert.deepEqual(row.metadata, { id: '<urn:uuid:1>', file_path: 's3://commoncrawl/x', token_count: 123 })
})

// ---- Parquet ----

test('Parquet: nested columns, lists and maps by path, in every compression, and names that are not there', async () => {
  const duck = await (await DuckDBInstance.create()).connect()
  for (const compression of ['uncompressed', 'snappy', 'gzip', 'zstd', 'brotli', 'lz4_raw']) {
    const path = join(folder, `nested-${compression}.parquet`)
    await duck.run(`copy (select {'body': 'deep ' || i, 'n': i} as doc, ['a', null, 'b'] as parts, 9007199254740993 as large,
      map {'k': 1} as m, case when i = 1 then null else 'x' end as word, date '2024-05-06' as day, 1.25::decimal(9,2) as price
      from range(3) t(i)) to '${path}' (format parquet, compression ${compression})`)
    const { items } = await readAll(parquet({ path, text: ['doc.body', 'parts'], separator: ' ', date: 'day' }))
    assert.deepEqual([items.length, items[0].text, items[0].date], [3, 'deep 0 a b', '2024-05-06T00:00:00.000Z'])
    assert.deepEqual(items[1].metadata, { doc: { n: 1 }, large: '9007199254740993', m: { k: 1 }, word: null, price: 1.25 })
  }
  const path = join(folder, 'nested-zstd.parquet')
  await assert.rejects(
    readAll(parquet({ path, text: 'doc.bdy' })),
    /there is no field doc\.bdy: there are doc\.body, doc\.n; did you mean doc\.body\?/,
  )
  await assert.rejects(readAll(parquet({ path, text: 'Word', columns: ['word'] })), /did you mean word\?/)
  await assert.rejects(readAll(parquet({ path, text: 'doc.n' })), { code: 'SLUICE_PARQUET_COLUMN' })
  await assert.rejects(readAll(parquet({ path, text: 'word', columns: ['wrod'] })), { code: 'SLUICE_PARQUET_COLUMN' })
  assert.equal((await readAll(parquet({ path, text: 'word', columns: ['day'] }))).ignored.empty_text, 1)
})

// ---- CSV ----

const table = 'id,text,url\r\n1,"two\nlines, ""quoted""",https://example.org/\r\n2,,x\r\n\r\n3,a,b,c\r\n4,Größe für die Übung,\r\n'

test('csvFiles: columns by name, rows that do not fit as damage, in any encoding and compression', async () => {
  const utf16 = Buffer.from(`\ufeff${table}`, 'utf16le')
  const stored = {
    'a.csv': table,
    'b.csv.gz': gzipSync(table),
    'c.csv.zst': zstdCompressSync(table),
    'd.csv': `\ufeff${table}`,
    'e.csv': utf16,
    'f.csv': Buffer.from(table, 'latin1'),
    'g.tsv': table.replaceAll(',', '\t').replace('lines\t', 'lines,'),
    'h.csv': `\ufeff"id"${table.slice(2)}`,
  }
  for (const [name, content] of Object.entries(stored)) {
    const { items, ignored, damages, consumed, partitions } = await readAll(csvFiles({ path: await put(`csv/${name}`, content) }))
    assert.deepEqual(
      items.map(({ text, url, metadata }) => [text, url, metadata]),
      [
        ['two\nlines, "quoted"', 'https://example.org/', { id: '1' }],
        ['Größe für die Übung', undefined, { id: '4' }],
      ],
      name,
    )
    assert.deepEqual(ignored, { empty_text: 1, blank_line: 1 }, name)
    assert.deepEqual(
      damages.map(({ code }) => code),
      ['SLUICE_CSV_FIELDS'],
      name,
    )
    const mark = name === 'd.csv' || name === 'h.csv' ? 3 : 0
    assert.equal(consumed + mark * Number(partitions[0].range !== undefined), partitions[0].bytes, name)
  }
})

test('csvFiles cut at rows gives the same documents, quotes and line feeds inside fields or not', async () => {
  const rows = Array.from({ length: 300 }, (_, n) => `${n},"text ${'x\n'.repeat(n % 7)} ""${n}"""`).join('\n')
  const path = await put('cut.csv', `\ufeffid,text\n${rows}`)
  const whole = await readAll(csvFiles({ path }))
  const pieces = await readAll(csvFiles({ path }), 700)
  assert.ok(pieces.partitions.length > 5)
  assert.equal(whole.items.length, 300)
  assert.deepEqual(pieces.items, whole.items)
})

test('csvFiles: files without a row of names, and names that are not there', async () => {
  const path = await put('bare.csv', 'a;1\nb;2\n')
  assert.deepEqual(
    (await readAll(csvFiles({ path, header: ['text', 'n'] }))).items.map(({ text, metadata }) => [text, metadata]),
    [
      ['a', { n: '1' }],
      ['b', { n: '2' }],
    ],
  )
  assert.equal((await readAll(csvFiles({ path, header: false, text: '0' }))).items.length, 2)
  await assert.rejects(readAll(csvFiles({ path: await put('names.csv', 'Text,n\na,1'), text: 'text' })), /did you mean Text\?/)
  assert.deepEqual((await readAll(csvFiles({ path: await put('twice.csv', 'text,n,n\na,1,2') }))).items[0].metadata, { n: '1', 'n.2': '2' })
  assert.deepEqual((await readAll(csvFiles({ path: await put('hollow.csv', '') }))).items, [])
})

test('a compressed CSV that is cut short gives its whole rows, then says so', async () => {
  const stored = gzipSync(`text\n${Array.from({ length: 3000 }, (_, n) => `${n} ${Math.sin(n)}`).join('\n')}`)
  const { items, damages } = await readAll(csvFiles({ path: await put('cut.csv.gz', stored.subarray(0, stored.length - 3000)) }))
  assert.ok(items.length > 1500 && items.length < 3000, `${items.length}`)
  assert.deepEqual(
    damages.map(({ code }) => code),
    ['SLUICE_STREAM_TRUNCATED'],
  )
})

test('names of fields are told short and readable, whatever stands in their place', () => {
  const message = missingField(['text'], ['x\u0007y', 'z'.repeat(5000)])
  assert.equal(message, `there is no field text: there are x�y, ${'z'.repeat(60)}…`)
})
