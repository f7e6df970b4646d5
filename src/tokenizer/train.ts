// Training of byte-level BPE: Sennrich et al. 2016, algorithm 1, with pair counts kept up to date instead of counted
// again. Ties as Hugging Face's BpeTrainer breaks them: of the pairs that are equally frequent the one with the lowest left
// id, then the lowest right id. Ids too: special tokens, the 256 bytes in GPT-2's order, then merges as they are made.

import { type ByteLevelDefinition, specialToken } from './definition.ts'
import { alphabet } from './formats.ts'
import { type PatternName, patternSources } from './pretokenize.ts'
import type { WordCounts } from './words.ts'

export interface TrainingSettings {
  /** Special tokens and bytes included; fewer where no pair is left that is frequent enough. */
  readonly vocabularySize: number
  /** A pair that occurs less often is never merged. */
  readonly minFrequency: number
  /** Their ids are 0, 1, … */
  readonly specialTokens: readonly string[]
  readonly pattern: PatternName
}

/** Memory that training takes per byte of distinct words: links, and each pair's occurrences. */
export const TRAINING_BYTES_PER_WORD_BYTE = 40

/**
 * Trains a tokenizer on counted words.
 *
 * @param onMerge called now and then with the merges made so far
 */
export function trainTokenizerOn(
  words: WordCounts,
  settings: TrainingSettings,
  onMerge: (merges: number) => void = () => {},
): ByteLevelDefinition {
  const firstByte = settings.specialTokens.length
  const byteIds = new Int32Array(256)
  alphabet.forEach((byte, order) => {
    byteIds[byte] = firstByte + order
  })
  const trainer = new Trainer(words, byteIds, settings)
  const merges = trainer.run(onMerge)
  return {
    kind: 'bytes',
    model: { ...spellTokens(merges, byteIds, firstByte), merges, takesWholePieces: false },
    added: settings.specialTokens.map((content, id) => specialToken(id, content)),
    normalizers: [],
    processors: [],
    splits: [{ pattern: patternSources[settings.pattern], dropsGaps: false }],
    addsPrefixSpace: false,
  }
}

function spellTokens(merges: Uint32Array, byteIds: Int32Array, firstByte: number) {
  const size = firstByte + 256 + merges.length / 3
  const lengths = new Uint32Array(size)
  for (const id of byteIds) lengths[id] = 1
  for (let i = 0; i < merges.length; i += 3) lengths[merges[i + 2]] = lengths[merges[i]] + lengths[merges[i + 1]]
  const starts = new Uint32Array(size + 1)
  for (let id = 0; id < size; id++) starts[id + 1] = starts[id] + lengths[id]
  const bytes = new Uint8Array(starts[size])
  byteIds.forEach((id, byte) => {
    bytes[starts[id]] = byte
  })
  for (let i = 0; i < merges.length; i += 3) {
    const [left, right, merged] = merges.subarray(i, i + 3)
    bytes.copyWithin(starts[merged], starts[left], starts[left + 1])
    bytes.copyWithin(starts[merged] + lengths[left], starts[right], starts[right + 1])
  }
  return { bytes, starts }
}

/**
 * All words' symbols stand in one array, linked within each word, so that a merge costs what it changes, however long the
 * word. A pair is born when the later of its two symbols is, with all its occurrences; from then on its count only falls.
 */
class Trainer {
  readonly #settings: TrainingSettings
  /** A pair that occurs less often is forgotten: its count cannot grow again. */
  readonly #least: number
  readonly #counts: Float64Array
  /** i32[symbols]: id, −1 where merged into its left neighbour. */
  readonly #symbols: Int32Array
  /** i32[symbols]: position of the neighbour in the word, −1 where none. */
  readonly #next: Int32Array
  readonly #previous: Int32Array
  /** i32[symbols] */
  readonly #wordOf: Int32Array
  readonly #pairs = new PairTable()
  readonly #heap: PairHeap
  /** Pairs born in the current step, found by their other symbol: (x, new) and (new, x). */
  readonly #bornLeft: Int32Array
  readonly #bornRight: Int32Array
  readonly #born = new Newborns()

  constructor(words: WordCounts, byteIds: Int32Array, settings: TrainingSettings) {
    this.#settings = settings
    this.#least = Math.max(1, settings.minFrequency)
    this.#counts = words.counts
    const { bytes, starts } = words
    const wordCount = words.counts.length
    const n = starts[wordCount]
    this.#symbols = new Int32Array(n)
    this.#next = new Int32Array(n)
    this.#previous = new Int32Array(n)
    this.#wordOf = new Int32Array(n)
    this.#heap = new PairHeap(this.#pairs, this.#least)
    this.#bornLeft = new Int32Array(Math.max(settings.vocabularySize, settings.specialTokens.length + 256)).fill(-1)
    this.#bornRight = new Int32Array(Math.max(settings.vocabularySize, settings.specialTokens.length + 256)).fill(-1)
    for (let word = 0; word < wordCount; word++) {
      for (let i = starts[word]; i < starts[word + 1]; i++) {
        this.#symbols[i] = byteIds[bytes[i]]
        this.#previous[i] = i > starts[word] ? i - 1 : -1
        this.#next[i] = i + 1 < starts[word + 1] ? i + 1 : -1
        this.#wordOf[i] = word
      }
    }
    this.#countFirstPairs(settings.specialTokens.length)
  }

