// Quality filter of MassiveText: Rae et al. 2021, section A1.1, arxiv.org/abs/2112.11446, with the definitions, defaults and
// reasons of datatrove 0.10. Words are spaCy's, punctuation marks among them; a document whose language is written without spaces (zh, ja,
// th, lo, km, my, bo, …) is segmented first, by ICU's dictionaries: datatrove loads a tokenizer of each such language instead.
//
// Quirks kept: marks of punctuation count among the words of which eight in ten must have a letter (`alphaOfWords` leaves them out, as
// the paper does); "*" is no bullet; "...." is one ellipsis and "......" two; "gopher_enough_stop_words" means too few of them.

import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import { drop, filterStage, keep, type Stage, type Verdict } from '../src/core/stage.ts'
import { documentLineBounds, documentTokens, type HasText } from '../src/text/analysis.ts'
import { countOccurrences, isBlank } from '../src/text/characters.ts'
import { LETTER, NON_SYMBOL } from '../src/text/lexicon.ts'
import { variantOption } from './variant.ts'

const off = 'null or 0 switches it off'
const ratio = z.number().min(0).nullable()
const count = z.int().min(0).nullable()

export const gopherQualityOptions = z.strictObject({
  variant: variantOption('gopher@datatrove-0.10'),
  minDocWords: count.default(50).describe(`fewest words, marks of punctuation not counted; ${off}`),
  maxDocWords: count.default(100_000).describe(`most words, marks of punctuation not counted; ${off}`),
  minAvgWordLength: z.number().min(0).nullable().default(3).describe(`smallest mean length of those words, in code points; ${off}`),
  maxAvgWordLength: z.number().min(0).nullable().default(10).describe(`largest mean length of those words, in code points; ${off}`),
  maxSymbolWordRatio: ratio.default(0.1).describe(`most "#", and most ellipses, per word; ${off}`),
  maxBulletLinesRatio: ratio.default(0.9).describe(`largest share of lines that begin with • or -; ${off}`),
  maxEllipsisLinesRatio: ratio.default(0.3).describe(`largest share of lines that end with an ellipsis; ${off}`),
  maxNonAlphaWordsRatio: ratio
    .default(0.8)
    .describe(`smallest share of words with a letter, punctuation counted as words; the reference's name says the opposite; ${off}`),
  alphaOfWords: z.boolean().default(false).describe('takes that share among words only, without the marks of punctuation'),
  minStopWords: count.default(2).describe(`fewest different stop words; ${off}`),
  stopWords: z.array(z.string()).default(['the', 'be', 'to', 'of', 'and', 'that', 'have', 'with']).describe('compared case and all'),
})
export type GopherQualityOptions = z.input<typeof gopherQualityOptions>
type Limits = z.output<typeof gopherQualityOptions>
export type GopherQuality = ReturnType<typeof measureGopherQuality>

/** Which option bounds which statistic. */
export const gopherQualityLimits = {
  n_non_symbol_words: ['minDocWords', 'maxDocWords'],
  avg_word_length: ['minAvgWordLength', 'maxAvgWordLength'],
  hash_ratio: ['maxSymbolWordRatio'],
  ellipsis_ratio: ['maxSymbolWordRatio'],
  bullet_line_ratio: ['maxBulletLinesRatio'],
  ellipsis_line_ratio: ['maxEllipsisLinesRatio'],
  alpha_ratio: ['maxNonAlphaWordsRatio'],
  n_stop_words: ['minStopWords'],
} as const

/**
 * Drops documents that do not look like prose. Reasons: `gopher_short_doc`, `gopher_long_doc`, `gopher_below_avg_threshold`,
 * `gopher_above_avg_threshold`, `gopher_too_many_hashes`, `gopher_too_many_ellipsis`, `gopher_too_many_bullets`,
 * `gopher_too_many_end_ellipsis`, `gopher_below_alpha_threshold`, `gopher_enough_stop_words` (too few of them), and `empty`,
 * where there is no word and the reference would divide by zero.
 */
export function gopherQuality<T extends Document>(options: GopherQualityOptions = {}): Stage<T> {
  const limits = gopherQualityOptions.parse(options)
  const stopWords = new Set(limits.stopWords)
  return filterStage('gopherQuality', {
    options: limits,
    measure: (document: T) => measureGopherQuality(document, stopWords, limits),
    decide: (statistics) => decideGopherQuality(statistics, limits),
  })
}

