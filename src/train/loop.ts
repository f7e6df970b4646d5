// The training loop: batches in, gradients added up, one AdamW update a step; evaluation, log and checkpoints between
// steps. It computes nothing itself, and whatever stops it, it goes on from the last checkpoint as if it had not stopped.

import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { Json } from '../core/document.ts'
import { SluiceError } from '../core/errors.ts'
import type { Trainable } from '../model/trainable.ts'
import type { Corpus } from '../tokens/corpus.ts'
import { type Evaluation, saveCheckpoint, type TrainState } from './checkpoint.ts'
import { firstCursor, type LoaderOptions, TokenLoader } from './loader.ts'
import { documentsByShard, LOG_FILE, TrainLog } from './log.ts'
import type { PackedBatch } from './pack.ts'
import { learningRateAt } from './schedule.ts'
import type { TrainSettings } from './settings.ts'

/** A step's weight in the smoothed loss. */
const SMOOTHING = 1 / 20

export interface StepReport {
  readonly event: 'step'
  readonly step: number
  readonly steps: number
  readonly epoch: number
  readonly seenTokens: number
  readonly loss: number
  readonly smoothedLoss: number
  readonly gradientNorm: number
  readonly learningRate: number
  readonly tokensPerSecond: number
  /** Share of the machine's peak arithmetic, where that is known. */
  readonly utilization?: number
}
export interface EvaluationReport extends Evaluation {
  readonly event: 'evaluation'
}
export interface SaveReport {
  readonly event: 'checkpoint'
  readonly step: number
  readonly folder: string
}
export type TrainReport = StepReport | EvaluationReport | SaveReport

export interface TrainRun {
  readonly model: Trainable
  readonly corpus: Corpus
  readonly settings: TrainSettings
  /** What every evaluation measures (`loadValidation`); may be empty. */
  readonly validation: readonly PackedBatch[]
  /** Where checkpoints and the log go; exists. */
  readonly folder: string
  /** What to go on from; its weights and moments are in the model already. */
  readonly state: TrainState | undefined
  /** [vocabulary] bytes of text behind each token, for bits per byte. */
  readonly tokenBytes?: ArrayLike<number>
  /** Floating-point operations a second that the machine could do. */
  readonly peakFlops?: number
  /** Stops at once, with the last whole step saved. */
  readonly signal?: AbortSignal
  readonly onReport?: (report: TrainReport) => void
}

export interface TrainOutcome {
  /** The newest checkpoint. */
  readonly checkpoint: string
  readonly state: TrainState
  readonly isInterrupted: boolean
  /** Over this process's part of the run, evaluation and saving left out; 0 where no step was left to do. */
  readonly tokensPerSecond: number
}

/** Runs the steps that are left. */
export async function runLoop(run: TrainRun): Promise<TrainOutcome> {
  const { model, corpus, settings, folder, validation } = run
  let state = run.state ?? firstState(run)
  const loader = new TokenLoader(corpus, loaderOptions(settings, 'train'), state.cursor)
  const log = await TrainLog.open(join(folder, LOG_FILE), run.state ? state.step : -1)
  const clock = { seconds: 0, tokens: 0 }
  let savedStep = run.state ? state.step : -1
  let checkpoint = join(folder, `step-${state.step}`)
  const save = async () => {
    await log.sync()
    checkpoint = await saveCheckpoint(folder, model, state, settings.keep)
    savedStep = state.step
    run.onReport?.({ event: 'checkpoint', step: state.step, folder: checkpoint })
  }
  try {
    await log.write(openingLine(run))
    while (state.step < settings.steps) {
      const next = await trainStep(run, state, loader, clock)
      if (!next) break
      state = next.state
      await log.write(next.line)
      if (isDue(state.step, settings.evaluateEvery, settings) && validation.length > 0) {
        const evaluation = await evaluate(model, validation, state.step, run.tokenBytes)
        state = { ...state, evaluation }
        await log.write({ event: 'evaluation', ...evaluation })
        run.onReport?.({ event: 'evaluation', ...evaluation })
      }
      if (isDue(state.step, settings.saveEvery, settings)) await save()
    }
    if (savedStep !== state.step) await save()
  } finally {
    await log.close()
  }
  const tokensPerSecond = clock.seconds > 0 ? clock.tokens / clock.seconds : 0
  return { checkpoint, state, isInterrupted: state.step < settings.steps, tokensPerSecond }
}

const isDue = (step: number, every: number, { steps }: TrainSettings) => step % every === 0 || step === steps

function firstState({ model, corpus, settings }: TrainRun): TrainState {
  return {
    format: 1,
    step: 0,
    settings,
    vocabularyHash: corpus.vocabulary.hash,
    corpusHash: corpus.hash,
    parameterCount: model.parameterCount,
    cursor: firstCursor,
    seenTokens: 0,
    loss: null,
    smoothedLoss: null,
    evaluation: null,
  }
}

