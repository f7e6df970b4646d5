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

/** In units; longer ones are split each time. */
export const LONGEST_CHUNK = 40
/** Numbers of a slot. */
export const SLOT = 4
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

  // Chunks: open addressing, at most half full. A slot is four numbers: hash; first of its units + 1, or 0 where the slot is
  // free; first of its words; and traits | units << 8 | words << 16. What is asked together lies together.
  slots = new Int32Array(SLOT << 13)
  /** The chunks' own units, which tell equal from alike. */
  chunkUnits = new Uint16Array(1 << 16)
  chunkWords = new Int32Array(1 << 14)
  /** By first word: words before special strings were put together, of chunks with an open end or start. */
  readonly torn = new Map<number, readonly string[]>()

  #ids = new Map<string, number>()
  /** Of words that were looked up by hash: pairs of hash, and id + 1 or 0. At most half full. */
  #byHash: Int32Array | undefined
  #hashed = 0
  /** Units of all words, and how much is used of the arrays above. */
  #wordUnits = 0
  #chunks = 0
  #usedUnits = 0
  #usedWords = 0

  get isFull(): boolean {
    return this.#chunks >= FULL_CHUNKS || this.words.length >= FULL_WORDS || this.#wordUnits >= FULL_UNITS
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
    this.#wordUnits += word.length
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

  /** The id of the word that is `text[start … end)`. Looked up by its hash: cutting it out for the map takes four times as long. */
  wordIdAt(text: string, start: number, end: number, hash: number): number {
    this.#byHash ??= new Int32Array(FULL_WORDS * 4)
    const slots = this.#byHash
    let slot = firstSlot(hash, slots.length) & -2
    for (; slots[slot + 1] !== 0; slot = (slot + 2) & (slots.length - 1)) {
      const id = slots[slot + 1] - 1
      if (slots[slot] === hash && isText(this.words[id], text, start, end)) return id
    }
    // A copy: a slice would keep the whole text in memory.
    const id = this.wordId(Buffer.from(text.slice(start, end), 'utf16le').toString('utf16le'))
    if (this.#hashed < FULL_WORDS) {
      slots[slot] = hash
      slots[slot + 1] = id + 1
      this.#hashed++
    }
    return id
  }

  /**
   * Remembers the chunk that is `units[start … end)`, blank-free, not empty, not remembered yet, and no longer than
   * LONGEST_CHUNK. `slots`, `chunkUnits` and `chunkWords` may be other arrays afterwards.
   *
   * @param slot a free one, where the search for the chunk ended
   * @returns the slot it has now
   */
  addChunk(units: Uint16Array, start: number, end: number, hash: number, slot: number): number {
    const torn = splitBlankFree(String.fromCharCode(...units.subarray(start, end)))
    const [words] = mergeExceptions(torn, [torn.length])
    let traits = (mayGoOnAfter(torn[torn.length - 1]) ? OPEN_END : 0) | (mayGoOnWith(torn[0]) ? OPEN_START : 0)
    const firstUnit = this.#usedUnits
    const firstWord = this.#usedWords
    this.#usedUnits += end - start
    this.#usedWords += words.length
    if (this.#usedUnits > this.chunkUnits.length) this.chunkUnits = doubled(this.chunkUnits, new Uint16Array(this.chunkUnits.length * 2))
    if (this.#usedWords > this.chunkWords.length) this.chunkWords = doubled(this.chunkWords, new Int32Array(this.chunkWords.length * 2))
    this.chunkUnits.set(units.subarray(start, end), firstUnit)
    if (traits !== 0) this.torn.set(firstWord, torn)
    for (let i = 0; i < words.length; i++) {
      const id = this.wordId(words[i])
      this.chunkWords[firstWord + i] = id
      if ((this.traits[id] & TERMINAL) !== 0) traits |= HAS_TERMINAL
    }
    this.slots.set([hash, firstUnit + 1, firstWord, traits | ((end - start) << 8) | (words.length << 16)], slot)
    this.#chunks++
    return this.#chunks * 2 * SLOT > this.slots.length ? this.#growSlots(slot) : slot
  }

  /** @returns where the chunk of this slot lies now */
  #growSlots(slot: number): number {
    const old = this.slots
    const slots = new Int32Array(old.length * 2)
    const firstUnit = old[slot + 1]
    let moved = slot
    for (let from = 0; from < old.length; from += SLOT) {
      if (old[from + 1] === 0) continue
      let to = firstSlot(old[from], slots.length)
      while (slots[to + 1] !== 0) to = (to + SLOT) & (slots.length - 1)
      slots.set(old.subarray(from, from + SLOT), to)
      if (old[from + 1] === firstUnit) moved = to
    }
    this.slots = slots
    return moved
  }

  #growWords(): void {
    const capacity = this.lengths.length * 2
    this.lengths = doubled(this.lengths, new Int32Array(capacity))
    this.traits = doubled(this.traits, new Uint8Array(capacity))
    this.hashes = doubled(this.hashes, new Int32Array(capacity))
    this.powers = doubled(this.powers, new Int32Array(capacity))
    this.inverses = doubled(this.inverses, new Int32Array(capacity))
  }
}

/** Are the two equal, unit by unit? Words are short: a loop is faster than comparing a slice. */
export function isText(known: string, text: string, start: number, end: number): boolean {
  if (known.length !== end - start) return false
  for (let i = 0; i < known.length; i++) if (known.charCodeAt(i) !== text.charCodeAt(start + i)) return false
  return true
}

function doubled<T extends Uint8Array | Uint16Array | Int32Array>(from: T, into: T): T {
  into.set(from)
  return into
}

/** Where the search for a chunk begins; it goes on by SLOT, around the end. The hash's own low bits depend on little. */
export function firstSlot(hash: number, length: number): number {
  return Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) & (length - SLOT)
}

/** Newton's iteration: each step doubles the number of correct low bits. */
function inverseModulo32(odd: number): number {
  let inverse = odd
  for (let i = 0; i < 5; i++) inverse = Math.imul(inverse, 2 - Math.imul(odd, inverse))
  return inverse
}
