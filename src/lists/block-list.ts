// A set of strings with where each came from, in one shared buffer: exact, at about five bytes an entry beyond its text.
// Entries lie in buckets by hash, each as a record; a bucket is scanned, so a lookup touches one or two cache lines.
//
//   header    u32[8]             magic, version, entries, buckets, longest entry in bytes
//   starts    u32[buckets + 1]   where each bucket's records begin, in bytes from the first record
//   records   length + 1, list, line as LEB128, then the entry's UTF-8. A zero ends a bucket early

import { SluiceError } from '../core/errors.ts'

/** Where an entry stands; both count from 1. */
export interface Place {
  /** Ordinal of its list. */
  readonly list: number
  /** Line in that list. */
  readonly line: number
}

export interface BlockList {
  readonly entries: number
  /** What other threads and the disk get. */
  readonly buffer: SharedArrayBuffer
  /** Undefined where the text is no entry. Of equal entries, the place of the first. */
  readonly find: (text: string) => Place | undefined
}

const MAGIC = 0x4c42_4c53 // SLBL
/** Raised when the layout changes, or what becomes an entry. */
export const BLOCK_LIST_VERSION = 2
const HEADER_BYTES = 32
/** So that a bucket, and the four bytes of its start, hold two to four entries. */
const ENTRIES_A_BUCKET = 4
const MOST_BYTES = 2 ** 32

const FNV_OFFSET = 0x811c9dc5
const FNV_PRIME = 0x01000193

/** FNV-1a with MurmurHash3's finish, without which neighbours share a bucket. */
function hash(bytes: Uint8Array, end: number): number {
  let h = FNV_OFFSET
  for (let i = 0; i < end; i++) h = Math.imul(h ^ bytes[i], FNV_PRIME)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

// ---- looking up ----

/** @returns undefined where the buffer holds something else */
export function openBlockList(buffer: SharedArrayBuffer): BlockList | undefined {
  const [magic, version, entries, buckets, longest] = new Uint32Array(buffer, 0, HEADER_BYTES / 4)
  if (magic !== MAGIC || version !== BLOCK_LIST_VERSION) return undefined
  const starts = new Uint32Array(buffer, HEADER_BYTES, buckets + 1)
  const records = new Uint8Array(buffer, HEADER_BYTES + 4 * (buckets + 1))
  const scratch = new Uint8Array(longest)
  return {
    entries,
    buffer,
    find: (text) => {
      const length = encodeWithin(text, scratch)
      if (length < 0) return undefined
      const bucket = hash(scratch, length) & (buckets - 1)
      return findRecord(records, starts[bucket], starts[bucket + 1], scratch, length)
    },
  }
}

const encoder = new TextEncoder()

/** @returns bytes written; -1 where the text does not fit */
function encodeWithin(text: string, out: Uint8Array): number {
  const { length } = text
  if (length > out.length) return -1
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i)
    if (unit >= 128) {
      const { read, written } = encoder.encodeInto(text, out)
      return read === length ? written : -1
    }
    out[i] = unit
  }
  return length
}

/** @param text its first `length` bytes */
function findRecord(records: Uint8Array, start: number, end: number, text: Uint8Array, length: number): Place | undefined {
  let at = start
  while (at < end && records[at] !== 0) {
    const size = readNumber(records, at) - 1
    const placeAt = behindNumber(records, at)
    at = behindNumber(records, behindNumber(records, placeAt))
    if (size === length && isAt(records, at, text, length))
      return { list: readNumber(records, placeAt), line: readNumber(records, behindNumber(records, placeAt)) }
    at += size
  }
  return undefined
}

function isAt(records: Uint8Array, at: number, text: Uint8Array, length: number): boolean {
  for (let i = 0; i < length; i++) if (records[at + i] !== text[i]) return false
  return true
}

// ---- LEB128: seven bits a byte, the lowest first ----

function readNumber(bytes: Uint8Array, at: number): number {
  let value = bytes[at] & 0x7f
  for (let shift = 7; bytes[at] >= 128; shift += 7) value |= (bytes[++at] & 0x7f) << shift
  return value >>> 0
}

