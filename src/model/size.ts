// How large a model is and what it costs, read off its tape, so that both are exact for every architecture; and a model of a
// wanted size.

import { type OpDefinition, operations } from '../tensor/operations.ts'
import { elements } from '../tensor/shape.ts'
import { type Architecture, type ModelConfig, modelConfig } from './config.ts'
import { type BatchShape, traceTraining } from './trace.ts'

export function parameterCount(config: ModelConfig): number {
  return traceTraining(config, { rows: 1, length: 1 }).parameters.reduce((sum, { tensor }) => sum + elements(tensor.shape), 0)
}

/**
 * Floating-point operations of forward and backward per token of a batch of this shape, source and target side: of matrix
 * products, and of attention over whole rows as far as its mask and windows leave it. Recomputation would not count.
 */
export function flopsPerToken(config: ModelConfig, shape: Omit<BatchShape, 'rows'> & { readonly rows?: number }): number {
  const { rows = 1, length, targetLength = config.architecture === 'encoder-decoder' ? length : 0 } = shape
  const { graph } = traceTraining(config, { ...shape, rows, targetLength })
  const definitions: Readonly<Record<string, OpDefinition>> = operations
  const forward = graph.records.reduce(
    (sum, { kernel, reads, attributes }) => sum + (definitions[kernel].flops?.(reads, attributes) ?? 0),
    0,
  )
  return (3 * forward) / (rows * (length + targetLength))
}

export interface SizeWish {
  readonly vocabularySize: number
  readonly contextLength: number
  /** Default decoder. */
  readonly architecture?: Architecture
}

/**
 * The model whose number of parameters is nearest to the one wanted, with heads of 16, 32 or 64: of the Llama family, ModernBERT's
 * where it is an encoder, T5 1.1 with as many blocks on both sides where it is an encoder-decoder.
 */
export function modelOfSize(parameters: number, { architecture = 'decoder', ...shape }: SizeWish): ModelConfig {
  const at = (width: number) => {
    const depth = layersAt(width)
    const layers = architecture === 'encoder-decoder' ? Math.ceil(depth / 2) : depth
    return modelConfig.parse({ ...shape, architecture, layers, width, heads: width / headSizeAt(width) })
  }
  let below = at(32)
  for (let width = 48; ; width += stepAt(width)) {
    const above = at(width)
    const count = parameterCount(above)
    if (count >= parameters) return count / parameters < parameters / parameterCount(below) ? above : below
    below = above
  }
}

const headSizeAt = (width: number) => (width % 32 > 0 ? 16 : width < 512 ? 32 : 64)

/** Below 96 in small steps: a sweep wants several sizes there. */
const stepAt = (width: number) => (width < 96 ? 16 : width < 512 ? 32 : 64)

/** Depth grows with width as in GPT-2 and Llama: 4 blocks at 128, 6 at 256, 12 at 768, 24 at 2048. */
function layersAt(width: number): number {
  return Math.max(2, Math.round(2 + width / 64 - (width > 512 ? (width - 512) / 120 : 0)))
}
