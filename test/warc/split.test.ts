// Ranges of one file: any cut gives every record once. And what the reader makes of damage at any place.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import type { WarcDamage } from '../../src/warc/plain-records.ts'
import { readWarc, type WarcLayout } from '../../src/warc/reader.ts'
import { encodeWarcRecord } from '../../src/warc/writer.ts'
import { memorySource } from '../io/memory-source.ts'

function record(ordinal: number, body: Uint8Array): Buffer {
  return encodeWarcRecord({
    type: 'resource',
    date: '2024-05-01T00:00:00Z',
    id: `<urn:test:${ordinal}>`,
    url: `https://example.org/${ordinal}`,
    contentType: 'text/plain',
    block: body,
    payloadStart: 0,
  })
}

async function read(bytes: Buffer, range?: readonly [number, number], pieceBytes = 1000) {
  const damages: WarcDamage[] = []
  const extents: [number, number][] = []
  const urls: string[] = []
  let layout: WarcLayout | undefined
  for await (const found of readWarc(memorySource(bytes, pieceBytes, 'file:///memory.warc.gz'), {
    range,
    damaged: (damage) => damages.push(damage),
    layout: (known) => (layout = known),
  })) {
    extents.push([found.offset, found.length])
    urls.push(found.fields.find(([name]) => name === 'warc-target-uri')?.[1] ?? '')
  }
  return { damages, extents, urls, layout }
}

/** Codes may differ: at the end of a range a reader only looks whether a record follows. */
const extent = ({ offset, length }: WarcDamage) => [offset, length]

/** Where the last of these ends, if each begins where the one before ends. */
function tiled(extents: (readonly number[])[]): number {
  let next = 0
  for (const [offset, length] of extents.sort(([a], [b]) => a - b)) {
    assert.equal(offset, next)
    next += length
  }
  return next
}

const bodies = fc.array(
  fc.oneof(
    fc.uint8Array({ maxLength: 3000 }),
    fc.string({ maxLength: 500 }).map((text) => Buffer.from(`WARC/1.1\r\n${text}`)),
  ),
  { minLength: 1, maxLength: 30 },
)

test('any cut into ranges gives every record once, in order', async () => {
  await fc.assert(
    fc.asyncProperty(
      bodies,
      fc.array(fc.nat(), { maxLength: 6 }),
      fc.integer({ min: 1, max: 5000 }),
      fc.constantFrom(0, 6),
      async (contents, cuts, pieceBytes, level) => {
        const bytes = Buffer.concat(contents.map((body, ordinal) => gzipSync(record(ordinal, body), { level })))
        const places = [...new Set([0, bytes.length, ...cuts.map((cut) => cut % (bytes.length + 1))])].sort((a, b) => a - b)
        const found: string[] = []
        for (let index = 1; index < places.length; index++) {
          const { urls, damages } = await read(bytes, [places[index - 1], places[index]], pieceBytes)
          assert.deepEqual(damages, [])
          found.push(...urls)
        }
        assert.deepEqual(
          found,
          contents.map((_, ordinal) => `https://example.org/${ordinal}`),
        )
      },
    ),
    { numRuns: 150 },
  )
})

test('damage anywhere costs at most the records it touches, is reported, and ranges agree on it', async () => {
  await fc.assert(
    fc.asyncProperty(
      bodies,
      fc.nat(),
      fc.uint8Array({ minLength: 1, maxLength: 200 }),
      fc.nat(),
      fc.boolean(),
      async (contents, place, garbage, cut, isInsertion) => {
        const members = contents.map((body, ordinal) => gzipSync(record(ordinal, body)))
        const clean = Buffer.concat(members)
        const at = place % clean.length
        const bytes = Buffer.concat([
          clean.subarray(0, at),
          garbage,
          clean.subarray(isInsertion ? at : Math.min(clean.length, at + garbage.length)),
        ])
        const whole = await read(bytes)
        const untouched: string[] = []
        let offset = 0
        for (const [ordinal, member] of members.entries()) {
          const isBefore = offset + member.length <= at
          const isBehind = offset >= (isInsertion ? at : at + garbage.length)
          if (isBefore || isBehind) untouched.push(`https://example.org/${ordinal}`)
          offset += member.length
        }
        for (const url of untouched) assert.ok(whole.urls.includes(url), `${url} is lost`)
        assert.equal(tiled([...whole.extents, ...whole.damages.map(extent)]), bytes.length, 'a loss without a report')

        const middle = cut % (bytes.length + 1)
        const first = await read(bytes, [0, middle])
        const second = middle < bytes.length ? await read(bytes, [middle, bytes.length]) : { urls: [], damages: [] }
        assert.deepEqual([...first.urls, ...second.urls], whole.urls)
        assert.deepEqual([...first.damages, ...second.damages].map(extent), whole.damages.map(extent))
      },
    ),
    { numRuns: 150 },
  )
})

test('any bytes at all end in records and damage, never in another error', async () => {
  const pieces = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc
      .constantFrom(
        'WARC/1.0\r\n',
        'WARC-Type: response\r\n',
        'Content-Length: 5\r\n',
        'Content-Length: 99999\r\n',
        '\r\n\r\n',
        '\n',
        'HTTP/1.1 200 OK\r\n\r\n',
      )
      .map((text) => Buffer.from(text)),
    fc.tuple(fc.uint8Array({ maxLength: 100 }), fc.nat(120)).map(([body, end]) => gzipSync(record(1, body)).subarray(0, 100 + end)),
    fc.uint8Array({ maxLength: 100 }).map((body) => record(2, body)),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(pieces, { maxLength: 12 }), fc.boolean(), async (parts, isWholeGzip) => {
      const bytes = Buffer.concat(parts)
      await read(isWholeGzip ? gzipSync(bytes) : bytes)
    }),
    { numRuns: 300 },
  )
})

test('a member with a wrong checksum gives no record, not even one whose lengths fit', async () => {
  const member = gzipSync(Buffer.concat([record(1, Buffer.from('page')), Buffer.from('rest')]))
  member[member.length - 5] ^= 1
  const { urls, damages } = await read(Buffer.concat([member, gzipSync(record(2, Buffer.from('next')))]))
  assert.deepEqual(urls, ['https://example.org/2'])
  assert.deepEqual(damages.map(extent), [[0, member.length]])
})

test('a file made of beginnings of headers is one damage, read once', async () => {
  // Were each beginning tried against all that follows, this would take an hour.
  const beginnings = Buffer.from('WARC/1.0\r\nWARC-Type: x\r\n'.repeat(300_000))
  const { urls, damages } = await read(
    Buffer.concat([beginnings, Buffer.from('\r\n'), record(1, Buffer.from('whole'))]),
    undefined,
    1 << 20,
  )
  assert.deepEqual(urls, ['https://example.org/1'])
  assert.deepEqual(
    damages.map(({ offset, length, code }) => [offset, length, code]),
    [[0, beginnings.length + 2, 'SLUICE_WARC_GARBAGE']],
  )
})
