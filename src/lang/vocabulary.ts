// The words and labels of a training text with their counts: tokens as fastText's Dictionary::readWord cuts them, order and
// cuts as Dictionary::threshold has them. The table grows with what it meets; the text is read once, in pieces.

import { closeSync, openSync, readSync } from 'node:fs'
import { SluiceError } from '../core/errors.ts'
import { sortAsLibstdcxx } from './entry-order.ts'
import { END_OF_LINE, END_OF_LINE_HASH, isBlank, startsWith } from './tokens.ts'
import type { TrainingOptions } from './training-options.ts'
import { type Allocate, allocatePlain, HASH_BASIS, HASH_PRIME, hashBytes, WordTable } from './word-table.ts'

export interface Vocabulary {
  /** Words from the most frequent one down, then labels likewise. */
  readonly dictionary: WordTable
  readonly counts: Float64Array
  readonly wordCount: number
  /** All tokens of the text: labels and ends of lines too, and those that were left out. */
  readonly tokens: number
  /** Of the longest line, its end included. */
  readonly lineBytes: number
  /** At most so many tokens are in a line, and so many rows stand for it. */
  readonly lineTokens: number
  readonly lineRows: number
}

type Limits = Pick<TrainingOptions, 'minCount' | 'minCountLabel' | 'label' | 'wordNgrams' | 'minn' | 'maxn'>

const PIECE_BYTES = 1 << 20
const NEWLINE = 10
/** Beyond this the rarest words go, more of them each time: three quarters of the reference's table. */
const MOST_ENTRIES = 22_500_000

/** @throws SluiceError SLUICE_LANG_NO_WORDS, SLUICE_LANG_NO_LABELS */
export function countVocabulary(file: string, limits: Limits, allocate: Allocate): Vocabulary {
  const counter = new VocabularyCounter(limits)
  counter.readFile(file)
  return counter.finish(file, allocate)
}

/** What its longest line needs, for a vocabulary that is there already. */
export function measureText(
  file: string,
  limits: Omit<Limits, 'minCountLabel'>,
): Pick<Vocabulary, 'lineBytes' | 'lineTokens' | 'lineRows'> {
  const counter = new VocabularyCounter({ ...limits, minCountLabel: 0 })
  counter.readFile(file)
  return counter.longest
}

/** Counts one text. */
class VocabularyCounter {
  readonly #limits: Limits
  readonly #prefix: Buffer
  readonly #ngramsPerCharacter: number
  #table = new WordTable(1 << 16, 1 << 20)
  #tableBytes = 1 << 20
  #tableWords = 1 << 16
  #counts = new Float64Array(1 << 16)
  #isLabel = new Uint8Array(1 << 16)
  #tokens = 0
  #threshold = 1
  readonly longest = { lineBytes: 0, lineTokens: 0, lineRows: 0 }
  readonly #line = { lineTokens: 0, lineRows: 0 }
  /** Of the piece in hand, and of the line in hand: bytes from the start of the file. */
  #offset = 0
  #lineStart = 0

  constructor(limits: Limits) {
    this.#limits = limits
    this.#prefix = Buffer.from(limits.label)
    this.#ngramsPerCharacter = limits.maxn === 0 ? 0 : limits.maxn - Math.max(1, limits.minn) + 1
  }

  readFile(path: string): void {
    const file = openSync(path, 'r')
    try {
      let piece = new Uint8Array(PIECE_BYTES)
      let kept = 0
      for (;;) {
        if (kept === piece.length) piece = Buffer.concat([piece, new Uint8Array(kept)])
        const size = readSync(file, piece, kept, piece.length - kept, null)
        const end = kept + size
        const done = this.#countPiece(piece, end, size === 0)
        piece.copyWithin(0, done, end)
        kept = end - done
        this.#offset += done
        if (size === 0) break
      }
      this.#endLine(this.#offset)
    } finally {
      closeSync(file)
    }
  }

