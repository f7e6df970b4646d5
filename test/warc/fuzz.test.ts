// Mutated archives, our own fixtures and the real files of ../shared: whatever is done to a file, reading it ends in records
// and named damage, soon, in little memory, and what was read and what is reported as lost are all of the file.

import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { deflateRawSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { SluiceError } from '../../src/core/errors.ts'
import { decodeBody, parseHttpResponse } from '../../src/warc/http.ts'
import { readWarc, type WarcLayout } from '../../src/warc/reader.ts'
import { memorySource } from '../io/memory-source.ts'

const fixtures = fileURLToPath(new URL('../../fixtures/warc/', import.meta.url))
const shared = fileURLToPath(new URL('../../../shared/data/warc/', import.meta.url))
const MAX_RECORD_BYTES = 1 << 20

type Extent = readonly [offset: number, length: number]

async function read(bytes: Buffer, name: string, pieceBytes = 50_000) {
  const extents: Extent[] = []
  const layouts: WarcLayout[] = []
  const add = ({ offset, length }: { offset: number; length: number }) => extents.push([offset, length])
  const options = { maxRecordBytes: MAX_RECORD_BYTES, damaged: add, layout: (known: WarcLayout) => layouts.push(known) }
  try {
    for await (const record of readWarc(memorySource(bytes, pieceBytes, `file:///${name}`), options)) {
      add(record)
      const response = parseHttpResponse(record.block)
      if (response) decodeBody(response, MAX_RECORD_BYTES)
    }
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error
    return undefined
  }
  return { extents, layout: layouts.at(-1) }
}

/** Line ends between records and zstd's skippable frames belong to no record. */
function isBetween(gap: Buffer): boolean {
  if (gap.every((byte) => byte === 10 || byte === 13)) return true
  let at = 0
  while (gap.length >= at + 8 && (gap.readUInt32LE(at) & 0xfffffff0) >>> 0 === 0x184d2a50) at += 8 + gap.readUInt32LE(at + 4)
  return at === gap.length
}

function assertCovered(bytes: Buffer, { extents, layout }: { extents: Extent[]; layout: WarcLayout | undefined }): void {
  for (const [offset, length] of extents)
    assert.ok(offset >= 0 && length >= 0 && offset + length <= bytes.length, `${offset}+${length} of ${bytes.length}`)
  if (layout === undefined || layout === 'zip') return // a container holds other things too
  if (layout.endsWith('-shared')) {
    if (bytes.includes('5d2a4d18', 0, 'hex')) return // a dictionary's bytes are no record's
    const sum = extents.reduce((bytesSoFar, [, length]) => bytesSoFar + length, 0)
    assert.ok(sum >= bytes.length - 100, `${sum} of ${bytes.length} bytes are accounted for`)
    return
  }
  let next = 0
  for (const [offset, length] of [...extents, [bytes.length, 0] as const].sort(([a], [b]) => a - b)) {
    assert.ok(offset <= next || isBetween(bytes.subarray(next, offset)), `bytes ${next}–${offset} are neither read nor reported`)
    next = Math.max(next, offset + length)
  }
}

const mutation = fc.record({
  kind: fc.constantFrom('flip', 'cut', 'insert', 'remove', 'repeat', 'zero'),
  place: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.nat({ max: 600 }),
  noise: fc.uint8Array({ minLength: 1, maxLength: 60 }),
})
type Mutation = typeof mutation extends fc.Arbitrary<infer T> ? T : never

function mutated(bytes: Buffer, { kind, place, length, noise }: Mutation): Buffer {
  const at = Math.floor(place * bytes.length)
  const end = Math.min(bytes.length, at + length)
  const [before, piece, after] = [bytes.subarray(0, at), bytes.subarray(at, end), bytes.subarray(end)]
  if (kind === 'cut') return before
  if (kind === 'remove') return Buffer.concat([before, after])
  if (kind === 'repeat') return Buffer.concat([before, piece, piece, after])
  if (kind === 'insert') return Buffer.concat([before, noise, piece, after])
  if (kind === 'zero') return Buffer.concat([before, Buffer.alloc(piece.length), after])
  return Buffer.concat([
    before,
    Buffer.from(piece.map((byte, index) => byte ^ (noise[index % noise.length] & (index % 7 === 0 ? 255 : 0)))),
    after,
  ])
}

async function fuzz(folder: string, names: readonly string[], numRuns: number): Promise<void> {
  const files = names.map((name) => [name, readFileSync(folder + name)] as const)
  let slowestMs = 0,
    mostBytes = 0
  await fc.assert(
    fc.asyncProperty(
      fc.nat({ max: files.length - 1 }),
      fc.array(mutation, { minLength: 1, maxLength: 3 }),
      fc.constantFrom(313, 50_000),
      async (index, mutations, pieceBytes) => {
        const [name, clean] = files[index]
        const bytes = mutations.reduce(mutated, clean)
        const start = performance.now()
        const found = await read(bytes, name, pieceBytes)
        slowestMs = Math.max(slowestMs, performance.now() - start)
        mostBytes = Math.max(mostBytes, process.memoryUsage().arrayBuffers)
        if (found) assertCovered(bytes, found)
      },
    ),
    { numRuns },
  )
  assert.ok(slowestMs < 5000, `one took ${slowestMs} ms`)
  assert.ok(mostBytes < 300e6, `${mostBytes} bytes of buffers`)
}

const small = (folder: string) => (name: string) => readFileSync(folder + name).length < 200_000

test('unchanged, every fixture is covered', async () => {
  for (const name of readdirSync(fixtures).filter((file) => file !== 'make.ts')) {
    const bytes = readFileSync(fixtures + name)
    const found = await read(bytes, name)
    if (found) assertCovered(bytes, found)
  }
})

test('mutated fixtures of every format', async () => {
  await fuzz(
    fixtures,
    readdirSync(fixtures).filter((name) => name !== 'make.ts' && small(fixtures)(name)),
    600,
  )
})

const skip = existsSync(shared) ? false : 'no ../shared/data/warc here'

test('mutated real files', { skip }, async () => {
  const names = ['normal', 'real', 'edge'].flatMap((folder) => readdirSync(shared + folder).map((name) => `${folder}/${name}`))
  await fuzz(shared, names.filter(small(shared)), 300)
})

/** A stored block in a frame without checksums: what an lz4 file is made of at the least. */
function lz4Stored(content: Uint8Array): Buffer {
  const size = Buffer.alloc(4)
  size.writeUInt32LE((content.length | 0x80000000) >>> 0)
  return Buffer.concat([Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]), size, content, Buffer.alloc(4)])
}

