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
  return { records, urls: records.map((record) => recordUrl(record)?.replace('https://example.org/', '') ?? record.type), damages, layout }
}

function responseOf(record: WarcRecord): HttpResponse {
  const response = parseHttpResponse(record.block)
  assert.ok(response)
  return response
}

const all = ['warcinfo', 'one', 'one', 'gone', 'dot.png', 'saved', 'one', 'one', 'two']

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
}

for (const [name, [urls, damages]] of Object.entries(expected))
  test(`${name} gives its records and its damage`, async () => {
    const found = await read(name)
    assert.deepEqual({ urls: found.urls, damages: found.damages }, { urls, damages })
  })

test('every fixture is tested, and an ARC file is refused', async () => {
  const names = readdirSync(folder).filter((name) => name !== 'make.ts' && name !== 'archive.arc')
  assert.deepEqual(names.sort(), Object.keys(expected).sort())
  await assert.rejects(
    read('archive.arc'),
    (error) => error instanceof SluiceError && error.code === 'SLUICE_WARC_FORMAT' && error.fix !== undefined,
  )
})

test('the same records in a plain file, a member each and one member for all are the same but for their places', async () => {
  const contents = async (name: string) =>
    (await read(name)).records.map(({ type, fields, block }) => [type, fields, block.toString('latin1')])
  const plain = await contents('good.warc')
  assert.deepEqual(await contents('good.warc.gz'), plain)
  assert.deepEqual(await contents('whole-file.warc.gz'), plain)
  assert.deepEqual(
    [(await read('good.warc')).layout, (await read('good.warc.gz')).layout, (await read('whole-file.warc.gz')).layout],
    ['plain', 'gzip', 'gzip-shared'],
  )
})

test('offsets and lengths tile a file', async () => {
  for (const name of ['good.warc', 'good.warc.gz']) {
    const { records } = await read(name)
    let next = 0
    for (const { offset, length } of records) {
      assert.equal(offset, next, name)
      next += length
    }
    assert.equal(next, (await openBytes(folder + name)).size)
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
