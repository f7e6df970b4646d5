// Measurement on held-out batches: loss, bits per byte of text where the targets are text that follows, and how often the first
// choice is right.

import { setImmediate } from 'node:timers/promises'
import type { Batch } from '../model/batch.ts'
import { createReader } from '../model/reader.ts'
import type { Trainable } from '../model/trainable.ts'
import type { Delivery } from './batch-source.ts'
import type { Evaluation } from './checkpoint.ts'
import type { TrainSettings } from './settings.ts'

export interface EvaluationOptions {
  readonly settings: Pick<TrainSettings, 'objective' | 'threads'>
  /** [vocabulary] bytes of text behind each token. */
  readonly tokenBytes?: ArrayLike<number>
}

/** Measures the average of the weights where one is kept, the weights otherwise. */
export async function evaluateAverage(
  model: Trainable,
  batches: readonly Delivery[],
  step: number,
  options: EvaluationOptions,
): Promise<Evaluation> {
  if (!model.parameters.some(({ states }) => states.includes('average'))) return await evaluate(model, batches, step, options)
  const weights = new Map(model.parameters.map(({ name }) => [name, model.read('weights', name)]))
  for (const { name } of model.parameters) model.write('weights', name, model.read('average', name))
  try {
    return await evaluate(model, batches, step, options)
  } finally {
    for (const [name, values] of weights) model.write('weights', name, values)
  }
}

export async function evaluate(
  model: Trainable,
  batches: readonly Delivery[],
  step: number,
  { settings, tokenBytes }: EvaluationOptions,
): Promise<Evaluation> {
  let lossSum = 0
  let targets = 0
  let bytes = 0
  for (const { batch } of batches) {
    await setImmediate()
    const result = model.evaluate(batch)
    lossSum += result.loss * result.targets
    targets += result.targets
    if (tokenBytes && (settings.objective === 'causal' || settings.objective === 'pairs'))
      bytes += bytesBehind(targetsOf(batch), tokenBytes)
  }
  return {
    step,
    loss: lossSum / Math.max(1, targets),
    bitsPerByte: bytes > 0 ? lossSum / Math.LN2 / bytes : null,
    accuracy: await accuracyOf(model, batches, settings.threads),
    targets,
  }
}

function targetsOf(batch: Batch): Int32Array {
  return batch.kind === 'pairs' ? batch.target.targets : batch.targets
}

function bytesBehind(targets: Int32Array, tokenBytes: ArrayLike<number>): number {
  let bytes = 0
  for (let i = 0; i < targets.length; i++) if (targets[i] >= 0) bytes += tokenBytes[targets[i]] ?? 0
  return bytes
}

/** Share of the targets that have the highest logit. Not of decoders: theirs are all positions of all rows. */
async function accuracyOf(model: Trainable, batches: readonly Delivery[], threads: number): Promise<number | null> {
  const { batch: first } = batches[0]
  if (first.kind === 'tokens') return null
  const shape = {
    rows: first.rows,
    length: first.kind === 'pairs' ? first.source.length : first.length,
    ...(first.kind === 'pairs' ? { targetLength: first.target.length } : {}),
    ...(first.kind === 'picked' ? { picks: batches.reduce((most, { batch }) => Math.max(most, targetsOf(batch).length), 1) } : {}),
  }
  const reader = await createReader(model, { ...shape, threads })
  try {
    let right = 0
    let counted = 0
    for (const { batch } of batches) {
      await setImmediate()
      const targets = targetsOf(batch)
      const logits = reader.logits(batch)
      const outputs = logits.length / targets.length
      for (let i = 0; i < targets.length; i++) {
        if (targets[i] < 0) continue
        counted++
        if (isHighest(logits, i * outputs, outputs, targets[i])) right++
      }
    }
    return counted === 0 ? null : right / counted
  } finally {
    await reader.dispose()
  }
}

function isHighest(logits: Float32Array, start: number, outputs: number, target: number): boolean {
  const own = logits[start + target]
  for (let i = start; i < start + outputs; i++) if (logits[i] > own) return false
  return true
}
