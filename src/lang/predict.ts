// fastText's prediction for one text: its words and their n-grams name rows of the input matrix, the mean of these rows goes
// to the labels. Bojanowski et al. 2017, arxiv.org/abs/1607.04606; details as Dictionary::getLine and computeSubwords have
// them. Rows of a word are added up once and kept: most words of a text are among the last some ten thousand.

import { rowOfBucket } from './bucket-rows.ts'
import type { FastTextModel } from './fasttext-model.ts'
import { createRanker, type Prediction, type RankLabels } from './label-scores.ts'
import { END_OF_LINE, END_OF_LINE_HASH, isBlank, startsWith } from './tokens.ts'
import { HASH_BASIS, HASH_PRIME, WordTable } from './word-table.ts'

const CACHED_WORDS = 1 << 16
const CACHED_BYTES = 1 << 20
/** Longer ones, such as lines of Chinese, come back too seldom. */
const LONGEST_CACHED_BYTES = 64
/** A text's bytes are kept for the next text up to this size. */
const KEPT_BUFFER_BYTES = 1 << 24

const NEWLINE = 10
const SPACE = 32
const BEFORE_WORD = 60 // <
const AFTER_WORD = 62 // >
const UNKNOWN_LABEL = Buffer.from('__label__')
/** In place of a number of rows. */
const NO_WORD = -1

/** Predicts one text after another, with buffers and a cache of its own: about 6 MB for 16 dimensions, one a thread. */
export class FastTextPredictor {
  readonly #model: FastTextModel
  readonly #rank: RankLabels
  readonly #cache = new WordTable(CACHED_WORDS, CACHED_BYTES)
  /** By number in the cache: the sum of a word's rows, and how many they are. Sums are rounded before their first use, so that a
   * score does not depend on what was asked before. */
  readonly #cachedSums: Float32Array
  readonly #cachedRows = new Int32Array(CACHED_WORDS)
  readonly #hidden: Float64Array
  readonly #wordSum: Float64Array
  readonly #encoder = new TextEncoder()
  #bytes = new Uint8Array(1 << 16)
  /** Rows that are still to be added, cut where it is full: a word may be as long as the text. */
  readonly #rows = new Int32Array(1 << 10)
  /** Hashes of the text's words, where the model knows n-grams of them. */
  #hashes: number[] = []

  constructor(model: FastTextModel) {
    this.#model = model
    this.#rank = createRanker(model)
    this.#cachedSums = new Float32Array(CACHED_WORDS * model.settings.dim)
    this.#hidden = new Float64Array(model.settings.dim)
    this.#wordSum = new Float64Array(model.settings.dim)
  }

  /**
   * As the reference's command line for one line of text; line breaks inside count as blanks.
   *
   * @param most how many labels at most, from 1
   * @param smallest labels with a lower score are left out
   * @returns best first; empty where no row of the model belongs to the text
   */
  predict(text: string, most: number, smallest: number): Prediction[] {
    const rows = this.#sumRows(text)
    if (rows === 0) return []
    const hidden = this.#hidden
    for (let i = 0; i < hidden.length; i++) hidden[i] /= rows
    return this.#rank(hidden, most, smallest)
  }

