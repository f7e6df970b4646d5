// The model that a run starts from: one that was trained before, with its head changed where it learns something else; or a new
// one (src/train/model-choice.ts).

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SluiceError } from '../core/errors.ts'
import { type ModelConfig, modelConfig } from '../model/config.ts'
import type { Trainable } from '../model/trainable.ts'
import { elements } from '../tensor/shape.ts'
import { CONFIG_FILE, openCheckpoint, tokenizerFileOf, weightsFile } from './checkpoint.ts'
import { parseModel } from './model-choice.ts'
import { ENCODER_HEAD, isPretrained, readPretrained, readTokenizerFile } from './pretrained.ts'
import { SafetensorsFile } from './safetensors.ts'

export interface StartModel {
  /** The checkpoint's folder. */
  readonly folder: string
  readonly config: ModelConfig
  readonly vocabularyHash: string
  readonly tokenizerFile: string | undefined
  /** Of a classifier, in the order of its outputs. */
  readonly labels: readonly string[]
  /** Of a model of transformers, which is no checkpoint. */
  readonly weights?: ReadonlyMap<string, Float32Array>
}

/** @throws SluiceError as `openCheckpoint`, and for a model of transformers as `readPretrained` */
export async function openStart(path: string): Promise<StartModel> {
  if (await isPretrained(path)) return await openPretrained(path)
  const { folder, state } = await openCheckpoint(path)
  const file = join(folder, CONFIG_FILE)
  const { vocabularyHash, labels } = state
  return { folder, config: parseModel(await readFile(file, 'utf8'), file), vocabularyHash, tokenizerFile: tokenizerFileOf(folder), labels }
}

async function openPretrained(folder: string): Promise<StartModel> {
  const { config, weights, labels } = await readPretrained(folder)
  const { file, hash } = await readTokenizerFile(folder)
  return { folder, config, weights, labels, tokenizerFile: file, vocabularyHash: hash }
}

/** A configuration whose head tells so many labels apart; any other head is what it was. */
export function withLabels(config: ModelConfig, labels: number): ModelConfig {
  return config.architecture === 'encoder' ? modelConfig.parse({ ...config, labels }) : config
}

/**
 * Puts the weights of a checkpoint into a model. A head that the checkpoint lacks stays as it begins; nothing else may be missing.
 *
 * @throws SluiceError `SLUICE_TRAIN_SHAPE`
 */
export async function startFrom({ folder, weights }: StartModel, model: Trainable): Promise<void> {
  await using file = weights ? undefined : await SafetensorsFile.open(weightsFile(folder))
  const isHead = (name: string) => model.config.architecture === 'encoder' && ENCODER_HEAD.test(name)
  for (const { name, shape } of model.parameters) {
    const values = file?.tensors.has(name) ? await file.read(name) : weights?.get(name)
    if (values?.length === elements(shape)) model.write('weights', name, values)
    else if (!isHead(name))
      throw new SluiceError(
        'SLUICE_TRAIN_SHAPE',
        `tensor ${name} is ${values ? `of ${values.length} values` : 'missing'}, the model wants ${shape.join('×')}`,
        { where: { folder }, fix: 'start from a model of the same architecture and size' },
      )
  }
}
