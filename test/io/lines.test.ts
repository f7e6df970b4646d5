import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { createZstdCompress, gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { type LineDamage, lineRanges, readLines } from '../../src/io/lines.ts'
import { memorySource } from './memory-source.ts'

async function read(bytes: Buffer, pieceBytes = 1 << 16, range?: readonly [number, number], maxLineBytes = 1 << 20) {
  const damages: LineDamage[] = []
  const lines: [number, string][] = []
  let consumed = 0
  for await (const block of readLines(memorySource(bytes, pieceBytes), {
    range,
    maxLineBytes,
    damaged: (damage) => damages.push(damage),
  })) {
    for (const { offset, bytes } of block.lines) lines.push([offset, bytes.toString()])
    consumed += block.consumed
  }
  return { lines, damages, consumed }
}

function expectedLines(text: string): [number, string][] {
  const lines: [number, string][] = []
  let offset = 0
  for (const line of text.split('\n')) {
    if (offset < Buffer.byteLength(text)) lines.push([offset, line.endsWith('\r') ? line.slice(0, -1) : line])
    offset += Buffer.byteLength(line) + 1
  }
  return lines
}

const texts = fc
  .array(fc.oneof(fc.constantFrom('\n', '\r\n', '\n\n'), fc.string({ unit: 'grapheme', maxLength: 40 })), { maxLength: 60 })
  .map((parts) => parts.join(''))

test('lines and offsets are the same for any pieces, plain, gzip of several members and zstd of several frames', async () => {
  await fc.assert(
    fc.asyncProperty(texts, fc.integer({ min: 1, max: 100 }), fc.nat(), async (text, pieceBytes, cut) => {
      const bytes = Buffer.from(text)
      const middle = cut % (bytes.length + 1)
      const halves = [bytes.subarray(0, middle), bytes.subarray(middle)]
      const want = expectedLines(text)
      const stored = [
        bytes,
        Buffer.concat(halves.map((half) => gzipSync(half))),
        Buffer.concat(halves.map((half) => zstdCompressSync(half))),
      ]
      for (const file of stored) assert.deepEqual(await read(file, pieceBytes), { lines: want, damages: [], consumed: file.length })
    }),
    { numRuns: 60 },
  )
})

test('a zstd file cut at its frames gives every line once, with the offsets that it has in one piece', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(texts, { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 50 }),
      async (parts, strideBytes, pieceBytes) => {
        const skippable = Buffer.from([0x5e, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3])
        const file = Buffer.concat(parts.flatMap((part, index) => [...(index % 2 ? [skippable] : []), zstdCompressSync(part)]))
        const source = memorySource(file, pieceBytes)
        const lines: [number, string][] = []
        let consumed = 0
        for (const piece of await lineRanges(source, strideBytes)) {
          for await (const block of readLines(source, {
            ...piece,
            maxLineBytes: 1 << 20,
            damaged: ({ message }) => assert.fail(message),
          })) {
            lines.push(...block.lines.map(({ offset, bytes }): [number, string] => [offset, bytes.toString()]))
            consumed += block.consumed
          }
        }
        assert.deepEqual(lines, expectedLines(parts.join('')))
        assert.equal(consumed, file.length)
      },
    ),
    { numRuns: 100 },
  )
})

test('a zstd file is cut where all frames say how much they hold, and only then', async () => {
  const [one, two] = ['a\n'.repeat(500), 'b\n'.repeat(500)]
  const sized = Buffer.concat([zstdCompressSync(one), zstdCompressSync(two)])
  const ranges = await lineRanges(memorySource(sized, 7), 10)
  assert.deepEqual(
    ranges.map(({ decoded }) => decoded),
    [
      [0, 1000],
      [1000, 2000],
    ],
  )
  const unsized = await buffer(Readable.from([Buffer.from(one)]).pipe(createZstdCompress()))
  assert.deepEqual(await lineRanges(memorySource(Buffer.concat([sized, unsized]), 7), 10), [{}])
  assert.deepEqual(await lineRanges(memorySource(sized.subarray(0, -3), 7), 10), [{}], 'cut short')
  assert.deepEqual(await lineRanges(memorySource(sized, 7, 'https://example.org/a.zst'), 10), [{}], 'not over a network')
})

test('any cut of a plain file into ranges gives every line once', async () => {
  await fc.assert(
    fc.asyncProperty(texts, fc.array(fc.nat(), { maxLength: 5 }), fc.integer({ min: 1, max: 50 }), async (text, cuts, pieceBytes) => {
      const bytes = Buffer.from(text)
      const places = [...new Set([0, bytes.length, ...cuts.map((cut) => cut % (bytes.length + 1))])].sort((a, b) => a - b)
      const lines: [number, string][] = []
      for (let index = 1; index < places.length; index++)
        lines.push(...(await read(bytes, pieceBytes, [places[index - 1], places[index]])).lines)
      assert.deepEqual(lines, expectedLines(text))
    }),
    { numRuns: 150 },
  )
})

// Lines that compress badly, so that places in the compressed file are places in the text.
const noise = Array.from({ length: 20_000 }, (_, index) => `${index} ${((index * 2654435761) >>> 0).toString(36)}\n`).join('')

test('a compressed file that is cut short gives the whole lines before the cut, then says so', async () => {
  for (const stored of [gzipSync(noise), zstdCompressSync(noise)]) {
    const { lines, damages } = await read(stored.subarray(0, stored.length >> 1))
    assert.ok(lines.length > 5000, `${lines.length} lines`)
    assert.deepEqual(lines, expectedLines(noise).slice(0, lines.length))
    assert.deepEqual(
      damages.map(({ code, offset }) => [code, offset]),
      [['SLUICE_STREAM_TRUNCATED', expectedLines(noise)[lines.length][0]]],
    )
  }
})

test('a corrupt compressed file gives the lines before the fault, then says so', async () => {
  const stored = gzipSync(noise)
  stored.fill(0xff, stored.length >> 1, (stored.length >> 1) + 64)
  const { lines, damages } = await read(stored)
  assert.ok(lines.length > 5000, `${lines.length} lines`)
  assert.deepEqual(
    damages.map(({ code }) => code),
    ['SLUICE_STREAM_CORRUPT'],
  )
})

test('bytes behind the compressed data are reported, not passed over', async () => {
  for (const stored of [gzipSync('a\nb'), zstdCompressSync('a\nb')]) {
    const { lines, damages } = await read(Buffer.concat([stored, Buffer.from('garbage')]))
    assert.deepEqual(lines, [
      [0, 'a'],
      [2, 'b'],
    ])
    assert.equal(damages.length, 1)
    assert.equal(damages[0].code, 'SLUICE_STREAM_TRAILING')
    assert.ok(damages[0].length >= 6 && damages[0].length <= 7)
  }
})

test('a line that is too long is damage, and its neighbours are read', async () => {
  const { lines, damages } = await read(Buffer.from(`a\n${'x'.repeat(500)}\nb\n`), 7, undefined, 100)
  assert.deepEqual(lines, [
    [0, 'a'],
    [503, 'b'],
  ])
  assert.deepEqual(
    damages.map(({ code, offset, length }) => [code, offset, length]),
    [['SLUICE_LINE_TOO_LONG', 2, 500]],
  )
})
