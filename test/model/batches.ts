// Batches of invented tokens for the tests of models.

import type { TokenBatch } from '../../src/model/batch.ts'
import { uniform } from '../../src/tensor/rng.ts'

/** Rows of tokens that follow no rule; each predicts its next, the last of a row nothing. */
export function noiseBatch(rows: number, length: number, vocabularySize: number, seed = 1): TokenBatch {
  const ids = Int32Array.from({ length: rows * length }, (_, i) => Math.floor(uniform(seed, 0, 0, i) * vocabularySize))
  const targets = ids.map((_, i) => (i % length === length - 1 ? -1 : ids[i + 1]))
  return { kind: 'tokens', rows, length, ids, targets, lo: new Int32Array(rows * length) }
}

export const adamw = { learningRate: 3e-3, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, maxNorm: 1 }
