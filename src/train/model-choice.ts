// Which model a run trains: a preset, a file, a number of parameters, or what the data can teach.

import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { SluiceError } from '../core/errors.ts'
import { counted, formatCount } from '../core/format.ts'
import { type Architecture, type ModelConfig, modelConfig } from '../model/config.ts'
import { isPreset, preset, presets } from '../model/presets.ts'
import { modelOfSize, parameterCount } from '../model/size.ts'
import { SENTINELS } from './spans.ts'

/** Context of a model that is sized by its parameters. */
const CONTEXT_LENGTH = 256

/** The default's limits: below, embeddings are most of the model; above, a CPU takes days. */
const SMALLEST = 1_000_000
const LARGEST = 20_000_000

/** Ids beyond the tokenizer's: an encoder's mask, the sentinels of an encoder-decoder. */
const OWN_TOKENS = { decoder: 0, encoder: 1, 'encoder-decoder': SENTINELS } as const satisfies Record<Architecture, number>

export interface ModelWish {
  /** Preset name, or path of a JSON file. */
  readonly model?: string
  readonly params?: number
  /** Tokens a row, where the person gave it. */
  readonly length?: number
  /** Where the size alone is given. */
  readonly architecture: Architecture
}

/** What the corpus asks of a model. */
export interface ModelNeeds {
  readonly vocabularySize: number
  readonly tokens: number
}

export interface ChosenModel {
  readonly config: ModelConfig
  /** What it is and why, for the person: of this configuration, or of what the data made of it. */
  readonly reason: (config: ModelConfig) => string
}

/** @throws SluiceError `SLUICE_TRAIN_MODEL`, `SLUICE_TRAIN_OPTIONS` */
export async function chooseModel(wish: ModelWish, needs: ModelNeeds): Promise<ChosenModel> {
  const { model, params, length, architecture } = wish
  if (model !== undefined && params !== undefined)
    throw new SluiceError('SLUICE_TRAIN_OPTIONS', 'a model and a number of parameters are both given', { fix: 'give one of them' })
  if (model !== undefined) {
    const config = isPreset(model) ? presetFor(model, length, needs) : await readModelFile(model, needs)
    return { config, reason: (config) => `model ${model}: ${describeModel(config)}` }
  }
  const wanted = params ?? Math.min(LARGEST, Math.max(SMALLEST, needs.tokens / 5))
  const vocabularySize = needs.vocabularySize + OWN_TOKENS[architecture]
  const config = modelOfSize(wanted, { architecture, vocabularySize, contextLength: length ?? CONTEXT_LENGTH })
  const why = params === undefined ? ` (sized for ${counted(needs.tokens, 'token')})` : smallestFor(params, config)
  return { config, reason: (config) => `model of ${describeModel(config)}${why}` }
}

/** Much of a small model is its table of embeddings, which the vocabulary makes as large as it is. */
function smallestFor(params: number, config: ModelConfig): string {
  if (parameterCount(config) < 1.5 * params) return ''
  return ` (nothing nearer to ${formatCount(params)}, with ${counted(config.vocabularySize, 'token')} to know)`
}

function presetFor(name: keyof typeof presets, length: number | undefined, { vocabularySize }: ModelNeeds): ModelConfig {
  const contextLength = Math.max(presets[name].contextLength, length ?? 0)
  const { architecture } = preset(name)
  return preset(name, { vocabularySize: vocabularySize + OWN_TOKENS[architecture], contextLength })
}

async function readModelFile(path: string, { vocabularySize }: ModelNeeds): Promise<ModelConfig> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    throw new SluiceError('SLUICE_TRAIN_MODEL', `no preset of that name, and no file that can be read: ${path}`, {
      fix: `name one of ${Object.keys(presets).join(', ')}, give the path of a JSON file, or --params 3M`,
      cause,
    })
  }
  const { architecture } = parseModel(text, path, { vocabularySize })
  const config = parseModel(text, path, { vocabularySize: vocabularySize + OWN_TOKENS[architecture] })
  if (config.vocabularySize < vocabularySize)
    throw new SluiceError('SLUICE_TRAIN_MODEL', `the model knows ${config.vocabularySize} tokens, the shards have ${vocabularySize}`, {
      where: { file: path },
      fix: 'leave vocabularySize out of the file: it is taken from the shards',
    })
  return config
}

/**
 * A model configuration from JSON.
 *
 * @param defaults what the text may leave out
 * @throws SluiceError `SLUICE_TRAIN_MODEL`
 */
export function parseModel(text: string, path: string, defaults: { readonly vocabularySize?: number } = {}): ModelConfig {
  try {
    return modelConfig.parse({ ...defaults, ...z.looseObject({}).parse(JSON.parse(text)) })
  } catch (cause) {
    const problem = cause instanceof z.ZodError ? z.prettifyError(cause) : 'it is not JSON'
    throw new SluiceError('SLUICE_TRAIN_MODEL', `not a model configuration:\n${problem}`, {
      where: { file: path },
      fix: 'a configuration is what a checkpoint has in its config.json',
      cause,
    })
  }
}

export function describeModel(config: ModelConfig): string {
  const { layers, width, heads, contextLength } = config
  return `${counted(parameterCount(config), 'parameter')}: ${counted(layers, 'layer')} of width ${width}, ${counted(heads, 'head')}, context ${contextLength}`
}
