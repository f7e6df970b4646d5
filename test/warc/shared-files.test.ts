// The reader against real and odd files from other projects, and what another reader (warcio for Python) made of them.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
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
  const source = await openBytes(folder + file)
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
  if (type === 'arc_header') return block.subarray(afterLines(block, 2)) // version and names of fields: a header to warcio
  const response = type === 'response' || type === 'revisit' ? parseHttpResponse(block) : undefined
  return response ? decodeBody(response, 1 << 30).bytes : block
}

function afterLines(block: Buffer, lines: number): number {
  let at = 0
  for (let line = 0; line < lines && at < block.length; line++) {
    const feed = block.indexOf(10, at)
    at = feed === -1 ? block.length : feed + 1
  }
  return at
}

function filesOf(...names: string[]): string[] {
  return skip
    ? []
    : names.flatMap((name) => readdirSync(folder + name).map((file) => `${name}/${file}`)).filter((file) => !file.endsWith('SUMS'))
}

interface Difference {
  readonly why: string
  readonly files: Readonly<Record<string, { readonly types: Readonly<Record<string, number>>; readonly codes?: readonly string[] }>>
}

/** Every file for which the answer is not warcio's, and why it is the better one. All else must be equal. */
const differences: readonly Difference[] = [
  {
    why: 'a record that is cut short is reported as lost; warcio hands out what is left of it as if it were whole',
    files: {
      'edge/chatnoir-resiliparse__clipped.warc.gz': { types: {}, codes: ['TRUNCATED'] },
      'edge/solrwayback__transfer_compression_none_truncated.warc.gz': { types: { request: 1, warcinfo: 1 }, codes: ['TRUNCATED'] },
      'jhove/invalid-warcheaderfieldpolicy-12.warc': { types: {}, codes: ['TRUNCATED'] },
      'jhove/invalid-warcheaderfieldpolicy-14.warc': { types: {}, codes: ['TRUNCATED'] },
      'jhove/invalid-warcheaderfieldpolicy-16.warc': { types: {}, codes: ['TRUNCATED'] },
      'jhove/invalid-warcheaderfieldpolicy-4.warc': { types: {}, codes: ['TRUNCATED'] },
      'jhove/invalid-warcheaderfieldpolicy-6.warc': { types: {}, codes: ['TRUNCATED'] },
      'jhove/invalid-warcheaderfieldpolicy-8.warc': { types: {}, codes: ['TRUNCATED'] },
    },
  },
  {
    why: 'a record with a wrong length is reported as lost, and reading goes on behind it; warcio hands out a piece of it, or stops',
    files: {
      'edge/ipwb__broken.warc': { types: { metadata: 1, request: 2, response: 1, warcinfo: 1 }, codes: ['LENGTH'] },
      'edge/warcio__example-trunc.warc': { types: { request: 1, warcinfo: 2 }, codes: ['LENGTH'] },
    },
  },
  {
    why: 'a record without a length is reported as lost; warcio takes all that follows for its content, or nothing, or crashes',
    files: {
      'edge/warcio__bad.arc': { types: { response: 1 }, codes: ['NO_LENGTH', 'NO_LENGTH'] },
      'jhove/invalid-warcfile-fields-invalidformat.warc': { types: {}, codes: ['NO_LENGTH'] },
      'jhove/invalid-warcfile-lonely-continuation.warc': { types: {}, codes: ['NO_LENGTH'] },
      'jhove/invalid-warcfile-lonely-request-response-resource-conversion.warc': { types: {}, codes: ['NO_LENGTH'] },
      'jhove/invalid-warcfile-lonely-warcinfo-metadata.warc': { types: {}, codes: ['NO_LENGTH'] },
    },
  },
  {
    why: 'a first line or a few of them are no record; warcio counts them as one where the version is 0.17, 0.18, 1.0 or 1.1, and stops otherwise',
    files: {
      'jhove/invalid-warcheaderversion-1.warc': { types: {}, codes: ['TRUNCATED'] },
      'jhove/invalid-warcheaderversion-11.warc': { types: {}, codes: ['TRUNCATED'] },
      'jhove/invalid-warcheaderversion-13.warc': { types: {}, codes: ['TRUNCATED'] },
      'jhove/invalid-warcheaderversion-15.warc': { types: {}, codes: ['TRUNCATED'] },
      'jhove/invalid-warcheaderversion-17.warc': { types: {}, codes: ['TRUNCATED'] },
      'jhove/invalid-warcheaderversion-19.warc': { types: {}, codes: ['GARBAGE'] },
      'jhove/invalid-warcheaderversion-20.warc': { types: {} }, // blank lines
      'jhove/invalid-warcheaderversion-22.warc': { types: {}, codes: ['TRUNCATED'] },
      'jhove/invalid-warcheaderversion-24.warc': { types: {}, codes: ['TRUNCATED'] },
      'jhove/invalid-warcheaderversion-26.warc': { types: {}, codes: ['TRUNCATED'] },
      'jhove/invalid-warcheaderversion-4.warc': { types: {}, codes: ['TRUNCATED'] },
      'jhove/invalid-warcheaderversion-6.warc': { types: {}, codes: ['TRUNCATED'] },
      'jhove/invalid-warcheaderversion-8.warc': { types: {}, codes: ['TRUNCATED'] },
      'jhove/invalid-warcreader-diagnosis-1.warc': { types: {}, codes: ['GARBAGE'] },
    },
  },
  {
    why: 'records that share a gzip member are read, one by one; warcio refuses the file behind the first',
    files: { 'edge/warcio__example-bad.warc.gz.bad': { types: { request: 2, response: 2, revisit: 1, warcinfo: 1 } } },
  },
  {
    why: 'types are compared without regard to case, blanks and folds around them taken off, as the standard has it',
    files: {
      'jhove/valid-warcfile-fields-continuation.warc': { types: { continuation: 1 } },
      'jhove/valid-warcfile-fields-warcinfo.warc': { types: { warcinfo: 1 } },
      'jhove/valid-warcfile-upper-lower-case.warc': { types: { response: 4, warcinfo: 1 } },
      'jhove/valid-warcfile-utf8.warc': { types: { warcinfo: 1 } },
    },
  },
  {
    why: 'payloads differ: brotli is decoded (warcio had no decoder installed)',
    files: {
      'edge/solrwayback__transfer_compression_brotli.warc.gz': {
        types: { metadata: 1, request: 1, resource: 1, response: 1, warcinfo: 1 },
      },
    },
  },
  {
    why: 'payloads differ: what is no HTTP message is a payload as it stands; warcio takes its first lines for a header',
    files: {
      'real/node-warc__parseMe.warc.gz': { types: { metadata: 1, request: 14, response: 14, warcinfo: 1 } },
      'edge/warc__alexa_short_header.arc.gz': { types: { arc_header: 1, response: 1 } },
    },
  },
]

