// What a training run is made of: the options a person gives, and the settings they resolve to. What is not given is
// derived from the model and the data, each with its reason, which the command prints.

import { z } from 'zod'
import { SluiceError } from '../core/errors.ts'
import { counted, formatCount } from '../core/format.ts'
import { precisions } from '../tensor/cuda/launch.ts'
import { documentWord, isEncoders, type Objective, objectives } from './objective.ts'
import { packings } from './pack.ts'
import { schedules } from './schedule.ts'
import { targetRoom } from './spans.ts'

/** Everything that decides what a run computes, resolved. Stored in each checkpoint. */
export const trainSettings = z.strictObject({
  steps: z.int().min(1).describe('updates of the weights'),
  rows: z.int().min(1).describe('rows of one forward and backward pass'),
  length: z.int().min(2).describe('tokens a row: the context the model is trained on'),
  passes: z.int().min(1).describe('passes whose gradients are added up before one update'),
  objective: z.enum(objectives).describe('what is learnt: by the architecture and the data where not given'),
  targetLength: z.int().min(0).describe('tokens a row of the target side, for encoder-decoders'),
  hiddenShare: z.number().min(0.01).max(0.9).describe('masked, spans: share of the tokens that is hidden'),
  meanSpan: z.number().min(1).max(100).describe('spans: mean length of what is taken out'),
  maskToken: z.int().min(0).describe('masked: the token shown in place of a hidden one'),
  sentinel: z.int().min(0).describe('spans: the first sentinel, the others count down from it'),
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
  weightDecay: z.number().min(0).describe('decoupled decay of matrices and tables; norms and biases have none'),
  optimizer: z.enum(['adamw', 'muon']).describe('of the matrices inside blocks; all else has AdamW'),
  momentum: z.number().min(0).max(1).describe('Muon: memory of the gradient'),
  matrixRate: z.number().min(0).describe('what the rate of matrices inside blocks is multiplied with'),
  embeddingRate: z.number().min(0).describe('the same of embeddings'),
  vectorRate: z.number().min(0).describe('the same of norms and biases'),
  headRate: z.number().min(0).describe('the same of an untied head'),
  maxNorm: z.number().min(0).describe('gradients longer than this are scaled down to it; 0: never'),
  zLoss: z.number().min(0).describe('weight of the squared logarithm of the softmax denominator: 1e-4 keeps logits small'),
  labelSmoothing: z.number().min(0).max(0.9).describe('share of each target that is spread over the vocabulary'),
  averageDecay: z
    .number()
    .min(0)
    .max(1)
    .describe('what an average of the weights keeps at each step, 0: none is kept; evaluation then measures the average'),
  spikeDeviations: z
    .number()
    .min(0)
    .describe(
      'a step is left out whose loss, or gradient norm beyond what it is clipped to, is so far above the last 128, in standard deviations; 0: only one that is no number',
    ),
  rollbackAfter: z.int().min(0).describe('steps left out in a row after which the run goes back to its last checkpoint; 0: it stops'),
  device: z.enum(['cpu', 'cuda', 'auto']).describe('what computes: cuda is an NVIDIA GPU, auto takes it where there is one'),
  precision: z
    .enum(precisions)
    .describe(
      'of the operands of matrix products: bf16 is faster, on GPUs and on processors with AVX-512 BF16; f16, with a loss scale, on GPUs alone; weights, gradients and sums stay f32',
    ),
  evaluateEvery: z.int().min(1).describe('steps between measurements on held-out documents'),
  evaluationTokens: z.int().min(1).describe('held-out tokens that each measurement uses'),
  saveEvery: z.int().min(1).describe('steps between checkpoints'),
  keep: z.int().min(1).describe('newest checkpoints that stay on disk'),
  keepEvery: z.int().min(0).describe('checkpoints of steps divisible by it stay too; 0: none'),
  keepBest: z.boolean().describe('the checkpoint of the lowest validation loss stays too'),
  threads: z.int().min(1).max(1024).describe('threads that compute'),
  memory: z
    .number()
    .min(0)
    .describe(
      'bytes for weights, gradients, moments and activations: where all would take more, some are computed twice; 0: what there is',
    ),
})
export type TrainSettings = z.output<typeof trainSettings>

