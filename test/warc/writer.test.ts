import assert from 'node:assert/strict'
import { createReadStream } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { WARCParser } from 'warcio'
import { SluiceError } from '../../src/core/errors.ts'
import { openBytes } from '../../src/io/open-bytes.ts'
import { base32, sha1Digest } from '../../src/warc/digest.ts'
import { readWarc } from '../../src/warc/reader.ts'
import { encodeWarcRecord, WarcWriter } from '../../src/warc/writer.ts'

const folder = await mkdtemp(join(tmpdir(), 'sluice-warc-'))
after(() => rm(folder, { recursive: true }))

const DATE = '2024-05-01T12:00:00Z'
const pages = ['<p>água</p>', '', 'x'.repeat(100_000)].map((body, index) => ({
  url: `https://example.org/${index}`,
  date: DATE,
  contentType: 'text/html',
  body: Buffer.from(body),
}))

async function writeSample(name: string, seed?: string): Promise<string> {
  const path = join(folder, name)
  await using writer = await WarcWriter.create(path, { date: DATE, seed, gzip: name.endsWith('.gz'), info: { operator: 'test' } })
  for (const page of pages) await writer.writeResponse(page)
  await writer.write({
    type: 'conversion',
    date: DATE,
    url: 'https://example.org/0',
    contentType: 'text/plain',
    block: Buffer.from('água'),
    payloadStart: 0,
  })
  await writer.close()
  return path
}

test('warcio reads what the writer wrote: types, URLs, payloads', async () => {
  for (const name of ['sample.warc.gz', 'sample.warc']) {
    const found: unknown[] = []
    const path = await writeSample(name)
    for await (const record of new WARCParser(createReadStream(path))) {
      const payload = Buffer.from(await record.readFully(true))
      if (record.warcType !== 'warcinfo')
        found.push([record.warcType, record.warcTargetURI, record.warcDate, payload.toString(), record.warcPayloadDigest])
    }
    const want = pages.map(({ url, body }) => ['response', url, DATE, body.toString(), sha1Digest(body)])
    assert.deepEqual(found, [...want, ['conversion', 'https://example.org/0', DATE, 'água', sha1Digest(Buffer.from('água'))]])
  }
})

test('our own reader gives the blocks back', async () => {
  const bodies: string[] = []
  for await (const record of readWarc(await openBytes(await writeSample('own.warc.gz')), {
    damaged: ({ message }) => assert.fail(message),
  }))
    bodies.push(record.block.toString().split('\r\n\r\n').slice(1).join(''))
  assert.deepEqual(
    bodies.slice(1, 4),
    pages.map(({ body }) => body.toString()),
  )
})

test('the same seed and dates give the same bytes, no seed gives other ids', async () => {
  const [a, b, c] = [await writeSample('a.warc.gz', 'seed'), await writeSample('b.warc.gz', 'seed'), await writeSample('c.warc.gz')]
  assert.ok((await readFile(a)).equals(await readFile(b)))
  assert.ok(!(await readFile(a)).equals(await readFile(c)))
})

test('an existing file is kept, and a writer that is given up leaves nothing', async () => {
  const path = await writeSample('kept.warc.gz')
  await assert.rejects(
    WarcWriter.create(path, { date: DATE }),
    (error) => error instanceof SluiceError && error.code === 'SLUICE_OUTPUT_EXISTS',
  )
  const before = await readdir(folder)
  {
    await using writer = await WarcWriter.create(join(folder, 'given-up.warc.gz'), { date: DATE })
    await writer.writeResponse(pages[0])
  }
  assert.deepEqual(await readdir(folder), before)
})

test('a line end in a header field is refused: it would forge a header', () => {
  assert.throws(
    () =>
      encodeWarcRecord({
        type: 'resource',
        date: DATE,
        id: '<urn:x:1>',
        url: 'https://example.org/\r\nX: y',
        contentType: 'text/plain',
        block: Buffer.alloc(0),
      }),
    (error) => error instanceof SluiceError && error.code === 'SLUICE_WARC_FIELD',
  )
})

test('base32 follows RFC 4648', () => {
  for (const [text, want] of [
    ['', ''],
    ['f', 'MY'],
    ['fo', 'MZXQ'],
    ['foo', 'MZXW6'],
    ['foob', 'MZXW6YQ'],
    ['fooba', 'MZXW6YTB'],
    ['foobar', 'MZXW6YTBOI'],
  ])
    assert.equal(base32(Buffer.from(text)), want)
})
