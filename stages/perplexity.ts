// How surprising a text is to an n-gram language model: Wenzek et al. 2020, "CCNet", arxiv.org/abs/1911.00359, sections 2.4 and
// 4.2. Text like what the model was trained on (an encyclopedia, say) has a low perplexity. Each line is scored as a sentence;
// 10 to the mean negative log10 probability, ends of lines counted as tokens. Train one with `sluice ngram train`; ARPA and
// KenLM binary files load, one copy a process, and give KenLM's scores.

import { z } from 'zod'
import type { Annotated, Document, Json } from '../src/core/document.ts'
import { type Drop, drop, keep, mapStage, type Stage, type Verdict } from '../src/core/stage.ts'
import { modelVersion } from '../src/io/model-version.ts'
import { loadNgramScorer, perplexityOf, type TextScore } from '../src/ngram/model.ts'
import { BLANKS, normalizations, textPreparer } from '../src/ngram/text.ts'
import { annotate } from '../src/text/analysis.ts'
import { describeTokenizer } from './tokenize.ts'

export const buckets = ['head', 'middle', 'tail'] as const
export type Bucket = (typeof buckets)[number]

export const perplexityOptions = z
  .strictObject({
    model: z
      .union([z.string().min(1), z.record(z.string(), z.string().min(1))])
      .describe('ARPA (also .gz, .zst) or KenLM binary file; or one a language, by the codes of the stage language: {"en": "en.arpa.gz"}'),
    normalize: z
      .enum(normalizations)
      .optional()
      .describe(
        'ccnet: lower case, no accents, digits 0, marks of punctuation mapped; none. Default: as the model says it was trained, else ccnet',
      ),
    tokens: z
      .string()
      .min(1)
      .optional()
      .describe('blanks: words are what blanks separate; or a tokenizer, name or file: words are its tokens. Default: blanks'),
    headBelow: z.number().positive().nullable().default(null).describe('a smaller perplexity is the bucket head; null: no buckets'),
    tailFrom: z
      .number()
      .positive()
      .nullable()
      .default(null)
      .describe('this perplexity and above is the bucket tail, between the two it is middle'),
    keep: z
      .array(z.enum(buckets))
      .nullable()
      .default(null)
      .describe('buckets to keep; null: all. A document without a model for its language stays'),
    minPerplexity: z.number().nullable().default(null).describe('smallest to keep: what repeats itself is far too easy; null: any'),
    maxPerplexity: z.number().nullable().default(null).describe('largest to keep; null: any'),
  })
  .refine((o) => (o.headBelow === null) === (o.tailFrom === null) && (o.headBelow ?? 0) <= (o.tailFrom ?? 0), {
    path: ['tailFrom'],
    error: 'headBelow and tailFrom go together, and tailFrom is not the smaller one',
  })
  .refine((o) => o.keep === null || o.headBelow !== null, {
    path: ['keep'],
    error: 'there are no buckets to keep: set headBelow and tailFrom, or use perplexityBuckets',
  })
export type PerplexityOptions = z.input<typeof perplexityOptions>
type Limits = z.output<typeof perplexityOptions>

/** What is written down; nothing for a document without a model for its language, save the bucket. */
export type PerplexityAnnotations = { readonly perplexity?: number; readonly perplexity_bucket?: Bucket | 'all' }

/** Which option bounds which statistic. */
export const perplexityLimits = { perplexity: ['headBelow', 'tailFrom', 'minPerplexity', 'maxPerplexity'] } as const

/**
 * Annotates `perplexity`, and `perplexity_bucket` where there are cut-offs (`all` without a model for the language).
 * Reasons: `perplexity_low`, `perplexity_high`, `perplexity_bucket`.
 */
export function perplexity<T extends Document>(options: PerplexityOptions): Stage<T, Annotated<T, PerplexityAnnotations>> {
  const limits = perplexityOptions.parse(options)
  return mapStage<T, Annotated<T, PerplexityAnnotations>>('perplexity', {
    options: { ...limits, files: filesOf(limits) },
    prepare: async () => {
      const scoreByLanguage = await loadScores(limits)
      return (document, report): Annotated<T, PerplexityAnnotations> | Drop => {
        const score = scoreByLanguage(document.language)?.(document.text)
        if (!score) return annotate(document, limits.headBelow === null ? {} : { perplexity_bucket: 'all' })
        const statistics = measurePerplexity(score)
        report(statistics)
        const verdict = decidePerplexity(statistics, limits)
        if (!verdict.keep) return verdict
        const bucket = bucketOf(statistics.perplexity, limits)
        return annotate(document, { perplexity: statistics.perplexity, ...(bucket && { perplexity_bucket: bucket }) })
      }
    },
  })
}

/** For the plan hash: other models, or another tokenizer, give other scores. */
function filesOf({ model, tokens = BLANKS }: Limits): Json {
  const models = typeof model === 'string' ? { '': model } : model
  return {
    models: Object.fromEntries(Object.entries(models).map(([language, file]) => [language, modelVersion(file)])),
    tokenizer: tokens === BLANKS ? null : describeTokenizer(tokens),
  }
}

type Score = (text: string) => TextScore

/** The score function for a language; none where there is no model for it. */
async function loadScores({
  model,
  ...rule
}: Pick<Limits, 'model' | 'normalize' | 'tokens'>): Promise<(language: string | undefined) => Score | undefined> {
  if (typeof model === 'string') {
    const score = await loadScore(model, rule)
    return () => score
  }
  const scores = new Map<string, Score>()
  for (const [language, file] of Object.entries(model)) scores.set(language, await loadScore(file, rule))
  return (language) => scores.get(language ?? '')
}

async function loadScore(file: string, rule: Pick<Limits, 'normalize' | 'tokens'>): Promise<Score> {
  const scorer = await loadNgramScorer(file)
  const { prepare } = await textPreparer(rule, scorer.comments)
  return (text) => scorer.scoreText(prepare(text))
}

/** `unknown_ratio`: of the words, how many the model does not know. */
export function measurePerplexity(score: TextScore) {
  return { perplexity: perplexityOf(score), perplexity_tokens: score.tokens, unknown_ratio: score.unknown / score.tokens }
}

export function decidePerplexity(s: { perplexity: number }, limits: Omit<Limits, 'model' | 'normalize' | 'tokens'>): Verdict {
  if (limits.minPerplexity !== null && s.perplexity < limits.minPerplexity) return drop('perplexity_low')
  if (limits.maxPerplexity !== null && s.perplexity > limits.maxPerplexity) return drop('perplexity_high')
  const bucket = bucketOf(s.perplexity, limits)
  if (bucket && limits.keep && !limits.keep.includes(bucket)) return drop('perplexity_bucket')
  return keep
}

/** Undefined where there are no cut-offs. */
export function bucketOf(
  perplexity: number,
  { headBelow, tailFrom }: { headBelow: number | null; tailFrom: number | null },
): Bucket | undefined {
  if (headBelow === null || tailFrom === null) return undefined
  if (perplexity < headBelow) return 'head'
  return perplexity < tailFrom ? 'middle' : 'tail'
}
