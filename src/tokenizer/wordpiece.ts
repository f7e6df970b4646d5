// WordPiece: a word is cut into the longest known pieces from the left; a word that cannot be cut so is unknown. Wu et al.
// 2016, arxiv.org/abs/1609.08144; Devlin et al. 2019, arxiv.org/abs/1810.04805. As Hugging Face's tokenizers 0.23.

import { Trie } from './trie.ts'

export interface WordPieceModel {
  readonly vocabulary: ReadonlyMap<string, number>
  readonly unknown: number
  /** In front of a piece that does not begin a word: `##`. */
  readonly continuing: string
  /** In characters: a longer word is unknown. */
  readonly longestWord: number
}

export class WordPieceEncoder {
  readonly #model: WordPieceModel
  readonly #beginnings: Trie
  /** Pieces that go on, without their prefix. */
  readonly #continuations: Trie

  constructor(model: WordPieceModel) {
    const { vocabulary, continuing } = model
    this.#model = model
    this.#beginnings = new Trie(vocabulary)
    const goingOn = [...vocabulary].filter(([piece]) => piece.startsWith(continuing))
    this.#continuations = new Trie(goingOn.map(([piece, id]) => [piece.slice(continuing.length), id]))
  }

  /** Appends the ids of a word. */
  encode(word: string, ids: number[]): void {
    const { unknown, longestWord } = this.#model
    const first = ids.length
    if (isLonger(word, longestWord)) {
      ids.push(unknown)
      return
    }
    for (let start = 0; start < word.length; ) {
      const trie = start === 0 ? this.#beginnings : this.#continuations
      let id = -1
      let end = start
      for (let node = 0, at = start; at < word.length; ) {
        node = trie.step(node, word.charCodeAt(at++))
        if (node < 0) break
        if (trie.id(node) >= 0) [id, end] = [trie.id(node), at]
      }
      if (id < 0) {
        // One piece that is unknown makes the word unknown.
        ids.length = first
        ids.push(unknown)
        return
      }
      ids.push(id)
      start = end
    }
  }
}

function isLonger(word: string, characters: number): boolean {
  if (word.length <= characters) return false
  let count = 0
  for (const _ of word) if (++count > characters) return true
  return false
}
