// The learning rate that a model learns most with, by short runs over a geometric grid: the lowest validation loss, and the
// vertex of the parabola in the logarithm of the rate through it and its neighbours. What ran before is not run again.

import { join } from 'node:path'
import { SluiceError } from '../core/errors.ts'
import type { TrainHooks, TrainOptions } from './train-options.ts'
import { runTrial } from './trial.ts'

export interface Trial {
  readonly learningRate: number
  /** Nats a token on held-out documents; null where the run diverged. */
  readonly loss: number | null
}

export interface RateSearch {
  /** By rate. */
  readonly trials: readonly Trial[]
  /** Two digits. */
  readonly best: number
  /** The lowest loss has tried rates on both sides of it. */
  readonly isBracketed: boolean
}

const FACTOR = 2
/** Rates tried beyond the first five, where the best lies at the edge. */
const MOST_EXTENSIONS = 4

/**
 * @param options of the runs; out is the folder of all of them, learningRate the middle of the grid
 * @param onTrial told of each run as it ends
 * @throws SluiceError SLUICE_TRAIN_NO_VALIDATION, SLUICE_TRAIN_DIVERGED where every rate is too high, and those of train;
 * an aborted signal's reason
 */
export async function findLearningRate(
  options: TrainOptions & { readonly out: string; readonly learningRate: number },
  hooks: TrainHooks & { readonly onTrial?: (trial: Trial) => void } = {},
): Promise<RateSearch> {
  const trials: Trial[] = []
  const attempt = async (power: number) => {
    const learningRate = twoDigits(options.learningRate * FACTOR ** power)
    const trial = { learningRate, loss: await lossAt({ ...options, learningRate }, hooks) }
    trials.push(trial)
    trials.sort((a, b) => a.learningRate - b.learningRate)
    hooks.onTrial?.(trial)
  }
  for (const power of [0, -1, 1, -2, 2]) await attempt(power)
  for (let extension = 1, low = -2, high = 2; extension <= MOST_EXTENSIONS && !isBracketed(trials); extension++)
    await attempt(lowest(trials) === 0 ? --low : ++high)
  if (trials.every(({ loss }) => loss === null))
    throw new SluiceError('SLUICE_TRAIN_DIVERGED', `every rate from ${trials[0].learningRate} on diverged`, {
      fix: 'give a lower --lr as the middle of the search, or a longer --warmup-steps',
    })
  return { trials, best: twoDigits(vertex(trials)), isBracketed: isBracketed(trials) }
}

async function lossAt(
  options: TrainOptions & { readonly out: string; readonly learningRate: number },
  hooks: TrainHooks,
): Promise<number | null> {
  try {
    const out = join(options.out, `rate-${options.learningRate}`)
    // a rate is judged by where it leads: nothing is left out on its way, only what is no number ends it
    const { evaluation } = await runTrial('rates', { spikeDeviations: 0, rollbackAfter: 0, ...options, out }, hooks)
    return evaluation.loss
  } catch (error) {
    if (error instanceof SluiceError && error.code === 'SLUICE_TRAIN_DIVERGED') return null
    throw error
  }
}

const orInfinity = ({ loss }: Trial) => loss ?? Number.POSITIVE_INFINITY

const lowest = (trials: readonly Trial[]) =>
  trials.reduce((best, trial, index) => (orInfinity(trial) < orInfinity(trials[best]) ? index : best), 0)

function isBracketed(trials: readonly Trial[]): boolean {
  const index = lowest(trials)
  return index > 0 && index < trials.length - 1
}

/** Of the parabola through the lowest three; the lowest itself where there is none. The grid is even in the logarithm. */
function vertex(trials: readonly Trial[]): number {
  const index = lowest(trials)
  const { learningRate } = trials[index]
  if (!isBracketed(trials)) return learningRate
  const [before, at, behind] = [-1, 0, 1].map((offset) => orInfinity(trials[index + offset]))
  const curvature = before + behind - 2 * at
  return Number.isFinite(curvature) && curvature > 0 ? learningRate * FACTOR ** ((before - behind) / (2 * curvature)) : learningRate
}

const twoDigits = (value: number) => Number(value.toPrecision(2))
