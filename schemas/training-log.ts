// The lines of a training run's log.jsonl, between the trainer that writes them and who reads them: the page of curves,
// `sluice trace`. One JSON object a line. Lines may carry more than is named here, and a line of another event is none of
// a reader's business.

import { z } from 'zod'

export const TRAINING_LOG_FILE = 'log.jsonl'

/** Shard → rows: `{"0":[13,92]}`, shards by their ordinal in the opening line. */
const documents = z.record(z.string(), z.array(z.int().min(0)))

/** What a run is. The shards of several corpora are numbered through, in the order of the corpora. */
const start = z.looseObject({
  event: z.literal('start'),
  step: z.literal(0),
  shards: z.array(z.string()),
  /** Where the corpora, or the examples, were: absolute paths and URLs. Logs of earlier versions lack it. */
  inputs: z.array(z.string()).optional(),
  parameters: z.int(),
  settings: z.looseObject({ steps: z.int(), objective: z.string().optional(), validationShare: z.number().optional() }),
})
/** A process goes on from a checkpoint: the lines of later steps were taken back. */
const resume = z.looseObject({ event: z.literal('resume'), step: z.int() })
const step = z.looseObject({
  event: z.literal('step'),
  step: z.int(),
  seenTokens: z.int(),
  /** Mean over the targets, in nats. */
  loss: z.number(),
  gradientNorm: z.number(),
  learningRate: z.number(),
  tokensPerSecond: z.number(),
  /** What the loss was multiplied with, in f16. */
  lossScale: z.number().optional(),
  /** Share of the machine's peak arithmetic. */
  utilization: z.number().optional(),
  documents,
})
/** On held-out documents. */
const evaluation = z.looseObject({
  event: z.literal('evaluation'),
  step: z.int(),
  loss: z.number(),
  bitsPerByte: z.number().nullable(),
  /** Share of the labels that were told right, of a classifier. */
  accuracy: z.number().nullable().optional(),
})
/** A step that changed no weight. */
const skip = z.looseObject({
  event: z.literal('skip'),
  step: z.int(),
  reason: z.string(),
  loss: z.number().nullable().optional(),
  gradientNorm: z.number().nullable().optional(),
  learningRate: z.number().optional(),
  lossScale: z.number().optional(),
  documents,
})
/** The run went back to the checkpoint of step `to` and left out the documents since. */
const rollback = z.looseObject({
  event: z.literal('rollback'),
  step: z.int(),
  to: z.int(),
  /** Where no step had been left out. */
  reason: z.string().optional(),
})

export const trainingLogLine = z.discriminatedUnion('event', [start, resume, step, evaluation, skip, rollback])
export type TrainingLogLine = z.output<typeof trainingLogLine>
