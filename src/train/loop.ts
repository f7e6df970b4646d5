// The training loop: batches in, gradients added up, one update a step; evaluation, log and checkpoints between steps. It
// computes nothing itself, and whatever stops it, it goes on from the last checkpoint as if it had not stopped. A step that
// would do harm (src/train/spikes.ts) is left out; too many of them in a row take it back to the last checkpoint.

import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { TRAINING_LOG_FILE } from '../../schemas/training-log.ts'
import type { Json } from '../core/document.ts'
import { SluiceError } from '../core/errors.ts'
import type { Trainable } from '../model/trainable.ts'
import type { Delivery } from './batch-source.ts'
import { CHECKPOINT_FORMAT, type Evaluation, findCheckpoint, restoreCheckpoint, type TrainState } from './checkpoint.ts'
import { CheckpointWriter, copyCheckpoint } from './checkpoint-write.ts'
import { evaluateAverage } from './evaluate.ts'
import { absoluteInput, documentsByShard, TrainLog } from './log.ts'
import { afterGoodStep, afterOverflow, firstLossScale, isOverflow } from './loss-scale.ts'
import { type ReadAhead, readAhead } from './read-ahead.ts'
import type { RunData } from './run-data.ts'
import { learningRateAt } from './schedule.ts'
import type { TrainSettings } from './settings.ts'
import { describeSpike, largestNormal, remember } from './spikes.ts'

/** A step's weight in the smoothed loss. */
const SMOOTHING = 1 / 20
/** A run that went back so often without a new checkpoint will not get further. */
const MOST_ROLLBACKS = 3

/** The saves that are due may be hours apart: a kill is to cost no more than this, and what it takes to save once. */
const MOST_UNSAVED_MS = 15 * 60_000

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
  /** What the loss was multiplied with, in f16. */
  readonly lossScale?: number
  readonly tokensPerSecond: number
  /** Share of the machine's peak arithmetic, where that is known. */
  readonly utilization?: number
  /** Until the last step, evaluations and saving left out. */
  readonly secondsLeft: number
  /** Resident memory of the process. */
  readonly memoryBytes: number
}
export interface EvaluationReport extends Evaluation {
  readonly event: 'evaluation'
}
export interface SaveReport {
  readonly event: 'checkpoint'
  readonly step: number
  readonly folder: string
}
/** A step that changed no weight. One that overflowed f16 is taken again, with other documents. */
export interface SkipReport {
  readonly event: 'skip'
  readonly step: number
  /** `loss 9.31, 4.12 is the most that is normal`. */
  readonly reason: string
}
export interface RollbackReport {
  readonly event: 'rollback'
  /** The last of the steps that were left out. */
  readonly step: number
  /** The checkpoint's step, from which the run goes on with new documents. */
  readonly to: number
  /** Where no step had been left out: what else shows that the weights are broken. */
  readonly reason?: string
}
export type TrainReport = StepReport | EvaluationReport | SaveReport | SkipReport | RollbackReport

export interface TrainRun {
  readonly model: Trainable
  readonly data: RunData
  readonly settings: TrainSettings
  /** What every evaluation measures; may be empty. */
  readonly validation: readonly Delivery[]
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
  const { model, data, settings, folder, validation } = run
  let state = run.state ?? firstState(run)
  await using source = data.train(settings, model.config, run.state?.cursors)
  const batches = readAhead(source)
  await using writer = new CheckpointWriter()
  const log = await TrainLog.open(join(folder, TRAINING_LOG_FILE), run.state ? state.step : -1, openingLine(run))
  const clock = { seconds: 0, tokens: 0 }
  let savedStep = run.state ? state.step : -1
  let savedAt = performance.now()
  const save = async () => {
    state = withBest(state)
    await log.sync() // a checkpoint stands on the lines before it
    const { step } = state
    const { written } = await writer.start(() => copyCheckpoint(folder, model, state))
    savedStep = step
    savedAt = performance.now()
    written.then(
      (saved) => run.onReport?.({ event: 'checkpoint', step, folder: saved }),
      () => {}, // the writer gives the failure to who waits for it
    )
  }
  const goBack = async (why: string, told: { readonly reason?: string } = {}) => {
    const { step } = state
    await writer.settled()
    state = await rollBack(run, state, why)
    const report = { event: 'rollback', step, to: state.step, ...told } as const
    await log.write(report)
    run.onReport?.(report)
  }
  try {
    if (run.state) await log.write({ event: 'resume', step: state.step })
    while (state.step < settings.steps) {
      const next = await trainStep(run, state, batches, clock)
      if (!next) break
      state = next.state
      await log.write(next.line)
      if (next.hasOverflown) continue
      if (state.skippedInRow > 0) {
        if (state.skippedInRow < settings.rollbackAfter) continue
        await goBack(`${state.skippedInRow} steps in a row up to step ${state.step} had to be left out`)
        continue
      }
      if (isDue(state.step, settings.evaluateEvery, settings) && validation.length > 0) {
        const evaluation = await evaluateAverage(model, validation, state.step, run)
        if (!Number.isFinite(evaluation.loss)) {
          const reason = `the validation loss at step ${state.step} is no number`
          await goBack(reason, { reason })
          continue
        }
        state = { ...state, evaluation }
        await log.write({ event: 'evaluation', ...evaluation })
        run.onReport?.({ event: 'evaluation', ...evaluation })
      }
      if (isDue(state.step, settings.saveEvery, settings) || performance.now() - savedAt > MOST_UNSAVED_MS) await save()
    }
    if (savedStep !== state.step) await save()
    await writer.settled()
  } finally {
    await log.close()
  }
  const tokensPerSecond = clock.seconds > 0 ? clock.tokens / clock.seconds : 0
  return { checkpoint: join(folder, `step-${state.step}`), state, isInterrupted: state.step < settings.steps, tokensPerSecond }
}

