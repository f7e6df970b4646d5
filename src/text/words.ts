// Words and sentence ends of a text, exactly as datatrove 0.10 sees them: spaCy's English tokenizer without the blanks,
// and its sentencizer. One pass over the text: it falls apart at blanks into chunks that the lexicon mostly knows.
// What the rules do to a chunk: word-rules.ts and word-merging.ts.

import { isBlank } from './characters.ts'
import { firstSlot, HAS_TERMINAL, Lexicon, LONGEST_CHUNK, OPEN_END, OPEN_START, PUNCTUATION_ONLY, SLOT, TERMINAL } from './lexicon.ts'
import { isUnspaced, spaceWords, withoutSpaces } from './unspaced.ts'
import { mayStandSideBySide, mergeExceptions } from './word-merging.ts'
import { splitBlankFree } from './word-rules.ts'

export interface Tokens {
  /** What the ids mean. */
  readonly lexicon: Lexicon
  /** Words in order, blanks left out. */
  readonly ids: Int32Array
  /** Offsets at which a sentence ends, other than the end of the text; ascending, in UTF-16 units. */
  readonly sentenceEnds: Int32Array
}

/** Words of the text in order, blanks left out: every one is non-empty and blank-free. */
export function splitWords(text: string, language?: string): string[] {
  return wordsOf(tokenize(text, language))
}

export function wordsOf(tokens: Tokens): string[] {
  const words = new Array<string>(tokens.ids.length)
  for (let i = 0; i < words.length; i++) words[i] = tokens.lexicon.words[tokens.ids[i]]
  return words
}

let lexicon = new Lexicon()

/** Words as blanks split them, Python's `str.split()`, as numbers: without sentences. */
export function splitAtBlanks(text: string): Tokens {
  if (lexicon.isFull) lexicon = new Lexicon()
  if (text.length > idBuffer.length) idBuffer = new Int32Array(text.length * 2)
  const length = text.length
  let words = 0
  for (let i = 0; i < length; i++) {
    let unit = text.charCodeAt(i)
    if (BLANK[unit] === 1) continue
    const start = i
    let hash = 0
    for (; i < length && BLANK[unit] === 0; unit = text.charCodeAt(++i)) hash = (Math.imul(hash, 0x01000193) + unit) | 0
    idBuffer[words++] = lexicon.wordIdAt(text, start, i, hash)
  }
  return { lexicon, ids: idBuffer.slice(0, words), sentenceEnds: new Int32Array(0) }
}

/** @param language ISO 639 code: one that is written without spaces is segmented first, all others are split alike */
export function tokenize(text: string, language?: string): Tokens {
  if (!isUnspaced(language)) return tokenizeSpaced(text)
  const spaced = spaceWords(text, language)
  const tokens = tokenizeSpaced(spaced.text)
  return { ...tokens, sentenceEnds: withoutSpaces(tokens.sentenceEnds, spaced.inserted) }
}

function tokenizeSpaced(text: string): Tokens {
  if (lexicon.isFull) lexicon = new Lexicon()
  const scan = new Scan(lexicon, unitsOf(text), text.length)
  scan.run()
  return { lexicon, ids: scan.ids.slice(0, scan.words), sentenceEnds: new Int32Array(scan.sentenceEnds) }
}

// ---- reused between texts ----

const BLANK = new Uint8Array(1 << 16)
for (let unit = 0; unit < BLANK.length; unit++) BLANK[unit] = isBlank(unit) ? 1 : 0

let unitBuffer = Buffer.alloc(1 << 17)
let idBuffer = new Int32Array(1 << 15)

/** The text's UTF-16 units, valid until the next call. Reading an array is several times faster than asking a string. */
function unitsOf(text: string): Uint16Array {
  if (text.length * 2 > unitBuffer.length) unitBuffer = Buffer.alloc(text.length * 3)
  unitBuffer.write(text, 0, 'utf16le')
  if (text.length > idBuffer.length) idBuffer = new Int32Array(text.length * 2)
  return new Uint16Array(unitBuffer.buffer, unitBuffer.byteOffset, text.length)
}

class Scan {
  /** Large enough for one word a unit. */
  readonly ids = idBuffer
  words = 0
  readonly sentenceEnds: number[] = []
  readonly #lexicon: Lexicon
  readonly #units: Uint16Array
  readonly #length: number
  /** End of the last word. */
  #position = 0
  #seenTerminal = false
  /** Chunks held back, because a special string may reach from one into the next. */
  #group: { start: number; end: number; torn: readonly string[] }[] = []
  /** Words of the group where it is one remembered chunk; else -1. */
  #groupWord = -1
  #groupWords = 0

  constructor(lexicon: Lexicon, units: Uint16Array, length: number) {
    this.#lexicon = lexicon
    this.#units = units
    this.#length = length
  }

