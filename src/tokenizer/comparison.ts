// How well tokenizers suit texts, by language and by domain: bytes per token, tokens per word (fertility: Rust et al. 2021,
// arxiv.org/abs/2012.15613), and the share of tokens that are unknown.

import { splitWords } from '../text/words.ts'
import type { LoadedTokenizer } from './tokenizer.ts'

export interface LabelledText {
  readonly text: string
  readonly language?: string
  readonly domain: string
}

export interface ComparisonRow {
  /** `all`, `language de`, `domain news`. */
  readonly label: string
  readonly texts: number
  readonly bytes: number
  /** Of blanks and marks none, in the writing of the language. */
  readonly words: number
  /** In the order in which the tokenizers were given. */
  readonly tokenizers: readonly {
    readonly tokens: number
    readonly bytesPerToken: number
    readonly tokensPerWord: number
    readonly unknownShare: number
  }[]
}

interface Counts {
  texts: number
  bytes: number
  words: number
  readonly tokens: number[]
  readonly unknown: number[]
}

export class TokenizerComparison {
  readonly #tokenizers: readonly LoadedTokenizer[]
  readonly #unknown: readonly (number | undefined)[]
  readonly #groups = new Map<string, Counts>()

  constructor(tokenizers: readonly LoadedTokenizer[]) {
    this.#tokenizers = tokenizers
    this.#unknown = tokenizers.map(({ definition }) => ('unknown' in definition.model ? definition.model.unknown : undefined))
  }

  add({ text, language, domain }: LabelledText): void {
    const bytes = Buffer.byteLength(text)
    const words = splitWords(text, language).filter((word) => /[\p{L}\p{N}]/u.test(word)).length
    const tokens = this.#tokenizers.map((tokenizer) => tokenizer.encode(text))
    const labels = ['all', `domain ${domain}`, ...(language === undefined ? [] : [`language ${language}`])]
    for (const label of labels) {
      const counts = this.#group(label)
      counts.texts++
      counts.bytes += bytes
      counts.words += words
      tokens.forEach((ids, i) => {
        counts.tokens[i] += ids.length
        counts.unknown[i] += ids.reduce((count, id) => count + (id === this.#unknown[i] ? 1 : 0), 0)
      })
    }
  }

  #group(label: string): Counts {
    let counts = this.#groups.get(label)
    if (!counts) {
      const zeros = () => this.#tokenizers.map(() => 0)
      this.#groups.set(label, (counts = { texts: 0, bytes: 0, words: 0, tokens: zeros(), unknown: zeros() }))
    }
    return counts
  }

  /** All first, then domains and languages by name. */
  rows(): ComparisonRow[] {
    const sorted = [...this.#groups].sort(([a], [b]) => Number(b === 'all') - Number(a === 'all') || (a < b ? -1 : 1))
    return sorted.map(([label, { texts, bytes, words, tokens, unknown }]) => {
      const tokenizers = tokens.map((count, i) => {
        return {
          tokens: count,
          bytesPerToken: ratio(bytes, count),
          tokensPerWord: ratio(count, words),
          unknownShare: ratio(unknown[i], count),
        }
      })
      return { label, texts, bytes, words, tokenizers }
    })
  }
}

/** 0 where there is nothing to divide by: empty texts. */
function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole
}