/** What may change between the parts of a resumed run: it changes no weight, or, as a device does, by rounding alone. */
const changeable: ReadonlySet<string> = new Set<keyof TrainSettings>([
  'evaluateEvery',
  'evaluationTokens',
  'saveEvery',
  'keep',
  'keepEvery',
  'keepBest',
  'threads',
  'memory',
  'device',
])

/** Settings that runs of the first version did not have: what they did, and the defaults of now. */
export const laterSettings = {
  objective: 'causal',
  targetLength: 0,
  hiddenShare: 0.15,
  meanSpan: 3,
  maskToken: 0,
  sentinel: 0,
  optimizer: 'adamw',
  momentum: 0.95,
  matrixRate: 1,
  embeddingRate: 1,
  vectorRate: 1,
  headRate: 1,
  zLoss: 0,
  labelSmoothing: 0,
  averageDecay: 0,
  spikeDeviations: 6,
  rollbackAfter: 5,
  device: 'cpu',
  precision: 'f32',
  keepEvery: 0,
  keepBest: true,
  memory: 0,
} as const satisfies Partial<TrainSettings>

/** A step that no run has, for `evaluateEvery`: only the last one is measured, as it is in any run. */
export const AT_THE_END = 2 ** 31

/** Muon's updates are of one size whatever the gradient's: it is told a rate ten times AdamW's, as in nanochat. */
const MUON_RATE = 10

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
  readonly objective: Objective
  readonly maskToken: number
  readonly sentinel: number
  /** Weights are there to begin with. */
  readonly isFineTuning: boolean
  /** Other documents are measured on: none is held out. */
  readonly hasValidation: boolean
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
  const share = facts.hasValidation ? 0 : heldOutShare(documents)
  const heldOut = `validation on about ${Number((100 * share).toFixed(1))} % of ${counted(documents, documentWord(facts.objective))}, by a hash of their ids`
  const validationShare = facts.hasValidation ? 0 : choose(options.validationShare, share, heldOut)
  const amount = resolveAmount(options, facts, Math.max(1, Math.round(facts.corpusTokens * (1 - validationShare))))
  reasons.push(...amount.reasons)
  const { steps, rows, passes, length } = amount
  const rate = learningRate(parameterCount, facts.isFineTuning)
  const every = Math.max(1, Math.ceil(steps / 10))
  if ((options.threads ?? 0) > cores)
    reasons.push(`threads ${options.threads} on ${counted(cores, 'core')}: more than there are only slow it down`)
  // Ten evaluations of 1 % of the tokens each, forward only: 3 % of the time.
  const evaluationTokens = Math.min(2 ** 17, Math.max(2 ** 12, Math.round(0.01 * steps * rows * passes * length)))
  return {
    reasons,
    settings: parseSettings({
      steps,
      rows,
      length,
      passes,
      objective: facts.objective,
      targetLength: targetLengthFor(facts.objective, length, options),
      hiddenShare: options.hiddenShare ?? laterSettings.hiddenShare,
      meanSpan: options.meanSpan ?? laterSettings.meanSpan,
      maskToken: options.maskToken ?? (isEncoders(facts.objective) ? facts.maskToken : laterSettings.maskToken),
      sentinel: options.sentinel ?? (facts.objective === 'spans' ? facts.sentinel : laterSettings.sentinel),
      packing: options.packing ?? 'documents',
      seed: options.seed ?? 1,
      validationShare,
      windowTokens: options.windowTokens ?? 2 ** 24,
      learningRate: choose(
        options.learningRate,
        rate,
        `learning rate ${rate} (for ${counted(parameterCount, 'parameter')}${facts.isFineTuning ? ', fine-tuning' : ''})`,
      ),
      schedule: options.schedule ?? 'cosine',
      warmupSteps: options.warmupSteps ?? Math.min(1000, Math.ceil(steps / 20)),
      finalShare: options.finalShare ?? 0.1,
      decayShare: options.decayShare ?? 0.2,
      beta1: options.beta1 ?? 0.9,
      beta2: options.beta2 ?? 0.95,
      epsilon: options.epsilon ?? 1e-8,
      weightDecay: options.weightDecay ?? 0.1,
      ...optimizerOf(options),
      maxNorm: options.maxNorm ?? 1,
      zLoss: options.zLoss ?? laterSettings.zLoss,
      labelSmoothing: options.labelSmoothing ?? laterSettings.labelSmoothing,
      averageDecay: options.averageDecay ?? laterSettings.averageDecay,
      spikeDeviations: options.spikeDeviations ?? laterSettings.spikeDeviations,
      rollbackAfter: options.rollbackAfter ?? laterSettings.rollbackAfter,
      device: options.device ?? laterSettings.device,
      precision: options.precision ?? laterSettings.precision,
      evaluateEvery: options.evaluateEvery ?? every,
      evaluationTokens: options.evaluationTokens ?? evaluationTokens,
      saveEvery: options.saveEvery ?? every,
      keep: options.keep ?? 2,
      keepEvery: options.keepEvery ?? laterSettings.keepEvery,
      keepBest: options.keepBest ?? laterSettings.keepBest,
      threads: choose(options.threads, cores, `threads ${cores} (${cores === 1 ? 'the core' : 'cores'} of this machine)`),
      memory: options.memory ?? laterSettings.memory,
    }),
  }
}

