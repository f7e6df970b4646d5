// Sorted runs of small records on disk: how more is sorted, in bounded memory, than fits there (merge-runs.ts merges them). A
// record is a few u32 words, compared one after the other; a file has sections (a band, a range of hashes), each with one or
// more sorted runs.
//
//   file = runs' records … | index: u32[5] a run (section, count, first byte low, high, CRC-32) | footer: u32[4]
//   footer = words per record, number of runs, CRC-32 of the index, magic
//
// Who reads a run to its end learns whether it is what was written.
//
// All is synchronous: calls are short, happen in workers, and five hops through the thread pool for each file would cost
// more than the merge itself where there are a thousand files.

import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import { SluiceError } from '../core/errors.ts'

const magic = 0x32525353 // 'SSR2'
const footerWords = 4
const indexWords = 5
/** Places in a run's entry of the index, from its end. */
const COUNT = -4
const CRC = -1
/** A section is sorted and written at latest at this many records: its sort keys then fit a double's 53 bits. */
const runRecords = 1 << 21
const firstRecords = 256
const bufferRecords = 1 << 14
const blockRecords = 1 << 17

export interface Run {
  readonly path: string
  readonly section: number
  readonly count: number
  /** Where it begins in the file. */
  readonly byte: number
  /** Words a record. */
  readonly words: number
  readonly crc: number
  /** Where the file is held open, so that nobody can take it away: its descriptor. */
  readonly file?: number
}

/** Takes records in any order, writes them in sorted runs. */
export class RecordWriter {
  readonly #file: RunFile
  readonly #words: number
  readonly #memoryBytes: number
  readonly #sections: { records: Uint32Array<ArrayBuffer>; count: number }[]
  #heldBytes = 0

  /** @param memoryBytes held before runs are written; at least a megabyte is used */
  constructor(path: string, words: number, sections: number, memoryBytes: number) {
    this.#file = new RunFile(path, words)
    this.#words = words
    // One half holds records; the other is for growing and for the sort of one section.
    this.#memoryBytes = Math.max(1 << 20, memoryBytes) / 2
    this.#sections = Array.from({ length: sections }, () => ({ records: new Uint32Array(0), count: 0 }))
  }

  /** True where `flush` is due before more is added. */
  get isFull(): boolean {
    return this.#heldBytes > this.#memoryBytes
  }

  /** @param record its first `words` words are copied */
  add(section: number, record: ArrayLike<number>): void {
    const words = this.#words
    const held = this.#sections[section]
    if ((held.count + 1) * words > held.records.length) this.#grow(held)
    const at = held.count++ * words
    for (let i = 0; i < words; i++) held.records[at + i] = record[i]
  }

  #grow(held: { records: Uint32Array<ArrayBuffer> }): void {
    const grown = new Uint32Array(Math.max(firstRecords * this.#words, held.records.length * 2))
    grown.set(held.records)
    this.#heldBytes += grown.byteLength - held.records.byteLength
    held.records = grown
  }

  /** Writes what is held as sorted runs. */
  flush(): void {
    const words = this.#words
    for (const [section, held] of this.#sections.entries()) {
      for (let from = 0; from < held.count; from += runRecords) {
        const to = Math.min(held.count, from + runRecords)
        this.#file.appendRun(section, sortRecords(held.records.subarray(from * words, to * words), words))
      }
      held.count = 0
      held.records = new Uint32Array(0)
    }
    this.#heldBytes = 0
  }

  close(): void {
    this.flush()
    this.#file.close()
  }
}

/** A file of runs, written front to back. */
export class RunFile {
  readonly #path: string
  readonly #words: number
  readonly #index: number[] = []
  readonly #buffer: Uint32Array<ArrayBuffer>
  #buffered = 0
  #byte = 0
  #file: number | undefined

  constructor(path: string, words: number) {
    this.#path = path
    this.#words = words
    this.#buffer = new Uint32Array(bufferRecords * words)
  }

  appendRun(section: number, sorted: Uint32Array): void {
    this.#beginRun(section)
    this.#index[this.#index.length + COUNT] = sorted.length / this.#words
    this.#writeRecords(sorted)
  }

