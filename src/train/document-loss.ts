// What a document costs a model, and its worst passage: which of a step's pages made its loss jump. The weights are those of a
// run's checkpoint before the step, or the oldest that is left.

import { availableParallelism } from 'node:os'
import { SluiceError } from '../core/errors.ts'
import { createReader, type Reader } from '../model/reader.ts'
import { listCheckpoints } from './checkpoint.ts'
import { loadModel } from './load-model.ts'

export interface DocumentLoss {
  /** Mean over its tokens, in nats. */
  readonly loss: number
  /** The tokens from `from` to `to` that cost most, and their mean. */
  readonly worst: { readonly loss: number; readonly from: number; readonly to: number }
}

export interface DocumentMeter extends AsyncDisposable {
  /** Of the checkpoint. */
  readonly step: number
  readonly measure: (tokens: ArrayLike<number>) => DocumentLoss
}

const PASSAGE_TOKENS = 48
/** Of a longer document, its beginning. */
const MOST_TOKENS = 65_536

/**
 * @param step the weights from before it
 * @throws SluiceError `SLUICE_TRACE_LOSSES` where the run has no checkpoint, or trains no decoder
 */
export async function createDocumentMeter(run: string, step: number): Promise<DocumentMeter> {
  const checkpoints = await listCheckpoints(run) // newest first
  const checkpoint = checkpoints.find((saved) => saved.step < step) ?? checkpoints.at(-1)
  if (!checkpoint)
    throw new SluiceError('SLUICE_TRACE_LOSSES', 'the run has no checkpoint yet: there are no weights to measure with', {
      where: { folder: run },
      fix: 'leave out --losses',
    })
  const model = await loadModel(checkpoint.path)
  const { config } = model
  if (config.architecture !== 'decoder')
    throw new SluiceError('SLUICE_TRACE_LOSSES', `losses of documents are a decoder's, this run trains an ${config.architecture}`, {
      where: { folder: run },
      fix: 'leave out --losses',
    })
  const length = Math.min(config.contextLength, model.state.settings.length)
  const reader = await createReader(model, { rows: 1, length, threads: availableParallelism() })
  return {
    step: checkpoint.step,
    measure: (tokens) => summarize(tokenLosses(reader, tokens, length)),
    [Symbol.asyncDispose]: () => reader.dispose(),
  }
}

/** Loss of every token but the first. A row begins with the last token of the one before and sees nothing else of it. */
function tokenLosses(reader: Reader, tokens: ArrayLike<number>, rowLength: number): Float64Array {
  const count = Math.max(0, Math.min(tokens.length, MOST_TOKENS) - 1)
  const losses = new Float64Array(count)
  const { vocabularySize: V } = reader.config
  for (let from = 0; from < count; from += rowLength) {
    const length = Math.min(rowLength, count - from)
    const ids = Int32Array.from({ length }, (_, i) => tokens[from + i])
    const empty = { targets: new Int32Array(length).fill(-1), lo: new Int32Array(length) }
    const logits = reader.logits({ kind: 'tokens', rows: 1, length, ids, ...empty })
    for (let i = 0; i < length; i++) losses[from + i] = crossEntropy(logits.subarray(i * V, (i + 1) * V), tokens[from + i + 1])
  }
  return losses
}

function crossEntropy(logits: Float32Array, target: number): number {
  let top = Number.NEGATIVE_INFINITY
  for (let v = 0; v < logits.length; v++) if (logits[v] > top) top = logits[v]
  let total = 0
  for (let v = 0; v < logits.length; v++) total += Math.exp(logits[v] - top)
  return Math.log(total) + top - logits[target]
}

function summarize(losses: Float64Array): DocumentLoss {
  const size = Math.min(PASSAGE_TOKENS, losses.length)
  if (size === 0) return { loss: 0, worst: { loss: 0, from: 0, to: 0 } }
  let sum = 0
  let worst = { sum: Number.NEGATIVE_INFINITY, end: 0 }
  let within = 0
  for (let i = 0; i < losses.length; i++) {
    sum += losses[i]
    within += losses[i] - (i >= size ? losses[i - size] : 0)
    if (i + 1 >= size && within > worst.sum) worst = { sum: within, end: i + 1 }
  }
  // losses[i] is of token i + 1
  return { loss: sum / losses.length, worst: { loss: worst.sum / size, from: worst.end - size + 1, to: worst.end + 1 } }
}
