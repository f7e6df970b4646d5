// K-way merge of sorted runs in bounded memory: each run has one buffer, and the files are read front to back.

import { setImmediate } from 'node:timers/promises'
import { SluiceError } from '../core/errors.ts'
import { type Run, RunReader } from './sorted-runs.ts'

const smallestBufferBytes = 4096
const largestBufferBytes = 1 << 20
/** Between two looks at the event loop, where the signal to stop arrives. */
const breathRecords = 1 << 18

/** A run to merge and the number of its source, which settles ties. */
export interface Source {
  readonly run: Run
  readonly ordinal: number
}

export interface MergeOptions {
  readonly words: number
  /** Leading words that are compared before the source's ordinal; the rest is compared after it. */
  readonly orderWords: number
  readonly memoryBytes: number
  readonly signal: AbortSignal
}

/** Sees one record, in order: `records[at]` to `records[at + words - 1]`. */
export type Visit = (records: Uint32Array, at: number, source: number) => void

class Cursor {
  readonly ordinal: number
  readonly #reader: RunReader
  records: Uint32Array = new Uint32Array(0)
  at = 0

  constructor({ run, ordinal }: Source) {
    this.ordinal = ordinal
    this.#reader = new RunReader(run)
  }

  get hasMore(): boolean {
    return this.#reader.hasMore
  }

  refill(bufferRecords: number): void {
    this.records = this.#reader.next(bufferRecords)
    this.at = 0
  }
}

/** Visits all records in order. */
export async function mergeRuns(sources: readonly Source[], options: MergeOptions, visit: Visit): Promise<void> {
  const { words, orderWords, memoryBytes, signal } = options
  const filled = sources.filter((source) => source.run.count > 0)
  const bufferBytes = Math.min(largestBufferBytes, Math.floor(memoryBytes / Math.max(1, filled.length)))
  if (bufferBytes < smallestBufferBytes)
    throw new SluiceError(
      'SLUICE_RECORDS_MEMORY',
      `merging ${filled.length} sorted runs needs ${filled.length * smallestBufferBytes} bytes`,
      {
        where: { memoryBytes },
        fix: 'give more memory, or cut the input into larger partitions',
      },
    )
  const bufferRecords = Math.floor(bufferBytes / (4 * words))
  const heap = filled.map((source) => new Cursor(source))
  for (const cursor of heap) cursor.refill(bufferRecords)
  for (let i = (heap.length >> 1) - 1; i >= 0; i--) sink(heap, i, words, orderWords)
  let visited = 0
  while (heap.length > 0) {
    const top = heap[0]
    visit(top.records, top.at, top.ordinal)
    if (++visited % breathRecords === 0) {
      await setImmediate()
      signal.throwIfAborted()
    }
    top.at += words
    if (top.at === top.records.length) {
      if (top.hasMore) top.refill(bufferRecords)
      else {
        const last = heap.pop()
        if (heap.length === 0 || last === undefined) return
        heap[0] = last
      }
    }
    sink(heap, 0, words, orderWords)
  }
}

function sink(heap: Cursor[], start: number, words: number, orderWords: number): void {
  const cursor = heap[start]
  const length = heap.length
  let at = start
  while (true) {
    let child = 2 * at + 1
    if (child >= length) break
    if (child + 1 < length && isBefore(heap[child + 1], heap[child], words, orderWords)) child++
    if (!isBefore(heap[child], cursor, words, orderWords)) break
    heap[at] = heap[child]
    at = child
  }
  heap[at] = cursor
}

function isBefore(a: Cursor, b: Cursor, words: number, orderWords: number): boolean {
  const first = a.records
  const second = b.records
  let w = 0
  for (; w < orderWords; w++) {
    const x = first[a.at + w]
    const y = second[b.at + w]
    if (x !== y) return x < y
  }
  if (a.ordinal !== b.ordinal) return a.ordinal < b.ordinal
  for (; w < words; w++) {
    const x = first[a.at + w]
    const y = second[b.at + w]
    if (x !== y) return x < y
  }
  return false
}