  run(): void {
    const lexicon = this.#lexicon
    const units = this.#units
    const length = this.#length
    const ids = this.ids
    let { slots, chunkUnits, chunkWords } = lexicon
    let isPlain = true // nothing held back, no sentence about to end
    for (let i = 0; i < length; i++) {
      let unit = units[i]
      if (BLANK[unit] === 1) continue
      const start = i
      let hash = 0
      do {
        hash = (Math.imul(hash, 0x01000193) + unit) | 0
        unit = ++i < length ? units[i] : 32
      } while (BLANK[unit] === 0)
      if (i - start > LONGEST_CHUNK) {
        this.#addLong(start, i)
        isPlain = false
        continue
      }
      let slot = firstSlot(hash, slots.length)
      while (slots[slot + 1] !== 0 && !(slots[slot] === hash && isChunk(slots, slot, chunkUnits, units, start, i))) {
        slot = (slot + SLOT) & (slots.length - 1)
      }
      if (slots[slot + 1] === 0) {
        slot = lexicon.addChunk(units, start, i, hash, slot)
        ;({ slots, chunkUnits, chunkWords } = lexicon)
      }
      const firstWord = slots[slot + 2]
      const facts = slots[slot + 3]
      if (isPlain && (facts & (OPEN_END | HAS_TERMINAL)) === 0) {
        for (let word = firstWord; word < firstWord + (facts >>> 16); word++) ids[this.words++] = chunkWords[word]
        this.#position = i
      } else {
        this.#add(firstWord, facts, start, i)
        isPlain = this.#group.length === 0 && !this.#seenTerminal
      }
    }
    this.#endGroup()
    if (this.#seenTerminal && this.#position < length && this.#isBlankWord(length)) this.sentenceEnds.push(this.#position)
  }

  /** A chunk with its first word in `chunkWords`, and its traits and number of words as in a slot. */
  #add(firstWord: number, facts: number, start: number, end: number): void {
    if (this.#group.length > 0 || (facts & OPEN_END) !== 0) {
      const torn = (facts & (OPEN_START | OPEN_END)) === 0 ? undefined : this.#lexicon.torn.get(firstWord)
      if (torn && this.#group.length > 0 && this.#isLinked(start, torn)) {
        this.#group.push({ start, end, torn })
        return
      }
      this.#endGroup()
      if (torn && (facts & OPEN_END) !== 0) {
        this.#group.push({ start, end, torn })
        this.#groupWord = firstWord
        this.#groupWords = facts >>> 16
        return
      }
    }
    this.#emit(this.#lexicon.chunkWords, firstWord, firstWord + (facts >>> 16), start, end, (facts & HAS_TERMINAL) !== 0)
  }

  /** A chunk too long to be remembered: split anew each time. */
  #addLong(start: number, end: number): void {
    const torn = splitBlankFree(Buffer.from(this.#units.buffer, this.#units.byteOffset + start * 2, (end - start) * 2).toString('utf16le'))
    if (this.#group.length > 0 && !this.#isLinked(start, torn)) this.#endGroup()
    this.#group.push({ start, end, torn })
    this.#groupWord = -1
  }

  /** Could a special string reach from the chunks held back into this one, across a single space? */
  #isLinked(start: number, torn: readonly string[]): boolean {
    const last = this.#group[this.#group.length - 1]
    if (start - last.end !== 1 || this.#units[start - 1] !== 32) return false
    return mayStandSideBySide(last.torn[last.torn.length - 1], torn[0])
  }

  #endGroup(): void {
    const group = this.#group
    if (group.length === 0) return
    this.#group = []
    if (group.length === 1 && this.#groupWord >= 0) {
      const [{ start, end }] = group
      this.#emit(this.#lexicon.chunkWords, this.#groupWord, this.#groupWord + this.#groupWords, start, end, true)
      return
    }
    const words: string[] = []
    const ends: number[] = []
    for (const { torn } of group) {
      for (const word of torn) words.push(word)
      ends.push(words.length)
    }
    for (const [i, merged] of mergeExceptions(words, ends).entries()) {
      const ids = Int32Array.from(merged, (word) => this.#lexicon.wordId(word))
      this.#emit(ids, 0, ids.length, group[i].start, group[i].end, true)
    }
  }

  #emit(words: Int32Array, from: number, to: number, start: number, end: number, mayHoldTerminal: boolean): void {
    // Blanks other than a single space are a word to the reference, and no punctuation.
    if (this.#seenTerminal && this.#isBlankWord(start)) this.#endSentence()
    if (mayHoldTerminal || this.#seenTerminal) this.#emitJudging(words, from, to, start)
    else for (let i = from; i < to; i++) this.ids[this.words++] = words[i]
    this.#position = end
  }

  #emitJudging(words: Int32Array, from: number, to: number, start: number): void {
    const { traits, words: strings } = this.#lexicon
    let position = start
    for (let i = from; i < to; i++) {
      const id = words[i]
      if ((traits[id] & TERMINAL) !== 0) this.#seenTerminal = true
      else if (this.#seenTerminal && (traits[id] & PUNCTUATION_ONLY) === 0) this.#endSentence()
      this.ids[this.words++] = id
      position += strings[id].length
      this.#position = position
    }
  }

  #endSentence(): void {
    this.sentenceEnds.push(this.#position)
    this.#seenTerminal = false
  }

  #isBlankWord(end: number): boolean {
    return end - this.#position !== 1 || this.#units[this.#position] !== 32
  }
}

function isChunk(slots: Int32Array, slot: number, chunkUnits: Uint16Array, units: Uint16Array, start: number, end: number): boolean {
  if (((slots[slot + 3] >>> 8) & 0xff) !== end - start) return false
  let own = slots[slot + 1] - 1
  for (let i = start; i < end; i++) {
    if (units[i] !== chunkUnits[own++]) return false
  }
  return true
}