/** Whether the checkpoint to be written is the best so far: only a measured one can be. */
function withBest(state: TrainState): TrainState {
  const { step, evaluation, best } = state
  if (evaluation?.step !== step || (best && evaluation.loss >= best.loss)) return state
  return { ...state, best: { step, loss: evaluation.loss } }
}

const isDue = (step: number, every: number, { steps }: TrainSettings) => step % every === 0 || step === steps

function firstState({ model, data, settings }: TrainRun): TrainState {
  return {
    format: CHECKPOINT_FORMAT,
    step: 0,
    settings,
    vocabularyHash: data.vocabulary.hash,
    corpusHash: data.hash,
    parameterCount: model.parameterCount,
    cursors: [],
    seenTokens: 0,
    loss: null,
    smoothedLoss: null,
    evaluation: null,
    recent: { losses: [], gradientNorms: [] },
    skippedInRow: 0,
    ...(settings.precision === 'f16' ? { lossScale: firstLossScale } : {}),
    rollbacks: 0,
    skippedSteps: 0,
    best: null,
    labels: [...data.labels],
  }
}

/** Says what the ordinals in the following lines stand for. */
function openingLine({ data, settings, model }: TrainRun): { [key: string]: Json } {
  const { shards, inputs, vocabulary } = data
  return {
    ...{ event: 'start', step: 0, shards, inputs: inputs.map(absoluteInput), vocabulary: vocabulary.hash },
    ...{ parameters: model.parameterCount, settings },
  }
}

interface StepTaken {
  readonly state: TrainState
  readonly line: { readonly [key: string]: Json | undefined }
  /** The step has not counted, for f16 has no such gradients. */
  readonly hasOverflown?: boolean
}

/** What the time left is reckoned from. */
interface Clock {
  seconds: number
  tokens: number
}

/** One update. Undefined where the signal came before it: then nothing has changed. */
async function trainStep(run: TrainRun, state: TrainState, source: ReadAhead, clock: Clock): Promise<StepTaken | undefined> {
  const { model, settings } = run
  const step = state.step + 1
  const start = performance.now()
  const scale = state.lossScale?.value ?? 1
  const gathered = await gatherGradients(run, source, scale)
  if (!gathered) return undefined
  const { batches, denominator } = gathered
  if (step < settings.steps) {
    const next = await source.fetch(settings.passes)
    if (next) model.announce(next.batch)
  }
  const learningRate = learningRateAt(settings, step)
  const { loss, gradientNorm, skipped } = update(run, state, { step, denominator, learningRate, lossScale: scale })
  const seconds = (performance.now() - start) / 1000
  const tokens = settings.rows * settings.length * settings.passes
  clock.seconds += seconds
  clock.tokens += tokens

  const position = { settings, cursors: [...batches[batches.length - 1].cursors], seenTokens: state.seenTokens + tokens }
  const documents = documentsByShard(batches.flatMap(({ documents }) => documents))
  const figures = { learningRate, ...(state.lossScale ? { lossScale: scale } : {}) }
  const leftOut = (reason: string) => {
    run.onReport?.({ event: 'skip', step, reason })
    return { event: 'skip', step, reason, loss: orNull(loss), gradientNorm: orNull(gradientNorm), ...figures, documents }
  }
  if (skipped !== undefined && Number.isFinite(loss) && isOverflow(state.lossScale, gradientNorm)) {
    const lossScale = afterOverflow(state.lossScale)
    const line = leftOut(`gradients overflow f16 at a loss scale of ${scale}, next ${lossScale.value}`)
    return { state: { ...state, ...position, lossScale }, line, hasOverflown: true }
  }
  const recent = { losses: remember(state.recent.losses, loss), gradientNorms: remember(state.recent.gradientNorms, gradientNorm) }
  const lossScale = state.lossScale ? { lossScale: afterGoodStep(state.lossScale) } : {}
  const moved: TrainState = { ...state, ...position, step, recent, ...lossScale }
  if (skipped !== undefined)
    return { state: { ...moved, skippedInRow: state.skippedInRow + 1, skippedSteps: state.skippedSteps + 1 }, line: leftOut(skipped) }
  const smoothedLoss = state.smoothedLoss === null ? loss : state.smoothedLoss + SMOOTHING * (loss - state.smoothedLoss)
  const next: TrainState = { ...moved, loss, smoothedLoss, skippedInRow: 0 }
  const measured = { ...measure(run, next, tokens / seconds), loss, gradientNorm, ...figures }
  const secondsLeft = ((settings.steps - step) * tokens * clock.seconds) / clock.tokens
  const memoryBytes = process.memoryUsage.rss()
  run.onReport?.({ event: 'step', steps: settings.steps, smoothedLoss, ...measured, secondsLeft, memoryBytes })
  return { state: next, line: { event: 'step', ...measured, documents } }
}