  /** u32[3 × merges]: left, right, merged. */
  run(onMerge: (merges: number) => void): Uint32Array {
    const firstMerged = this.#settings.specialTokens.length + 256
    const wanted = Math.max(0, this.#settings.vocabularySize - firstMerged)
    const merges = new Uint32Array(3 * wanted)
    let made = 0
    for (; made < wanted; made++) {
      const pair = this.#heap.pop()
      if (pair < 0) break
      merges[3 * made] = this.#pairs.left[pair]
      merges[3 * made + 1] = this.#pairs.right[pair]
      merges[3 * made + 2] = firstMerged + made
      this.#merge(pair, firstMerged + made)
      if (made % 256 === 0) onMerge(made)
    }
    onMerge(made)
    return merges.slice(0, 3 * made)
  }

  #countFirstPairs(firstByte: number): void {
    const symbols = this.#symbols
    const local = new Int32Array(256 * 256).fill(-1)
    for (let i = 0; i < symbols.length; i++) {
      if (this.#next[i] < 0) continue
      const key = (symbols[i] - firstByte) * 256 + symbols[i + 1] - firstByte
      if (local[key] < 0) local[key] = this.#born.add(symbols[i], symbols[i + 1])
      this.#born.note(local[key], i, this.#counts[this.#wordOf[i]])
    }
    this.#settle()
  }

  /** Replaces every occurrence of the pair by the new symbol, words from left to right. */
  #merge(pair: number, merged: number): void {
    const symbols = this.#symbols
    const next = this.#next
    const previous = this.#previous
    const pairs = this.#pairs
    const left = pairs.left[pair]
    const right = pairs.right[pair]
    const from = pairs.start[pair]
    const to = from + pairs.length[pair]
    for (let at = from; at < to; at++) {
      const i = pairs.positions[at]
      const j = next[i]
      // One of the two was merged with another symbol since.
      if (symbols[i] !== left || j < 0 || symbols[j] !== right) continue
      const count = this.#counts[this.#wordOf[i]]
      const before = previous[i]
      const after = next[j]
      if (before >= 0) {
        const x = symbols[before]
        if (x === merged) this.#born.counts[this.#bornRight[left]] -= count
        else pairs.subtract(x, left, count)
        if (this.#bornLeft[x] < 0) this.#bornLeft[x] = this.#born.add(x, merged)
        this.#born.note(this.#bornLeft[x], before, count)
      }
      if (after >= 0) {
        const x = symbols[after]
        pairs.subtract(right, x, count)
        if (this.#bornRight[x] < 0) this.#bornRight[x] = this.#born.add(merged, x)
        this.#born.note(this.#bornRight[x], i, count)
        previous[after] = i
      }
      symbols[i] = merged
      symbols[j] = -1
      next[i] = after
    }
    this.#settle()
  }

  /** Moves the pairs born in this step into the table and the heap, those that are frequent enough. */
  #settle(): void {
    const born = this.#born
    const pairs = this.#pairs
    for (let i = 0; i < born.size; i++) {
      // Which of the two maps holds it is not known here: both are cleared for both symbols.
      this.#bornLeft[born.left[i]] = -1
      this.#bornRight[born.right[i]] = -1
      born.target[i] = -1
      if (born.counts[i] < this.#least) continue
      const pair = pairs.add(born.left[i], born.right[i], born.counts[i], born.occurrences[i])
      born.target[i] = pair
      this.#heap.push(pair)
    }
    for (let k = 0; k < born.notes; k++) {
      const pair = born.target[born.notePair[k]]
      if (pair >= 0) pairs.positions[pairs.start[pair] + pairs.length[pair]++] = born.notePosition[k]
    }
    born.clear()
  }
}

/** Pairs born in one step, and where they occur. */
class Newborns {
  size = 0
  left = new Int32Array(1 << 10)
  right = new Int32Array(1 << 10)
  counts = new Float64Array(1 << 10)
  occurrences = new Int32Array(1 << 10)
  /** Number in the table, −1 where it did not get there. */
  target = new Int32Array(1 << 10)
  notes = 0
  notePair = new Int32Array(1 << 12)
  notePosition = new Int32Array(1 << 12)

  add(left: number, right: number): number {
    if (this.size === this.left.length) {
      this.left = doubled(this.left)
      this.right = doubled(this.right)
      this.counts = doubledFloats(this.counts)
      this.occurrences = doubled(this.occurrences)
      this.target = doubled(this.target)
    }
    this.left[this.size] = left
    this.right[this.size] = right
    this.counts[this.size] = 0
    this.occurrences[this.size] = 0
    return this.size++
  }

  note(pair: number, position: number, count: number): void {
    if (this.notes === this.notePair.length) {
      this.notePair = doubled(this.notePair)
      this.notePosition = doubled(this.notePosition)
    }
    this.notePair[this.notes] = pair
    this.notePosition[this.notes++] = position
    this.counts[pair] += count
    this.occurrences[pair]++
  }

  clear(): void {
    this.size = 0
    this.notes = 0
  }
}

/** Pairs by number, and by their symbols through open addressing. */
class PairTable {
  size = 0
  left = new Int32Array(1 << 12)
  right = new Int32Array(1 << 12)
  counts = new Float64Array(1 << 12)
  /** Occurrences of a pair: positions[start] on, `length` of them, ascending within a word; stale ones among them. */
  start = new Int32Array(1 << 12)
  length = new Int32Array(1 << 12)
  positions = new Int32Array(1 << 16)
  #used = 0
  /** i32[slots]: pair + 1, 0 where empty; at most half full. */
  #slots = new Int32Array(1 << 13)

  add(left: number, right: number, count: number, occurrences: number): number {
    if (this.size === this.left.length) {
      this.left = doubled(this.left)
      this.right = doubled(this.right)
      this.counts = doubledFloats(this.counts)
      this.start = doubled(this.start)
      this.length = doubled(this.length)
    }
    const pair = this.size++
    this.left[pair] = left
    this.right[pair] = right
    this.counts[pair] = count
    this.start[pair] = this.#used
    this.length[pair] = 0
    this.#used += occurrences
    while (this.#used > this.positions.length) this.positions = doubled(this.positions)
    if (2 * this.size > this.#slots.length) this.#growSlots()
    else this.#slots[this.#slotOf(left, right)] = pair + 1
    return pair
  }

  /** A pair that was too rare to be kept is not here: nothing to do. */
  subtract(left: number, right: number, count: number): void {
    const pair = this.#slots[this.#slotOf(left, right)] - 1
    if (pair >= 0) this.counts[pair] -= count
  }

  #slotOf(left: number, right: number): number {
    const slots = this.#slots
    const mask = slots.length - 1
    let hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)
    hash ^= hash >>> 15
    for (let i = hash & mask; ; i = (i + 1) & mask) {
      const pair = slots[i] - 1
      if (pair < 0 || (this.left[pair] === left && this.right[pair] === right)) return i
    }
  }

  #growSlots(): void {
    this.#slots = new Int32Array(2 * this.#slots.length)
    for (let pair = 0; pair < this.size; pair++) this.#slots[this.#slotOf(this.left[pair], this.right[pair])] = pair + 1
  }
}

/** Most frequent pair first. Keys are counts as they were when pushed: one that fell since is pushed again when it comes up. */
class PairHeap {
  readonly #pairs: PairTable
  readonly #least: number
  #keys = new Float64Array(1 << 12)
  #items = new Int32Array(1 << 12)
  #size = 0