function behindNumber(bytes: Uint8Array, at: number): number {
  while (bytes[at] >= 128) at++
  return at + 1
}

/** @returns where it ends */
function writeNumber(bytes: Uint8Array, at: number, number: number): number {
  for (; number >= 128; number >>>= 7) bytes[at++] = (number & 0x7f) | 128
  bytes[at++] = number
  return at
}

// ---- building ----

/** Takes entries one by one, at twice the finished list's memory. */
export class BlockListBuilder {
  /** Records as in the finished list, in the order they came; each lies whole in one chunk. */
  readonly #chunks: { bytes: Uint8Array; used: number }[] = []
  #entries = 0
  #longest = 0
  #scratch = new Uint8Array(1 << 12)

  add(text: string, { list, line }: Place): void {
    if (text.length * 3 > this.#scratch.length) this.#scratch = new Uint8Array(text.length * 3)
    const length = encodeWithin(text, this.#scratch)
    const chunk = this.#room(length + 15)
    for (const number of [length + 1, list, line]) chunk.used = writeNumber(chunk.bytes, chunk.used, number)
    chunk.bytes.set(this.#scratch.subarray(0, length), chunk.used)
    chunk.used += length
    this.#entries++
    this.#longest = Math.max(this.#longest, length)
  }

  #room(bytes: number) {
    const last = this.#chunks.at(-1)
    if (last && last.used + bytes <= last.bytes.length) return last
    const chunk = { bytes: new Uint8Array(Math.max(bytes, 1 << 22)), used: 0 }
    this.#chunks.push(chunk)
    return chunk
  }

  /** A counting sort by bucket. Equal entries are kept once. */
  finish(): BlockList {
    const buckets = 2 ** Math.ceil(Math.log2(Math.max(1, this.#entries / ENTRIES_A_BUCKET)))
    const starts = new Uint32Array(buckets + 1)
    let bytes = 0
    this.#eachRecord(buckets, (bucket, record) => {
      starts[bucket + 1] += record.length
      bytes += record.length
    })
    for (let bucket = 0; bucket < buckets; bucket++) starts[bucket + 1] += starts[bucket]
    const size = HEADER_BYTES + starts.byteLength + bytes
    if (size > MOST_BYTES) throw tooLarge(this.#entries, size)
    const buffer = new SharedArrayBuffer(size)
    const records = new Uint8Array(buffer, HEADER_BYTES + starts.byteLength)
    const ends = starts.slice(0, buckets)
    let entries = 0
    this.#eachRecord(buckets, (bucket, record, text) => {
      if (findRecord(records, starts[bucket], ends[bucket], text, text.length)) return
      records.set(record, ends[bucket])
      ends[bucket] += record.length
      entries++
    })
    new Uint32Array(buffer, 0, HEADER_BYTES / 4).set([MAGIC, BLOCK_LIST_VERSION, entries, buckets, this.#longest])
    new Uint32Array(buffer, HEADER_BYTES, buckets + 1).set(starts)
    const list = openBlockList(buffer)
    if (!list) throw new SluiceError('SLUICE_INTERNAL', 'a block list that was just built does not open')
    return list
  }

  #eachRecord(buckets: number, visit: (bucket: number, record: Uint8Array, text: Uint8Array) => void): void {
    for (const { bytes, used } of this.#chunks) {
      for (let start = 0, end = 0; start < used; start = end) {
        const textAt = behindNumber(bytes, behindNumber(bytes, behindNumber(bytes, start)))
        end = textAt + readNumber(bytes, start) - 1
        const text = bytes.subarray(textAt, end)
        visit(hash(text, text.length) & (buckets - 1), bytes.subarray(start, end), text)
      }
    }
  }
}

function tooLarge(entries: number, bytes: number): SluiceError {
  return new SluiceError('SLUICE_LIST_TOO_LARGE', `a block list of ${entries} entries would take ${bytes} bytes, more than 4 GiB`, {
    fix: 'split it over two stages, or leave categories out',
  })
}
