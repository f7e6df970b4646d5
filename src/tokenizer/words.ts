// Counts of pre-tokenized pieces ("words"): in memory in a hash table over bytes, on disk in files sorted by those bytes,
// which merge by streaming. What a tokenizer's training starts from (train.ts).

import { closeSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs'
import type { PieceBuffer } from './pretokenize.ts'

/** Distinct words and how often each occurs. */
export interface WordCounts {
  /** Word i is bytes[starts[i]] to bytes[starts[i + 1]]. */
  readonly bytes: Uint8Array
  /** u32[words + 1] */
  readonly starts: Uint32Array
  /** f64[words], whole numbers */
  readonly counts: Float64Array
}

/** Hash table from a word's bytes to its count. */
export class WordCounter {
  bytes = new Uint8Array(1 << 16)
  starts = new Uint32Array(1 << 12)
  counts = new Float64Array(1 << 12)
  /** Distinct words so far. */
  size = 0
  #hashes = new Int32Array(1 << 12)
  /** i32[slots]: word + 1, 0 where empty; at most half full. */
  #slots = new Int32Array(1 << 13)

  /** Bytes that the table holds in memory. */
  get memoryBytes(): number {
    return this.bytes.length + 16 * this.counts.length + 4 * this.#slots.length
  }

  /** Counts every piece once. */
  add(pieces: PieceBuffer): void {
    const { bytes, ends, count } = pieces
    let start = 0
    for (let i = 0; i < count; i++) {
      this.addWord(bytes, start, ends[i], 1)
      start = ends[i]
    }
  }

  addWord(bytes: Uint8Array, start: number, end: number, count: number): void {
    let hash = end - start
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i], 0x9e3779b1)
    hash ^= hash >>> 15
    const slots = this.#slots
    const mask = slots.length - 1
    for (let i = hash & mask; ; i = (i + 1) & mask) {
      const word = slots[i] - 1
      if (word < 0) {
        slots[i] = this.#insert(bytes, start, end, hash) + 1
        this.counts[this.size - 1] = count
        if (2 * this.size > slots.length) this.#growSlots()
        return
      }
      if (this.#hashes[word] === hash && this.#equals(word, bytes, start, end)) {
        this.counts[word] += count
        return
      }
    }
  }

  #equals(word: number, bytes: Uint8Array, start: number, end: number): boolean {
    const from = this.starts[word]
    if (this.starts[word + 1] - from !== end - start) return false
    for (let i = start; i < end; i++) if (bytes[i] !== this.bytes[from + i - start]) return false
    return true
  }

  #insert(bytes: Uint8Array, start: number, end: number, hash: number): number {
    const word = this.size++
    if (this.size === this.counts.length) {
      this.counts = grown(this.counts, new Float64Array(2 * this.size))
      this.starts = grown(this.starts, new Uint32Array(2 * this.size))
      this.#hashes = grown(this.#hashes, new Int32Array(2 * this.size))
    }
    const from = this.starts[word]
    const to = from + end - start
    if (to > this.bytes.length) this.bytes = grown(this.bytes, new Uint8Array(Math.max(to, 2 * this.bytes.length)))
    for (let i = start; i < end; i++) this.bytes[from + i - start] = bytes[i]
    this.starts[word + 1] = to
    this.#hashes[word] = hash
    return word
  }

  #growSlots(): void {
    const slots = new Int32Array(2 * this.#slots.length)
    const mask = slots.length - 1
    for (let word = 0; word < this.size; word++) {
      let i = this.#hashes[word] & mask
      while (slots[i] !== 0) i = (i + 1) & mask
      slots[i] = word + 1
    }
    this.#slots = slots
  }

  /** Forgets all words, and gives the memory back. */
  clear(): void {
    this.bytes = new Uint8Array(1 << 16)
    this.starts = new Uint32Array(1 << 12)
    this.counts = new Float64Array(1 << 12)
    this.#hashes = new Int32Array(1 << 12)
    this.#slots = new Int32Array(1 << 13)
    this.size = 0
  }

  /** Only what is filled, no copy. */
  words(): WordCounts {
    const { bytes, starts, counts, size } = this
    return { bytes: bytes.subarray(0, starts[size]), starts: starts.subarray(0, size + 1), counts: counts.subarray(0, size) }
  }

  /** The words in the order of their bytes. */
  sorted(): Uint32Array {
    const { bytes, starts } = this
    // The first six bytes as one number decide nearly always.
    const prefixes = new Float64Array(this.size)
    for (let word = 0; word < this.size; word++) {
      let prefix = 0
      for (let i = 0; i < 6; i++) prefix = prefix * 256 + (starts[word] + i < starts[word + 1] ? bytes[starts[word] + i] : 0)
      prefixes[word] = prefix
    }
    const compare = (a: number, b: number) =>
      prefixes[a] - prefixes[b] || compareBytes(bytes, starts[a], starts[a + 1], bytes, starts[b], starts[b + 1])
    return Uint32Array.from({ length: this.size }, (_, word) => word).sort(compare)
  }
}

