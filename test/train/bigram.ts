// The smallest real model behind the trainer's seam: next-token logits are a row of one [V, V] table, plus a bias. Plain
// loops, exact gradients, AdamW: it tests the loop, the loader and the checkpoints without the tensor half.

import type { Batch } from '../../src/model/batch.ts'
import type { ModelConfig } from '../../src/model/config.ts'
import type { StateKind } from '../../src/model/optimizer.ts'
import type { Parameter, Trainable } from '../../src/model/trainable.ts'
import type { StepOptions } from '../../src/model/update.ts'
import { randomUint32 } from '../../src/train/shuffle.ts'

const adamw = { optimizer: 'adamw', rateFactor: 1, states: ['moment1', 'moment2'] } as const

export function bigramModel(config: ModelConfig, vocabularySize: number, seed = 1): Trainable {
  const parameters: Parameter[] = [
    { name: 'table.weight', shape: [vocabularySize, vocabularySize], role: 'matrix', decays: true, ...adamw },
    { name: 'table.bias', shape: [vocabularySize], role: 'vector', decays: false, ...adamw },
  ]
  const random = randomUint32(seed)
  const zeros = ({ shape }: Parameter) => new Float32Array(shape.reduce((product, size) => product * size, 1))
  const store = new Map<string, Float32Array>()
  for (const parameter of parameters) {
    for (const kind of ['weights', 'moment1', 'moment2', 'gradient']) store.set(`${kind} ${parameter.name}`, zeros(parameter))
    if (!parameter.decays) continue
    const weights = tensor('weights', parameter.name)
    for (let i = 0; i < weights.length; i++) weights[i] = (random() / 2 ** 32 - 0.5) * 0.1
  }
  function tensor(kind: StateKind, name: string): Float32Array {
    const found = store.get(`${kind} ${name}`)
    if (!found) throw new RangeError(`no parameter ${name}`)
    return found
  }
  let losses = 0
  const probabilities = new Float64Array(vocabularySize)

  /** Sum of losses; gradients of sum/denominator where one is given. */
  function pass(batch: Batch, denominator?: number) {
    if (batch.kind !== 'tokens') throw new RangeError(`a bigram model reads tokens, not ${batch.kind}`)
    const { ids, targets } = batch
    const weights = tensor('weights', 'table.weight')
    const bias = tensor('weights', 'table.bias')
    const weightsGradient = tensor('gradient', 'table.weight')
    const biasGradient = tensor('gradient', 'table.bias')
    let lossSum = 0
    let counted = 0
    for (let i = 0; i < ids.length; i++) {
      if (targets[i] < 0) continue
      const row = ids[i] * vocabularySize
      let total = 0
      for (let v = 0; v < vocabularySize; v++) total += probabilities[v] = Math.exp(weights[row + v] + bias[v])
      lossSum -= Math.log(probabilities[targets[i]] / total)
      counted++
      if (denominator === undefined) continue
      for (let v = 0; v < vocabularySize; v++) {
        const gradient = (probabilities[v] / total - (v === targets[i] ? 1 : 0)) / denominator
        weightsGradient[row + v] += gradient
        biasGradient[v] += gradient
      }
    }
    return { lossSum, targets: counted }
  }

  const discard = () => {
    for (const { name } of parameters) tensor('gradient', name).fill(0)
  }

  return {
    config,
    parameters,
    parameterCount: vocabularySize * (vocabularySize + 1),
    flopsPerToken: 6 * vocabularySize,
    arenaBytes: 0,
    repeatedOperations: 0,
    evaluate: (batch) => {
      const { lossSum, targets } = pass(batch)
      return { loss: lossSum / targets, targets }
    },
    accumulate: (batch, denominator) => {
      const result = pass(batch, denominator)
      losses += result.lossSum
      return result
    },
    announce: () => {},
    backpropagate: (batch, denominator) => {
      losses += pass(batch, denominator).lossSum
    },
    step: (options) => {
      const lossSum = losses
      losses = 0
      const { lossScale = 1 } = options
      let squares = 0
      for (const { name } of parameters) for (const gradient of tensor('gradient', name)) squares += gradient * gradient
      const gradientNorm = Math.sqrt(squares) / lossScale
      if (!(gradientNorm <= (options.largestNorm ?? Number.MAX_VALUE))) {
        discard()
        return { lossSum, gradientNorm, isSkipped: true, reason: 'norm' }
      }
      const scale = Math.min(1, options.maxNorm / gradientNorm) / lossScale
      for (const { name, decays } of parameters)
        adamW(tensor('weights', name), tensor('gradient', name), tensor('moment1', name), tensor('moment2', name), scale, decays, options)
      return { lossSum, gradientNorm, isSkipped: false }
    },
    read: (kind, name) => tensor(kind, name).slice(),
    write: (kind, name, values) => tensor(kind, name).set(values),
    discard,
    dispose: async () => {},
  }
}

function adamW(
  weights: Float32Array,
  gradient: Float32Array,
  m: Float32Array,
  v: Float32Array,
  scale: number,
  decays: boolean,
  { learningRate, beta1, beta2, epsilon, weightDecay, step }: StepOptions,
): void {
  for (let i = 0; i < weights.length; i++) {
    const g = gradient[i] * scale
    m[i] = beta1 * m[i] + (1 - beta1) * g
    v[i] = beta2 * v[i] + (1 - beta2) * g * g
    const update = m[i] / (1 - beta1 ** step) / (Math.sqrt(v[i] / (1 - beta2 ** step)) + epsilon)
    weights[i] -= learningRate * (update + (decays ? weightDecay * weights[i] : 0))
    gradient[i] = 0
  }
}
