// A model of transformers as if it were a checkpoint of ours: what sampling, predicting and fine-tuning ask of one.

import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { TOKENIZER_FILE } from '../../schemas/tokens.ts'
import { parameterCount } from '../model/size.ts'
import type { Weights } from '../model/weights.ts'
import { CHECKPOINT_FORMAT, type TrainState } from './checkpoint.ts'
import { readPretrained } from './pretrained.ts'
import { resolveSettings } from './settings.ts'
import { objectiveFor } from './start.ts'

/** Tokens of a row where nobody says how long the model's were: contexts of a hundred thousand are for few. */
const LONGEST_ROW = 1024

/** @throws SluiceError as `readPretrained` */
export async function loadPretrained(folder: string): Promise<Weights & { folder: string; state: TrainState }> {
  const { config, weights, labels } = await readPretrained(folder)
  const count = parameterCount(config)
  const { contextLength, vocabularySize } = config
  const { settings } = resolveSettings(
    { steps: 1, length: Math.min(contextLength, LONGEST_ROW), batchTokens: Math.min(contextLength, LONGEST_ROW) },
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
    vocabularyHash: await tokenizerHash(folder),
  }
  return { folder, config, weights, state }
}

/** Of the tokenizer.json beside the weights; empty where there is none, which fits no tokenizer. */
async function tokenizerHash(folder: string): Promise<string> {
  const file = join(folder, TOKENIZER_FILE)
  return existsSync(file)
    ? createHash('sha256')
        .update(await readFile(file))
        .digest('hex')
    : ''
}
