// Plain words: lower case, marks left out, a character of a script without blanks a word of its own. They come out of the
// words that a document is split into anyway, so that a document's costs little more than a look into a table a word.

import type { Lexicon } from '../text/lexicon.ts'
import { type Tokens, tokenize } from '../text/words.ts'

const runs =
  /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}]|(?:(?![\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}])[\p{L}\p{M}\p{N}])+/gu

/** None for a word that is nothing but marks. */
function partsOf(word: string): string[] {
  return word.toLowerCase().match(runs) ?? []
}

export function plainWords(text: string): string[] {
  const { lexicon, ids } = tokenize(text)
  return Array.from(ids, (id) => partsOf(lexicon.words[id])).flat()
}

/** Plain words of a document, by number. Arrays are borrowed until the next call. */
export interface PlainIds {
  /** −1 for words that have no number. */
  readonly ids: Int32Array
  /** Which of the document's words each is of, ascending. */
  readonly tokens: Int32Array
  readonly count: number
}

/** Translates a document's words into the numbers of plain words. What a lexicon's word means is worked out once. */
export class PlainNumbering {
  readonly #numbers: ReadonlyMap<string, number>
  #lexicon: Lexicon | undefined
  /** [lexicon's words + 1] first of each word's numbers. */
  #firsts: number[] = [0]
  #parts: number[] = []
  #ids = new Int32Array(1 << 12)
  #tokens = new Int32Array(1 << 12)

  constructor(numbers: ReadonlyMap<string, number>) {
    this.#numbers = numbers
  }

  of({ lexicon, ids }: Tokens): PlainIds {
    this.#learn(lexicon)
    const firsts = this.#firsts
    const parts = this.#parts
    let count = 0
    for (let token = 0; token < ids.length; token++) {
      const first = firsts[ids[token]]
      const end = firsts[ids[token] + 1]
      if (count + end - first > this.#ids.length) this.#grow(count + end - first)
      for (let part = first; part < end; part++) {
        this.#ids[count] = parts[part]
        this.#tokens[count++] = token
      }
    }
    return { ids: this.#ids, tokens: this.#tokens, count }
  }

  #learn(lexicon: Lexicon): void {
    if (lexicon !== this.#lexicon) {
      this.#lexicon = lexicon
      this.#firsts = [0]
      this.#parts = []
    }
    for (let word = this.#firsts.length - 1; word < lexicon.words.length; word++) {
      for (const part of partsOf(lexicon.words[word])) this.#parts.push(this.#numbers.get(part) ?? -1)
      this.#firsts.push(this.#parts.length)
    }
  }

  #grow(needed: number): void {
    const length = Math.max(2 * this.#ids.length, needed)
    const ids = new Int32Array(length)
    const tokens = new Int32Array(length)
    ids.set(this.#ids)
    tokens.set(this.#tokens)
    this.#ids = ids
    this.#tokens = tokens
  }
}
