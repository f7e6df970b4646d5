// A sweep over sizes: each model is trained on as many tokens for each of its parameters, with one seed or several, and a law of
// scale through their losses says what a larger one would reach. A run that is there already is not run again.

import { join } from 'node:path'
import { SluiceError } from '../core/errors.ts'
import { formatCount } from '../core/format.ts'
import type { ModelConfig } from '../model/config.ts'
import { flopsPerToken, modelOfSize, parameterCount } from '../model/size.ts'
import { chooseModel } from './model-choice.ts'
import { architectureOf } from './objective.ts'
import { openMixture } from './open-data.ts'
import { FEWEST_POINTS, fitPowerLaw, predict, weighPoints } from './power-law.ts'
import { heldOutShare, rowLength } from './resolve-settings.ts'
import { inputsOf, type TrainHooks, type TrainOptions } from './train-options.ts'
import { runTrial } from './trial.ts'

export interface SizeRun {
  readonly parameters: number
  readonly tokens: number
  /** Floating-point operations of the whole training: what the law is fitted over. */
  readonly flops: number
  /** Nats a token on held-out documents. */
  readonly loss: number
  readonly bitsPerByte: number | null
  readonly learningRate: number
  readonly seed: number
  /** Times that the documents were read, begun ones included. */
  readonly epochs: number
  readonly folder: string
}

export interface SizeForecast {
  readonly parameters: number
  readonly tokens: number
  readonly flops: number
  /** Nats a token. Nine in ten such runs end between `low` and `high`, where the law holds. */
  readonly loss: number
  readonly low: number
  readonly high: number
  /** Times that the documents there are would be read. */
  readonly epochs: number
}

export interface SizeSweep {
  /** By size. The weight is how much each counts for the law: 1 for those on it, 0 for one far off, where there are others. */
  readonly runs: readonly (SizeRun & { readonly weight: number })[]
  readonly law: { readonly floor: number; readonly exponent: number; readonly misfit: number }
  readonly forecasts: readonly SizeForecast[]
}

export interface SizeSweepOptions {
  /** Parameters of each model. */
  readonly sizes: readonly number[]
  /** 20 is where compute is spent best (Hoffmann et al. 2022). */
  readonly tokensPerParameter: number
  /** Runs of each size, with this seed and those that follow: they differ in initial weights and in the order of documents. */
  readonly seeds: number
  /** Parameters of the models to say the loss of. */
  readonly forecast: readonly number[]
}

/** Of all runs: out is their folder. */
type SweptOptions = Omit<TrainOptions, 'params' | 'model' | 'init' | 'tokens' | 'steps' | 'epochs'> & { readonly out: string }

/** Held-out tokens that all sizes are measured on: the same ones. */
const EVALUATION_TOKENS = 200_000

/**
 * @param options of the runs, without what the sweep sets
 * @throws SluiceError SLUICE_TRAIN_SIZES where they are too few, SLUICE_TRAIN_NO_VALIDATION, and those of train; an aborted
 * signal's reason
 */
export async function sweepSizes(
  { sizes, tokensPerParameter, seeds, forecast }: SizeSweepOptions,
  options: SweptOptions,
  hooks: TrainHooks & { readonly onRun?: (run: SizeRun) => void } = {},
): Promise<SizeSweep> {
  const { models, trainTokens } = await modelsOf(sizes, options)
  const { seed: first = 1 } = options
  const runs: SizeRun[] = []
  for (const config of models)
    for (let seed = first; seed < first + seeds; seed++) {
      const folder = `size-${parameterCount(config)}${seed === first ? '' : `-seed-${seed}`}`
      const run = await runSize(config, tokensPerParameter, { ...options, seed, out: join(options.out, folder) }, hooks)
      runs.push(run)
      hooks.onRun?.(run)
    }
  const points = weighPoints(runs.map(({ flops, loss }) => ({ x: flops, loss })))
  const { floor, exponent, misfit } = fitPowerLaw(points)
  const { vocabularySize, contextLength, architecture } = models[0]
  const forecasts = forecast.map((size) => {
    const larger = modelOfSize(size, { vocabularySize, contextLength, architecture })
    const parameters = parameterCount(larger)
    const tokens = Math.round(parameters * tokensPerParameter)
    const flops = tokens * flopsPerToken(larger, { length: rowLength(options, contextLength) })
    return { parameters, tokens, flops, ...predict(points, flops), epochs: tokens / trainTokens }
  })
  return { runs: runs.map((run, i) => ({ ...run, weight: points[i].weight })), law: { floor, exponent, misfit }, forecasts }
}

/** The models nearest to the sizes, each once, and the tokens that there are to train them on. */
async function modelsOf(sizes: readonly number[], { shards, length, objective = 'causal', validation, validationShare }: SweptOptions) {
  const { corpora } = await openMixture(inputsOf(shards))
  const vocabularySize = corpora[0].corpus.vocabulary.size
  const total = (of: 'documents' | 'tokens') => corpora.reduce((sum, { corpus }) => sum + corpus[of], 0)
  const heldOut = validation === undefined ? (validationShare ?? heldOutShare(total('documents'))) : 0
  const needs = { vocabularySize, tokens: 0 }
  const chosen = await Promise.all(sizes.map((params) => chooseModel({ params, length, architecture: architectureOf(objective) }, needs)))
  const models = new Map(chosen.map(({ config }) => [parameterCount(config), config]))
  if (models.size < FEWEST_POINTS)
    throw new SluiceError(
      'SLUICE_TRAIN_SIZES',
      `models of ${[...models.keys()].map(formatCount).join(' and ')} parameters give no law: it has three numbers, and one more tells its error`,
      {
        fix: `give ${FEWEST_POINTS} sizes or more, each about twice the one before`,
      },
    )
  return {
    models: [...models].sort(([a], [b]) => a - b).map(([, config]) => config),
    trainTokens: total('tokens') * (1 - heldOut),
  }
}

/**
 * Trains one of the models of a sweep.
 *
 * @param options out is the folder of this run
 * @throws SluiceError as sweepSizes
 */
export async function runSize(
  config: ModelConfig,
  tokensPerParameter: number,
  options: SweptOptions,
  hooks: TrainHooks = {},
): Promise<SizeRun> {
  const params = parameterCount(config)
  const tokens = Math.round(params * tokensPerParameter)
  const trial = { evaluationTokens: EVALUATION_TOKENS, ...options, params, tokens }
  const { state, settings, folder, evaluation } = await runTrial('sizes', trial, hooks)
  const { loss, bitsPerByte } = evaluation
  return {
    parameters: state.parameterCount,
    tokens: state.seenTokens,
    flops: state.seenTokens * flopsPerToken(config, { length: settings.length }),
    ...{ loss, bitsPerByte, folder },
    learningRate: settings.learningRate,
    seed: settings.seed,
    epochs: 1 + Math.max(...state.cursors.map(({ epoch }) => epoch)),
  }
}
