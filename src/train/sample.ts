// Text from a trained model, as token ids: who calls has the tokenizer.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { generate, generateOptions } from '../model/generate.ts'
import type { Weights } from '../model/weights.ts'
import { CONFIG_FILE, openCheckpoint, type TrainState, weightsFile } from './checkpoint.ts'
import { loadPretrained } from './load-pretrained.ts'
import { parseModel } from './model-choice.ts'
import { isPretrained } from './pretrained.ts'
import { SafetensorsFile } from './safetensors.ts'

export const sampleOptions = z.strictObject({
  model: z.string().min(1).describe('folder that sluice train wrote to, one checkpoint in it, or a folder of transformers'),
  prompt: z.array(z.int().min(0)).min(1).describe('token ids to go on from; the end-of-text token to begin a document'),
  ...generateOptions.shape,
})
export type SampleOptions = z.input<typeof sampleOptions>

export interface LoadedModel extends Weights {
  /** The checkpoint's folder. */
  readonly folder: string
  readonly state: TrainState
}

/**
 * The weights of a checkpoint, or of the newest one of a model folder: their average, where one was kept; or a model of
 * Hugging Face's transformers.
 *
 * @param onNotice as of `openCheckpoint`
 * @throws SluiceError `SLUICE_TRAIN_MODEL_MISSING`, `SLUICE_TRAIN_CHECKPOINT_DAMAGED`, and those of `readPretrained`
 */
export async function loadModel(path: string, onNotice?: (notice: string) => void): Promise<LoadedModel> {
  if (await isPretrained(path)) return await loadPretrained(path)
  const { folder, state } = await openCheckpoint(path, onNotice)
  const file = join(folder, CONFIG_FILE)
  const config = parseModel(await readFile(file, 'utf8'), file)
  const weights = new Map<string, Float32Array>()
  await using tensors = await SafetensorsFile.open(weightsFile(folder))
  for (const name of tensors.tensors.keys()) weights.set(name, await tensors.read(name))
  return { folder, state, config, weights }
}

/** The tokens after a prompt, one by one. */
export async function* sample(options: SampleOptions): AsyncGenerator<number, void, undefined> {
  const { model, prompt, ...choice } = sampleOptions.parse(options)
  yield* generate(await loadModel(model), prompt, choice)
}
