// What a training run is made of: the options a person gives, and the settings they resolve to. What is not given is
// derived from the model and the data, each with its reason, which the command prints.

import { z } from 'zod'
import { SluiceError } from '../core/errors.ts'
import { packings } from './pack.ts'
import { schedules } from './schedule.ts'

/** Everything that decides what a run computes, resolved. Stored in each checkpoint. */
export const trainSettings = z.strictObject({
  steps: z.int().min(1).describe('updates of the weights'),
  rows: z.int().min(1).describe('rows of one forward and backward pass'),
  length: z.int().min(2).describe('tokens a row: the context the model is trained on'),
  passes: z.int().min(1).describe('passes whose gradients are added up before one update'),
  packing: z.enum(packings).describe('how documents fill rows'),
  seed: z.uint32().describe('of the initial weights and of the order of documents'),
  validationShare: z.number().min(0).max(0.5).describe('share of the documents held out, by a hash of their ids'),
  windowTokens: z.int().min(1).describe('tokens shuffled together, held in memory'),
  learningRate: z.number().positive().describe('highest learning rate'),
  schedule: z.enum(schedules).describe('shape of the learning rate after the warm-up'),
  warmupSteps: z.int().min(0).describe('steps over which the rate rises from 0'),
  finalShare: z.number().min(0).max(1).describe('where the rate ends, as a share of the highest'),
  decayShare: z.number().min(0).max(1).describe('last share of the steps over which wsd decays'),
  beta1: z.number().min(0).max(1).describe('AdamW: memory of the gradient'),
  beta2: z.number().min(0).max(1).describe('AdamW: memory of its square'),
  epsilon: z.number().positive().describe('AdamW: added to the root of the second moment'),
  weightDecay: z.number().min(0).describe('AdamW: decoupled decay of matrices; norms and biases have none'),
  maxNorm: z.number().min(0).describe('gradients longer than this are scaled down to it; 0: never'),
  evaluateEvery: z.int().min(1).describe('steps between measurements on held-out documents'),
  evaluationTokens: z.int().min(1).describe('held-out tokens that each measurement uses'),
  saveEvery: z.int().min(1).describe('steps between checkpoints'),
  keep: z.int().min(1).describe('newest checkpoints that stay on disk'),
  threads: z.int().min(1).max(1024).describe('threads that compute'),
})
export type TrainSettings = z.output<typeof trainSettings>

/** What may change between the parts of a resumed run: it changes no weight. */
const changeable: ReadonlySet<string> = new Set<keyof TrainSettings>(['evaluateEvery', 'evaluationTokens', 'saveEvery', 'keep', 'threads'])

const { rows: _rows, passes: _passes, ...settable } = trainSettings.shape
export const settingOptions = z
  .strictObject({
    tokens: z.int().min(1).describe('tokens to train on, in place of steps'),
    epochs: z.number().positive().describe('times to go through the training documents, in place of steps'),
    batchTokens: z.int().min(1).describe('tokens of one update'),
    ...settable,
  })
  .partial()
export type SettingOptions = z.input<typeof settingOptions>

/** What the defaults are derived from. */
export interface RunFacts {
  readonly parameterCount: number
  /** Longest row the model can see. */
  readonly contextLength: number
  readonly vocabularySize: number
  /** Tokens of the corpus, held-out ones included. */
  readonly corpusTokens: number
  readonly documents: number
  readonly cores: number
}

export interface Resolved {
  readonly settings: TrainSettings
  /** `batch 8,192 tokens (…)`: one line for each choice made for the person. */
  readonly reasons: readonly string[]
}

/** Settings from options: what is not given is derived. The same options and facts give the same settings. */
export function resolveSettings(options: SettingOptions, facts: RunFacts): Resolved {
  const reasons: string[] = []
  const choose = <T>(given: T | undefined, chosen: T, reason: string): T => {
    if (given === undefined) reasons.push(reason)
    return given ?? chosen
  }
  const { parameterCount, documents, cores } = facts
  const share = heldOutShare(documents)
  const heldOut = `held out ${(share * 100).toFixed(1)} % of ${number(documents)} documents for validation`
  const validationShare = choose(options.validationShare, share, heldOut)
  const amount = resolveAmount(options, facts, Math.max(1, Math.round(facts.corpusTokens * (1 - validationShare))))
  reasons.push(...amount.reasons)
  const { steps, rows, passes, length } = amount
  const rate = learningRate(parameterCount)
  const every = Math.max(1, Math.ceil(steps / 10))
  // Ten evaluations of 1 % of the tokens each, forward only: 3 % of the time.
  const evaluationTokens = Math.min(2 ** 17, Math.max(2 ** 12, Math.round(0.01 * steps * rows * passes * length)))
  return {
    reasons,
    settings: parseSettings({
      steps,
      rows,
      length,
      passes,
      packing: options.packing ?? 'documents',
      seed: options.seed ?? 1,
      validationShare,
      windowTokens: options.windowTokens ?? 2 ** 24,
      learningRate: choose(options.learningRate, rate, `learning rate ${rate} (for ${number(parameterCount)} parameters)`),
      schedule: options.schedule ?? 'cosine',
      warmupSteps: options.warmupSteps ?? Math.min(1000, Math.ceil(steps / 20)),
      finalShare: options.finalShare ?? 0.1,
      decayShare: options.decayShare ?? 0.2,
      beta1: options.beta1 ?? 0.9,
      beta2: options.beta2 ?? 0.95,
      epsilon: options.epsilon ?? 1e-8,
      weightDecay: options.weightDecay ?? 0.1,
      maxNorm: options.maxNorm ?? 1,
      evaluateEvery: options.evaluateEvery ?? every,
      evaluationTokens: options.evaluationTokens ?? evaluationTokens,
      saveEvery: options.saveEvery ?? every,
      keep: options.keep ?? 2,
      threads: choose(options.threads, cores, `threads ${cores} (cores of this machine)`),
    }),
  }
}