test('bytes made of pieces of every format end in records and damage, in any order', async () => {
  const words = [
    'WARC/1.0\r\n',
    'Content-Length: 5\r\n',
    '\r\n\r\n',
    '\n',
    'filedesc://a 0 20080101000000 text/plain 5\n',
    'http://a/ 1.2.3.4 20080101000000 text/html 3\n',
    'HTTP/1.1 200\r\n\r\n',
  ]
  const magics = ['28b52ffd', '5d2a4d18', '04224d18', '1f8b08', '504b0304', '504b0506']
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc.constantFrom(...words).map((text) => Buffer.from(text)),
    fc.constantFrom(...magics).map((hex) => Buffer.from(hex, 'hex')),
    fc.constantFrom(...words.filter((text) => text.trim() !== '')).map((text) => lz4Stored(Buffer.from(text))),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(piece, { maxLength: 12 }),
      fc.constantFrom('a.warc', 'a.arc.gz', 'a.warc.zst', 'a.warc.lz4'),
      async (pieces, name) => {
        const bytes = Buffer.concat(pieces)
        const found = await read(bytes, name, 100)
        if (found) assertCovered(bytes, found)
      },
    ),
    { numRuns: 1000 },
  )
})

test('lines that are nearly those of an ARC file are passed over in linear time', async () => {
  const header = Buffer.from('filedesc://a 0.0.0.0 20080101000000 text/plain 0\n\n')
  const lines = [`http://${'a'.repeat(60_000)}!`, `http://a ${'1 '.repeat(30_000)}`, `http://a ${'20080101 '.repeat(7_000)}x!`]
  const bytes = Buffer.concat([header, Buffer.from(`${lines.join('\n')}\n`.repeat(50))])
  const start = performance.now()
  const found = await read(bytes, 'a.arc', 1 << 20)
  assert.ok(performance.now() - start < 3000)
  assert.ok(found)
  assertCovered(bytes, found)
})

