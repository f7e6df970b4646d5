// A trained model in memory, by name: a checkpoint of ours, or a model of transformers.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parameterCount } from '../model/size.ts'
import type { Weights } from '../model/weights.ts'
import { CHECKPOINT_FORMAT, CONFIG_FILE, openCheckpoint, type TrainState, weightsFile } from './checkpoint.ts'
import { parseModel } from './model-choice.ts'
import { objectiveFor } from './objective.ts'
import { isPretrained, readPretrained, readTokenizerFile } from './pretrained.ts'
import { resolveSettings } from './resolve-settings.ts'
import { SafetensorsFile } from './safetensors.ts'

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

/** As if it were a checkpoint of ours: what sampling, predicting and fine-tuning ask of one. */
async function loadPretrained(folder: string): Promise<LoadedModel> {
  const { config, weights, labels } = await readPretrained(folder)
  const count = parameterCount(config)
  const { contextLength, vocabularySize } = config
  const { settings } = resolveSettings(
    { steps: 1, batchTokens: 1 },
    {
      ...{ parameterCount: count, contextLength, vocabularySize, corpusTokens: 1, documents: 1, cores: 1 },
      objective: objectiveFor(config, labels.length > 0),
      // ids of its own vocabulary, which only its tokenizer knows
      ...{ maskToken: vocabularySize - 1, sentinel: vocabularySize - 1, isFineTuning: true, hasValidation: true },
    },
  )
  const state: TrainState = {
    ...{ format: CHECKPOINT_FORMAT, step: 0, settings, corpusHash: '', parameterCount: count, cursors: [], seenTokens: 0 },
    ...{ loss: null, smoothedLoss: null, evaluation: null, recent: { losses: [], gradientNorms: [] } },
    ...{ skippedInRow: 0, rollbacks: 0, skippedSteps: 0, best: null, labels: [...labels] },
    vocabularyHash: (await readTokenizerFile(folder)).hash,
  }
  return { folder, config, weights, state }
}
