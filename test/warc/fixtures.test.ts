// What the reader makes of each file that fixtures/warc/make.ts wrote.

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { SluiceError } from '../../src/core/errors.ts'
import { openBytes } from '../../src/io/open-bytes.ts'
import { checkDigests } from '../../src/warc/digest.ts'
import { decodeBody, type HttpResponse, parseHttpResponse } from '../../src/warc/http.ts'
import { readWarc, type WarcLayout } from '../../src/warc/reader.ts'
import { recordUrl, type WarcRecord } from '../../src/warc/record.ts'

const folder = fileURLToPath(new URL('../../fixtures/warc/', import.meta.url))

async function read(name: string, maxRecordBytes = 1 << 20) {
  const records: WarcRecord[] = []
  const damages: string[] = []
  let layout: WarcLayout | undefined
  const source = await openBytes(folder + name)
  for await (const record of readWarc(source, {
    maxRecordBytes,
    layout: (known) => {
      layout = known
    },
    damaged: ({ offset, length, code }) => damages.push(`${offset}+${length} ${code.replace('SLUICE_WARC_', '')}`),
  }))
    records.push(record)
  const nameOf = (record: WarcRecord) => recordUrl(record)?.replace(/^https?:\/\/example.org\//, '') ?? record.type
  return { records, urls: records.map(nameOf), damages, layout, size: source.size }
}

function responseOf(record: WarcRecord): HttpResponse {
  const response = parseHttpResponse(record.block)
  assert.ok(response)
  return response
}

const all = ['warcinfo', 'one', 'one', 'gone', 'dot.png', 'saved', 'one', 'one', 'two']
const allOfArc = ['filedesc://archive.arc', 'one', 'with space', 'dns:example.org', 'short', 'two']

/** By file: URLs (types where there is none) and damage, as offset+length and code. */
const expected: Readonly<Record<string, readonly [urls: readonly string[], damages: readonly string[]]>> = {
  'empty.warc': [[], []],
  'good.warc': [all, []],
  'good.warc.gz': [all, []],
  'whole-file.warc.gz': [all, []],
  'two-per-member.warc.gz': [['warcinfo', 'one', 'two', 'three'], []],
  'whole-file-truncated.warc.gz': [all.slice(0, 7), ['0+3249 TRUNCATED']],
  'truncated.warc.gz': [['warcinfo', 'one'], ['646+356 TRUNCATED']],
  'truncated.warc': [['warcinfo', 'one'], ['849+504 TRUNCATED']],
  'bad-checksum.warc.gz': [['warcinfo', 'one', 'three'], ['646+416 CHECKSUM']],
  'bad-deflate.warc.gz': [['warcinfo', 'one', 'three'], ['646+416 GZIP']],
  'cut-member.warc.gz': [['warcinfo', 'one', 'three'], ['646+200 GZIP']],
  'garbage-between.warc.gz': [['warcinfo', 'one', 'two'], ['646+25 GARBAGE']],
  'zero-padded.warc.gz': [['warcinfo', 'one'], ['646+512 GARBAGE']],
  'length-too-long.warc': [['warcinfo', 'two', 'three'], ['285+564 LENGTH']],
  'length-too-short.warc': [['warcinfo', 'two', 'three'], ['285+564 LENGTH']],
  'length-too-short.warc.gz': [['warcinfo', 'two'], ['231+415 LENGTH']],
  'length-missing.warc': [['warcinfo', 'two'], ['285+543 NO_LENGTH']],
  'huge-length.warc': [['warcinfo', 'two'], ['285+575 LENGTH']],
  'bare-line-feeds.warc': [['lf', 'one'], []],
  'folded-header.warc': [[' folded'], []],
  'bomb.warc.gz': [['warcinfo', 'one'], ['231+16659 RECORD_TOO_LARGE']],
  'encodings.warc.gz': [
    [
      'gzip',
      'x-gzip',
      'deflate',
      'raw-deflate',
      'br',
      'zstd',
      'twice',
      'decoded-already',
      'chunked',
      'chunked-already',
      'chunked-gzip',
      'no-reason',
    ],
    [],
  ],
  'bad-encoding.warc.gz': [['bad', 'one'], []],
  'nothing.warc': [[], ['0+40 GARBAGE']],
  'other.warc.gz': [[], ['0+47 GARBAGE']],
  'over-members.warc.gz': [['warcinfo', 'one', 'two'], []],
  'good.warc.zst': [all, []],
  'dictionary.warc.zst': [all, []],
  'plain-dictionary.warc.zst': [all, []],
  'whole-file.warc.zst': [all, []],
  'skippable-between.warc.zst': [['warcinfo', 'one'], []],
  'over-frames.warc.zst': [['warcinfo', 'one', 'two'], []],
  'large.warc.zst': [['warcinfo', 'large', 'one'], []],
  'bad-frame.warc.zst': [['warcinfo', 'two'], ['230+435 ZSTD']],
  'truncated.warc.zst': [['warcinfo', 'one'], ['665+376 TRUNCATED']],
  'good.warc.lz4': [all, []],
  'whole-file.warc.lz4': [all, []],
  'large.warc.lz4': [['warcinfo', 'large', 'one'], []],
  'bad-frame.warc.lz4': [['warcinfo', 'two'], ['274+503 CHECKSUM']],
  'truncated.warc.lz4': [['warcinfo', 'one'], ['777+444 TRUNCATED']],
  'good.wacz': [[...all, 'warcinfo', 'one'], []],
  'deflated.wacz': [[...all, 'warcinfo', 'one'], []],
  'truncated.wacz': [all, ['3235+22 ZIP', '0+47 GARBAGE', '2962+295 GARBAGE']],
  'no-archive.wacz': [[], ['0+133 ZIP']],
  'good.arc': [allOfArc, []],
  'good.arc.gz': [allOfArc, []],
  'good.arc.zst': [allOfArc, []],
  'whole-file.arc.gz': [allOfArc, []],
  'version-1.1.arc': [['filedesc://archive.arc', 'one'], []],
  'version-2.arc': [['filedesc://archive.arc', 'one'], []],
  'length-too-long.arc': [['filedesc://archive.arc', 'two', 'dns:example.org'], ['140+261 LENGTH']],
  'length-bad.arc': [['filedesc://archive.arc', 'two'], ['140+260 NO_LENGTH']],
  'truncated.arc.gz': [['filedesc://archive.arc', 'one'], ['373+176 TRUNCATED']],
}

for (const [name, [urls, damages]] of Object.entries(expected))
  test(`${name} gives its records and its damage`, async () => {
    const found = await read(name)
    assert.deepEqual({ urls: found.urls, damages: found.damages }, { urls, damages })
  })

/** What cannot be read at all ends in an error with advice. */
const refused: Readonly<Record<string, string>> = {
  'bad-dictionary.warc.zst': 'SLUICE_WARC_DICTIONARY',
  'other.warc': 'SLUICE_WARC_FORMAT', // xz
}

for (const [name, code] of Object.entries(refused))
  test(`${name} is refused`, async () => {
    await assert.rejects(read(name), (error) => error instanceof SluiceError && error.code === code && error.fix !== undefined)
  })

test('every fixture is tested', () => {
  const names = readdirSync(folder).filter((name) => name !== 'make.ts')
  assert.deepEqual(names.sort(), [...Object.keys(expected), ...Object.keys(refused)].sort())
})

test('the same records are the same in every compression, but for their places', async () => {
  const contents = async (name: string) =>
    (await read(name)).records.map(({ type, fields, block }) => [type, fields, block.toString('latin1')])
  const layouts: Record<string, readonly (WarcLayout | undefined)[]> = {}
  for (const [plain, ...others] of [
    ['good.warc', 'good.warc.gz', 'whole-file.warc.gz', 'good.warc.zst', 'dictionary.warc.zst', 'plain-dictionary.warc.zst'],
    ['good.warc', 'whole-file.warc.zst', 'good.warc.lz4', 'whole-file.warc.lz4'],
    ['good.arc', 'good.arc.gz', 'good.arc.zst', 'whole-file.arc.gz'],
    ['large.warc.zst', 'large.warc.lz4'],
  ]) {
    const want = await contents(plain)
    for (const name of others) {
      assert.deepEqual(await contents(name), want, name)
      layouts[name] = [(await read(name)).layout]
    }
  }
  assert.deepEqual(
    ['good.warc.gz', 'whole-file.warc.gz', 'good.warc.zst', 'whole-file.warc.zst', 'good.warc.lz4', 'whole-file.warc.lz4'].flatMap(
      (name) => layouts[name],
    ),
    ['gzip', 'gzip-shared', 'zstd', 'zstd-shared', 'lz4', 'lz4-shared'],
  )
})

test('records of an ARC file have the fields that WARC has for the same', async () => {
  const [header, one, , , short] = (await read('good.arc')).records
  assert.deepEqual([header.type, header.version, recordUrl(header)], ['arc_header', 'ARC/1', 'filedesc://archive.arc'])
  const fieldsOf = ({ fields }: WarcRecord) => Object.fromEntries(fields)
  assert.deepEqual(fieldsOf(one), {
    'warc-type': 'response',
    'warc-target-uri': 'http://example.org/one',
    'warc-date': '2008-04-30T20:48:25Z',
    'warc-ip-address': '192.0.2.7',
    'content-type': 'text/html',
    'content-length': '198',
  })
  assert.equal(fieldsOf(short)['content-type'], '') // Alexa's lines have none
  assert.match(responseOf(one).body.toString(), /^<!doctype html>/)
  const [, second] = (await read('version-2.arc')).records
  assert.deepEqual(
    [second.version, fieldsOf(second)['arc-result-code'], fieldsOf(second)['arc-offset'], fieldsOf(second)['arc-location']],
    ['ARC/2', '200', '152', undefined],
  )
})

test('offsets and lengths tile a file, and each is a place to read that record at', async () => {
  for (const name of ['good.warc', 'good.warc.gz', 'good.warc.zst', 'good.warc.lz4', 'good.arc', 'good.arc.gz']) {
    const { records, size } = await read(name)
    let next = 0
    for (const { offset, length } of records) {
      assert.equal(offset, next, name)
      next += length
    }
    assert.equal(next, size)
  }
  for (const name of ['good.wacz', 'dictionary.warc.zst', 'good.warc.lz4', 'good.arc.gz']) {
    const source = await openBytes(folder + name)
    for (const { offset, block } of (await read(name)).records) {
      const found = await Array.fromAsync(readWarc(source, { range: [offset, offset + 1], damaged: ({ message }) => assert.fail(message) }))
      assert.deepEqual(
        found.map((record) => [record.offset, record.block.equals(block)]),
        [[offset, true]],
        `${name} at ${offset}`,
      )
    }
  }
})

test('records that share a member have offsets of their own, and its bytes among them', async () => {
  for (const name of ['whole-file.warc.gz', 'two-per-member.warc.gz', 'whole-file.warc.zst', 'whole-file.warc.lz4', 'deflated.wacz']) {
    const { records, size } = await read(name)
    assert.equal(new Set(records.map(({ offset }) => offset)).size, records.length, name)
    const bytes = records.reduce((sum, { length }) => sum + length, 0)
    assert.ok(bytes <= size && bytes > size - 300, `${name}: ${bytes} of ${size}`)
  }
})

test('all transfer and content encodings give the same page', async () => {
  const { records } = await read('encodings.warc.gz')
  for (const record of records) {
    const response = responseOf(record)
    assert.equal(response.status, 200)
    const text = decodeBody(response, 1 << 20).bytes.toString()
    assert.ok(/^<!doctype html>.*água, 水, вода\.<\/p><\/body><\/html>$/.test(text), recordUrl(record) ?? '')
  }
})

test('a corrupt or too large body is a problem, not a page', async () => {
  const [bad, one] = (await read('bad-encoding.warc.gz')).records
  assert.match(decodeBody(responseOf(bad), 1 << 20).problem ?? '', /gzip body is corrupt/)
  assert.equal(decodeBody(responseOf(one), 1 << 20).problem, undefined)
  const [gzip] = (await read('encodings.warc.gz')).records
  assert.match(decodeBody(responseOf(gzip), 10).problem ?? '', /more than 10 bytes/)
})

test('digests match where the bytes do', async () => {
  const { records } = await read('good.warc.gz')
  for (const record of records) assert.equal(checkDigests(record).block, 'match')
  const [, , page] = records
  assert.equal(checkDigests(page).payload, 'match')
  assert.deepEqual(checkDigests({ ...page, block: Buffer.concat([page.block, Buffer.from('!')]) }), {
    block: 'mismatch',
    payload: 'mismatch',
  })
})

test('a record that holds more than the limit is passed over without being held', async () => {
  const { urls } = await read('bomb.warc.gz', 32 << 20)
  assert.deepEqual(urls, ['warcinfo', 'bomb', 'one'])
})
