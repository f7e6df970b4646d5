// What a Bloom filter is asked about, on disk in the order of the documents: per unit (a paragraph, a document) its row, its
// position and the hashes of its n-grams. Records are two u32 words: [row, position], [n-grams, 0], then one an n-gram.

import { setImmediate } from 'node:timers/promises'
import { RunFile, readBlocks, readRuns } from '../io/sorted-runs.ts'

export interface Unit {
  readonly row: number
  readonly position: number
  /** High and low word of each n-gram's hash. Borrowed until the next unit. */
  readonly hashes: Uint32Array
}

export class UnitWriter {
  readonly #file: RunFile
  readonly #pair = new Uint32Array(2)
  #row = 0
  #position = 0
  #hashes = new Uint32Array(1 << 12)
  #length = 0
  #units = 0
  #ngrams = 0

  constructor(path: string) {
    this.#file = new RunFile(path, 2)
  }

  begin(row: number, position: number): void {
    this.#row = row
    this.#position = position
    this.#length = 0
  }

  add(high: number, low: number): void {
    if (this.#length === this.#hashes.length) {
      const grown = new Uint32Array(2 * this.#hashes.length)
      grown.set(this.#hashes)
      this.#hashes = grown
    }
    this.#hashes[this.#length++] = high
    this.#hashes[this.#length++] = low
  }

  end(): void {
    this.#append(UNITS, this.#row, this.#position)
    this.#append(UNITS, this.#length / 2, 0)
    for (let i = 0; i < this.#length; i += 2) this.#append(UNITS, this.#hashes[i], this.#hashes[i + 1])
    this.#units++
    this.#ngrams += this.#length / 2
  }

  close(): void {
    this.#append(COUNTS, this.#units, this.#ngrams)
    this.#file.close()
  }

  #append(section: number, first: number, second: number): void {
    this.#pair[0] = first
    this.#pair[1] = second
    this.#file.append(section, this.#pair)
  }
}

const UNITS = 0
const COUNTS = 1

export function countUnits(path: string): { units: number; ngrams: number } {
  let counts = { units: 0, ngrams: 0 }
  for (const run of readRuns(path, COUNTS)) for (const [units, ngrams] of readBlocks(run)) counts = { units, ngrams }
  return counts
}

/** Units in the order they were written. */
export async function* readUnits(path: string, signal: AbortSignal): AsyncGenerator<Unit> {
  let row = 0
  let position = 0
  let hashes = new Uint32Array(0)
  let missing = 0
  let state: 'unit' | 'size' | 'hashes' = 'unit'
  for (const run of readRuns(path, UNITS)) {
    for (const words of readBlocks(run)) {
      await setImmediate()
      signal.throwIfAborted()
      for (let at = 0; at < words.length; ) {
        if (state === 'unit') {
          row = words[at]
          position = words[at + 1]
          state = 'size'
          at += 2
        } else if (state === 'size') {
          missing = 2 * words[at]
          hashes = new Uint32Array(missing)
          state = 'hashes'
          at += 2
        } else {
          const take = Math.min(missing, words.length - at)
          hashes.set(words.subarray(at, at + take), hashes.length - missing)
          missing -= take
          at += take
          if (missing > 0) continue
          state = 'unit'
          yield { row, position, hashes }
        }
      }
    }
  }
}
