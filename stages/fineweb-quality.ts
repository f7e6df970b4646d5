// The quality filter that FineWeb adds to those of MassiveText and C4: Penedo et al. 2024, section 3.6,
// arxiv.org/abs/2406.17557, with the definitions, defaults and reasons of datatrove 0.10. Words are those of gopherQuality.
//
// Quirks kept: lines are not stripped, so a blank behind a full stop hides it, and quotes and "…" are no end marks (`stopChars` gives
// others); line breaks of empty lines count among those that are set against words.

import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import { drop, filterStage, keep, type Stage, type Verdict } from '../src/core/stage.ts'
import { documentCodePoints, documentTokens, type HasText } from '../src/text/analysis.ts'
import { codePointLength, isBlank, lastCodePoint, TERMINAL_PUNCTUATION } from '../src/text/characters.ts'
import { countRepeats } from '../src/text/repeats.ts'
import { variantOption } from './variant.ts'

export const fineWebQualityOptions = z.strictObject({
  variant: variantOption('fineweb@datatrove-0.10'),
  linePunctThr: z.number().default(0.12).describe('smallest share of lines that end with a mark that ends sentences'),
  linePunctExcludeZero: z.boolean().default(false).describe('lets documents pass in which no line ends so'),
  stopChars: z
    .array(z.string().min(1))
    .nullable()
    .default(null)
    .describe('what counts as such a mark; null: the terminal marks of all scripts, without quotes'),
  shortLineThr: z.number().default(0.67).describe('largest share of short lines'),
  shortLineLength: z.number().default(30).describe('longest short line, in code points'),
  charDuplicatesRatio: z.number().default(0.01).describe('largest share of characters on lines seen before in the document'),
  newLineRatio: z.number().default(0.3).describe('most line breaks per word'),
})
export type FineWebQualityOptions = z.input<typeof fineWebQualityOptions>
type Limits = z.output<typeof fineWebQualityOptions>
export type FineWebQuality = ReturnType<typeof measureFineWebQuality>

/** Which option bounds which statistic. */
export const fineWebQualityLimits = {
  line_punct_ratio: ['linePunctThr'],
  short_line_ratio: ['shortLineThr'],
  char_dup_ratio: ['charDuplicatesRatio'],
  list_ratio: ['newLineRatio'],
} as const

/** Drops lists, menus and repeated lines. Reasons: `empty`, `line_punct_ratio`, `short_line_ratio`, `char_dup_ratio`, `list_ratio`. */
export function fineWebQuality<T extends Document>(options: FineWebQualityOptions = {}): Stage<T> {
  const limits = fineWebQualityOptions.parse(options)
  return filterStage('fineWebQuality', {
    options: limits,
    measure: (document: T) => measureFineWebQuality(document, limits),
    decide: (statistics) => decideFineWebQuality(statistics, limits),
  })
}

/** Lines are those between "\n" that are not blank, not stripped. All ratios are NaN where there is none. */
export function measureFineWebQuality(document: HasText, { stopChars, shortLineLength }: Pick<Limits, 'stopChars' | 'shortLineLength'>) {
  const { text } = document
  const endsSentence = stopChars === null ? endsWithTerminal : (line: string) => stopChars.some((mark) => line.endsWith(mark))
  const all = text.split('\n')
  const lines = all.filter((line) => !isBlankLine(line))
  let ended = 0
  let short = 0
  for (const line of lines) {
    if (endsSentence(line)) ended++
    if (codePointLength(line) <= shortLineLength) short++
  }
  const breaks = all.length - 1
  const isEmpty = lines.length === 0
  return {
    n_lines: lines.length,
    line_punct_ratio: ended / lines.length,
    short_line_ratio: short / lines.length,
    char_dup_ratio: isEmpty ? Number.NaN : countRepeats(lines).characters / (documentCodePoints(document) - breaks),
    list_ratio: isEmpty ? Number.NaN : breaks / documentTokens(document).ids.length,
  }
}

/** The decision alone, in the reference's order. */
export function decideFineWebQuality(s: FineWebQuality, limits: Limits): Verdict {
  if (s.n_lines === 0) return drop('empty')
  const isExcused = limits.linePunctExcludeZero && s.line_punct_ratio === 0
  if (s.line_punct_ratio < limits.linePunctThr && !isExcused) return drop('line_punct_ratio')
  if (s.short_line_ratio > limits.shortLineThr) return drop('short_line_ratio')
  if (s.char_dup_ratio > limits.charDuplicatesRatio) return drop('char_dup_ratio')
  if (s.list_ratio > limits.newLineRatio) return drop('list_ratio')
  return keep
}

function endsWithTerminal(line: string): boolean {
  return TERMINAL_PUNCTUATION.has(lastCodePoint(line))
}

function isBlankLine(line: string): boolean {
  for (let i = 0; i < line.length; i++) {
    if (!isBlank(line.charCodeAt(i))) return false
  }
  return true
}