function optimizerOf(options: SettingOptions) {
  const optimizer = options.optimizer ?? laterSettings.optimizer
  return {
    optimizer,
    momentum: options.momentum ?? laterSettings.momentum,
    matrixRate: options.matrixRate ?? (optimizer === 'muon' ? MUON_RATE : laterSettings.matrixRate),
    embeddingRate: options.embeddingRate ?? laterSettings.embeddingRate,
    vectorRate: options.vectorRate ?? laterSettings.vectorRate,
    headRate: options.headRate ?? laterSettings.headRate,
  }
}

/** Tokens a row: what the model sees, and 1,024 at most where it is not said. */
export function rowLength({ length }: Pick<SettingOptions, 'length'>, contextLength: number): number {
  return length ?? Math.min(contextLength, 1024)
}

/** Tokens a row of the target side; 0 where there is none. */
export function targetLengthFor(objective: Objective, length: number, options: SettingOptions): number {
  const { hiddenShare: share = laterSettings.hiddenShare, meanSpan = laterSettings.meanSpan } = options
  if (objective === 'spans') return options.targetLength ?? Math.min(length, targetRoom(length, { share, meanSpan }))
  return objective === 'pairs' ? (options.targetLength ?? length) : 0
}

/** Options that are sound one by one may still come to nothing that can be run: 10³⁰ epochs, a context of one token. */
function parseSettings(settings: TrainSettings): TrainSettings {
  const parsed = trainSettings.safeParse(settings)
  if (parsed.success) return parsed.data
  const [{ path, message }] = parsed.error.issues // the others follow from it
  throw new SluiceError('SLUICE_TRAIN_OPTIONS', `the options come to a run that cannot be made: ${flagOf(String(path[0]))}: ${message}`, {
    fix: 'see sluice train --help',
  })
}

