// Words by number. A lexicon gives every distinct word an id and knows, per id, what filters ask of it. It also remembers
// the words of every short blank-free chunk of text it has met: met again, a chunk costs one probe of a hash table.

import { codePointLength, hasLetter, hasNonSymbol, isTerminalWord } from './characters.ts'
import { mayGoOnAfter, mayGoOnWith, mergeExceptions } from './word-merging.ts'
import { splitBlankFree } from './word-rules.ts'

/** Bits of a word's traits. */
export const TERMINAL = 1 // one mark that ends a sentence
export const PUNCTUATION_ONLY = 2 // Unicode punctuation throughout
export const NON_SYMBOL = 4 // holds a character that is neither PUNCTUATION nor TERMINAL_PUNCTUATION
export const LETTER = 8 // holds a letter

/** Bits of a chunk's traits. */
export const HAS_TERMINAL = 1
/** A special string could reach over the space behind, or before, the chunk: it must be seen together with its neighbour. */
export const OPEN_END = 2
export const OPEN_START = 4

const LONGEST_CHUNK = 40
/** Beyond these a new lexicon replaces this one, between documents: what it holds is a cache. */
const FULL_CHUNKS = 1 << 17
const FULL_WORDS = 1 << 18
const FULL_UNITS = 1 << 23

const onlyPunctuation = /^\p{P}+$/u

/** Base of the words' polynomial hashes, odd, and its inverse mod 2³²: base·inverse = 1. */
const HASH_BASE = 0x9e3779b1 | 0
const HASH_INVERSE = inverseModulo32(HASH_BASE)

export class Lexicon {
  readonly words: string[] = []
  /** Per word, in code points. */
  lengths = new Int32Array(1 << 12)
  traits = new Uint8Array(1 << 12)
  /** Per word: Σ unit[k]·B^k mod 2³², so that the hash of words run together follows from theirs; B^units; B^-units. */
  hashes = new Int32Array(1 << 12)
  powers = new Int32Array(1 << 12)
  inverses = new Int32Array(1 << 12)

  /** Words of chunk c: `chunkWords[chunkStarts[c] … chunkStarts[c + 1])`. */
  chunkWords = new Int32Array(1 << 14)
  chunkStarts = new Int32Array(1 << 13)
  chunkTraits = new Uint8Array(1 << 13)
  /** Words before special strings were put together, of chunks with an open end or start. */
  readonly torn = new Map<number, readonly string[]>()

  #chunks = 0
  #ids = new Map<string, number>()
  #units = 0
  // Open addressing, at most half full: chunk + 1, or 0. The chunks' own units are kept to tell equal from alike.
  #table = new Int32Array(1 << 14)
  #chunkHashes = new Int32Array(1 << 13)
  #unitStarts = new Int32Array(1 << 13)
  #chunkUnits = new Uint16Array(1 << 16)

  get isFull(): boolean {
    return this.#chunks >= FULL_CHUNKS || this.words.length >= FULL_WORDS || this.#units >= FULL_UNITS
  }

  /** Undefined where the word was never met. */
  find(word: string): number | undefined {
    return this.#ids.get(word)
  }

  wordId(word: string): number {
    const known = this.#ids.get(word)
    if (known !== undefined) return known
    const id = this.words.length
    if (id === this.lengths.length) this.#growWords()
    this.words.push(word)
    this.#ids.set(word, id)
    this.#units += word.length
    this.lengths[id] = codePointLength(word)
    this.traits[id] =
      (isTerminalWord(word) ? TERMINAL : 0) |
      (onlyPunctuation.test(word) ? PUNCTUATION_ONLY : 0) |
      (hasNonSymbol(word) ? NON_SYMBOL : 0) |
      (hasLetter(word) ? LETTER : 0)
    let hash = 0
    let power = 1
    let inverse = 1
    for (let i = 0; i < word.length; i++) {
      hash = (hash + Math.imul(word.charCodeAt(i) + 1, power)) | 0
      power = Math.imul(power, HASH_BASE)
      inverse = Math.imul(inverse, HASH_INVERSE)
    }
    this.hashes[id] = hash
    this.powers[id] = power
    this.inverses[id] = inverse
    return id
  }

