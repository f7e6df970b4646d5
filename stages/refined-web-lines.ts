// The line-wise corrections of RefinedWeb: Penedo et al. 2023, appendix G.2, arxiv.org/abs/2306.01116, as DCLM has them (Li et al.
// 2024, arxiv.org/abs/2406.11794; baselines/mappers of mlfoundations/dclm). Takes out lines in capitals, of digits, that count
// likes, of one word, and a few notices; drops documents that lose too many words by it. The reference names no reasons.
//
// Quirks kept: the text's ends are stripped after each rule, so what begins the next rule's first line may be another; the full
// stops of "read more..." stand for any character.

import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import { type Drop, drop, keep, mapStage, type Stage, type Verdict } from '../src/core/stage.ts'
import { blanks, codePointLength, isDigit, splitBlanks, strip } from '../src/text/characters.ts'
import { variantOption } from './variant.ts'

const ratio = z.number().min(0).max(1)

export const refinedWebLinesOptions = z.strictObject({
  variant: variantOption('refinedweb@dclm-1'),
  maxUppercaseRatio: ratio.default(0.5).describe('a line with a larger share of capitals among its characters goes'),
  maxDigitRatio: ratio.default(0.999999).describe('a line with a larger share of digits goes'),
  minLineWords: z.int().min(0).default(2).describe('a line with fewer words goes, unless it is empty'),
  maxNoticeWords: z
    .int()
    .min(0)
    .default(10)
    .describe('"items in cart", "read more..." and "sign-in" are taken out of lines with at most so many words'),
  maxRemovedRatio: ratio.default(0.05).describe('a document that loses a larger share of its words is dropped'),
})
export type RefinedWebLinesOptions = z.input<typeof refinedWebLinesOptions>
type Limits = z.output<typeof refinedWebLinesOptions>

/** Which option bounds which statistic. */
export const refinedWebLinesLimits = { removed_ratio: ['maxRemovedRatio'] } as const

/** Takes lines out. Reasons: `refinedweb_no_lines` where none is left, `refinedweb_words_removed`. Statistic: `removed_ratio`. */
export function refinedWebLines<T extends Document>(options: RefinedWebLinesOptions = {}): Stage<T> {
  const limits = refinedWebLinesOptions.parse(options)
  return mapStage<T, T>('refinedWebLines', {
    options: limits,
    prepare:
      () =>
      (document, report): T | Drop => {
        const text = correctLines(document.text, limits)
        const before = countWords(document.text)
        // One without words goes, as in the reference.
        const statistics = { removed_ratio: before === 0 ? 1 : (before - countWords(text)) / before }
        report(statistics)
        if (text === '') return drop('refinedweb_no_lines')
        const verdict = decideRefinedWebLines(statistics, limits)
        if (!verdict.keep) return verdict
        return text === document.text ? document : { ...document, text }
      },
  })
}

export function decideRefinedWebLines(
  { removed_ratio }: { removed_ratio: number },
  { maxRemovedRatio }: Pick<Limits, 'maxRemovedRatio'>,
): Verdict {
  return removed_ratio > maxRemovedRatio ? drop('refinedweb_words_removed') : keep
}

const counter =
  /^[^\p{L}\p{N}_]*\p{Nd}[,.\p{Nd}]*[kmb]?\s+(?:likes|shares|comments|retweets|reposts|quotes|bookmarks|upvotes|downvotes|downloads|views|followers)[^\p{L}\p{N}_]*$/u
const notices = [
  new RegExp(`[${blanks}]?items in cart`, 'giu'),
  new RegExp(`[${blanks}]?read more...$`, 'giu'),
  new RegExp(`^sign-in[${blanks}]?`, 'giu'),
]

/** The text of the lines that stay; the empty text where none does. */
export function correctLines(text: string, { maxUppercaseRatio, maxDigitRatio, minLineWords, maxNoticeWords }: Limits): string {
  const filtered = (from: string, stays: (line: string) => boolean) => from.split('\n').filter(stays).join('\n')
  let rest = strip(filtered(text, (line) => shareOf(line, isUpper) <= maxUppercaseRatio))
  rest = strip(filtered(rest, (line) => shareOf(line, isDigit) <= maxDigitRatio))
  rest = strip(filtered(rest, (line) => !counter.test(line.toLowerCase())))
  rest = filtered(rest, (line) => line === '' || splitBlanks(line).length >= minLineWords)
  for (const notice of notices) rest = withoutNotice(rest, notice, maxNoticeWords)
  return rest
}

function withoutNotice(text: string, notice: RegExp, mostWords: number): string {
  const lines = text.split('\n').flatMap((line) => {
    if (line === '' || splitBlanks(line).length > mostWords) return [line]
    const rest = line.replace(notice, '')
    return strip(rest) === '' ? [] : [rest]
  })
  return strip(lines.join('\n'))
}

const isUpper = (character: string) => /^\p{Uppercase}$/u.test(character)

/** Share of a line's characters; 0 for the empty line, which every rule lets pass. */
function shareOf(line: string, is: (character: string) => boolean): number {
  let count = 0
  for (const character of line) if (is(character)) count++
  return line === '' ? 0 : count / codePointLength(line)
}

/** As fastText splits them, without what begins with a mark. */
function countWords(text: string): number {
  return text.split(/[ \n\r\t\v\f\0]+/).filter((word) => /^[\p{L}\p{N}]/u.test(word)).length
}
