// A classifier as stages use it: one model a process, shared by its threads, and one number a document.

import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { SluiceError } from '../core/errors.ts'
import { shareAcrossThreads } from '../core/share.ts'
import type { FastTextModel } from './fasttext-model.ts'
import { createPredictor, KernelPredictor, type Predictor } from './kernel-predict.ts'
import { DenseMatrix } from './matrix.ts'
import { loadFastTextModel } from './read-fasttext.ts'

export interface Classifier {
  readonly labels: readonly string[]
  readonly predictor: Predictor
}

/** Weighted sum of probabilities: of one label with weight 1 its probability, of labels 0 to 5 the expected grade. */
export type Score = (text: string) => number

/** What threads hand to each other: the memory, and where in it the rest lies. */
interface SharedModel {
  readonly kind: 'fasttext'
  /** Null: the model is too large or quantized, each thread reads it for itself. */
  readonly memory: WebAssembly.Memory | null
  readonly settings: FastTextModel['settings']
  readonly labels: readonly string[]
  readonly labelCounts: Float64Array
  readonly outputAt: number
}

const loading = new Map<string, Promise<Classifier>>()

/** @throws SluiceError SLUICE_FILE_MISSING, and those of loadFastTextModel */
export function loadClassifier(file: string): Promise<Classifier> {
  const path = resolve(file)
  const stats = statSync(path, { throwIfNoEntry: false })
  const key = JSON.stringify(['sluice-fasttext', path, stats?.size, stats?.mtimeMs])
  const known = loading.get(key)
  if (known !== undefined) return known
  const classifier = shareAcrossThreads(key, async () => shared(loadFastTextModel(path)), isShared).then((model) => open(model, path))
  loading.set(key, classifier)
  classifier.catch(() => loading.delete(key)) // a file that is mended in the meantime is read again
  return classifier
}

function shared({ settings, labels, counts, wordCount, output, memory }: FastTextModel): SharedModel {
  const outputAt = output instanceof DenseMatrix ? output.data.byteOffset : 0
  return { kind: 'fasttext', memory, settings, labels, labelCounts: counts.slice(wordCount), outputAt }
}

function isShared(value: unknown): value is SharedModel {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'fasttext'
}

function open({ memory, settings, labels, labelCounts, outputAt }: SharedModel, path: string): Classifier {
  if (memory === null) {
    const model = loadFastTextModel(path)
    return { labels, predictor: createPredictor(model) }
  }
  const output = new DenseMatrix(new Float32Array(memory.buffer, outputAt, labels.length * settings.dim), labels.length, settings.dim)
  return { labels, predictor: new KernelPredictor(memory, { settings, labels, counts: labelCounts, wordCount: 0, output }) }
}

/**
 * @param weights by label, with or without its prefix
 * @throws SluiceError SLUICE_CLASSIFIER_LABEL
 */
export function createScore({ labels, predictor }: Classifier, weights: Readonly<Record<string, number>>, file: string): Score {
  const byLabel = new Map<string, number>()
  for (const [name, weight] of Object.entries(weights)) {
    const label = labels.find((label) => label === name || label === `__label__${name}`)
    if (label === undefined)
      throw new SluiceError('SLUICE_CLASSIFIER_LABEL', `the model has no label ${name}`, {
        where: { file },
        fix: `it has ${labels.slice(0, 20).join(', ')}${labels.length > 20 ? ', …' : ''}`,
      })
    byLabel.set(label, weight)
  }
  return (text) => {
    let score = 0
    for (const { label, score: probability } of predictor.predict(text, labels.length, 0))
      score += (byLabel.get(label) ?? 0) * Math.min(1, probability)
    return score
  }
}
