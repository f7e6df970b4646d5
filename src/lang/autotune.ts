// Looks for the options that do best on a validation text, for a given time: random steps from the best options so far,
// smaller and smaller ones, as the C++ program's autotune takes them. What the caller fixed stays.

import { SluiceError } from '../core/errors.ts'
import { evaluate, f1 } from './evaluate.ts'
import { releaseModelMemory } from './fasttext-memory.ts'
import type { FastTextModel } from './fasttext-model.ts'
import { type TrainingContext, trainFastText } from './fasttext-train.ts'
import { minstd } from './product-quantizer.ts'
import { quantizationFor, quantizeModel } from './quantize.ts'
import { type TrainingOptions, trainingOptions } from './training-options.ts'

export interface AutotuneOptions {
  readonly validation: Iterable<string>
  readonly seconds: number
  /** `f1`, or `f1:` and a label. */
  readonly metric: string
  /** Labels predicted for each line. */
  readonly predictions: number
  /** Bytes that the quantized model may have; undefined: it is not quantized. */
  readonly modelBytes?: number
  /** Options that are not tuned. */
  readonly fixed: ReadonlySet<string>
}

export interface Trial {
  readonly options: TrainingOptions
  readonly dsub: number
  /** Undefined: training diverged, or no model fits the size. */
  readonly score?: number
}

export interface Tuned {
  readonly model: FastTextModel
  readonly best: Trial
  readonly trials: readonly Trial[]
}

interface Candidate {
  readonly options: TrainingOptions
  readonly dsub: number
}

/** @throws SluiceError SLUICE_LANG_AUTOTUNE_TIME, SLUICE_LANG_AUTOTUNE_SIZE, SLUICE_LANG_AUTOTUNE_METRIC, and those of training */
export async function autotune(file: string, base: TrainingOptions, tuning: AutotuneOptions, context: TrainingContext): Promise<Tuned> {
  const startMs = performance.now()
  const random = minstd(base.seed)
  const trials: Trial[] = []
  let best: Trial | undefined
  let candidate: Candidate = { options: base, dsub: 2 }
  const timeLeftMs = () => startMs + 1000 * tuning.seconds - performance.now()
  while (timeLeftMs() > 0) {
    const trial = await tryOptions(file, candidate, tuning, context, timeLeftMs())
    if (trial === undefined) break
    trials.push(trial)
    if (trial.score !== undefined && trial.score > (best?.score ?? -1)) best = trial
    candidate = step(best ?? candidate, 1 - Math.max(0, timeLeftMs()) / (1000 * tuning.seconds), tuning.fixed, random)
  }
  if (best === undefined) throw nothingFound(trials, tuning)
  return { model: await build(file, best, tuning.modelBytes, context), best, trials }
}

/** Undefined: the time was over before the end. */
async function tryOptions(
  file: string,
  candidate: Candidate,
  tuning: AutotuneOptions,
  context: TrainingContext,
  timeLeftMs: number,
): Promise<Trial | undefined> {
  const deadline = AbortSignal.timeout(Math.ceil(timeLeftMs))
  const signal = context.signal === undefined ? deadline : AbortSignal.any([deadline, context.signal])
  try {
    const model = await build(file, candidate, tuning.modelBytes, { threads: context.threads, signal })
    const score = scoreOf(model, tuning)
    if (model.memory !== null) releaseModelMemory(model.memory)
    return { ...candidate, score }
  } catch (error) {
    context.signal?.throwIfAborted()
    if (deadline.aborted) return undefined
    if (error instanceof SluiceError && FAILED_TRIAL.has(error.code)) return candidate
    throw error
  }
}

const FAILED_TRIAL = new Set(['SLUICE_LANG_DIVERGED', 'SLUICE_LANG_MODEL_MEMORY', 'SLUICE_LANG_AUTOTUNE_SIZE', 'SLUICE_LANG_TOO_FEW_ROWS'])

