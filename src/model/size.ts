// How large a model is and what it costs; a model of a wanted size.

import { type DecoderConfig, decoderConfig, isGated, type ModelConfig } from './config.ts'

/** Weights of all matrices that tokens are multiplied with: without embedding tables, with the head. */
function multipliedWeights(config: DecoderConfig): number {
  const { layers, width, heads, kvHeads, hiddenWidth, activation, vocabularySize } = config
  const headSize = width / heads
  const attention = width * (heads + 2 * kvHeads) * headSize + heads * headSize * width
  const feedForward = (isGated(activation) ? 3 : 2) * width * hiddenWidth
  return layers * (attention + feedForward) + vocabularySize * width
}

export function parameterCount(config: ModelConfig): number {
  if (config.architecture !== 'decoder') throw new RangeError(`not counted yet: ${config.architecture}`)
  const { layers, width, heads, kvHeads, hiddenWidth, activation, vocabularySize, contextLength } = config
  let count = multipliedWeights(config)
  if (!config.tiedEmbeddings) count += vocabularySize * width
  if (config.positions === 'learned') count += contextLength * width
  const normSize = config.norm === 'layernorm' && config.biases ? 2 * width : width
  count += (2 * layers + 1) * normSize
  if (config.biases) {
    const attention = (heads + 2 * kvHeads) * (width / heads) + width
    count += layers * (attention + (isGated(activation) ? 2 : 1) * hiddenWidth + width)
  }
  return count
}

/**
 * Floating-point operations of forward and backward per token: 6 per multiplied weight, and the lower triangle of both
 * products of attention, 6·layers·width·length. Recomputation would not count.
 */
export function flopsPerToken(config: ModelConfig, length: number): number {
  if (config.architecture !== 'decoder') throw new RangeError(`not counted yet: ${config.architecture}`)
  return 6 * multipliedWeights(config) + 6 * config.layers * config.width * length
}

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
