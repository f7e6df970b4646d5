// Gopher's rules (Rae et al. 2021, section A1, arxiv.org/abs/2112.11446) over the quality signals of RedPajama-v2 (Weber et al. 2024,
// arxiv.org/abs/2411.12372): the first five limits are those of the data set's card, the others the paper's. Another filter than
// gopherQuality and gopherRepetition. Quirks of the signals: "*" and "-" are no bullets, "–" and squares are; an n-gram that occurs once
// repeats nothing; symbols are counted together, #, ... and …, a word being a run of letters and digits or of other signs; words
// without a letter from A to Z count as having none, so a text in another script is dropped.

import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import { filterStage, type Stage, type Verdict } from '../src/core/stage.ts'
import { type RedPajamaSignals, redPajamaMeter } from '../src/signals/redpajama.ts'
import { decideByLimits } from './limits.ts'
import { variantOption } from './variant.ts'

const limit = z.number().nullable()
const off = 'null switches it off'
const largest = (standard: number, what: string) => limit.default(standard).describe(`largest share of ${what}; ${off}`)

export const gopherRedPajamaOptions = z.strictObject({
  variant: variantOption('gopher@redpajama-2'),
  minWordCount: limit.default(50).describe(`fewest words, ASCII punctuation taken out; ${off}`),
  maxWordCount: limit.default(100_000).describe(`most words; ${off}`),
  minMeanWordLength: limit.default(3).describe(`smallest mean length of words, in code points; ${off}`),
  maxMeanWordLength: limit.default(10).describe(`largest mean length of words; ${off}`),
  maxSymbolToWordRatio: limit.default(0.1).describe(`most #, ... and … per word; ${off}`),
  maxBulletLines: largest(0.9, 'lines that begin with a bullet'),
  maxTop2Gram: largest(0.2, 'characters in the most frequent run of two words'),
  maxTop3Gram: largest(0.18, 'characters in the most frequent run of three words'),
  maxTop4Gram: largest(0.16, 'characters in the most frequent run of four words'),
  maxEllipsisLines: largest(0.3, 'lines that end with an ellipsis'),
  maxNoAlphWords: largest(0.2, 'words without a letter from A to Z'),
  maxDupe5Grams: largest(0.15, 'characters in runs of five words that occur more than once'),
  maxDupe6Grams: largest(0.14, 'the same, six words'),
  maxDupe7Grams: largest(0.13, 'the same, seven words'),
  maxDupe8Grams: largest(0.12, 'the same, eight words'),
  maxDupe9Grams: largest(0.11, 'the same, nine words'),
  maxDupe10Grams: largest(0.1, 'the same, ten words'),
})
export type GopherRedPajamaOptions = z.input<typeof gopherRedPajamaOptions>
type Limits = z.output<typeof gopherRedPajamaOptions>

/** Which option bounds which statistic, in the order of the card and then of the paper. */
export const gopherRedPajamaLimits = {
  rps_doc_word_count: ['minWordCount', 'maxWordCount'],
  rps_doc_mean_word_length: ['minMeanWordLength', 'maxMeanWordLength'],
  rps_doc_symbol_to_word_ratio: ['maxSymbolToWordRatio'],
  bullet_lines: ['maxBulletLines'],
  rps_doc_frac_chars_top_2gram: ['maxTop2Gram'],
  rps_doc_frac_chars_top_3gram: ['maxTop3Gram'],
  rps_doc_frac_chars_top_4gram: ['maxTop4Gram'],
  rps_doc_frac_lines_end_with_ellipsis: ['maxEllipsisLines'],
  rps_doc_frac_no_alph_words: ['maxNoAlphWords'],
  rps_doc_frac_chars_dupe_5grams: ['maxDupe5Grams'],
  rps_doc_frac_chars_dupe_6grams: ['maxDupe6Grams'],
  rps_doc_frac_chars_dupe_7grams: ['maxDupe7Grams'],
  rps_doc_frac_chars_dupe_8grams: ['maxDupe8Grams'],
  rps_doc_frac_chars_dupe_9grams: ['maxDupe9Grams'],
  rps_doc_frac_chars_dupe_10grams: ['maxDupe10Grams'],
} as const satisfies Readonly<Record<string, readonly (keyof Limits)[]>>

type Statistic = keyof typeof gopherRedPajamaLimits
export type GopherRedPajama = Readonly<Record<Statistic, number>>

/** Drops documents that do not look like prose, or repeat themselves. Reasons: the names of the signals, and `bullet_lines`. */
export function gopherRedPajama<T extends Document>(options: GopherRedPajamaOptions = {}): Stage<T> {
  const limits = gopherRedPajamaOptions.parse(options)
  const measure = redPajamaMeter({ stopWords: undefined, badWords: [] })
  return filterStage('gopherRedPajama', {
    options: limits,
    measure: (document: T) => measureGopherRedPajama(measure(document.text)),
    decide: (statistics) => decideGopherRedPajama(statistics, limits),
  })
}

export function measureGopherRedPajama(signals: RedPajamaSignals): GopherRedPajama {
  const { rps_lines_start_with_bulletpoint: bullets } = signals
  return {
    rps_doc_word_count: signals.rps_doc_word_count,
    rps_doc_mean_word_length: signals.rps_doc_mean_word_length,
    rps_doc_symbol_to_word_ratio: signals.rps_doc_symbol_to_word_ratio,
    bullet_lines: bullets.reduce((sum, isBullet) => sum + isBullet, 0) / bullets.length,
    rps_doc_frac_chars_top_2gram: signals.rps_doc_frac_chars_top_2gram,
    rps_doc_frac_chars_top_3gram: signals.rps_doc_frac_chars_top_3gram,
    rps_doc_frac_chars_top_4gram: signals.rps_doc_frac_chars_top_4gram,
    rps_doc_frac_lines_end_with_ellipsis: signals.rps_doc_frac_lines_end_with_ellipsis,
    rps_doc_frac_no_alph_words: signals.rps_doc_frac_no_alph_words,
    rps_doc_frac_chars_dupe_5grams: signals.rps_doc_frac_chars_dupe_5grams,
    rps_doc_frac_chars_dupe_6grams: signals.rps_doc_frac_chars_dupe_6grams,
    rps_doc_frac_chars_dupe_7grams: signals.rps_doc_frac_chars_dupe_7grams,
    rps_doc_frac_chars_dupe_8grams: signals.rps_doc_frac_chars_dupe_8grams,
    rps_doc_frac_chars_dupe_9grams: signals.rps_doc_frac_chars_dupe_9grams,
    rps_doc_frac_chars_dupe_10grams: signals.rps_doc_frac_chars_dupe_10grams,
  }
}

/** The decision alone: strict comparisons. A share among nothing (NaN) breaks no rule. */
export function decideGopherRedPajama(s: GopherRedPajama, limits: Limits): Verdict {
  return decideByLimits(s, gopherRedPajamaLimits, limits)
}