async function build(file: string, { options, dsub }: Candidate, modelBytes: number | undefined, context: TrainingContext) {
  const { model } = await trainFastText(file, options, context)
  if (modelBytes === undefined) return model
  const quantization = quantizationFor(model, dsub, modelBytes)
  const quantized = await quantizeModel(model, quantization, { ...options, file, context })
  // What is cut has been copied.
  if (model.memory !== null && quantization.cutoff < model.input.rows) releaseModelMemory(model.memory)
  return quantized
}

function scoreOf(model: FastTextModel, { validation, metric, predictions }: AutotuneOptions): number {
  const { all, labels } = evaluate(model, validation, predictions, 0)
  if (metric === 'f1') return f1(all)
  const counts = labels.get(metric.slice('f1:'.length))
  if (metric.startsWith('f1:') && counts !== undefined) return f1(counts)
  throw new SluiceError('SLUICE_LANG_AUTOTUNE_METRIC', `there is no metric ${metric}`, {
    fix: `take f1, or f1: and a label of the training text, as in f1:${model.labels[0]}`,
  })
}

function nothingFound(trials: readonly Trial[], { seconds, modelBytes }: AutotuneOptions): SluiceError {
  if (trials.length === 0)
    return new SluiceError('SLUICE_LANG_AUTOTUNE_TIME', `no training came to its end within ${seconds} seconds`, {
      fix: 'give more time, or fix options that make training fast (epoch, dim, bucket)',
    })
  return new SluiceError(
    'SLUICE_LANG_AUTOTUNE_SIZE',
    `none of ${trials.length} models did${modelBytes === undefined ? '' : ` or fits ${modelBytes} bytes`}`,
    {
      fix: 'give more time, allow a larger model, or lower the learning rate',
    },
  )
}

// ---- the steps ----

const MINN_CHOICES = [0, 2, 3]

/** @param spent share of the time that is over */
function step(best: Candidate, spent: number, fixed: ReadonlySet<string>, random: () => number): Candidate {
  const { options } = best
  // The spread falls from its first to its last value between a quarter and three quarters of the time.
  const spread = (first: number, last: number) => normal(random) * (first - (first - last) * 2 * Math.min(0.5, Math.max(0, spent - 0.25)))
  const scaled = (value: number, least: number, most: number, first: number, last: number) =>
    Math.min(most, Math.max(least, value * 2 ** spread(first, last)))
  const moved = (value: number, least: number, most: number, first: number, last: number) =>
    Math.min(most, Math.max(least, Math.trunc(value + spread(first, last))))
  const bucketBefore = options.bucket > 0 ? options.bucket : 2_000_000
  const next = {
    epoch: Math.trunc(scaled(options.epoch, 1, 100, 2.8, 2.5)),
    lr: scaled(options.lr, 0.01, 5, 1.9, 1),
    dim: Math.trunc(scaled(options.dim, 1, 1000, 1.4, 0.3)),
    wordNgrams: moved(options.wordNgrams, 1, 5, 4.3, 2.4),
    minn: MINN_CHOICES[moved(Math.max(0, MINN_CHOICES.indexOf(options.minn)), 0, MINN_CHOICES.length - 1, 4, 1.4)],
    bucket: Math.trunc(scaled(bucketBefore, 10_000, 10_000_000, 2, 1.5)),
  }
  const dsub = fixed.has('dsub') ? best.dsub : 2 ** moved(Math.log2(best.dsub), 1, 4, 2, 1)
  const chosen = { ...options, ...Object.fromEntries(Object.entries(next).filter(([name]) => !fixed.has(name))) }
  const maxn = fixed.has('maxn') ? options.maxn : chosen.minn === 0 ? 0 : chosen.minn + 3
  return { options: trainingOptions.parse({ ...chosen, minn: Math.min(chosen.minn, maxn), maxn }), dsub }
}

/** Box and Muller 1958. */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}
