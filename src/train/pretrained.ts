// Models in folders of Hugging Face's transformers: config.json and model.safetensors, or its parts by an index. Read as weights
// by parameter name, and written so that transformers loads them.

import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, readFile, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { TOKENIZER_FILE } from '../../schemas/tokens.ts'
import { SluiceError } from '../core/errors.ts'
import { diskError } from '../io/disk-errors.ts'
import { makeFolder } from '../io/make-folder.ts'
import { writeWhole } from '../io/write-whole.ts'
import type { ModelConfig } from '../model/config.ts'
import { parameterNameOf } from '../model/hf/names.ts'
import { isHuggingFaceConfig, readHuggingFaceConfig } from '../model/hf/read-config.ts'
import { writeHuggingFaceConfig } from '../model/hf/write-config.ts'
import { traceTrunk } from '../model/trace.ts'
import type { Weights } from '../model/weights.ts'
import { elements } from '../tensor/shape.ts'
import { CONFIG_FILE, MODEL_FILE } from './checkpoint.ts'
import { SafetensorsFile, writeSafetensors } from './safetensors.ts'

const INDEX_FILE = 'model.safetensors.index.json'
const index = z.looseObject({ weight_map: z.record(z.string(), z.string()) })
const labelled = z.looseObject({ id2label: z.record(z.string(), z.string()).optional() })

/** An encoder may come without its head: fine-tuning adds one, and what reads it says that it lacks. */
export const ENCODER_HEAD = /^(cls|classifier|head|decoder|bert\.pooler)\./

export interface Pretrained extends Weights {
  readonly folder: string
  /** Of a classifier, in the order of its outputs. */
  readonly labels: readonly string[]
}

/** Whether a folder holds a model as transformers writes it. */
export async function isPretrained(folder: string): Promise<boolean> {
  return isHuggingFaceConfig(await configOf(folder))
}

/**
 * Reads a whole model into memory, as f32.
 *
 * @throws SluiceError `SLUICE_MODEL_FAMILY`, `SLUICE_MODEL_WEIGHTS` where parameters are missing, of another shape or unknown, and
 *   those of `SafetensorsFile`
 */
export async function readPretrained(folder: string): Promise<Pretrained> {
  const file = join(folder, CONFIG_FILE)
  const json = await configOf(folder)
  const config = readHuggingFaceConfig(json, file)
  const wanted = parameterShapes(config)
  const weights = new Map<string, Float32Array>()
  for (const path of await weightFiles(folder)) {
    await using tensors = await SafetensorsFile.open(path)
    for (const [stored, { shape }] of tensors.tensors) {
      const name = parameterNameOf(stored, config)
      if (name === undefined) continue
      const expected = wanted.get(name)
      if (expected === undefined) throw wrongWeights(path, `tensor ${stored} has no place in the model that config.json describes`)
      if (expected.join() !== shape.join()) throw wrongWeights(path, `tensor ${stored} is ${shape.join('×')}, not ${expected.join('×')}`)
      weights.set(name, await tensors.read(stored))
    }
  }
  // a head without the scale of a tied one is a head of its own, also where its matrix is the embedding's
  const shared = weights.get('shared.weight')
  if (shared && wanted.has('lm_head.weight') && !weights.has('lm_head.weight')) weights.set('lm_head.weight', shared)
  const isHead = config.architecture === 'encoder' ? ENCODER_HEAD : /^$/
  const missing = [...wanted.keys()].filter((name) => !weights.has(name) && !isHead.test(name))
  if (missing.length > 0) throw wrongWeights(folder, `there is no ${missing.slice(0, 3).join(', ')}${missing.length > 3 ? ', …' : ''}`)
  const names = labelled.parse(json).id2label ?? {}
  const labels = config.architecture === 'encoder' ? Array.from({ length: config.labels }, (_, i) => names[i] ?? String(i)) : []
  return { folder, config, weights, labels }
}

/**
 * Writes a model as transformers loads it: f32, by name, the same bytes that transformers writes.
 *
 * @throws SluiceError `SLUICE_MODEL_FAMILY` where no family of transformers computes the same, `SLUICE_MODEL_FOLDER` where there
 *   is something already, and those of the disk
 */
export async function writePretrained(folder: string, source: Weights, labels: readonly string[] = []): Promise<void> {
  const config = writeHuggingFaceConfig(source.config, labels)
  const made = await makeFolder(folder)
  const [taken] = await readdir(folder)
  if (taken !== undefined)
    throw new SluiceError('SLUICE_MODEL_FOLDER', 'there is something in this folder already', {
      where: { folder, example: taken },
      fix: 'give a new folder',
    })
  const tensors = [...parameterShapes(source.config)]
    .map(([name, shape]) => ({ name, shape, values: () => source.weights.get(name) ?? new Float32Array(elements(shape)) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
  try {
    await writeSafetensors(join(folder, MODEL_FILE), tensors)
    await writeWhole(join(folder, CONFIG_FILE), `${JSON.stringify(config, undefined, 2)}\n`)
  } catch (error) {
    await rm(join(folder, MODEL_FILE), { force: true }).catch(() => {}) // half a model is none; the first error is the one to tell
    for (const empty of made) await rmdir(empty).catch(() => {})
    throw diskError(error, folder)
  }
}

/** The shape of each parameter of a model. */
export function parameterShapes(config: ModelConfig): Map<string, readonly number[]> {
  const { parameters } = traceTrunk(config, { rows: 1, length: 1 })
  return new Map(parameters.flatMap(({ parts }) => parts.map(({ name, shape }) => [name, shape])))
}

/** The tokenizer.json beside the weights and its sha256; the hash is empty where there is none, and fits no tokenizer. */
export async function readTokenizerFile(folder: string): Promise<{ readonly file: string | undefined; readonly hash: string }> {
  const file = join(folder, TOKENIZER_FILE)
  if (!existsSync(file)) return { file: undefined, hash: '' }
  const bytes = await readFile(file)
  return { file, hash: createHash('sha256').update(bytes).digest('hex') }
}

async function configOf(folder: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(join(folder, CONFIG_FILE), 'utf8'))
  } catch {
    return undefined // who wants one says so
  }
}

async function weightFiles(folder: string): Promise<string[]> {
  if (existsSync(join(folder, MODEL_FILE))) return [join(folder, MODEL_FILE)]
  const path = join(folder, INDEX_FILE)
  if (!existsSync(path))
    throw new SluiceError('SLUICE_MODEL_WEIGHTS', `there is neither ${MODEL_FILE} nor ${INDEX_FILE}`, {
      where: { folder },
      fix: 'fetch them, or convert the weights: model.save_pretrained(folder) of transformers writes safetensors',
    })
  const parsed = index.safeParse(JSON.parse(await readFile(path, 'utf8')))
  if (!parsed.success) throw wrongWeights(path, 'it does not say which file holds which tensor')
  return [...new Set(Object.values(parsed.data.weight_map))].sort().map((name) => join(folder, name))
}

function wrongWeights(file: string, problem: string): SluiceError {
  return new SluiceError('SLUICE_MODEL_WEIGHTS', problem, { where: { file }, fix: 'fetch config.json and the weights of one model' })
}