  /** Counts what is surely whole and gives how far that goes. */
  #countPiece(bytes: Uint8Array, end: number, isLast: boolean): number {
    let at = 0
    while (at < end) {
      const first = bytes[at]
      if (isBlank(first)) {
        at++
        if (first !== NEWLINE) continue
        this.#count(END_OF_LINE, 0, END_OF_LINE.length, END_OF_LINE_HASH)
        this.#endLine(this.#offset + at)
        continue
      }
      const start = at
      let hash = HASH_BASIS
      let byte = first
      do {
        hash = Math.imul(hash ^ ((byte << 24) >> 24), HASH_PRIME)
        byte = bytes[++at]
      } while (at < end && !isBlank(byte))
      if (at === end && !isLast) return start
      this.#count(bytes, start, at, hash)
    }
    return end
  }

  #count(bytes: Uint8Array, start: number, end: number, hash: number): void {
    this.#tokens++
    const line = this.#line
    line.lineTokens++
    line.lineRows += this.#limits.wordNgrams + (end - start + 2) * this.#ngramsPerCharacter
    let word = this.#table.find(bytes, start, end, hash)
    if (word < 0) word = this.#add(bytes, start, end, hash)
    this.#counts[word]++
  }

  #add(bytes: Uint8Array, start: number, end: number, hash: number): number {
    if (this.#table.count >= MOST_ENTRIES) this.#dropRarest()
    let word = this.#table.add(bytes, start, end, hash)
    while (word < 0) {
      this.#rebuild(allEntries(this.#table.count), 2)
      word = this.#table.add(bytes, start, end, hash)
    }
    this.#counts[word] = 0
    this.#isLabel[word] = Number(startsWith(bytes, start, end, this.#prefix))
    return word
  }

  #endLine(offset: number): void {
    const { lineTokens, lineRows } = this.#line
    const longest = this.longest
    longest.lineBytes = Math.max(longest.lineBytes, offset - this.#lineStart)
    longest.lineTokens = Math.max(longest.lineTokens, lineTokens)
    longest.lineRows = Math.max(longest.lineRows, lineRows)
    this.#line.lineTokens = this.#line.lineRows = 0
    this.#lineStart = offset
  }

  #dropRarest(): void {
    this.#threshold++
    this.#rebuild(this.#kept(this.#threshold, this.#threshold), 1)
  }

  /** Entries in the reference's order, without those below a count. */
  #kept(minCount: number, minCountLabel: number): Uint32Array {
    const counts = this.#counts
    const isLabel = this.#isLabel
    const order = allEntries(this.#table.count)
    sortAsLibstdcxx(order, (a, b) => (isLabel[a] !== isLabel[b] ? isLabel[a] < isLabel[b] : counts[a] > counts[b]))
    return order.filter((entry) => counts[entry] >= (isLabel[entry] === 1 ? minCountLabel : minCount))
  }

  /** Moves the entries into a table of `factor` times the size. */
  #rebuild(order: Uint32Array, factor: number): void {
    this.#tableWords *= factor
    this.#tableBytes *= factor
    const counts = new Float64Array(this.#tableWords)
    const isLabel = new Uint8Array(this.#tableWords)
    counts.set(Float64Array.from(order, (entry) => this.#counts[entry]))
    isLabel.set(Uint8Array.from(order, (entry) => this.#isLabel[entry]))
    this.#table = tableOf(this.#table, order, this.#tableWords, this.#tableBytes, allocatePlain)
    this.#counts = counts
    this.#isLabel = isLabel
  }

  finish(file: string, allocate: Allocate): Vocabulary {
    const { minCount, minCountLabel, label } = this.#limits
    const order = this.#kept(minCount, minCountLabel)
    const wordCount = order.reduce((sum, entry) => sum + 1 - this.#isLabel[entry], 0)
    if (wordCount === 0)
      throw new SluiceError('SLUICE_LANG_NO_WORDS', `no word occurs ${minCount} times in the training text`, {
        where: { file },
        fix: 'give more text, or lower minCount',
      })
    if (wordCount === order.length)
      throw new SluiceError('SLUICE_LANG_NO_LABELS', `no label is left in the training text: no token begins with ${label}`, {
        where: { file },
        fix: `begin each line with its label, as in "${label}good some text", or lower minCountLabel`,
      })
    const bytes = order.reduce((sum, entry) => sum + this.#table.wordAt(entry).length, 0)
    return {
      dictionary: tableOf(this.#table, order, order.length, bytes, allocate),
      counts: Float64Array.from(order, (entry) => this.#counts[entry]),
      wordCount,
      tokens: this.#tokens,
      ...this.longest,
    }
  }
}

/** A table of some entries of another, in a new order. */
export function tableOf(table: WordTable, order: Uint32Array, words: number, bytes: number, allocate: Allocate): WordTable {
  const result = new WordTable(words, bytes, allocate)
  for (const entry of order) {
    const word = table.wordAt(entry)
    result.add(word, 0, word.length, hashBytes(word, 0, word.length))
  }
  return result
}

function allEntries(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => i)
}