  /**
   * The chunk that is `units[start … end)`, blank-free and not empty.
   *
   * @param hash of these units, computed by the caller: equal for equal chunks, int32
   * @returns its number; -1 where it is too long to be remembered
   */
  chunk(units: Uint16Array, start: number, end: number, hash: number): number {
    const table = this.#table
    const mask = table.length - 1
    let slot = mixed(hash) & mask
    for (let entry = table[slot]; entry !== 0; entry = table[slot]) {
      if (this.#chunkHashes[entry - 1] === hash && this.#isChunk(entry - 1, units, start, end)) return entry - 1
      slot = (slot + 1) & mask
    }
    if (end - start > LONGEST_CHUNK) return -1
    const chunk = this.#addChunk(units, start, end, hash)
    table[slot] = chunk + 1
    if (this.#chunks * 2 > table.length) this.#growTable()
    return chunk
  }

  #isChunk(chunk: number, units: Uint16Array, start: number, end: number): boolean {
    let own = this.#unitStarts[chunk]
    if (this.#unitStarts[chunk + 1] - own !== end - start) return false
    const chunkUnits = this.#chunkUnits
    for (let i = start; i < end; i++) {
      if (units[i] !== chunkUnits[own++]) return false
    }
    return true
  }

  #addChunk(units: Uint16Array, start: number, end: number, hash: number): number {
    const chunk = this.#chunks++
    if (chunk + 2 > this.chunkStarts.length) this.#growChunks()
    const unitStart = this.#unitStarts[chunk]
    const unitEnd = unitStart + end - start
    if (unitEnd > this.#chunkUnits.length) this.#chunkUnits = doubled(this.#chunkUnits, new Uint16Array(this.#chunkUnits.length * 2))
    this.#chunkUnits.set(units.subarray(start, end), unitStart)
    this.#unitStarts[chunk + 1] = unitEnd
    this.#chunkHashes[chunk] = hash
    this.#units += end - start

    const torn = splitBlankFree(String.fromCharCode(...units.subarray(start, end)))
    const [words] = mergeExceptions(torn, [torn.length])
    const firstWord = this.chunkStarts[chunk]
    const wordEnd = firstWord + words.length
    if (wordEnd > this.chunkWords.length) this.chunkWords = doubled(this.chunkWords, new Int32Array(this.chunkWords.length * 2))
    let traits = (mayGoOnAfter(torn[torn.length - 1]) ? OPEN_END : 0) | (mayGoOnWith(torn[0]) ? OPEN_START : 0)
    if (traits !== 0) this.torn.set(chunk, torn)
    for (let i = 0; i < words.length; i++) {
      const id = this.wordId(words[i])
      if ((this.traits[id] & TERMINAL) !== 0) traits |= HAS_TERMINAL
      this.chunkWords[firstWord + i] = id
    }
    this.chunkStarts[chunk + 1] = wordEnd
    this.chunkTraits[chunk] = traits
    return chunk
  }

  #growWords(): void {
    const capacity = this.lengths.length * 2
    this.lengths = doubled(this.lengths, new Int32Array(capacity))
    this.traits = doubled(this.traits, new Uint8Array(capacity))
    this.hashes = doubled(this.hashes, new Int32Array(capacity))
    this.powers = doubled(this.powers, new Int32Array(capacity))
    this.inverses = doubled(this.inverses, new Int32Array(capacity))
  }

  #growChunks(): void {
    const capacity = this.chunkStarts.length * 2
    this.chunkStarts = doubled(this.chunkStarts, new Int32Array(capacity))
    this.chunkTraits = doubled(this.chunkTraits, new Uint8Array(capacity))
    this.#chunkHashes = doubled(this.#chunkHashes, new Int32Array(capacity))
    this.#unitStarts = doubled(this.#unitStarts, new Int32Array(capacity))
  }

  #growTable(): void {
    const table = new Int32Array(this.#table.length * 2)
    const mask = table.length - 1
    for (let chunk = 0; chunk < this.#chunks; chunk++) {
      let slot = mixed(this.#chunkHashes[chunk]) & mask
      while (table[slot] !== 0) slot = (slot + 1) & mask
      table[slot] = chunk + 1
    }
    this.#table = table
  }
}

function doubled<T extends Uint8Array | Uint16Array | Int32Array>(from: T, into: T): T {
  into.set(from)
  return into
}

/** Spreads a polynomial hash, whose low bits depend on the low bits of its units only. */
function mixed(hash: number): number {
  return Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 12
}

/** Newton's iteration: each step doubles the number of correct low bits. */
function inverseModulo32(odd: number): number {
  let inverse = odd
  for (let i = 0; i < 5; i++) inverse = Math.imul(inverse, 2 - Math.imul(odd, inverse))
  return inverse
}
