// Unigram language model over pieces: of all ways to cut a word, the most probable one. Kudo 2018, arxiv.org/abs/1804.10959;
// SentencePiece: Kudo & Richardson 2018, arxiv.org/abs/1808.06226. As Hugging Face's tokenizers 0.23.

import { Trie } from './trie.ts'

export interface UnigramModel {
  /** By id; scores are logarithms of probabilities. */
  readonly pieces: readonly (readonly [piece: string, score: number])[]
  readonly unknown: number
  /** What no piece covers becomes its bytes, where the vocabulary has them all. */
  readonly byteFallback: boolean
}

/** How much worse than the least probable piece an unknown character is. */
const UNKNOWN_PENALTY = 10

export class UnigramEncoder {
  readonly #ids: ReadonlyMap<string, number>
  readonly #trie: Trie
  readonly #scores: Float64Array
  readonly #unknown: number
  readonly #unknownScore: number
  readonly #bytes: Int32Array | undefined
  /** By end of a way through the word, in UTF-16 units: its score, where its last piece begins, and which one that is. */
  #best = new Float64Array(0)
  #from = new Int32Array(0)
  #by = new Int32Array(0)

  constructor({ pieces, unknown, byteFallback }: UnigramModel) {
    this.#ids = new Map(pieces.map(([piece], id) => [piece, id]))
    this.#trie = new Trie(this.#ids)
    this.#scores = Float64Array.from(pieces, ([, score]) => score)
    this.#unknown = unknown
    this.#unknownScore = this.#scores.reduce((least, score) => Math.min(least, score), Number.POSITIVE_INFINITY) - UNKNOWN_PENALTY
    this.#bytes = byteFallback ? byteTable(this.#ids) : undefined
  }

  /** Appends the ids of a word: Viterbi's algorithm from left to right; of equal ways the one found first. */
  encode(word: string, ids: number[]): void {
    this.#begin(word.length)
    for (let start = 0; start < word.length; ) {
      const one = start + characterLength(word, start)
      let hasOne = false
      let node = 0
      for (let end = start; end < word.length; ) {
        node = this.#trie.step(node, word.charCodeAt(end++))
        if (node < 0) break
        const id = this.#trie.id(node)
        if (id < 0) continue
        this.#consider(start, end, id, this.#scores[id])
        if (end === one) hasOne = true
      }
      if (!hasOne) this.#consider(start, one, this.#unknown, this.#unknownScore)
      start = one
    }
    this.#collect(word, ids)
  }

  #begin(length: number): void {
    if (this.#best.length <= length) {
      this.#best = new Float64Array(2 * length + 64)
      this.#from = new Int32Array(2 * length + 64)
      this.#by = new Int32Array(2 * length + 64)
    }
    this.#best[0] = 0
    this.#from.fill(-1, 0, length + 1)
  }

  #consider(start: number, end: number, id: number, score: number): void {
    const total = this.#best[start] + score
    if (this.#from[end] !== -1 && total <= this.#best[end]) return
    this.#best[end] = total
    this.#from[end] = start
    this.#by[end] = id
  }

  /** Follows the best way back from its end. Unknown characters side by side are one unknown piece. */
  #collect(word: string, ids: number[]): void {
    const first = ids.length
    for (let end = word.length; end > 0; ) {
      let start = this.#from[end]
      if (this.#by[end] !== this.#unknown) ids.push(this.#by[end])
      else {
        while (start > 0 && this.#by[start] === this.#unknown) start = this.#from[start]
        this.#pushUnknown(word.slice(start, end), ids)
      }
      end = start
    }
    for (let low = first, high = ids.length - 1; low < high; low++, high--) {
      const id = ids[low]
      ids[low] = ids[high]
      ids[high] = id
    }
  }

  /** From the last byte to the first: the ids are turned round in the end. */
  #pushUnknown(piece: string, ids: number[]): void {
    const whole = this.#ids.get(piece)
    const bytes = whole === undefined && this.#bytes ? byteIds(piece, this.#bytes) : undefined
    if (bytes) for (const id of bytes.reverse()) ids.push(id)
    else ids.push(whole ?? this.#unknown)
  }
}

/** Ids of the pieces `<0x00>` to `<0xFF>`; −1 where the vocabulary lacks one. */
export function byteTable(ids: ReadonlyMap<string, number>): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) => ids.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`) ?? -1)
}

/** Ids of a text's bytes; undefined where one has none. */
export function byteIds(text: string, table: Int32Array): number[] | undefined {
  const found: number[] = []
  for (const byte of Buffer.from(text)) {
    if (table[byte] < 0) return undefined
    found.push(table[byte])
  }
  return found
}

function characterLength(text: string, at: number): number {
  const unit = text.charCodeAt(at)
  return unit >= 0xd800 && unit <= 0xdbff && at + 1 < text.length ? 2 : 1
}
