// What the benchmarks of training steps have in common: a shape, a batch of random tokens, and the steps that are timed.

import type { TokenBatch } from '../../src/model/batch.ts'
import type { ModelConfig } from '../../src/model/config.ts'
import type { Trainable } from '../../src/model/trainable.ts'
import { randomUint32 } from '../../src/train/shuffle.ts'

export interface Shape {
  readonly config: ModelConfig
  readonly rows: number
  readonly length: number
}

/** The same tokens every time. */
export function randomBatch({ config, rows, length }: Shape): TokenBatch {
  const random = randomUint32(1)
  const stream = Int32Array.from({ length: rows * length + 1 }, () => random() % config.vocabularySize)
  return { kind: 'tokens', rows, length, ids: stream.slice(0, -1), targets: stream.slice(1), lo: new Int32Array(rows * length) }
}

/** Its tokens as one stream: exactly one batch, so that a program that reads it reads the same at every step, and to validate too. */
export function oneBatch({ ids, targets }: TokenBatch): { train: Int32Array; val: Int32Array } {
  const tokens = Int32Array.from([...ids, targets[targets.length - 1]])
  return { train: tokens, val: tokens }
}

/** Of the fastest step, the first left out. CPU seconds are of all threads. */
export interface StepTimes {
  /** Of every step. */
  readonly losses: readonly number[]
  readonly seconds: number
  readonly cpuSeconds: number
}

/** Steps as llm.c's main() takes them: its AdamW constants, no decay, no clipping. */
export function takeSteps(model: Trainable, batch: TokenBatch, steps: number): StepTimes {
  const tokens = batch.rows * batch.length
  const losses: number[] = []
  let [seconds, cpuSeconds] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  for (let step = 1; step <= steps; step++) {
    const [start, cpuStart] = [performance.now(), process.cpuUsage()]
    losses.push(model.accumulate(batch, tokens).lossSum / tokens)
    model.step({ learningRate: 1e-4, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxNorm: 0, step })
    if (step === 1) continue
    const { user, system } = process.cpuUsage(cpuStart)
    seconds = Math.min(seconds, (performance.now() - start) / 1e3)
    cpuSeconds = Math.min(cpuSeconds, (user + system) / 1e6)
  }
  return { losses, seconds, cpuSeconds }
}
