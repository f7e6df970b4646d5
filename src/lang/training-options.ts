// The options of a supervised fastText model, under the names and with the defaults of the C++ program.

import { z } from 'zod'

export const lossNames = ['softmax', 'ns', 'hs', 'ova'] as const
export type Loss = (typeof lossNames)[number]

const int32 = 0x7fffffff

export const trainingFields = {
  lr: z.number().positive().max(100).default(0.1).describe('learning rate at the start; it falls to 0 with the tokens done'),
  dim: z.int().min(1).max(4096).default(100).describe('numbers per word'),
  epoch: z.int().min(1).max(int32).default(5).describe('times that the text is read'),
  minCount: z.int().min(1).max(int32).default(1).describe('words that occur less often are left out'),
  minCountLabel: z.int().min(0).max(int32).default(0).describe('labels that occur less often are left out'),
  wordNgrams: z.int().min(1).max(64).default(1).describe('longest n-gram of words'),
  bucket: z.int().min(0).max(int32).default(2_000_000).describe('rows that n-grams share, by hash'),
  minn: z.int().min(0).max(255).default(0).describe('characters of the shortest n-gram inside a word'),
  maxn: z.int().min(0).max(255).default(0).describe('characters of the longest one; 0: none'),
  loss: z.enum(lossNames).default('softmax').describe('softmax, ns: negative sampling, hs: hierarchical softmax, ova: one-vs-all'),
  neg: z.int().min(1).max(1000).default(5).describe('wrong labels drawn for each right one, for ns'),
  lrUpdateRate: z.int().min(1).max(int32).default(100).describe('tokens after which a thread updates the learning rate'),
  label: z.string().min(1).default('__label__').describe('what labels begin with'),
  seed: z.int().min(0).max(int32).default(0).describe('of the random numbers; with one thread, the same seed gives the same model'),
}

export const trainingOptions = checked(z.strictObject(trainingFields))
export type TrainingOptions = z.output<z.ZodObject<typeof trainingFields>>

/** What depends on more than one option. */
export function checked<S extends z.ZodType<TrainingOptions>>(schema: S): S {
  return schema
    .refine((o) => o.maxn === 0 || o.minn <= o.maxn, { path: ['minn'], error: 'greater than maxn' })
    .refine((o) => o.bucket > 0 || (o.wordNgrams === 1 && o.maxn === 0), { path: ['bucket'], error: 'n-grams need buckets' })
}

/** Buckets that the model really has: without n-grams none, as the C++ program decides. */
export function usedBuckets({ wordNgrams, maxn, bucket }: Pick<TrainingOptions, 'wordNgrams' | 'maxn' | 'bucket'>): number {
  return wordNgrams > 1 || maxn > 0 ? bucket : 0
}
