// The reader against real and odd files from other projects, and what another reader (warcio for Python) made of them.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { SluiceError } from '../../src/core/errors.ts'
import { openBytes } from '../../src/io/open-bytes.ts'
import { decodeBody, parseHttpResponse } from '../../src/warc/http.ts'
import type { WarcDamage } from '../../src/warc/plain-records.ts'
import { readWarc } from '../../src/warc/reader.ts'
import { headEnd, type WarcRecord } from '../../src/warc/record.ts'

const folder = fileURLToPath(new URL('../../../shared/data/warc/', import.meta.url))
const skip = existsSync(folder) ? false : 'no ../shared/data/warc here'

interface Expected {
  /** Of all payloads one after another, transfer- and content-decoded. */
  readonly decoded_payload_sha256: string
  readonly records: number
  readonly types: Readonly<Record<string, number>>
}

async function readAll(file: string) {
  const source = await openBytes(file)
  const types: Record<string, number> = {}
  const damages: WarcDamage[] = []
  const payloads = createHash('sha256')
  let records = 0
  for await (const record of readWarc(source, { damaged: (damage) => damages.push(damage) })) {
    records++
    types[record.type] = (types[record.type] ?? 0) + 1
    payloads.update(payloadOf(record))
  }
  return { types, records, damages, payloads: payloads.digest('hex'), size: source.size }
}

/** What is left when the HTTP header, chunks and encodings are taken off. */
function payloadOf({ type, block }: WarcRecord): Buffer {
  if (type === 'request') return block.subarray(headEnd(block, 0) >>> 0) // none: nothing
  const response = type === 'response' || type === 'revisit' ? parseHttpResponse(block) : undefined
  return response ? decodeBody(response, 1 << 30).bytes : block
}

function filesOf(...names: string[]): string[] {
  return skip ? [] : names.flatMap((name) => readdirSync(folder + name).map((file) => `${name}/${file}`))
}

/** Formats of a later release; each must be refused by name. */
const later = /\.(?:lz4|wacz)$|\.arc(?:\.gz)?$/

/** A request in it has header lines that begin with a colon: warcio takes them for the payload. */
const odd = 'real/node-warc__parseMe.warc.gz'

test('normal and real files give the records, types and decoded payloads that warcio found', { skip }, async () => {
  const expected: Record<string, Expected> = JSON.parse(readFileSync(`${folder}expected-warcio.json`, 'utf8'))
  const files = filesOf('normal', 'real').filter((file) => `warc/${file}` in expected && !later.test(file))
  assert.ok(files.length >= 30, `${files.length} files`)
  for (const file of files) {
    const { records, types, damages, payloads } = await readAll(folder + file)
    const want = expected[`warc/${file}`]
    assert.deepEqual({ file, records, types, damages }, { file, records: want.records, types: { ...types, ...want.types }, damages: [] })
    if (file !== odd) assert.equal(payloads, want.decoded_payload_sha256, file)
  }
})

test('archives of other kinds are refused by name', { skip }, async () => {
  for (const file of filesOf('normal', 'edge').filter((file) => later.test(file)))
    await assert.rejects(readAll(folder + file), (error) => error instanceof SluiceError && error.code === 'SLUICE_WARC_FORMAT', file)
})

test('odd and broken files end with records and named damage, never with another error', { skip }, async () => {
  for (const file of filesOf('edge', 'jhove').filter((file) => !later.test(file) && !file.endsWith('SHA256SUMS'))) {
    const { records, damages, size } = await readAll(folder + file)
    assert.ok(records > 0 || damages.length > 0 || size <= 2, `${file}: neither a record nor damage`)
    for (const damage of damages) {
      assert.match(damage.code, /^SLUICE_WARC_[A-Z_]+$/)
      assert.ok(damage.length > 0, `${file}: ${JSON.stringify(damage)}`)
    }
  }
})