  constructor(pairs: PairTable, least: number) {
    this.#pairs = pairs
    this.#least = least
  }

  push(pair: number): void {
    if (this.#size === this.#items.length) {
      this.#keys = doubledFloats(this.#keys)
      this.#items = doubled(this.#items)
    }
    const key = this.#pairs.counts[pair]
    let i = this.#size++
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (!this.#precedes(key, pair, parent)) break
      this.#keys[i] = this.#keys[parent]
      this.#items[i] = this.#items[parent]
      i = parent
    }
    this.#keys[i] = key
    this.#items[i] = pair
  }

  /** −1 where none is left that is frequent enough. */
  pop(): number {
    while (this.#size > 0) {
      const pair = this.#items[0]
      const isCurrent = this.#keys[0] === this.#pairs.counts[pair]
      this.#removeTop()
      if (isCurrent) return pair
      if (this.#pairs.counts[pair] >= this.#least) this.push(pair)
    }
    return -1
  }

  #removeTop(): void {
    const key = this.#keys[--this.#size]
    const pair = this.#items[this.#size]
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= this.#size) break
      if (child + 1 < this.#size && this.#precedes(this.#keys[child + 1], this.#items[child + 1], child)) child++
      if (this.#precedes(key, pair, child)) break
      this.#keys[i] = this.#keys[child]
      this.#items[i] = this.#items[child]
      i = child
    }
    this.#keys[i] = key
    this.#items[i] = pair
  }

  #precedes(key: number, pair: number, other: number): boolean {
    const otherKey = this.#keys[other]
    if (key !== otherKey) return key > otherKey
    const { left, right } = this.#pairs
    const otherPair = this.#items[other]
    return left[pair] !== left[otherPair] ? left[pair] < left[otherPair] : right[pair] < right[otherPair]
  }
}

function doubled(array: Int32Array): Int32Array<ArrayBuffer> {
  const out = new Int32Array(2 * array.length)
  out.set(array)
  return out
}

function doubledFloats(array: Float64Array): Float64Array<ArrayBuffer> {
  const out = new Float64Array(2 * array.length)
  out.set(array)
  return out
}
