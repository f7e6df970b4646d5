// Gopher's rules as the Dolma toolkit has them, tagger gopher_v1 or gopher_v2 (Soldaini et al. 2024, section 4.2,
// arxiv.org/abs/2402.00159; commit 669f5348), with the thresholds of its recipe for Common Crawl, dolma-v1_6. Another filter than
// gopherQuality and gopherRepetition: words are split at blanks, lengths are medians, duplicates count their first occurrence.
//
// Quirks kept: three dots are no symbol and no ellipsis, only "…" is; "*" and "-" are bullets where the line begins with them, "•" is not;
// a stop word counts as often as it occurs; empty lines are duplicates of each other (`ignoreEmptyLines`, as in gopher_v2, joins them).

import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import { drop, filterStage, keep, type Stage, type Statistics, type Verdict } from '../src/core/stage.ts'
import { documentBlankGrams, type HasText } from '../src/text/analysis.ts'
import { codePointLength } from '../src/text/characters.ts'
import { LETTER } from '../src/text/lexicon.ts'
import type { Tokens } from '../src/text/words.ts'
import { decideByLimits } from './limits.ts'
import { variantOption } from './variant.ts'

const share = z.number().nullable()
const shares = z.array(z.tuple([z.int().min(1), z.number()]))
const off = 'null switches it off'

export const gopherDolmaOptions = z.strictObject({
  variant: variantOption('gopher@dolma-1'),
  minWordCount: share.default(50).describe(`fewest words, as blanks split them; ${off}`),
  maxWordCount: share.default(100_000).describe(`most words; ${off}`),
  minMedianWordLength: share.default(3).describe(`smallest median length of words, in code points; ${off}`),
  maxMedianWordLength: share.default(10).describe(`largest median length of words; ${off}`),
  maxSymbolToWordRatio: share.default(0.1).describe(`largest share of words with # or …; ${off}`),
  minWordsWithAlphaCharacter: share.default(0.8).describe(`smallest share of words with a letter; ${off}`),
  minRequiredWordCount: share.default(2).describe(`fewest occurrences of the, be, to, of, and, that, have, with; ${off}`),
  maxBulletPointLines: share.default(0.9).describe(`largest share of lines that begin with * or -; ${off}`),
  maxEllipsisLines: share.default(0.3).describe(`largest share of lines that end with …; ${off}`),
  maxDuplicateLines: share.default(0.3).describe(`largest share of lines that occur more than once; ${off}`),
  maxDuplicateLineCharacters: share.default(0.2).describe(`largest share of characters on such lines, blanks counted on them only; ${off}`),
  mostCommonNgrams: shares
    .default([
      [2, 0.2],
      [3, 0.18],
      [4, 0.16],
    ])
    .describe('pairs of n and the largest share of characters in the most common n-gram'),
  duplicateNgrams: shares
    .default([
      [5, 0.15],
      [6, 0.14],
      [7, 0.13],
      [8, 0.12],
      [9, 0.11],
      [10, 0.1],
    ])
    .describe('pairs of n and the largest share, among the characters of all n-grams, of those that occur more than once'),
  ignoreEmptyLines: z.boolean().default(false).describe('gopher_v2: runs of line breaks count as one'),
})
export type GopherDolmaOptions = z.input<typeof gopherDolmaOptions>
type Limits = z.output<typeof gopherDolmaOptions>

/** Which option bounds which statistic. */
export const gopherDolmaLimits = {
  word_count: ['minWordCount', 'maxWordCount'],
  median_word_length: ['minMedianWordLength', 'maxMedianWordLength'],
  symbol_to_word_ratio: ['maxSymbolToWordRatio'],
  fraction_of_words_with_alpha_character: ['minWordsWithAlphaCharacter'],
  required_word_count: ['minRequiredWordCount'],
  fraction_of_lines_starting_with_bullet_point: ['maxBulletPointLines'],
  fraction_of_lines_ending_with_ellipsis: ['maxEllipsisLines'],
  fraction_of_duplicate_lines: ['maxDuplicateLines'],
  fraction_of_characters_in_duplicate_lines: ['maxDuplicateLineCharacters'],
} as const satisfies Readonly<Record<string, readonly (keyof Limits)[]>>

/** Drops what Dolma's recipe drops. Reasons: the names of the tagger's attributes, in the recipe's order. */
export function gopherDolma<T extends Document>(options: GopherDolmaOptions = {}): Stage<T> {
  const limits = gopherDolmaOptions.parse(options)
  return filterStage('gopherDolma', {
    options: limits,
    measure: (document: T) => measureGopherDolma(document, limits),
    decide: (statistics) => decideGopherDolma(statistics, limits),
  })
}

