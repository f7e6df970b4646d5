// Classification: the probability of each label for texts, by an encoder that was trained to tell them apart.

import { SluiceError } from '../core/errors.ts'
import { cutInside, type PickedBatch } from './batch.ts'
import { createReader, type Reader } from './reader.ts'
import type { Trainable } from './trainable.ts'
import type { Weights } from './weights.ts'

export interface Prediction {
  /** The likeliest. */
  readonly label: number
  /** f32[labels], together 1. */
  readonly probabilities: Float32Array
}

export interface Classifier {
  /**
   * One prediction a text.
   *
   * @param texts the tokens of each, with whatever the model expects around a text; cut to the length planned for
   * @throws SluiceError SLUICE_MODEL_PROMPT where a text has no tokens, SLUICE_MODEL_BATCH where a token is not in the vocabulary
   */
  predict(texts: readonly (readonly number[])[]): Prediction[]
  dispose(): Promise<void>
}

export interface ClassifierOptions {
  /** Texts that are read at once. */
  readonly rows?: number
  /** Tokens of a text that are read; default the model's context. */
  readonly length?: number
  readonly threads?: number
}

/** @throws SluiceError SLUICE_MODEL_ARCHITECTURE where the model has no labels */
export async function createClassifier(
  source: Trainable | Weights,
  { rows = 16, length = source.config.contextLength, threads = 1 }: ClassifierOptions = {},
): Promise<Classifier> {
  const { config } = source
  if (config.architecture !== 'encoder' || config.labels === 0)
    throw new SluiceError('SLUICE_MODEL_ARCHITECTURE', 'this model tells no labels apart', {
      fix: 'fine-tune an encoder with labels first',
    })
  const reader = await createReader(source, { rows, length, picks: rows, threads })
  return {
    predict(texts) {
      const predictions: Prediction[] = []
      for (let first = 0; first < texts.length; first += rows)
        predictions.push(...predictRows(reader, texts.slice(first, first + rows), length, config.labels))
      return predictions
    },
    dispose: () => reader.dispose(),
  }
}

function predictRows(reader: Reader, texts: readonly (readonly number[])[], length: number, labels: number): Prediction[] {
  const logits = reader.logits(firstTokens(texts, length))
  return texts.map((_, i) => {
    const own = logits.subarray(i * labels, (i + 1) * labels)
    const top = Math.max(...own)
    const weights = own.map((logit) => Math.exp(logit - top))
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    return { label: own.indexOf(top), probabilities: weights.map((weight) => weight / total) }
  })
}

/** A text a row, its first token picked. */
export function firstTokens(texts: readonly (readonly number[])[], limit: number): PickedBatch {
  if (texts.some((text) => text.length === 0))
    throw new SluiceError('SLUICE_MODEL_PROMPT', 'a text has no tokens', {
      fix: 'begin each text with the token that the model reads it by',
    })
  const rows = texts.length
  const cut = texts.map((text) => cutInside(text, limit))
  const length = Math.max(...cut.map((text) => text.length))
  const ids = new Int32Array(rows * length)
  const lo = Int32Array.from(ids, (_, i) => i % length)
  const hi = Int32Array.from(ids, (_, i) => (i % length) + 1)
  cut.forEach((text, row) => {
    ids.set(text, row * length)
    lo.fill(0, row * length, row * length + text.length)
    hi.fill(text.length, row * length, row * length + text.length)
  })
  const picked = Int32Array.from({ length: rows }, (_, row) => row * length)
  return { kind: 'picked', rows, length, ids, lo, hi, picked, targets: new Int32Array(rows).fill(-1) }
}
