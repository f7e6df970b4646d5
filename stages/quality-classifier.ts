// Learns what good documents look like from examples, and keeps the share of the documents that look most like them: the
// model-based filter of DCLM (Li et al. 2024, section 4.4, arxiv.org/abs/2406.11794): fastText with word bigrams, examples of
// good text against a sample of what is filtered, the best 10 % kept. Training, threshold and filter are one barrier:
//   .pipe(s.qualityClassifier({ positives: s.jsonl({ path: 'good/*.jsonl' }), keep: 0.1 }))
// The report, with precision, recall and F1 on examples never trained on, is report.json in the barrier's folder; print it with
// `sluice classifier report <run folder>`. How exact the share is depends on the sample: 4,000 documents give 10 % ± 0.5 %. A
// changed file of examples is noticed in a new run folder only.

import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import type { Barrier } from '../src/core/stage.ts'
import { describeSource, exampleSource, learningFields, trainedClassifier } from './trained-classifier.ts'

export const qualityClassifierOptions = z
  .strictObject({
    positives: exampleSource.describe('a source of good documents, such as jsonl({ path })'),
    negatives: exampleSource.optional().describe('a source of bad ones; a sample of the documents that come by where left out'),
    keep: z.number().gt(0).max(1).optional().describe('share of the documents to keep; 0.1 in DCLM'),
    minScore: z.number().min(0).max(1).optional().describe('keeps what scores at least this, instead of a share'),
    annotation: z.string().min(1).default('quality_score').describe('name of the annotation that gets the score, 0 to 1'),
    ...learningFields,
  })
  .refine((o) => o.keep === undefined || o.minScore === undefined, { path: ['minScore'], error: 'give keep or minScore, not both' })
export type QualityClassifierOptions = z.input<typeof qualityClassifierOptions>

/** Reason: `low_quality_score`. Without keep and minScore nothing is dropped. Statistics: `score`, `threshold`. */
export function qualityClassifier(options: QualityClassifierOptions): Barrier<Document> {
  const { positives, negatives, keep, minScore, ...rest } = qualityClassifierOptions.parse(options)
  const described = { positives: describeSource(positives), negatives: negatives === undefined ? null : describeSource(negatives) }
  return trainedClassifier({
    ...rest,
    name: 'qualityClassifier',
    options: { ...rest, ...described, keep: keep ?? null, minScore: minScore ?? null },
    positives,
    negatives,
    topShare: keep,
    threshold: minScore,
    drops: 'below',
    reason: 'low_quality_score',
  })
}
