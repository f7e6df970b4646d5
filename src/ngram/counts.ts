// Counts of a text's n-grams of the highest order, in bounded memory: sorted runs on disk. The words of a record stand from
// the last to the first, so that n-grams with equal ends are neighbours. Only the vocabulary is held.

import { join } from 'node:path'
import { mergeRuns } from '../io/merge-runs.ts'
import { RecordWriter, readRuns } from '../io/sorted-runs.ts'

export const UNKNOWN = 0
export const BEGIN = 1
export const END = 2
const SPECIAL = ['<unk>', '<s>', '</s>']
const BLANKS = /[\0\t-\r ]+/

export interface Bounds {
  /** Of temporary files. */
  readonly folder: string
  /** For records that are being sorted; the vocabulary comes on top. */
  readonly memoryBytes: number
  readonly signal: AbortSignal
}

/** Called with the n-grams in order, each once: `records[at]` is the last word's number, and so on to the first word's. */
export type VisitCount = (records: Uint32Array, at: number, count: number) => void

export class NgramCounter {
  readonly words: string[] = [...SPECIAL]
  /** Words of the text, ends of lines not counted. */
  tokens = 0
  readonly #order: number
  readonly #bounds: Bounds
  readonly #path: string
  readonly #numbers = new Map(SPECIAL.map((word, i) => [word, i]))
  readonly #writer: RecordWriter
  /** The line's last words, the last one first, and the count. */
  readonly #record: Uint32Array

  constructor(order: number, bounds: Bounds) {
    this.#order = order
    this.#bounds = bounds
    this.#path = join(bounds.folder, 'counts')
    this.#writer = new RecordWriter(this.#path, order + 1, 1, bounds.memoryBytes)
    this.#record = new Uint32Array(order + 1)
    this.#record[order] = 1
  }

  /** Every line is a sentence. <s>, </s> and <unk> written in the text count as blanks. */
  add(text: string): void {
    for (const line of text.split('\n')) this.#addLine(line)
    if (this.#writer.isFull) this.#writer.flush()
  }

  #addLine(line: string): void {
    this.#record.fill(BEGIN, 0, this.#order)
    for (const word of line.split(BLANKS)) {
      if (word === '') continue
      const number = this.#numberOf(word)
      if (number > END) this.#push(number)
    }
    this.#push(END)
  }

  #numberOf(word: string): number {
    const known = this.#numbers.get(word)
    if (known !== undefined) return known
    const copy = Buffer.from(word).toString() // a slice would keep its whole text in memory
    this.#numbers.set(copy, this.words.length)
    return this.words.push(copy) - 1
  }

  #push(word: number): void {
    const record = this.#record
    record.copyWithin(1, 0, this.#order - 1)
    record[0] = word
    this.#writer.add(0, record)
    if (word !== END) this.tokens++
  }

  /** Ends the counting. */
  async visit(visit: VisitCount): Promise<void> {
    this.#writer.close()
    const order = this.#order
    const sources = readRuns(this.#path).map((run, ordinal) => ({ run, ordinal }))
    const { memoryBytes, signal } = this.#bounds
    const held = new Uint32Array(order)
    let count = 0
    await mergeRuns(sources, { words: order + 1, orderWords: order, memoryBytes, signal }, (records, at) => {
      if (count > 0 && sharedWords(held, records, at) < order) {
        visit(held, 0, count)
        count = 0
      }
      if (count === 0) for (let i = 0; i < order; i++) held[i] = records[at + i]
      count += records[at + order]
    })
    if (count > 0) visit(held, 0, count)
  }
}

/** How many words two n-grams have in common at their ends. */
export function sharedWords(held: Uint32Array, records: Uint32Array, at: number): number {
  let shared = 0
  while (shared < held.length && held[shared] === records[at + shared]) shared++
  return shared
}