/** Says what the ordinals in the following lines stand for. */
function openingLine({ corpus, settings, model, state }: TrainRun): { [key: string]: Json } {
  if (state) return { event: 'resume', step: state.step }
  return { event: 'start', step: 0, shards: corpus.shards, vocabulary: corpus.vocabulary.hash, parameters: model.parameterCount, settings }
}

/** One update. Undefined where the signal came before it: then nothing has changed. */
async function trainStep(run: TrainRun, state: TrainState, loader: TokenLoader, clock: { seconds: number; tokens: number }) {
  const { model, settings, signal } = run
  const step = state.step + 1
  const batches: PackedBatch[] = []
  while (batches.length < settings.passes) {
    const batch = await loader.next()
    if (batch) batches.push(batch)
  }
  const denominator = Math.max(
    1,
    sum(batches, ({ targetCount }) => targetCount),
  )
  const start = performance.now()
  let lossSum = 0
  for (const batch of batches) {
    await setImmediate() // lets a signal or a timer in
    if (signal?.aborted) return undefined
    lossSum += model.accumulate(batch, denominator).lossSum
  }
  const loss = lossSum / denominator
  assertFinite('the loss', loss, step, run)
  const learningRate = learningRateAt(settings, step)
  const { beta1, beta2, epsilon, weightDecay, maxNorm } = settings
  const { gradientNorm } = model.step({ learningRate, beta1, beta2, epsilon, weightDecay, maxNorm, step })
  assertFinite('the norm of the gradient', gradientNorm, step, run)
  const seconds = (performance.now() - start) / 1000
  const tokens = settings.rows * settings.length * settings.passes
  clock.seconds += seconds
  clock.tokens += tokens

  const smoothedLoss = state.smoothedLoss === null ? loss : state.smoothedLoss + SMOOTHING * (loss - state.smoothedLoss)
  const next: TrainState = { ...state, step, settings, cursor: loader.cursor, seenTokens: state.seenTokens + tokens, loss, smoothedLoss }
  const tokensPerSecond = tokens / seconds
  const utilization = run.peakFlops ? { utilization: (tokensPerSecond * model.flopsPerToken) / run.peakFlops } : {}
  const measured = {
    step,
    epoch: next.cursor.epoch,
    seenTokens: next.seenTokens,
    loss,
    gradientNorm,
    learningRate,
    tokensPerSecond,
    ...utilization,
  }
  run.onReport?.({ event: 'step', steps: settings.steps, smoothedLoss, ...measured })
  return { state: next, line: { event: 'step', ...measured, documents: documentsByShard(batches.flatMap(({ documents }) => documents)) } }
}

/** A run that has diverged is stopped before it saves what it became. */
function assertFinite(what: string, value: number, step: number, { folder, settings }: TrainRun): void {
  if (Number.isFinite(value)) return
  throw new SluiceError('SLUICE_TRAIN_DIVERGED', `${what} of step ${step} is ${value}: training has diverged`, {
    where: { folder, step, learningRate: learningRateAt(settings, step) },
    fix: `the checkpoints before it are kept; start anew with a lower --learning-rate than ${settings.learningRate} or a longer --warmup-steps`,
  })
}

function loaderOptions(settings: TrainSettings, split: 'train' | 'validation'): LoaderOptions {
  const { rows, length, packing, seed, validationShare, windowTokens } = settings
  return { rows, length, packing, seed, validationShare, windowTokens, split }
}

/** The batches that every evaluation measures: the same for every seed, so that runs compare. */
export async function loadValidation(corpus: Corpus, settings: TrainSettings): Promise<PackedBatch[]> {
  if (settings.validationShare === 0) return []
  const loader = new TokenLoader(corpus, { ...loaderOptions(settings, 'validation'), seed: 0, epochs: 1 })
  const batches: PackedBatch[] = []
  for (let targets = 0; targets < settings.evaluationTokens; ) {
    const batch = await loader.next()
    if (!batch) break
    batches.push(batch)
    targets += batch.targetCount
  }
  return batches
}

/** Mean loss over held-out batches, and bits per byte of the text behind their targets. */
export async function evaluate(
  model: Trainable,
  batches: readonly PackedBatch[],
  step: number,
  tokenBytes?: ArrayLike<number>,
): Promise<Evaluation> {
  let lossSum = 0
  let targets = 0
  for (const batch of batches) {
    await setImmediate()
    const result = model.evaluate(batch)
    lossSum += result.loss * result.targets
    targets += result.targets
  }
  const bytes = tokenBytes ? sum(batches, (batch) => bytesBehind(batch, tokenBytes)) : 0
  return { step, loss: lossSum / Math.max(1, targets), bitsPerByte: bytes > 0 ? lossSum / Math.LN2 / bytes : null, targets }
}

function bytesBehind({ targets }: PackedBatch, tokenBytes: ArrayLike<number>): number {
  let bytes = 0
  for (let i = 0; i < targets.length; i++) if (targets[i] >= 0) bytes += tokenBytes[targets[i]]
  return bytes
}

const sum = <T>(items: readonly T[], value: (item: T) => number) => items.reduce((total, item) => total + value(item), 0)