/** Options that are sound one by one may still come to nothing that can be run: 10³⁰ epochs, a context of one token. */
function parseSettings(settings: TrainSettings): TrainSettings {
  const parsed = trainSettings.safeParse(settings)
  if (parsed.success) return parsed.data
  throw new SluiceError('SLUICE_TRAIN_OPTIONS', `the options come to settings that cannot be run:\n${z.prettifyError(parsed.error)}`, {
    fix: 'see sluice train --help',
  })
}

/** How much a run trains on, and in what pieces. */
function resolveAmount(options: SettingOptions, facts: RunFacts, trainTokens: number) {
  const { steps: givenSteps, epochs, tokens, batchTokens: givenBatch } = options
  if ([givenSteps, epochs, tokens].filter((value) => value !== undefined).length > 1)
    throw new SluiceError('SLUICE_TRAIN_OPTIONS', 'steps, tokens and epochs say the same thing', { fix: 'give one of them' })
  const length = options.length ?? Math.min(facts.contextLength, 1024)
  if (length > facts.contextLength)
    throw new SluiceError('SLUICE_TRAIN_LENGTH', `rows of ${length} tokens do not fit the model: it sees ${facts.contextLength}`, {
      fix: `give --length ${facts.contextLength} or less, or a model with a longer context`,
    })
  const asked = tokens ?? (epochs === undefined ? undefined : Math.round(epochs * trainTokens))
  const budget =
    asked === undefined ? budgetTokens(facts.parameterCount, trainTokens) : { tokens: asked, reason: `${number(asked)} tokens` }
  const { rows, passes } = splitBatch(givenBatch ?? batchTokens(budget.tokens), length, facts)
  const stepTokens = rows * passes * length
  const steps = givenSteps ?? Math.max(1, Math.round(budget.tokens / stepTokens))
  const reasons: string[] = []
  if (givenBatch === undefined)
    reasons.push(`batch ${number(stepTokens)} tokens: ${rows * passes} rows of ${length} (grows with the tokens trained on)`)
  else if (givenBatch !== stepTokens)
    reasons.push(`batch ${number(stepTokens)} tokens: ${rows * passes} whole rows of ${length}, nearest to ${number(givenBatch)}`)
  if (givenSteps === undefined) reasons.push(`steps ${number(steps)} (${budget.reason}, ${number(stepTokens)} a step)`)
  return { steps, rows, passes, length, reasons }
}

/** 2 %, and more where that would be fewer than 50 documents. */
function heldOutShare(documents: number): number {
  return Number(Math.min(0.1, Math.max(0.02, 50 / Math.max(1, documents))).toFixed(3))
}

/** Hoffmann et al. 2022 (arxiv.org/abs/2203.15556): 20 tokens a parameter; Muennighoff et al. 2023 (arxiv.org/abs/2305.16264): up to 4 epochs are nearly worth new data. */
function budgetTokens(parameterCount: number, trainTokens: number) {
  const compute = 20 * parameterCount
  if (compute <= 4 * trainTokens) return { tokens: compute, reason: `20 tokens for each of ${number(parameterCount)} parameters` }
  return { tokens: 4 * trainTokens, reason: `4 epochs of ${number(trainTokens)} tokens: more repetition teaches little` }
}

/**
 * nanochat's law, batch ∝ tokens^0.383 (2¹⁹ at 1.3 B tokens), but at least 2,000 updates; a power of two from 1,024 on. Where
 * tokens are few, updates count for more than clean gradients (docs/decisions.md).
 */
function batchTokens(tokens: number): number {
  const law = 2 ** 19 * (tokens / 1.3e9) ** 0.383
  return 2 ** Math.max(10, Math.floor(Math.log2(Math.min(law, tokens / 2000))))
}

/** Whole rows, and as many a pass as keep its logits within 256 MB. */
function splitBatch(tokens: number, length: number, facts: RunFacts): { rows: number; passes: number } {
  const total = Math.max(1, Math.round(tokens / length))
  const most = Math.max(1, Math.min(Math.floor(2 ** 26 / (length * facts.vocabularySize)), Math.floor(8192 / length)))
  let rows = Math.min(total, most)
  while (total % rows !== 0) rows--
  return { rows, passes: total / rows }
}

/** 6·10⁻⁴ for GPT-2 124M, as llm.c trains it, falling with the cube root of the size; measured at 1.3 M (docs/decisions.md). Two digits. */
function learningRate(parameterCount: number): number {
  return Number(Math.min(3e-3, 6e-4 * Math.cbrt(124e6 / parameterCount)).toPrecision(2))
}

/**
 * Refuses to go on from a checkpoint with settings under which it would be another run.
 *
 * @throws SluiceError `SLUICE_TRAIN_CHANGED`, naming the setting
 */
export function assertSameRun(stored: TrainSettings, asked: TrainSettings, folder: string): void {
  for (const [name, before] of Object.entries(stored)) {
    const now = Object.entries(asked).find(([key]) => key === name)?.[1]
    if (now === before || changeable.has(name)) continue
    throw new SluiceError(
      'SLUICE_TRAIN_CHANGED',
      `the run in this folder has ${name} ${before}, now it is ${now}: it cannot go on from its checkpoint`,
      {
        where: { folder },
        fix: `give the options it was started with, or another --out for a new run`,
      },
    )
  }
}

export const number = (value: number) => value.toLocaleString('en-US')