  /** Adds to the run of this section where it is the last one, else begins a run. */
  append(section: number, record: ArrayLike<number>): void {
    if (this.#index.at(-indexWords) !== section) this.#beginRun(section)
    this.#index[this.#index.length + COUNT]++
    for (let i = 0; i < this.#words; i++) this.#buffer[this.#buffered++] = record[i]
    if (this.#buffered === this.#buffer.length) this.#drain()
  }

  /** Writes the rest and the index. */
  close(): void {
    this.#drain()
    const index = Uint32Array.from(this.#index)
    this.#write(index)
    this.#write(Uint32Array.of(this.#words, index.length / indexWords, crc32(bytesOf(index)), magic))
    if (this.#file !== undefined) closeSync(this.#file)
  }

  #beginRun(section: number): void {
    this.#drain()
    this.#index.push(section, 0, this.#byte % 2 ** 32, Math.floor(this.#byte / 2 ** 32), 0)
  }

  #drain(): void {
    const words = this.#buffer.subarray(0, this.#buffered)
    this.#buffered = 0
    if (words.length > 0) this.#writeRecords(words)
  }

  /** All of the last run. */
  #writeRecords(words: Uint32Array): void {
    this.#index[this.#index.length + CRC] = crc32(bytesOf(words), this.#index[this.#index.length + CRC])
    this.#write(words)
  }

  #write(words: Uint32Array): void {
    this.#file ??= openSync(this.#path, 'w')
    const bytes = bytesOf(words)
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#file, bytes, done, Math.min(1 << 24, bytes.length - done))
    this.#byte += words.byteLength
  }
}

const bytesOf = (words: Uint32Array) => new Uint8Array(words.buffer, words.byteOffset, words.byteLength)

/** A sorted copy of at most 2^21 records. */
export function sortRecords(records: Uint32Array<ArrayBuffer>, words: number): Uint32Array<ArrayBuffer> {
  const count = records.length / words
  const order = Uint32Array.from({ length: count }, (_, i) => i)
  sortRange(records, words, order, 0, new Float64Array(count))
  const sorted = new Uint32Array(records.length)
  for (let i = 0; i < count; i++) for (let w = 0; w < words; w++) sorted[i * words + w] = records[order[i] * words + w]
  return sorted
}

/** Fewer records are compared: calls and keys would take longer. */
const fewRecords = 32

/** Sorts records that agree on all words before this one: by it, natively with the ordinal in a double's low bits, then by those behind. */
function sortRange(records: Uint32Array, words: number, order: Uint32Array, word: number, keys: Float64Array): void {
  const count = order.length
  if (count < fewRecords) {
    order.sort((a, b) => compareRecords(records, a * words, records, b * words, words))
    return
  }
  for (let i = 0; i < count; i++) keys[i] = records[order[i] * words + word] * runRecords + order[i]
  keys.sort()
  for (let i = 0; i < count; i++) order[i] = keys[i] - Math.floor(keys[i] / runRecords) * runRecords
  if (word + 1 === words) return
  for (let start = 0; start < count; ) {
    const value = records[order[start] * words + word]
    let end = start + 1
    while (end < count && records[order[end] * words + word] === value) end++
    if (end - start > 1) sortRange(records, words, order.subarray(start, end), word + 1, keys.subarray(start, end))
    start = end
  }
}

function compareRecords(a: Uint32Array, atA: number, b: Uint32Array, atB: number, words: number): number {
  for (let w = 0; w < words; w++) {
    const difference = a[atA + w] - b[atB + w]
    if (difference !== 0) return difference
  }
  return 0
}

/**
 * The runs of a file, in the order they were written; with a section, those of it.
 *
 * @param held descriptor of the file, where it is held open and stays so while its runs are read
 */
export function readRuns(path: string, section?: number, held?: number): Run[] {
  const file = held ?? openSync(path, 'r')
  try {
    const { size } = fstatSync(file)
    const [words, runs, check, mark] = readWords(file, size - footerWords * 4, footerWords, path)
    if (mark !== magic) throw damaged(path)
    const index = readWords(file, size - (footerWords + runs * indexWords) * 4, runs * indexWords, path)
    if (crc32(bytesOf(index)) !== check) throw damaged(path)
    const found: Run[] = []
    for (let at = 0; at < index.length; at += indexWords) {
      if (section !== undefined && index[at] !== section) continue
      const [of, count, low, high, crc] = index.subarray(at, at + indexWords)
      found.push({ path, section: of, count, byte: low + high * 2 ** 32, words, crc, file: held })
    }
    return found
  } finally {
    if (held === undefined) closeSync(file)
  }
}

/** All records of a run. */
export function readRun(run: Run): Uint32Array<ArrayBuffer> {
  return new RunReader(run).next(run.count)
}

/** The records of a run in blocks. */
export function* readBlocks(run: Run): Generator<Uint32Array> {
  const reader = new RunReader(run)
  while (reader.hasMore) yield reader.next(blockRecords)
}

/** Reads a run front to back, and checks at its end that nothing changed since it was written. */
export class RunReader {
  readonly #run: Run
  #read = 0
  #crc = 0

  constructor(run: Run) {
    this.#run = run
  }

  get hasMore(): boolean {
    return this.#read < this.#run.count
  }

  /** At most so many records. */
  next(most: number): Uint32Array<ArrayBuffer> {
    const { count, crc, path } = this.#run
    const records = readRecords(this.#run, this.#read, Math.min(most, count - this.#read))
    this.#read += Math.min(most, count - this.#read)
    this.#crc = crc32(bytesOf(records), this.#crc)
    if (this.#read === count && this.#crc !== crc) throw damaged(path)
    return records
  }
}

/** Some records of a run. Unless it is held open, the file is opened anew each time: ten thousand runs need no ten thousand open files. */
export function readRecords({ path, byte, words, file: held }: Run, first: number, count: number): Uint32Array<ArrayBuffer> {
  const file = held ?? openSync(path, 'r')
  try {
    return readWords(file, byte + first * words * 4, count * words, path)
  } finally {
    if (held === undefined) closeSync(file)
  }
}

function readWords(file: number, byte: number, words: number, path: string): Uint32Array<ArrayBuffer> {
  if (byte < 0 || byte + words * 4 > fstatSync(file).size) throw damaged(path)
  const target = new Uint8Array(words * 4)
  for (let done = 0; done < target.length; ) {
    const bytesRead = readSync(file, target, done, Math.min(1 << 30, target.length - done), byte + done)
    if (bytesRead === 0) throw damaged(path)
    done += bytesRead
  }
  return new Uint32Array(target.buffer)
}

function damaged(path: string): SluiceError {
  return new SluiceError('SLUICE_RECORDS_DAMAGED', 'a file of sorted records is damaged or was not written to its end', {
    where: { file: path },
    fix: 'remove the run folder and run again; a file of an index across builds: rebuild the index from the shards of the builds',
  })
}
