// Filters over text: verdict and reason, the numbers they compare, and what is left of the text.

import { z } from 'zod'
import type { Statistics, Verdict } from '../../src/core/stage.ts'
import { badWordPatterns, c4BadWordsOptions, decideC4BadWords, measureC4BadWords } from '../../stages/c4-bad-words.ts'
import { c4ParagraphOptions, decideC4Paragraph, measureC4Paragraph } from '../../stages/c4-paragraph.ts'
import { c4QualityOptions, decideC4Quality, measureC4Quality } from '../../stages/c4-quality.ts'
import { decideFineWebQuality, fineWebQualityOptions, measureFineWebQuality } from '../../stages/fineweb-quality.ts'
import { decideGopherQuality, gopherQualityOptions, measureGopherQuality } from '../../stages/gopher-quality.ts'
import { decideGopherRepetition, gopherRepetitionOptions, measureGopherRepetition } from '../../stages/gopher-repetition.ts'
import { compareNumbers, difference, optionNames, type Runner, rowByRow } from './cases.ts'

const filterCase = z.object({
  params: z.record(z.string(), z.unknown()).default({}).transform(optionNames),
  text: z.string(),
  keep: z.boolean().nullable(),
  reason: z.string().nullable(),
  /** Where the reference crashed: a port drops the document. */
  raises: z.string().nullish(),
  stats: z.record(z.string(), z.number().nullable()).nullish(),
})

export function compareVerdict(row: { keep: boolean | null; reason: string | null; raises?: string | null }, verdict: Verdict) {
  if (row.raises) return difference('keep', false, verdict.keep)
  return (
    difference('keep', row.keep, verdict.keep) ??
    (row.reason === null ? undefined : difference('reason', row.reason, verdict.keep ? null : verdict.reason))
  )
}

/** Statistics that the case names and both could compute. */
function compareStatistics(stats: Readonly<Record<string, number | null>> | null | undefined, measured: Statistics) {
  const expected = Object.entries(stats ?? {}).filter(
    (entry): entry is [string, number] => entry[1] !== null && !Number.isNaN(measured[entry[0]] ?? Number.NaN),
  )
  return compareNumbers(Object.fromEntries(expected), measured)
}

const gopherQuality = rowByRow('gopher_quality*.jsonl', filterCase, (row) => {
  const limits = gopherQualityOptions.parse(row.params)
  const statistics = measureGopherQuality(row, new Set(limits.stopWords), limits)
  return compareVerdict(row, decideGopherQuality(statistics, limits)) ?? compareStatistics(row.stats, statistics)
})

const gopherRepetition = rowByRow('gopher_repetition*.jsonl', filterCase, (row) => {
  const limits = gopherRepetitionOptions.parse(row.params)
  const statistics = measureGopherRepetition(row, limits)
  return compareVerdict(row, decideGopherRepetition(statistics, limits)) ?? compareStatistics(row.stats, statistics)
})

const fineWebQuality = rowByRow('fineweb_quality*.jsonl', filterCase, (row) => {
  const limits = fineWebQualityOptions.parse(row.params)
  // The recorded statistics are those of the default parameters, whatever the case decides with.
  const statistics = measureFineWebQuality(row, fineWebQualityOptions.parse({}))
  return compareVerdict(row, decideFineWebQuality(measureFineWebQuality(row, limits), limits)) ?? compareStatistics(row.stats, statistics)
})

const c4QualityCase = filterCase.extend({
  repaired: z.string().nullish(),
  line_counts: z.record(z.string(), z.number()).nullish(),
})

const c4Quality = rowByRow('c4_quality*.jsonl', c4QualityCase, (row) => {
  const limits = c4QualityOptions.parse(row.params)
  const { statistics, text } = measureC4Quality(row, limits)
  const counts = Object.entries(row.line_counts ?? {}).map(([name, count]) => [name.replaceAll('-', '_'), count] as const)
  return (
    compareVerdict(row, decideC4Quality(statistics, limits)) ??
    (typeof row.repaired === 'string' ? difference('text', row.repaired, text) : undefined) ??
    compareStatistics(Object.fromEntries(counts), statistics)
  )
})

const c4Paragraph = rowByRow('c4_paragraph*.jsonl', filterCase, (row) => {
  const limits = c4ParagraphOptions.parse(row.params)
  return compareVerdict(row, decideC4Paragraph(measureC4Paragraph(row, limits), limits))
})

const badWordsCase = filterCase.extend({ lang: z.string().nullish() })
const wordLists = z.record(z.string(), z.array(z.string()))

const c4BadWords = rowByRow('c4_badwords*.jsonl', badWordsCase, (row, folder) => {
  const lists = wordLists.parse(folder.readJson('c4_badwords.lists.json'))
  const limits = c4BadWordsOptions.parse({ ...row.params, lists })
  const document = { id: '0', text: row.text, language: row.lang ?? undefined, metadata: {} }
  return compareVerdict(row, decideC4BadWords(measureC4BadWords(document, badWordPatterns(lists), limits), limits))
})

export const filterRunners: readonly Runner[] = [gopherQuality, gopherRepetition, fineWebQuality, c4Quality, c4Paragraph, c4BadWords]
