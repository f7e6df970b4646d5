// Columns of strings, the bulk of every corpus, from Parquet pages straight to JavaScript: parquet-wasm would copy them into
// WASM, decompress them there, and copy them out again as Arrow. Flat columns in the encodings that writers use for text;
// others are the library's. Format: apache/parquet-format Encodings.md, README.md.

import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib'
import { type Page, parsePage, type StringChunk } from './parquet-footer.ts'
import { snappyDecompress } from './snappy.ts'

// parquet.thrift
const PLAIN = 0
const PLAIN_DICTIONARY = 2
const RLE = 3
const BIT_PACKED = 4
const RLE_DICTIONARY = 8
const readable = new Set([PLAIN, PLAIN_DICTIONARY, RLE, BIT_PACKED, RLE_DICTIONARY])

/** Writers cut pages at about 1 MiB. */
const LARGEST_PAGE_BYTES = 1 << 30

type Decompress = (stored: Buffer, bytes: number) => Buffer
const codecs: ReadonlyMap<number, Decompress> = new Map<number, Decompress>([
  [0, (stored) => stored],
  [1, snappyDecompress],
  [2, (stored, bytes) => gunzipSync(stored, { chunkSize: Math.max(64, bytes), maxOutputLength: Math.max(1, bytes) })],
  [4, (stored, bytes) => brotliDecompressSync(stored, { chunkSize: Math.max(64, bytes), maxOutputLength: Math.max(1, bytes) })],
  [6, (stored, bytes) => zstdDecompressSync(stored, { chunkSize: Math.max(64, bytes), maxOutputLength: Math.max(1, bytes) })],
])

export function isReadable({ codec, encodings }: StringChunk): boolean {
  return codecs.has(codec) && encodings.every((encoding) => readable.has(encoding))
}

/**
 * The values of a column, page by page; undefined where null. Bytes that are no UTF-8 become U+FFFD.
 *
 * @param bytes of the chunk
 * @throws RangeError, and zlib's errors, where the pages are damaged
 */
export function* stringPages(chunk: StringChunk, bytes: Buffer): Generator<(string | undefined)[]> {
  const decompress = codecs.get(chunk.codec)
  if (!decompress) throw new RangeError(`codec ${chunk.codec} is not read here`)
  let dictionary: string[] = []
  for (let at = 0, left = chunk.values; left > 0; ) {
    const page = parsePage(bytes, at)
    at = page.start + page.storedBytes
    if (at > bytes.length || page.storedBytes < 0) throw new RangeError('a page is cut short')
    if (page.bytes < 0 || page.bytes > LARGEST_PAGE_BYTES) throw new RangeError(`a page of ${page.bytes} bytes`)
    const stored = bytes.subarray(page.start, at)
    if (page.kind === 'dictionary') dictionary = plainStrings(checked(decompress(stored, page.bytes), page.bytes), 0, page.values)
    if (page.kind !== 'data' && page.kind !== 'data2') continue
    if (page.values > left) throw new RangeError(`a page has ${page.values} values where ${left} are left`)
    left -= page.values
    yield pageValues(page, stored, decompress, dictionary, chunk.isOptional)
  }
}

function pageValues(
  page: Page,
  stored: Buffer,
  decompress: Decompress,
  dictionary: readonly string[],
  isOptional: boolean,
): (string | undefined)[] {
  const { values, levelBytes } = page
  let levels: Uint32Array | undefined
  let body: Buffer
  if (page.kind === 'data2') {
    if (isOptional) levels = hybrid(stored.subarray(0, levelBytes), 1, values)
    const packed = stored.subarray(levelBytes)
    const bytes = page.bytes - levelBytes
    body = page.isCompressed && packed.length > 0 ? checked(decompress(packed, bytes), bytes) : packed
  } else {
    body = checked(decompress(stored, page.bytes), page.bytes)
    if (isOptional && page.levelEncoding === BIT_PACKED) {
      const length = Math.ceil(values / 8)
      levels = mostSignificantFirst(body.subarray(0, length), values)
      body = body.subarray(length)
    } else if (isOptional) {
      const length = body.readUInt32LE(0)
      levels = hybrid(body.subarray(4, 4 + length), 1, values)
      body = body.subarray(4 + length)
    }
  }
  let present = values
  if (levels) {
    present = 0
    for (const level of levels) present += level
  }
  const strings = page.encoding === PLAIN ? plainStrings(body, 0, present) : dictionaryStrings(body, dictionary, present)
  return levels && present < values ? spread(strings, levels) : strings
}