/** The passes of a step. Undefined where the signal came between them. */
async function gatherGradients(
  run: TrainRun,
  source: ReadAhead,
  lossScale: number,
): Promise<{ readonly batches: readonly Delivery[]; readonly denominator: number } | undefined> {
  const { model, settings, signal } = run
  const batches: Delivery[] = []
  while (batches.length < settings.passes) {
    const batch = await source.next()
    if (!batch) throw nothingToTrainOn(run)
    if (signal?.aborted) return undefined
    batches.push(batch)
  }
  const targets = batches.reduce((sum, { targetCount }) => sum + targetCount, 0)
  const denominator = Math.max(1, targets)
  for (const { batch } of batches) {
    await setImmediate() // lets a signal or a timer in
    if (signal?.aborted) return undefined
    model.backpropagate(batch, denominator / lossScale)
  }
  return { batches, denominator }
}

function measure({ model, peakFlops }: TrainRun, { step, cursors, seenTokens }: TrainState, tokensPerSecond: number) {
  const utilization = peakFlops ? { utilization: (tokensPerSecond * model.flopsPerToken) / peakFlops } : {}
  return { step, epoch: Math.max(...cursors.map(({ epoch }) => epoch)), seenTokens, tokensPerSecond, ...utilization }
}

function nothingToTrainOn({ data, folder }: TrainRun): SluiceError {
  return new SluiceError('SLUICE_TRAIN_CORPUS_EMPTY', `none of ${data.documents} examples is left to train on`, {
    where: { folder },
    fix: 'give more examples, or a smaller --validation-share',
  })
}

/** JSON has no NaN. */
const orNull = (value: number) => (Number.isFinite(value) ? value : null)

/** Updates the weights, unless the step would do harm: then `skipped` says why. */
function update(
  { model, settings }: TrainRun,
  { recent }: TrainState,
  given: { step: number; denominator: number; learningRate: number; lossScale: number },
): { loss: number; gradientNorm: number; skipped?: string } {
  const { beta1, beta2, epsilon, weightDecay, momentum, averageDecay, maxNorm, spikeDeviations } = settings
  const largestLoss = largestNormal(recent.losses, spikeDeviations)
  // what is not even clipped does no harm, however quiet the steps before it were
  const largestNorm = Math.max(largestNormal(recent.gradientNorms, spikeDeviations), maxNorm)
  const { lossSum, gradientNorm, isSkipped, reason } = model.step({
    ...{ beta1, beta2, epsilon, weightDecay, momentum, averageDecay, maxNorm, largestLoss, largestNorm },
    ...given,
  })
  const loss = lossSum / given.denominator
  if (!isSkipped) return { loss, gradientNorm }
  const skipped = reason === 'loss' ? describeSpike('loss', loss, largestLoss) : describeSpike('gradient norm', gradientNorm, largestNorm)
  return { loss, gradientNorm, skipped }
}

/** The last checkpoint's weights, and the documents after those that led here. Killed and started again, a run does the same. */
async function rollBack({ model, folder, settings }: TrainRun, state: TrainState, why: string): Promise<TrainState> {
  // an interrupt saves at any step: a run that was not stopped would not go back there
  const { checkpoint: due } = await findCheckpoint(folder, (step) => step % settings.saveEvery === 0)
  const checkpoint = due ?? (await findCheckpoint(folder)).checkpoint
  if (!checkpoint || settings.rollbackAfter === 0 || state.rollbacks - checkpoint.state.rollbacks >= MOST_ROLLBACKS)
    throw new SluiceError('SLUICE_TRAIN_DIVERGED', `${why}: training has diverged`, {
      where: { folder, step: state.step, learningRate: learningRateAt(settings, state.step).toPrecision(3) },
      fix: `the checkpoints before it are kept; start anew with a lower --lr than ${settings.learningRate} or a longer --warmup-steps`,
    })
  await restoreCheckpoint(checkpoint.folder, model)
  return { ...checkpoint.state, settings, cursors: state.cursors, skippedSteps: state.skippedSteps, rollbacks: state.rollbacks + 1 }
}