const answers = new Map(differences.flatMap(({ files }) => Object.entries(files)))

test('every file gives the records, types and decoded payloads that warcio found, or a better answer', { skip }, async (context) => {
  const expected: Record<string, Expected> = JSON.parse(readFileSync(`${folder}expected-warcio.json`, 'utf8'))
  const files = filesOf('normal', 'real', 'edge', 'jhove').filter((file) => `warc/${file}` in expected)
  assert.equal(files.length, Object.keys(expected).length)
  for (const file of files) {
    const { records, types, damages, payloads } = await readAll(file)
    const want = expected[`warc/${file}`]
    const answer = answers.get(file)
    const codes = damages.map(({ code }) => code.replace('SLUICE_WARC_', ''))
    assert.deepEqual({ file, types, codes }, { file, types: answer?.types ?? want.types, codes: answer?.codes ?? [] })
    assert.equal(
      records,
      Object.values(types).reduce((sum, count) => sum + count, 0),
    )
    if (answer) {
      assert.notDeepEqual([types, payloads, codes], [want.types, want.decoded_payload_sha256, []], `${file} does not differ any more`)
    } else assert.equal(payloads, want.decoded_payload_sha256, file)
  }
  context.diagnostic(
    `${files.length} files: ${files.length - answers.size} as warcio, ${answers.size} better for ${differences.length} reasons`,
  )
})

test('the same records plain, as gzip and as lz4 are the same, and a WACZ gives those of its archive', { skip }, async () => {
  const plain = await readAll('normal/chatnoir-resiliparse__warcfile.warc')
  for (const compression of ['gz', 'lz4']) {
    const { records, types, payloads, damages } = await readAll(`normal/chatnoir-resiliparse__warcfile.warc.${compression}`)
    assert.deepEqual({ records, types, payloads, damages }, { records: 50, types: plain.types, payloads: plain.payloads, damages: [] })
  }
  const { types, damages } = await readAll('normal/py-wacz__valid_example_1.wacz')
  assert.deepEqual({ types, damages }, { types: { warcinfo: 2, request: 1, response: 1 }, damages: [] })
})

test('odd and broken files end with records and named damage, never with another error', { skip }, async () => {
  for (const file of filesOf('edge', 'jhove')) {
    const { records, damages, size } = await readAll(file)
    assert.ok(records > 0 || damages.length > 0 || size <= 2, `${file}: neither a record nor damage`)
    for (const damage of damages) {
      assert.match(damage.code, /^SLUICE_WARC_[A-Z_]+$/)
      assert.ok(damage.length > 0 && damage.offset + damage.length <= size, `${file}: ${JSON.stringify(damage)}`)
    }
  }
})
