// How large a model is and what it costs, read off its tape, so that both are exact for every architecture; and a model of a
// wanted size.

import { type OpDefinition, operations } from '../tensor/operations.ts'
import { elements } from '../tensor/shape.ts'
import { type DecoderConfig, decoderConfig, type ModelConfig } from './config.ts'
import { type BatchShape, traceTraining } from './trace.ts'

export function parameterCount(config: ModelConfig): number {
  return traceTraining(config, { rows: 1, length: 1 }).parameters.reduce((sum, { tensor }) => sum + elements(tensor.shape), 0)
}

/**
 * Floating-point operations of forward and backward per token of a batch of this shape, source and target side: of matrix
 * products and of the part of attention that is not masked. Recomputation would not count.
 */
export function flopsPerToken(config: ModelConfig, shape: Omit<BatchShape, 'rows'>): number {
  const rows = 1
  const { length, targetLength = config.architecture === 'encoder-decoder' ? length : 0, picks } = shape
  const { graph } = traceTraining(config, { rows, length, targetLength, picks })
  const definitions: Readonly<Record<string, OpDefinition>> = operations
  const forward = graph.records.reduce(
    (sum, { kernel, reads, attributes }) => sum + (definitions[kernel].flops?.(reads, attributes) ?? 0),
    0,
  )
  return (3 * forward) / (rows * (length + targetLength))
}

/** Hoffmann et al. 2022, arxiv.org/abs/2203.15556: what compute is best spent on, tokens for each parameter. */
export const CHINCHILLA_TOKENS = 20

/** The model of the Llama family, with heads of 32 or 64, whose number of parameters is nearest to the one wanted. */
export function modelOfSize(parameters: number, shape: { vocabularySize: number; contextLength: number }): DecoderConfig {
  const at = (width: number) => {
    // depth grows with width as in GPT-2 and Llama: 4 blocks at 128, 6 at 256, 12 at 768, 24 at 2048
    const layers = Math.max(2, Math.round(2 + width / 64 - (width > 512 ? (width - 512) / 120 : 0)))
    return decoderConfig.parse({ ...shape, layers, width, heads: width / (width >= 512 ? 64 : 32) })
  }
  let below = at(32)
  for (let width = 64; ; width += width < 512 ? 32 : 64) {
    const above = at(width)
    const count = parameterCount(above)
    if (count >= parameters) return count / parameters < parameters / parameterCount(below) ? above : below
    below = above
  }
}