test('a skippable frame that claims more than the file has hides nothing', async () => {
  const [info, one] = [readFileSync(`${fixtures}good.warc.zst`).subarray(0, 230), readFileSync(`${fixtures}good.warc.zst`).subarray(230)]
  const bytes = Buffer.concat([info, Buffer.from('502a4d18ffffff7f', 'hex'), one])
  const found = await read(bytes, 'a.warc.zst')
  assert.ok(found)
  assert.deepEqual(
    found.extents.slice(0, 3).map(([offset]) => offset),
    [0, 230, 238],
  )
  assertCovered(bytes, found)
})

test('a container whose entries all name the same bytes is not read over and over', async () => {
  const archive = readFileSync(`${fixtures}good.wacz`)
  const end = archive.lastIndexOf(Buffer.from('504b0506', 'hex'))
  const directory = archive.subarray(archive.readUInt32LE(end + 16), end)
  const tail = Buffer.from(archive.subarray(end))
  tail.writeUInt32LE(directory.length * 1000, 12)
  const bytes = Buffer.concat([archive.subarray(0, end - directory.length), ...Array<Buffer>(1000).fill(directory), tail])
  const found = await read(bytes, 'a.wacz')
  assert.ok(found && found.extents.reduce((sum, [, length]) => sum + length, 0) < 100 * bytes.length)
})

test('a range that begins within the dictionary of a file finds no records in it', async () => {
  for (const name of ['dictionary.warc.zst', 'plain-dictionary.warc.zst']) {
    const bytes = readFileSync(fixtures + name)
    const offsets = async (range: readonly [number, number]) => {
      const found: number[] = []
      for await (const { offset } of readWarc(memorySource(bytes, 50_000, `file:///${name}`), { range, damaged: () => {} }))
        found.push(offset)
      return found
    }
    const whole = await offsets([0, bytes.length])
    for (const cut of [1, 8, 100, 8 + bytes.readUInt32LE(4)])
      assert.deepEqual([...(await offsets([0, cut])), ...(await offsets([cut, bytes.length]))], whole, `${name} cut at ${cut}`)
    assert.deepEqual(await offsets([4, 100]), [])
  }
})

test('members that hold a byte of a record each, and bytes that only look like members, take little memory and time', async () => {
  const record = Buffer.concat([Buffer.from('WARC/1.0\r\nWARC-Type: resource\r\nContent-Length: 50000\r\n\r\n'), Buffer.alloc(50_000)])
  const split = Buffer.concat(Array.from(record, (byte) => gzipSync(Buffer.of(byte))))
  const hollow = Buffer.alloc(400_000, Buffer.from('1f8b080401010101010100ff', 'hex'))
  for (const bytes of [split, hollow]) {
    const before = process.memoryUsage.rss()
    let most = before
    const watch = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 5)
    const start = performance.now()
    const found = await read(bytes, 'a.warc.gz')
    clearInterval(watch)
    most = Math.max(most, process.memoryUsage.rss())
    assert.ok(performance.now() - start < 20_000, `${performance.now() - start} ms`)
    assert.ok(most - before < 150e6, `${most - before} bytes`)
    assert.equal(found?.extents.length, 1)
  }
})

test('members nested in one another, all of which fail at the same far end, are not decoded one by one', async () => {
  const start = Buffer.from('WARC/1.0\r\nWARC-Type: a\r\nContent-Length: 99999999\r\n\r\n')
  const unitBytes = 15 + start.length
  const nested = Array.from({ length: 800 }, (_, i) => {
    const head = Buffer.from('1f8b08000000000000030000000000', 'hex') // with the head of a stored block, which goes on to the last one's end
    head.writeUInt16LE((800 - i) * unitBytes - 15, 11)
    head.writeUInt16LE(~head.readUInt16LE(11) & 0xffff, 13)
    return Buffer.concat([head, start])
  })
  const good = gzipSync('WARC/1.0\r\nWARC-Type: resource\r\nContent-Length: 1\r\n\r\na\r\n\r\n')
  const bytes = Buffer.concat([...nested, deflateRawSync(Buffer.alloc(30 << 20)), Buffer.alloc(8, 1), good])
  const startMs = performance.now()
  const found = await read(bytes, 'a.warc.gz')
  assert.ok(performance.now() - startMs < 10_000, `${performance.now() - startMs} ms`)
  assert.ok(found?.extents.some(([offset]) => offset === bytes.length - good.length))
  if (found) assertCovered(bytes, found)
})
