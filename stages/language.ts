// Keeps documents in the languages asked for, and writes down which language each is in. Model, threshold and comparison as
// in FineWeb (Penedo et al. 2024, section 3.2, arxiv.org/abs/2406.17557) and datatrove 0.10.

import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import { type Drop, drop, keep, mapStage, type Stage, type Verdict } from '../src/core/stage.ts'
import { loadLanguageIdentifier } from '../src/lang/identify.ts'
import { keepAnalysis } from '../src/text/analysis.ts'

export const languageOptions = z.strictObject({
  keep: z
    .union([z.string().transform((code) => [code]), z.array(z.string())])
    .nullable()
    .default(null)
    .describe('codes of the languages to keep: en, de, …; null: any, if the model is sure enough'),
  minScore: z.number().default(0.65).describe('a listed language must score higher than this, 0 to 1; it need not be the best one'),
  labelOnly: z.boolean().default(false).describe('drops nothing, only writes the language down'),
  keepTopPairsThreshold: z.number().default(-1).describe('languages that score higher go into metadata as top_language_XX_score; -1: none'),
})
export type LanguageOptions = z.input<typeof languageOptions>
type Limits = z.output<typeof languageOptions>

/** Which option bounds which statistic. */
export const languageLimits = { kept_score: ['minScore'] } as const

/** Smaller scores count as 0: of 176 languages all but a few are that unlikely, and need not be worked out. */
const SMALLEST_SCORE = 0.01

/** Sets `language` and `languageScore`. Reason: `language`. */
export function language<T extends Document>(options: LanguageOptions = {}): Stage<T> {
  const limits = languageOptions.parse(options)
  const smallest = Math.min(SMALLEST_SCORE, limits.minScore, limits.keepTopPairsThreshold < 0 ? 1 : limits.keepTopPairsThreshold)
  return mapStage<T, T>('language', {
    options: limits,
    prepare: async () => {
      const identify = await loadLanguageIdentifier()
      return (document, report): T | Drop => {
        const scores = identify(document.text, smallest)
        const statistics = measureLanguage(scores, limits)
        report(statistics)
        const verdict = decideLanguage(statistics, limits)
        if (!verdict.keep) return verdict
        return keepAnalysis(document, { ...document, ...languageFields(document, scores, limits) })
      }
    },
  })
}

/** `kept_score`: the best score among the languages to keep; the best of all where all are kept. */
export function measureLanguage(scores: ReadonlyMap<string, number>, limits: Pick<Limits, 'keep'>) {
  const languageScore = Math.max(0, ...scores.values())
  return {
    language_score: languageScore,
    kept_score: limits.keep === null ? languageScore : Math.max(0, ...limits.keep.map((code) => scores.get(code) ?? 0)),
  }
}

export function decideLanguage(s: { kept_score: number }, limits: Pick<Limits, 'keep' | 'minScore' | 'labelOnly'>): Verdict {
  if (limits.labelOnly || (s.kept_score > limits.minScore && limits.keep?.length !== 0)) return keep
  return drop('language')
}

/** What is written down: the best language of all, even where another one is why the document is kept. */
export function languageFields(
  document: Pick<Document, 'metadata'>,
  scores: ReadonlyMap<string, number>,
  limits: Pick<Limits, 'keep' | 'keepTopPairsThreshold'>,
): Pick<Document, 'language' | 'languageScore' | 'metadata'> {
  let best: string | undefined
  let bestScore = 0
  for (const [code, score] of scores) {
    if (best !== undefined && score <= bestScore) continue
    best = code
    bestScore = score
  }
  const fields = { language: best, languageScore: bestScore }
  if (limits.keepTopPairsThreshold === -1) return { ...fields, metadata: document.metadata }
  const listed = limits.keep?.length ? limits.keep : [...scores.keys()]
  const pairs = listed.map((code) => [`top_language_${code}_score`, scores.get(code) ?? 0] as const)
  return {
    ...fields,
    metadata: { ...document.metadata, ...Object.fromEntries(pairs.filter(([, score]) => score > limits.keepTopPairsThreshold)) },
  }
}
