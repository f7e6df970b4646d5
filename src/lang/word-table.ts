// Numbers for words that are given as bytes: an open hash table over one buffer that holds all of them. The dictionary of a
// model is such a table, and so is the predictor's cache.

/** FNV-1a, 32 bits. */
export const HASH_BASIS = 0x811c9dc5 | 0
export const HASH_PRIME = 0x01000193

/** FNV-1a as fastText has it: bytes are signed, so 0x80 and more also flip the upper 24 bits. The result is an i32. */
export function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = HASH_BASIS
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ ((bytes[i] << 24) >> 24), HASH_PRIME)
  return hash
}

/** Where tables and matrices get their memory, zeroed and aligned to 8 bytes. */
export type Allocate = (bytes: number) => Uint8Array

export const allocatePlain: Allocate = (bytes) => new Uint8Array(bytes)

export class WordTable {
  #count = 0
  readonly #maximum: number
  readonly #mask: number
  /** In the bits of the mask 1 + a word's number, or 0 where free; above them its hash's. At most half of them are taken. */
  readonly #slots: Int32Array
  readonly #ends: Int32Array
  readonly #bytes: Uint8Array

  /** Takes up to so many words of so many bytes in all. */
  constructor(maximumWords: number, maximumBytes: number, allocate: Allocate = allocatePlain) {
    const slots = 2 ** Math.ceil(Math.log2(2 * maximumWords + 2))
    this.#maximum = maximumWords
    this.#mask = slots - 1
    this.#slots = int32s(allocate(4 * slots))
    this.#ends = int32s(allocate(4 * (maximumWords + 1)))
    this.#bytes = allocate(maximumBytes)
  }

  /** What the kernel of kernels/wasm/fasttext.ts looks words up in. */
  get storage() {
    return { slots: this.#slots, ends: this.#ends, bytes: this.#bytes }
  }

  /** The bytes of a word, borrowed. */
  wordAt(word: number): Uint8Array {
    return this.#bytes.subarray(this.#ends[word], this.#ends[word + 1])
  }

  get count(): number {
    return this.#count
  }

  /** The number of the word `bytes[start, end)` with that `hashBytes`, or -1. */
  find(bytes: Uint8Array, start: number, end: number, hash: number): number {
    const slots = this.#slots
    const mask = this.#mask
    for (let slot = (hash ^ (hash >>> 15)) & mask; ; slot = (slot + 1) & mask) {
      const word = (slots[slot] & mask) - 1
      if (word < 0) return -1
      if (((slots[slot] ^ hash) & ~mask) === 0 && this.#holds(word, bytes, start, end)) return word
    }
  }

  #holds(word: number, bytes: Uint8Array, start: number, end: number): boolean {
    const own = this.#bytes
    const from = this.#ends[word]
    if (this.#ends[word + 1] - from !== end - start) return false
    for (let i = from, j = start; j < end; i++, j++) if (own[i] !== bytes[j]) return false
    return true
  }

  /** Takes in a word that is not there and gives its number: they count from 0. -1: there is no room. */
  add(bytes: Uint8Array, start: number, end: number, hash: number): number {
    const word = this.#count
    const from = this.#ends[word]
    if (word === this.#maximum || from + end - start > this.#bytes.length) return -1
    for (let i = start; i < end; i++) this.#bytes[from + i - start] = bytes[i]
    this.#ends[word + 1] = from + end - start
    let slot = (hash ^ (hash >>> 15)) & this.#mask
    while ((this.#slots[slot] & this.#mask) !== 0) slot = (slot + 1) & this.#mask
    this.#slots[slot] = (hash & ~this.#mask) | ++this.#count
    return word
  }

  clear(): void {
    this.#count = 0
    this.#slots.fill(0)
  }
}

function int32s(bytes: Uint8Array): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
}