/** The reference's statistics, named as there. Ratios are NaN where there is no word, or no line, to share among. */
export function measureGopherQuality(document: HasText, stopWords: ReadonlySet<string>, { alphaOfWords }: Pick<Limits, 'alphaOfWords'>) {
  const { text } = document
  const words = measureWords(document, stopWords)
  const lines = measureLines(document)
  return {
    n_words: words.all,
    n_non_symbol_words: words.nonSymbol,
    avg_word_length: words.nonSymbolCharacters / words.nonSymbol,
    hash_ratio: countOccurrences(text, '#') / words.all,
    ellipsis_ratio: (countOccurrences(text, '...') + countOccurrences(text, '…')) / words.all,
    bullet_line_ratio: lines.bullets / lines.all,
    ellipsis_line_ratio: lines.ellipses / lines.all,
    alpha_ratio: words.alpha / (alphaOfWords ? words.nonSymbol : words.all),
    n_stop_words: words.stopWords,
  }
}

function measureWords(document: HasText, stopWords: ReadonlySet<string>) {
  const { ids, lexicon } = documentTokens(document)
  const { traits, lengths } = lexicon
  let nonSymbol = 0
  let nonSymbolCharacters = 0
  let alpha = 0
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i]
    const trait = traits[id]
    if ((trait & NON_SYMBOL) !== 0) {
      nonSymbol++
      nonSymbolCharacters += lengths[id]
    }
    if ((trait & LETTER) !== 0) alpha++
  }
  let found = 0
  for (const word of stopWords) {
    const id = lexicon.find(word)
    if (id !== undefined && ids.includes(id)) found++
  }
  return { all: ids.length, nonSymbol, nonSymbolCharacters, alpha, stopWords: found }
}

function measureLines(document: HasText) {
  const { text } = document
  const bounds = documentLineBounds(document)
  let bullets = 0
  let ellipses = 0
  for (let i = 0; i < bounds.length; i += 2) {
    let start = bounds[i]
    let end = bounds[i + 1]
    while (start < end && isBlank(text.charCodeAt(start))) start++
    while (end > start && isBlank(text.charCodeAt(end - 1))) end--
    if (start === end) continue
    if (text[start] === '•' || text[start] === '-') bullets++
    if (text[end - 1] === '…' || (end - start >= 3 && text.startsWith('...', end - 3))) ellipses++
  }
  return { all: bounds.length / 2, bullets, ellipses }
}

/** The decision alone: strict comparisons, in the reference's order. */
export function decideGopherQuality(s: GopherQuality, limits: Limits): Verdict {
  const { minDocWords, maxDocWords, minAvgWordLength, maxAvgWordLength, maxSymbolWordRatio } = limits
  const { maxBulletLinesRatio, maxEllipsisLinesRatio, maxNonAlphaWordsRatio, minStopWords } = limits
  if (minDocWords && s.n_non_symbol_words < minDocWords) return drop('gopher_short_doc')
  if (maxDocWords && s.n_non_symbol_words > maxDocWords) return drop('gopher_long_doc')
  if (minAvgWordLength && s.avg_word_length < minAvgWordLength) return drop('gopher_below_avg_threshold')
  if (maxAvgWordLength && s.avg_word_length > maxAvgWordLength) return drop('gopher_above_avg_threshold')
  if (s.n_words === 0 && (maxSymbolWordRatio || maxBulletLinesRatio || maxEllipsisLinesRatio || maxNonAlphaWordsRatio)) return drop('empty')
  if (maxSymbolWordRatio && s.hash_ratio > maxSymbolWordRatio) return drop('gopher_too_many_hashes')
  if (maxSymbolWordRatio && s.ellipsis_ratio > maxSymbolWordRatio) return drop('gopher_too_many_ellipsis')
  if (maxBulletLinesRatio && s.bullet_line_ratio > maxBulletLinesRatio) return drop('gopher_too_many_bullets')
  if (maxEllipsisLinesRatio && s.ellipsis_line_ratio > maxEllipsisLinesRatio) return drop('gopher_too_many_end_ellipsis')
  if (maxNonAlphaWordsRatio && s.alpha_ratio < maxNonAlphaWordsRatio) return drop('gopher_below_alpha_threshold')
  if (minStopWords && s.n_stop_words < minStopWords) return drop('gopher_enough_stop_words')
  return keep
}
