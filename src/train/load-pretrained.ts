// A model of transformers as if it were a checkpoint of ours: what sampling, predicting and fine-tuning ask of one.

import { parameterCount } from '../model/size.ts'
import type { Weights } from '../model/weights.ts'
import { CHECKPOINT_FORMAT, type TrainState } from './checkpoint.ts'
import { readPretrained, readTokenizerFile } from './pretrained.ts'
import { resolveSettings } from './settings.ts'
import { objectiveFor } from './start.ts'

/** @throws SluiceError as `readPretrained` */
export async function loadPretrained(folder: string): Promise<Weights & { folder: string; state: TrainState }> {
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