/** How much a run trains on, and in what pieces. */
function resolveAmount(options: SettingOptions, facts: RunFacts, trainTokens: number) {
  const { steps: givenSteps, epochs, tokens, batchTokens: givenBatch } = options
  if ([givenSteps, epochs, tokens].filter((value) => value !== undefined).length > 1)
    throw new SluiceError('SLUICE_TRAIN_OPTIONS', 'steps, tokens and epochs say the same thing', { fix: 'give one of them' })
  const length = rowLength(options, facts.contextLength)
  if (length > facts.contextLength)
    throw new SluiceError('SLUICE_TRAIN_LENGTH', `rows of ${length} tokens do not fit the model: it sees ${facts.contextLength}`, {
      fix: `give --length ${facts.contextLength} or less, or a model with a longer context`,
    })
  const asked = tokens ?? (epochs === undefined ? undefined : Math.round(epochs * trainTokens))
  const budget = asked === undefined ? budgetTokens(facts.parameterCount, trainTokens) : { tokens: asked, reason: counted(asked, 'token') }
  const { rows, passes } = splitBatch(givenBatch ?? batchTokens(budget.tokens), length, facts)
  const stepTokens = rows * passes * length
  const steps = givenSteps ?? Math.max(1, Math.round(budget.tokens / stepTokens))
  const reasons: string[] = []
  if (givenBatch === undefined)
    reasons.push(
      `batch ${formatCount(stepTokens)} tokens: ${counted(rows * passes, 'row')} of ${length} (grows with the tokens trained on)`,
    )
  else if (givenBatch !== stepTokens)
    reasons.push(
      `batch ${formatCount(stepTokens)} tokens: ${counted(rows * passes, 'whole row')} of ${length}, nearest to ${formatCount(givenBatch)}`,
    )
  if (givenSteps === undefined) reasons.push(`steps ${formatCount(steps)} (${budget.reason}, ${formatCount(stepTokens)} a step)`)
  return { steps, rows, passes, length, reasons }
}

/** 2 %, and more where that would be fewer than 50 documents. */
export function heldOutShare(documents: number): number {
  return Number(Math.min(0.1, Math.max(0.02, 50 / Math.max(1, documents))).toFixed(3))
}

/** Hoffmann et al. 2022 (arxiv.org/abs/2203.15556): 20 tokens a parameter; Muennighoff et al. 2023 (arxiv.org/abs/2305.16264): up to 4 epochs are nearly worth new data. */
function budgetTokens(parameterCount: number, trainTokens: number) {
  const compute = 20 * parameterCount
  if (compute <= 4 * trainTokens) return { tokens: compute, reason: `20 tokens for each of ${formatCount(parameterCount)} parameters` }
  return { tokens: 4 * trainTokens, reason: `4 epochs of ${formatCount(trainTokens)} tokens: more repetition teaches little` }
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

/** A fifth of the rate that weights are learnt from nothing with. */
const FINE_TUNING = 0.2

/** 6·10⁻⁴ for GPT-2 124M, as llm.c trains it, falling with the cube root of the size; measured at 1.3 M (docs/decisions.md). Two digits. */
function learningRate(parameterCount: number, isFineTuning: boolean): number {
  const rate = twoDigits(Math.min(3e-3, 6e-4 * Math.cbrt(124e6 / parameterCount)))
  return isFineTuning ? twoDigits(FINE_TUNING * rate) : rate
}

const twoDigits = (value: number) => Number(value.toPrecision(2))

/** How a setting is asked for on the command line. */
export function flagOf(setting: string): string {
  if (setting === 'learningRate') return '--lr'
  return `--${setting.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}

/**
 * Refuses to go on from a checkpoint with settings under which it would be another run.
 *
 * @throws SluiceError `SLUICE_TRAIN_CHANGED`, naming the setting
 */
export function assertSameRun(stored: TrainSettings, asked: TrainSettings, folder: string): void {
  const shown = (settings: TrainSettings): Map<string, unknown> => {
    const { rows, passes, ...others } = settings
    return new Map(Object.entries({ ...others, batchTokens: rows * settings.length * passes }))
  }
  const before = shown(stored)
  for (const [name, now] of shown(asked)) {
    if (now === before.get(name) || changeable.has(name)) continue
    throw new SluiceError(
      'SLUICE_TRAIN_CHANGED',
      `the run in this folder has ${flagOf(name)} ${before.get(name)}, now it is ${now}: it cannot go on from its checkpoint`,
      {
        where: { folder },
        fix: `give the options it was started with, or another --out for a new run`,
      },
    )
  }
}