/** The tagger's attributes. An n-gram attribute is missing where the text has fewer than n words. */
export function measureGopherDolma(
  document: HasText,
  limits: Pick<Limits, 'mostCommonNgrams' | 'duplicateNgrams' | 'ignoreEmptyLines'>,
): Statistics {
  const { text } = document
  const grams = documentBlankGrams(document)
  const { tokens, characters } = grams
  const statistics: Record<string, number> = {
    character_count: codePointLength(text),
    word_count: tokens.ids.length,
    ...measureWords(tokens, text.includes('#') || text.includes('…')),
    ...measureLines(text, characters, limits.ignoreEmptyLines),
  }
  for (const [n] of limits.mostCommonNgrams) {
    const top = grams.mostFrequent(n)
    if (top) statistics[commonName(n)] = (top.count * top.characters) / Math.max(characters, 1)
  }
  for (const [n] of limits.duplicateNgrams) {
    const characters = grams.sharedCharacters(n)
    if (characters) statistics[duplicateName(n)] = characters.shared / Math.max(characters.all, 1)
  }
  return statistics
}

const commonName = (n: number) => `fraction_of_characters_in_most_common_${n}grams`
const duplicateName = (n: number) => `fraction_of_characters_in_duplicate_${n}grams`

const required = ['the', 'be', 'to', 'of', 'and', 'that', 'have', 'with']

function measureWords({ ids, lexicon }: Tokens, mayHoldSymbols: boolean) {
  const { lengths, traits, words } = lexicon
  const requiredIds = required.map((word) => lexicon.wordId(word))
  const byLength: number[] = []
  let alpha = 0
  let found = 0
  let symbols = 0
  for (const id of ids) {
    const length = lengths[id]
    byLength[length] = (byLength[length] ?? 0) + 1
    if ((traits[id] & LETTER) !== 0) alpha++
    if (length <= 4 && requiredIds.includes(id)) found++
    if (mayHoldSymbols && /[#…]/.test(words[id])) symbols++
  }
  const all = Math.max(ids.length, 1)
  return {
    median_word_length: (lengthAt(byLength, (ids.length - 1) >> 1) + lengthAt(byLength, ids.length >> 1)) / 2,
    symbol_to_word_ratio: symbols / all,
    fraction_of_words_with_alpha_character: alpha / all,
    required_word_count: found,
  }
}

/** The length at this place among the sorted ones; 0 where there is none. */
function lengthAt(byLength: readonly number[], place: number): number {
  let before = 0
  for (const [length, count = 0] of byLength.entries()) {
    before += count
    if (place < before) return length
  }
  return 0
}

function measureLines(text: string, characters: number, ignoreEmptyLines: boolean) {
  // The tagger returns before it looks at the lines of an empty text.
  const lines = text === '' ? [] : text.split(ignoreEmptyLines ? /\n+/ : '\n')
  const counts = new Map<string, number>()
  let bullets = 0
  let ellipses = 0
  for (const line of lines) {
    counts.set(line, (counts.get(line) ?? 0) + 1)
    if (line.startsWith('*') || line.startsWith('-')) bullets++
    if (line.endsWith('…')) ellipses++
  }
  let duplicates = 0
  let duplicateCharacters = 0
  for (const [line, count] of counts) {
    if (count < 2) continue
    duplicates += count
    duplicateCharacters += count * codePointLength(line)
  }
  const all = Math.max(lines.length, 1)
  return {
    fraction_of_lines_starting_with_bullet_point: bullets / all,
    fraction_of_lines_ending_with_ellipsis: ellipses / all,
    fraction_of_duplicate_lines: duplicates / all,
    fraction_of_characters_in_duplicate_lines: duplicateCharacters / Math.max(characters, 1),
  }
}

/** The decision alone: strict comparisons. */
export function decideGopherDolma(s: Statistics, limits: Limits): Verdict {
  const verdict = decideByLimits(s, gopherDolmaLimits, limits)
  if (!verdict.keep) return verdict
  for (const [n, limit] of limits.mostCommonNgrams) if (s[commonName(n)] > limit) return drop(commonName(n))
  for (const [n, limit] of limits.duplicateNgrams) if (s[duplicateName(n)] > limit) return drop(duplicateName(n))
  return keep
}
