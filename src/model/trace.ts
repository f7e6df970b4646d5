// One tape for each purpose, whatever the architecture: training, up to the losses; and reading, up to logits.

import { SluiceError } from '../core/errors.ts'
import type { OpRecord } from '../tensor/graph.ts'
import * as ops from '../tensor/ops.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { ModelConfig } from './config.ts'
import { traceDecoder } from './decoder.ts'
import { traceEncoder } from './encoder.ts'
import { traceEncoderDecoder } from './encoder-decoder.ts'
import type { Trunk } from './layers.ts'

/** The shape of the largest batch. */
export interface BatchShape {
  readonly rows: number
  /** Tokens a row; of the source side, where there are two. */
  readonly length: number
  /** Tokens a row of the target side, for encoder-decoders; default length. */
  readonly targetLength?: number
  /** Positions that an encoder's head looks at in a whole batch; default a fifth of all, or one a row where it classifies. */
  readonly picks?: number
}

export interface LossOptions {
  /** Weight of the squared logarithm of the softmax's denominator (Chowdhery et al. 2022, arxiv.org/abs/2204.02311); 0: none. */
  readonly zLoss?: number
  /** Share of each target that is spread over the vocabulary (Szegedy et al. 2016, arxiv.org/abs/1512.00567); 0: none. */
  readonly labelSmoothing?: number
}

export interface TrainingTape extends Trunk {
  readonly targets: Tensor
  /** f32[1]: what the loss is multiplied with before gradients are taken. */
  readonly scale: Tensor
  /** f32[targets], 0 where there is none. */
  readonly losses: Tensor
  /** The forward pass up to the plain cross entropy, whatever the training loss adds to it. */
  readonly evaluation: { readonly records: readonly OpRecord[]; readonly losses: Tensor }
}

export interface ReadingTape extends Trunk {
  /** f32[targets, outputs], before the soft-cap. */
  readonly logits: Tensor
}

/** @throws SluiceError SLUICE_MODEL_LENGTH where rows are longer than the model's context */
export function traceTrunk(config: ModelConfig, shape: BatchShape): Trunk {
  const { length, targetLength = 0 } = shape
  if (Math.max(length, targetLength) > config.contextLength)
    throw new SluiceError(
      'SLUICE_MODEL_LENGTH',
      `rows of ${Math.max(length, targetLength)} tokens exceed the model's context of ${config.contextLength}`,
      { fix: `train on rows of at most ${config.contextLength}, or set contextLength` },
    )
  switch (config.architecture) {
    case 'decoder':
      return traceDecoder(config, shape)
    case 'encoder':
      return traceEncoder(config, { ...shape, picks: picksOf(config, shape) })
    case 'encoder-decoder':
      return traceEncoderDecoder(config, { ...shape, targetLength: shape.targetLength ?? shape.length })
  }
}

function picksOf({ labels }: { readonly labels: number }, { rows, length, picks }: BatchShape): number {
  return picks ?? (labels > 0 ? rows : Math.ceil((rows * length) / 5))
}

export function traceTraining(config: ModelConfig, shape: BatchShape, { zLoss = 0, labelSmoothing = 0 }: LossOptions = {}): TrainingTape {
  const trunk = traceTrunk(config, shape)
  const { graph, read, head } = trunk
  const targets = graph.tensor('targets', [read.shape[0]], 'input', 'i32')
  const scale = graph.tensor('scale', [1], 'input')
  const softcap = logitSoftcap(config)
  const plain = ops.headLoss(graph, read, head, { targets, scale }, { softcap, zLoss: 0, labelSmoothing: 0 })
  const evaluation = { records: graph.records.slice(), losses: plain }
  if (zLoss === 0 && labelSmoothing === 0) return { ...trunk, targets, scale, losses: plain, evaluation }
  graph.records.pop()
  const losses = ops.headLoss(graph, read, head, { targets, scale }, { softcap, zLoss, labelSmoothing })
  return { ...trunk, targets, scale, losses, evaluation }
}

export function traceReading(config: ModelConfig, shape: BatchShape): ReadingTape {
  const trunk = traceTrunk(config, shape)
  return { ...trunk, logits: ops.linear(trunk.graph, trunk.read, trunk.head.w, trunk.head.b) }
}

/** c of c·tanh(logit / c); 0: none. */
export function logitSoftcap(config: ModelConfig): number {
  return config.architecture === 'decoder' ? config.logitSoftcap : 0
}

/** Caps logits in place. */
export function capLogits(logits: Float32Array, softcap: number): void {
  if (softcap > 0) for (let i = 0; i < logits.length; i++) logits[i] = softcap * Math.tanh(logits[i] / softcap)
}