/** `[u32 length, bytes]` by value. */
function plainStrings(body: Buffer, start: number, count: number): string[] {
  const strings = new Array<string>(count)
  let at = start
  for (let i = 0; i < count; i++) {
    const end = at + 4 + body.readUInt32LE(at)
    if (end > body.length) throw new RangeError('a string goes on behind the end of its page')
    strings[i] = body.toString('utf8', at + 4, end)
    at = end
  }
  return strings
}

function dictionaryStrings(body: Buffer, dictionary: readonly string[], count: number): string[] {
  if (count === 0) return []
  const indices = hybrid(body.subarray(1), body[0], count)
  return Array.from(indices, (index) => {
    if (index >= dictionary.length) throw new RangeError(`a value is number ${index} of a dictionary of ${dictionary.length}`)
    return dictionary[index]
  })
}

function spread(strings: readonly string[], levels: Uint32Array): (string | undefined)[] {
  let next = 0
  return Array.from(levels, (level) => (level === 1 ? strings[next++] : undefined))
}

/** Runs of one value, and values packed into so many bits each, least significant first. */
function hybrid(bytes: Buffer, width: number, count: number): Uint32Array {
  if (width > 32) throw new RangeError(`values of ${width} bits`)
  const out = new Uint32Array(count)
  const valueBytes = Math.ceil(width / 8)
  let at = 0
  for (let i = 0; i < count; ) {
    let header = 0
    for (let shift = 0; ; shift += 7) {
      if (at >= bytes.length) throw new RangeError('levels or indices are cut short')
      const byte = bytes[at++]
      header += (byte & 127) * 2 ** shift
      if (byte < 128) break
    }
    if (header % 2 === 0) {
      const value = valueBytes === 0 ? 0 : bytes.readUIntLE(at, valueBytes)
      at += valueBytes
      const end = Math.min(count, i + header / 2)
      if (end === i) throw new RangeError('a run of no values')
      out.fill(value, i, end)
      i = end
    } else {
      const groups = (header - 1) / 2
      const end = Math.min(count, i + groups * 8)
      if (end === i) throw new RangeError('a run of no values')
      unpackInto(bytes.subarray(at, at + groups * width), width, out, i, end)
      i = end
      at += groups * width
    }
  }
  return out
}

function unpackInto(bytes: Buffer, width: number, out: Uint32Array, start: number, end: number): void {
  if (bytes.length * 8 < (end - start) * width) throw new RangeError('levels or indices are cut short')
  for (let i = start, bit = 0; i < end; i++) {
    let value = 0
    for (let got = 0; got < width; ) {
      const free = 8 - (bit & 7)
      const take = Math.min(free, width - got)
      value += ((bytes[bit >> 3] >> (bit & 7)) & ((1 << take) - 1)) * 2 ** got
      got += take
      bit += take
    }
    out[i] = value
  }
}

/** Levels of old writers: a bit each. */
function mostSignificantFirst(bytes: Buffer, count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => (bytes[i >> 3] >> (7 - (i & 7))) & 1)
}

function checked(body: Buffer, bytes: number): Buffer {
  if (body.length !== bytes) throw new RangeError(`a page has ${body.length} bytes and says ${bytes}`)
  return body
}
