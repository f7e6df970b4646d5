// The paragraph rule of mC4: Xue et al. 2021, section 3.1, arxiv.org/abs/2010.11934: at least three lines of 200 characters or more.
// Reason and counting as in datatrove 0.10.

import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import { drop, filterStage, keep, type Stage, type Verdict } from '../src/core/stage.ts'
import type { HasText } from '../src/text/analysis.ts'
import { codePointLength } from '../src/text/characters.ts'
import { variantOption } from './variant.ts'

export const c4ParagraphOptions = z.strictObject({
  variant: variantOption('c4@datatrove-0.10'),
  minParagraphs: z.int().min(1).default(3).describe('fewest paragraphs; the reference has no option for it'),
  minParagraphLen: z
    .int()
    .min(0)
    .default(200)
    .describe('shortest paragraph that counts, in code points; the reference has no option for it'),
})
export type C4ParagraphOptions = z.input<typeof c4ParagraphOptions>
type Limits = z.output<typeof c4ParagraphOptions>
export type C4Paragraph = ReturnType<typeof measureC4Paragraph>

/** Which option bounds which statistic. */
export const c4ParagraphLimits = { n_paragraphs: ['minParagraphs'] } as const

/** Drops documents without enough long lines. Reason: `< 3 paragraphs`, with the number asked for. */
export function c4Paragraph<T extends Document>(options: C4ParagraphOptions = {}): Stage<T> {
  const limits = c4ParagraphOptions.parse(options)
  return filterStage('c4Paragraph', {
    options: limits,
    measure: (document: T) => measureC4Paragraph(document, limits),
    decide: (statistics) => decideC4Paragraph(statistics, limits),
  })
}

export function measureC4Paragraph({ text }: HasText, { minParagraphLen }: Pick<Limits, 'minParagraphLen'>) {
  return { n_paragraphs: text.split('\n').filter((line) => codePointLength(line) >= minParagraphLen).length }
}

export function decideC4Paragraph(s: C4Paragraph, { minParagraphs }: Pick<Limits, 'minParagraphs'>): Verdict {
  return s.n_paragraphs < minParagraphs ? drop(`< ${minParagraphs} paragraphs`) : keep
}