function grown<T extends Uint8Array | Uint32Array | Int32Array | Float64Array>(from: T, to: T): T {
  to.set(from)
  return to
}

function compareBytes(a: Uint8Array, aStart: number, aEnd: number, b: Uint8Array, bStart: number, bEnd: number): number {
  const n = Math.min(aEnd - aStart, bEnd - bStart)
  for (let i = 0; i < n; i++) if (a[aStart + i] !== b[bStart + i]) return a[aStart + i] - b[bStart + i]
  return aEnd - aStart - (bEnd - bStart)
}

// ---- files ----
// A record: u32 length of the word, f64 count, the word's bytes; all little-endian. Ascending by bytes.

const RECORD_HEADER_BYTES = 12
const BUFFER_BYTES = 1 << 16

/** Writes one file of words, a buffer at a time. */
export class WordFileWriter {
  readonly #file: number
  #buffer = Buffer.alloc(BUFFER_BYTES)
  #length = 0

  constructor(path: string) {
    this.#file = openSync(path, 'w')
  }

  write(bytes: Uint8Array, start: number, end: number, count: number): void {
    const needed = RECORD_HEADER_BYTES + end - start
    if (this.#length + needed > this.#buffer.length) {
      this.#flush()
      if (needed > this.#buffer.length) this.#buffer = Buffer.alloc(needed)
    }
    this.#buffer.writeUInt32LE(end - start, this.#length)
    this.#buffer.writeDoubleLE(count, this.#length + 4)
    this.#buffer.set(bytes.subarray(start, end), this.#length + RECORD_HEADER_BYTES)
    this.#length += needed
  }

  #flush(): void {
    for (let at = 0; at < this.#length; ) at += writeSync(this.#file, this.#buffer, at, this.#length - at)
    this.#length = 0
  }

  close(): void {
    try {
      this.#flush()
    } finally {
      closeSync(this.#file)
    }
  }
}

function writeWords(path: string, words: WordCounter): void {
  const writer = new WordFileWriter(path)
  try {
    for (const word of words.sorted()) writer.write(words.bytes, words.starts[word], words.starts[word + 1], words.counts[word])
  } finally {
    writer.close()
  }
}

/** Reads one file of words, a buffer at a time. The word's bytes are valid until the next call. */
class WordFileReader {
  readonly #file: number
  buffer = Buffer.alloc(BUFFER_BYTES)
  #filled = 0
  #next = 0
  /** The current word: buffer[start] to buffer[end]. */
  start = 0
  end = 0
  count = 0

  constructor(path: string) {
    this.#file = openSync(path, 'r')
  }

  /** False at the end of the file. */
  advance(): boolean {
    if (!this.#ensure(RECORD_HEADER_BYTES)) return false
    const length = this.buffer.readUInt32LE(this.#next)
    this.#ensure(RECORD_HEADER_BYTES + length)
    this.count = this.buffer.readDoubleLE(this.#next + 4)
    this.start = this.#next + RECORD_HEADER_BYTES
    this.end = this.start + length
    this.#next = this.end
    return true
  }

  /** Has that many bytes from #next on in the buffer. */
  #ensure(bytes: number): boolean {
    if (this.#filled - this.#next >= bytes) return true
    const rest = this.buffer.subarray(this.#next, this.#filled)
    const target = bytes > this.buffer.length ? Buffer.alloc(2 * bytes) : this.buffer
    target.set(rest)
    this.buffer = target
    this.#filled = rest.length
    this.#next = 0
    while (this.#filled < this.buffer.length) {
      const read = readSync(this.#file, this.buffer, this.#filled, this.buffer.length - this.#filled, null)
      if (read === 0) break
      this.#filled += read
    }
    return this.#filled >= bytes
  }

  close(): void {
    closeSync(this.#file)
  }
}

/** Files that one merge keeps open. */
const MERGED_AT_ONCE = 256

/** Merges any number of sorted files into one. */
export function mergeWordFiles(paths: readonly string[], out: string): void {
  let files = paths
  for (let round = 0; files.length > MERGED_AT_ONCE; round++) {
    const groups: string[] = []
    for (let i = 0; i < files.length; i += MERGED_AT_ONCE) {
      const group = `${out}.round-${round}-${groups.length}`
      mergeOnce(files.slice(i, i + MERGED_AT_ONCE), group)
      groups.push(group)
    }
    if (round > 0) for (const file of files) rmSync(file)
    files = groups
  }
  mergeOnce(files, out)
  if (files !== paths) for (const file of files) rmSync(file)
}

function mergeOnce(paths: readonly string[], out: string): void {
  const writer = new WordFileWriter(out)
  try {
    mergeWords(paths, (bytes, start, end, count) => writer.write(bytes, start, end, count))
  } finally {
    writer.close()
  }
}

/**
 * The most frequent words of a file: those at or above the least count at which there are at most `maxWords`. Words of
 * equal count stay or go together, so that the result does not depend on their order.
 */
export function readFrequentWords(path: string, maxWords: number): WordCounts {
  const wordsByCount = new Map<number, { words: number; bytes: number }>()
  mergeWords([path], (_, start, end, count) => {
    const entry = wordsByCount.get(count) ?? { words: 0, bytes: 0 }
    wordsByCount.set(count, { words: entry.words + 1, bytes: entry.bytes + end - start })
  })
  let least = Infinity
  let size = 0
  let byteLength = 0
  for (const [count, { words, bytes }] of [...wordsByCount].sort(([a], [b]) => b - a)) {
    if (size + words > maxWords) break
    least = count
    size += words
    byteLength += bytes
  }
  const kept = { bytes: new Uint8Array(byteLength), starts: new Uint32Array(size + 1), counts: new Float64Array(size) }
  let word = 0
  mergeWords([path], (bytes, start, end, count) => {
    if (count < least) return
    kept.bytes.set(bytes.subarray(start, end), kept.starts[word])
    kept.starts[word + 1] = kept.starts[word] + end - start
    kept.counts[word++] = count
  })
  return kept
}

/** Counts words within a bound of memory: what is over it goes to sorted files beside the result, which close merges. */
export class SpillingWordCounter {
  readonly #path: string
  readonly #memoryBytes: number
  readonly #words = new WordCounter()
  readonly #spilled: string[] = []

  constructor(path: string, memoryBytes: number) {
    this.#path = path
    this.#memoryBytes = memoryBytes
  }

  add(pieces: PieceBuffer): void {
    this.#words.add(pieces)
    // Tables double when they grow, and sorting takes another 12 bytes a word.
    if (this.#words.memoryBytes > this.#memoryBytes / 3) this.#spill()
  }

  #spill(): void {
    const path = `${this.#path}.spill-${this.#spilled.length}`
    writeWords(path, this.#words)
    this.#spilled.push(path)
    this.#words.clear()
  }

  /** Writes the result, whole or not at all. */
  close(): void {
    this.#spill()
    if (this.#spilled.length === 1) renameSync(this.#spilled[0], this.#path)
    else {
      const merged = `${this.#path}.merged`
      mergeWordFiles(this.#spilled, merged)
      renameSync(merged, this.#path)
      for (const path of this.#spilled) rmSync(path)
    }
  }
}

/** Called with each word of a merge, ascending; the bytes are valid during the call. */
export type VisitWord = (bytes: Uint8Array, start: number, end: number, count: number) => void

/** Sums the counts of sorted files, each opened once: at most some hundreds of them. */
export function mergeWords(paths: readonly string[], visit: VisitWord): void {
  const readers: WordFileReader[] = []
  try {
    for (const path of paths) readers.push(new WordFileReader(path))
    const heap = readers.filter((reader) => reader.advance())
    for (let i = (heap.length >> 1) - 1; i >= 0; i--) siftDown(heap, i)
    let word = new Uint8Array(1 << 10)
    while (heap.length > 0) {
      const { buffer, start, end } = heap[0]
      const length = end - start
      if (length > word.length) word = new Uint8Array(2 * length)
      word.set(buffer.subarray(start, end))
      let count = 0
      while (heap.length > 0 && isWord(heap[0], word, length)) {
        count += heap[0].count
        if (!heap[0].advance()) {
          const last = heap.pop()
          if (heap.length === 0 || !last) break
          heap[0] = last
        }
        siftDown(heap, 0)
      }
      visit(word, 0, length, count)
    }
  } finally {
    for (const reader of readers) reader.close()
  }
}

function isWord(reader: WordFileReader, word: Uint8Array, length: number): boolean {
  return compareBytes(reader.buffer, reader.start, reader.end, word, 0, length) === 0
}

function siftDown(heap: WordFileReader[], from: number): void {
  const item = heap[from]
  let i = from
  for (;;) {
    let child = 2 * i + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && compareReaders(heap[child + 1], heap[child]) < 0) child++
    if (compareReaders(heap[child], item) >= 0) break
    heap[i] = heap[child]
    i = child
  }
  heap[i] = item
}

function compareReaders(a: WordFileReader, b: WordFileReader): number {
  return compareBytes(a.buffer, a.start, a.end, b.buffer, b.start, b.end)
}
