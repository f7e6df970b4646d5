// The language filter's decision, with the scores that the case gives in place of the model's.

import { z } from 'zod'
import { decideLanguage, languageFields, languageOptions, measureLanguage } from '../../stages/language.ts'
import { difference, type Runner, rowByRow } from './cases.ts'
import { compareVerdict } from './filters.ts'

const languageCase = z.object({
  params: z
    .object({
      languages: z.union([z.string(), z.array(z.string())]).nullish(),
      language_threshold: z.number().optional(),
      label_only: z.boolean().optional(),
      keep_top_pairs_threshold: z.number().optional(),
    })
    .default({}),
  model_scores: z.record(z.string(), z.number()),
  keep: z.boolean().nullable(),
  reason: z.string().nullable(),
  raises: z.string().nullish(),
  metadata: z.record(z.string(), z.union([z.string(), z.number()])).nullish(),
})

export const languageRunners: readonly Runner[] = [
  rowByRow('language*.jsonl', languageCase, (row) => {
    const { languages, language_threshold, label_only, keep_top_pairs_threshold } = row.params
    const limits = languageOptions.parse({
      keep: languages,
      minScore: language_threshold,
      labelOnly: label_only,
      keepTopPairsThreshold: keep_top_pairs_threshold,
    })
    const scores = new Map(Object.entries(row.model_scores))
    const { language, languageScore, metadata } = languageFields({ metadata: {} }, scores, limits)
    const written = { language, language_score: languageScore, ...metadata }
    return (
      compareVerdict(row, decideLanguage(measureLanguage(scores, limits), limits)) ??
      (row.metadata ? difference('metadata', sorted(row.metadata), sorted(written)) : undefined)
    )
  }),
]

function sorted(fields: Readonly<Record<string, unknown>>): unknown {
  return Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1))
}
