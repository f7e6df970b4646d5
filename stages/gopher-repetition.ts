// Repetition filter of MassiveText: Rae et al. 2021, table A1, arxiv.org/abs/2112.11446, with the definitions, defaults and
// reasons of datatrove 0.10. Words are those of gopherQuality.
//
//   duplicate paragraph fraction  0.30   duplicate line fraction  0.30
//   characters of those           0.20   characters of those      0.20
//   characters of the most frequent n-gram    n = 2: 0.20, 3: 0.18, 4: 0.16
//   characters of duplicate n-grams           n = 5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10
//
// Quirks kept: the most frequent n-gram counts even if it occurs once, so a text of a few words is dropped as top_2_gram
// (`onlyRepeated` counts it as 0); duplicate n-grams are compared with their words run together, "ab c" repeats "a bc"; shares
// are of all characters, blanks included, while n-grams of 5 and more are counted without.

import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import { drop, filterStage, keep, type Stage, type Statistics, type Verdict } from '../src/core/stage.ts'
import { documentCodePoints, documentTokens, type HasText } from '../src/text/analysis.ts'
import { strip } from '../src/text/characters.ts'
import { countRepeats, WordGrams } from '../src/text/repeats.ts'
import { variantOption } from './variant.ts'

const off = 'null or 0 switches it off'
const share = z.number().min(0).nullable()
const shares = z.array(z.tuple([z.int().min(1), z.number()]))

export const gopherRepetitionOptions = z.strictObject({
  variant: variantOption('gopher@datatrove-0.10'),
  dupLineFrac: share.default(0.3).describe(`largest share of lines seen before in the document; ${off}`),
  dupParaFrac: share.default(0.3).describe(`largest share of paragraphs seen before; ${off}`),
  dupLineCharFrac: share.default(0.2).describe(`largest share of characters on lines seen before; ${off}`),
  dupParaCharFrac: share.default(0.2).describe(`largest share of characters in paragraphs seen before; ${off}`),
  topNGrams: shares
    .default([
      [2, 0.2],
      [3, 0.18],
      [4, 0.16],
    ])
    .describe('pairs of n and the largest share of characters in the most frequent n-gram of words'),
  dupNGrams: shares
    .default([
      [5, 0.15],
      [6, 0.14],
      [7, 0.13],
      [8, 0.12],
      [9, 0.11],
      [10, 0.1],
    ])
    .describe('pairs of n and the largest share of characters in n-grams of words seen before'),
  onlyRepeated: z.boolean().default(false).describe('an n-gram that occurs once repeats nothing'),
})
export type GopherRepetitionOptions = z.input<typeof gopherRepetitionOptions>
type Limits = z.output<typeof gopherRepetitionOptions>

/** Which option bounds which statistic. Those of n-grams are bounded by the pair with their n. */
export const gopherRepetitionLimits = {
  dup_para_frac: ['dupParaFrac'],
  dup_para_char_frac: ['dupParaCharFrac'],
  dup_line_frac: ['dupLineFrac'],
  dup_line_char_frac: ['dupLineCharFrac'],
} as const

/**
 * Drops documents that repeat themselves. Reasons: `dup_para_frac`, `dup_para_char_frac`, `dup_line_frac`,
 * `dup_line_char_frac`, `top_2_gram` …, `duplicated_5_n_grams` …, and `empty`, where the reference divides by zero.
 */
export function gopherRepetition<T extends Document>(options: GopherRepetitionOptions = {}): Stage<T> {
  const limits = gopherRepetitionOptions.parse(options)
  return filterStage('gopherRepetition', {
    options: limits,
    measure: (document: T) => measureGopherRepetition(document, limits),
    decide: (statistics) => decideGopherRepetition(statistics, limits),
  })
}

/**
 * Shares of the whole text's code points, or of its lines and paragraphs, by reason. NaN for the empty text, and for the
 * most frequent n-gram of a text with fewer than n words.
 */
export function measureGopherRepetition(
  document: HasText,
  { topNGrams, dupNGrams, onlyRepeated }: Pick<Limits, 'topNGrams' | 'dupNGrams' | 'onlyRepeated'>,
): Statistics {
  const { text } = document
  const characters = documentCodePoints(document)
  const paragraphs = strip(text).split(/\n{2,}/)
  const paragraphRepeats = countRepeats(paragraphs)
  const lines = text.split(/\n+/)
  const lineRepeats = countRepeats(lines)
  const statistics: Record<string, number> = {
    dup_para_frac: characters === 0 ? Number.NaN : paragraphRepeats.count / paragraphs.length,
    dup_para_char_frac: paragraphRepeats.characters / characters,
    dup_line_frac: characters === 0 ? Number.NaN : lineRepeats.count / lines.length,
    dup_line_char_frac: lineRepeats.characters / characters,
  }
  const grams = new WordGrams(documentTokens(document))
  for (const [n] of topNGrams) {
    const top = grams.mostFrequent(n)
    const isCounted = !onlyRepeated || (top?.count ?? 0) > 1
    // The reference joins the words by one blank.
    statistics[topReason(n)] = top === undefined ? Number.NaN : isCounted ? ((top.characters + n - 1) * top.count) / characters : 0
  }
  for (const [n] of dupNGrams) statistics[duplicatedReason(n)] = grams.repeatedCharacters(n) / characters
  return statistics
}

/** The decision alone: strict comparisons, in the reference's order. */
export function decideGopherRepetition(s: Statistics, limits: Limits): Verdict {
  if (Number.isNaN(s.dup_line_frac)) return drop('empty')
  if (limits.dupParaFrac && s.dup_para_frac > limits.dupParaFrac) return drop('dup_para_frac')
  if (limits.dupParaCharFrac && s.dup_para_char_frac > limits.dupParaCharFrac) return drop('dup_para_char_frac')
  if (limits.dupLineFrac && s.dup_line_frac > limits.dupLineFrac) return drop('dup_line_frac')
  if (limits.dupLineCharFrac && s.dup_line_char_frac > limits.dupLineCharFrac) return drop('dup_line_char_frac')
  for (const [n, limit] of limits.topNGrams) {
    if (s[topReason(n)] > limit) return drop(topReason(n))
  }
  for (const [n, limit] of limits.dupNGrams) {
    if (s[duplicatedReason(n)] > limit) return drop(duplicatedReason(n))
  }
  return keep
}

const topReason = (n: number) => `top_${n}_gram`
const duplicatedReason = (n: number) => `duplicated_${n}_n_grams`
