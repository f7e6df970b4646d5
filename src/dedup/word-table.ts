// The words of a lexicon as UTF-8 in the kernel's memory, a blank behind each, so that a document's words, given by number,
// become one text without a string in between. Layout, from the kernel's `text` on: starts, bytes, then room for documents.

import type { MinhashKernel } from './kernel.ts'

const encoder = new TextEncoder()

/** Where a text stands in the kernel's memory. */
export interface Placed {
  readonly at: number
  readonly bytes: number
}

export class WordTable {
  readonly #kernel: MinhashKernel
  #words: readonly string[] = []
  /** Words that are in the table, and their bytes. */
  #known = 0
  #bytes = 0
  #wordCapacity = 0
  #byteCapacity = 0

  constructor(kernel: MinhashKernel) {
    this.#kernel = kernel
  }

  /** First address behind the table. */
  get end(): number {
    return this.#bytesAt + this.#byteCapacity
  }

  get #bytesAt(): number {
    return this.#kernel.text + 4 * (this.#wordCapacity + 1)
  }

  /**
   * Writes words one after another, a blank between two, behind the table.
   *
   * @param words all that ids may mean; the same array may have grown since the last call
   */
  join(words: readonly string[], ids: Int32Array): Placed {
    const kernel = this.#kernel
    this.#learn(words)
    const idsAt = this.end
    const at = idsAt + 4 * ids.length
    const memory = kernel.textSpace(4 * ids.length, idsAt)
    new Int32Array(memory.buffer, idsAt, ids.length).set(ids)
    const bytes = kernel.measureWords(idsAt, ids.length, kernel.text)
    kernel.textSpace(bytes, at)
    kernel.joinWords(idsAt, ids.length, kernel.text, this.#bytesAt, at)
    return { at, bytes: Math.max(0, bytes - 1) }
  }

  #learn(words: readonly string[]): void {
    if (words !== this.#words) {
      this.#words = words
      this.#known = 0
      this.#bytes = 0
    }
    while (this.#known < words.length) {
      const word = words[this.#known]
      const needed = this.#bytes + 3 * word.length + 1
      if (this.#known === this.#wordCapacity || needed > this.#byteCapacity) this.#grow(words.length, needed)
      else this.#append(word)
    }
  }

  #append(word: string): void {
    const memory = this.#kernel.textSpace(4)
    const starts = new Uint32Array(memory.buffer, this.#kernel.text, this.#wordCapacity + 1)
    const bytes = new Uint8Array(memory.buffer, this.#bytesAt + this.#bytes, this.#byteCapacity - this.#bytes)
    starts[this.#known] = this.#bytes
    const { written } = encoder.encodeInto(word, bytes)
    bytes[written] = 32
    this.#bytes += written + 1
    starts[++this.#known] = this.#bytes
  }

  /** Twice as large, and empty: the table is filled again. Capacities keep addresses multiples of 4. */
  #grow(words: number, bytes: number): void {
    this.#wordCapacity = Math.max(2 * this.#wordCapacity, words, 1 << 13)
    this.#byteCapacity = Math.max(2 * this.#byteCapacity, Math.ceil(bytes / 4) * 4, 1 << 16)
    this.#known = 0
    this.#bytes = 0
    this.#kernel.textSpace(this.end - this.#kernel.text)
  }
}
