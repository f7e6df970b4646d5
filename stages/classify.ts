// Scores documents with a fastText classifier that is there already, such as DCLM's (Li et al. 2024, arxiv.org/abs/2406.11794:
// `model: 'openhermes_reddit_eli5_vs_rw_v2_bigram_200k_train.bin', label: '__label__hq', minScore: 0.018112`), and drops those
// below or above a bound. With weights by label the score is the expected grade, as FineWeb-Edu's from 0 to 5 (Penedo et al.
// 2024, section 4, arxiv.org/abs/2406.17557). Files of the C++ program, .bin and .ftz, are read as they are.

import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import { type Drop, drop, keep, mapStage, type Stage, type Verdict } from '../src/core/stage.ts'
import { modelVersion } from '../src/io/model-version.ts'
import { createScore, loadClassifier } from '../src/lang/classifier.ts'
import { annotate } from '../src/text/analysis.ts'

export const classifyOptions = z
  .strictObject({
    model: z.string().min(1).describe('path of a supervised fastText model, .bin or .ftz'),
    label: z
      .union([z.string().min(1), z.record(z.string(), z.number())])
      .describe('label whose probability is the score; or weights: { "0": 0, "1": 1, … } for the expected grade'),
    annotation: z.string().min(1).default('classifier_score').describe('name of the annotation that gets the score'),
    minScore: z.number().optional().describe('documents that score lower are dropped; none: no lower bound'),
    maxScore: z.number().optional().describe('documents that score this or higher are dropped; none: no upper bound'),
  })
  .refine((o) => typeof o.label === 'string' || Object.keys(o.label).length > 0, { path: ['label'], error: 'no label has a weight' })
export type ClassifyOptions = z.input<typeof classifyOptions>
type Limits = z.output<typeof classifyOptions>

/** Which option bounds which statistic. */
export const classifyLimits = { score: ['minScore', 'maxScore'] } as const

/** Annotates the score. A text without any known word scores 0. Reasons: `low_classifier_score`, `high_classifier_score`. */
export function classify<T extends Document>(options: ClassifyOptions): Stage<T> {
  const limits = classifyOptions.parse(options)
  const { model, label, annotation } = limits
  return mapStage<T, T>('classify', {
    options: { ...limits, modelVersion: modelVersion(model) },
    prepare: async () => {
      const score = createScore(await loadClassifier(model), typeof label === 'string' ? { [label]: 1 } : label, model)
      return (document, report): T | Drop => {
        const statistics = { score: score(document.text) }
        report(statistics)
        const verdict = decideClassify(statistics, limits)
        if (!verdict.keep) return verdict
        return annotate(document, { [annotation]: statistics.score })
      }
    },
  })
}

export function decideClassify({ score }: { score: number }, { minScore, maxScore }: Pick<Limits, 'minScore' | 'maxScore'>): Verdict {
  if (minScore !== undefined && score < minScore) return drop('low_classifier_score')
  if (maxScore !== undefined && score >= maxScore) return drop('high_classifier_score')
  return keep
}