  /** Fills `#hidden` with the sum of the text's rows and gives their number. */
  #sumRows(text: string): number {
    const bytes = this.#encode(text)
    const end = 1 + this.#encoder.encodeInto(text, bytes.subarray(1)).written
    bytes[end] = NEWLINE
    this.#hidden.fill(0)
    const keepsHashes = this.#model.settings.wordNgrams > 1
    let rows = 0
    let isOver = false
    for (let at = 1; at < end && !isOver; at++) {
      if (isBlank(bytes[at])) continue
      const start = at
      let hash = HASH_BASIS
      let byte = bytes[at]
      do {
        hash = Math.imul(hash ^ ((byte << 24) >> 24), HASH_PRIME)
        byte = bytes[++at]
      } while (byte > SPACE || !isBlank(byte))
      const added = this.#addWord(bytes, start, at, hash)
      if (added === NO_WORD) continue
      rows += added
      if (keepsHashes) this.#hashes.push(hash)
      isOver = isEndOfText(bytes, start, at)
    }
    if (!isOver) rows += this.#addEndOfText()
    return keepsHashes ? rows + this.#addWordNgrams() : rows
  }

  /** A buffer with room for the text from index 1 on, and for one byte after it: the borders of a word are written around it. */
  #encode(text: string): Uint8Array {
    const size = 3 * text.length + 2
    if (size <= this.#bytes.length) return this.#bytes
    const larger = new Uint8Array(size + (size >> 1))
    if (larger.length <= KEPT_BUFFER_BYTES) this.#bytes = larger
    return larger
  }

  #addEndOfText(): number {
    const hash = END_OF_LINE_HASH
    const word = this.#model.dictionary.find(END_OF_LINE, 0, END_OF_LINE.length, hash)
    if (this.#model.settings.wordNgrams > 1) this.#hashes.push(hash)
    if (word < 0 || word >= this.#model.wordCount) return 0
    this.#rows[0] = word
    this.#model.input.addRows(this.#rows, 1, this.#hidden)
    return 1
  }

  /** Adds the rows of one word to `#hidden` and gives their number, or NO_WORD for a label. */
  #addWord(bytes: Uint8Array, start: number, end: number, hash: number): number {
    const cached = this.#cache.find(bytes, start, end, hash)
    if (cached >= 0) {
      const hidden = this.#hidden
      const sums = this.#cachedSums
      const base = cached * hidden.length
      for (let i = 0; i < hidden.length; i++) hidden[i] += sums[base + i]
      return this.#cachedRows[cached]
    }
    const rows = this.#sumWord(bytes, start, end, hash)
    const sum = this.#wordSum
    for (let i = 0; i < sum.length; i++) {
      sum[i] = Math.fround(sum[i])
      this.#hidden[i] += sum[i]
    }
    if (end - start <= LONGEST_CACHED_BYTES) this.#keep(bytes, start, end, hash, rows)
    return rows
  }

  #keep(bytes: Uint8Array, start: number, end: number, hash: number, rows: number): void {
    let word = this.#cache.add(bytes, start, end, hash)
    if (word < 0) {
      this.#cache.clear()
      word = this.#cache.add(bytes, start, end, hash)
    }
    this.#cachedSums.set(this.#wordSum, word * this.#wordSum.length)
    this.#cachedRows[word] = rows
  }

  /** Fills `#wordSum` with the sum of a word's rows and gives their number, or NO_WORD for a label. */
  #sumWord(bytes: Uint8Array, start: number, end: number, hash: number): number {
    const { dictionary, wordCount, input, settings } = this.#model
    this.#wordSum.fill(0)
    const word = dictionary.find(bytes, start, end, hash)
    if (word >= wordCount || (word < 0 && startsWith(bytes, start, end, UNKNOWN_LABEL))) return NO_WORD
    let rows = 0
    if (word >= 0) this.#rows[rows++] = word
    if (settings.maxn > 0 && !isEndOfText(bytes, start, end)) return this.#sumCharacterNgrams(bytes, start, end, rows)
    input.addRows(this.#rows, rows, this.#wordSum)
    return rows
  }

  /**
   * Overwrites the byte before and the byte after the word: both are blanks that were read already.
   *
   * @param waiting how many `#rows` are there already
   * @returns with these
   */
  #sumCharacterNgrams(bytes: Uint8Array, start: number, end: number, waiting: number): number {
    const { ngramRows, wordCount, input, settings } = this.#model
    const { minn, maxn } = settings
    const rows = this.#rows
    const first = start - 1
    const stop = end + 1
    bytes[first] = BEFORE_WORD
    bytes[end] = AFTER_WORD
    let count = waiting
    let added = 0
    for (let from = first; from < stop; from++) {
      if (isContinuation(bytes[from])) continue
      let hash = HASH_BASIS
      for (let at = from, length = 1; at < stop && length <= maxn; length++) {
        do hash = Math.imul(hash ^ ((bytes[at] << 24) >> 24), HASH_PRIME)
        while (++at < stop && isContinuation(bytes[at]))
        // A border alone says nothing.
        if (length < minn || (length === 1 && (from === first || at === stop))) continue
        const row = rowOfBucket(ngramRows, (hash >>> 0) % ngramRows.buckets)
        if (row >= 0) rows[count++] = wordCount + row
        if (count < rows.length) continue
        input.addRows(rows, count, this.#wordSum)
        added += count
        count = 0
      }
    }
    input.addRows(rows, count, this.#wordSum)
    return added + count
  }

  /** h·116049371 + next, modulo 2^64, of signed hashes: `high` and `low` are the halves. */
  #addWordNgrams(): number {
    const { ngramRows, wordCount, input, settings } = this.#model
    const hashes = this.#hashes
    let rows = 0
    for (let from = 0; from < hashes.length; from++) {
      let high = hashes[from] >> 31
      let low = hashes[from] >>> 0
      for (let i = from + 1; i < hashes.length && i < from + settings.wordNgrams; i++) {
        const product = BigInt(high >>> 0) * 0x100000000n + BigInt(low)
        const next = BigInt.asUintN(64, product * 116049371n + BigInt(hashes[i]))
        high = Number(next >> 32n) | 0
        low = Number(next & 0xffffffffn)
        const row = rowOfBucket(ngramRows, Number(next % BigInt(ngramRows.buckets)))
        if (row < 0) continue
        this.#rows[0] = wordCount + row
        input.addRows(this.#rows, 1, this.#hidden)
        rows++
      }
    }
    this.#hashes = []
    return rows
  }
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80
}

function isEndOfText(bytes: Uint8Array, start: number, end: number): boolean {
  return end - start === END_OF_LINE.length && startsWith(bytes, start, end, END_OF_LINE)
}
