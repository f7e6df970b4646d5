// What a decoder-only model is made of, presets with known names, and what follows from them: parameters, cost, a model of a
// wanted size. Radford et al. 2019 (GPT-2) and Touvron et al. 2023, arxiv.org/abs/2302.13971 (Llama) are the two families.

import { z } from 'zod'
import { ACTIVATIONS } from '../tensor/operations.ts'

export const modelConfig = z
  .strictObject({
    vocabularySize: z.int().min(2).describe('tokens that the model knows'),
    contextLength: z.int().min(1).describe('longest sequence, in tokens'),
    layers: z.int().min(1).describe('transformer blocks'),
    width: z.int().min(1).describe('size of the residual stream'),
    heads: z.int().min(1).describe('attention heads; the head size is width / heads'),
    kvHeads: z.int().min(1).optional().describe('heads of keys and values, each shared by heads / kvHeads queries; default heads'),
    hiddenWidth: z.int().min(1).optional().describe('width inside the feed-forward part; default 4·width, and 8/3·width for swiglu'),
    norm: z.enum(['rmsnorm', 'layernorm']).default('rmsnorm').describe('normalization before each part of a block'),
    normEpsilon: z.number().positive().default(1e-5).describe('added to the variance'),
    positions: z.enum(['rotary', 'learned']).default('rotary').describe('how the model knows the order of tokens'),
    ropeTheta: z.number().positive().default(10_000).describe('base of the rotary wavelengths'),
    activation: z
      .enum([...ACTIVATIONS, 'swiglu'])
      .default('swiglu')
      .describe('non-linearity of the feed-forward part'),
    biases: z.boolean().default(false).describe('biases in linear layers and in layernorm'),
    tiedEmbeddings: z.boolean().default(true).describe('one matrix for the embedding and the head'),
  })
  .transform((config) => ({
    ...config,
    kvHeads: config.kvHeads ?? config.heads,
    hiddenWidth: config.hiddenWidth ?? (config.activation === 'swiglu' ? roundUp((8 / 3) * config.width, 32) : 4 * config.width),
  }))
  .superRefine((config, context) => {
    const refuse = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
    if (config.width % config.heads) refuse('heads', `width ${config.width} is not a multiple of heads ${config.heads}`)
    if (config.heads % config.kvHeads) refuse('kvHeads', `heads ${config.heads} is not a multiple of kvHeads ${config.kvHeads}`)
    if (config.positions === 'rotary' && (config.width / config.heads) % 2) refuse('heads', 'rotary positions need an even head size')
    if (config.activation === 'swiglu' && config.hiddenWidth % 4) refuse('hiddenWidth', 'swiglu needs a multiple of 4')
  })
export type ModelOptions = z.input<typeof modelConfig>
export type ModelConfig = z.output<typeof modelConfig>

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple
}

const gpt2 = {
  vocabularySize: 50_257,
  contextLength: 1024,
  norm: 'layernorm',
  positions: 'learned',
  activation: 'gelu_tanh',
  biases: true,
  tiedEmbeddings: true,
} as const

/** Shapes with a name. The vocabulary of the small ones is a default: a trainer sets its tokenizer's. */
export const presets = {
  nano: { vocabularySize: 4096, contextLength: 256, layers: 4, width: 128, heads: 4 },
  micro: { vocabularySize: 4096, contextLength: 256, layers: 4, width: 192, heads: 6 },
  mini: { vocabularySize: 8192, contextLength: 512, layers: 6, width: 256, heads: 8 },
  small: { vocabularySize: 8192, contextLength: 512, layers: 8, width: 512, heads: 8 },
  'gpt2-124m': { ...gpt2, layers: 12, width: 768, heads: 12 },
  'gpt2-355m': { ...gpt2, layers: 24, width: 1024, heads: 16 },
} satisfies Record<string, ModelOptions>
export type PresetName = keyof typeof presets

export function isPreset(name: string): name is PresetName {
  return Object.hasOwn(presets, name)
}

/** @throws ZodError where the changes do not fit together */
export function preset(name: PresetName, changes: Partial<ModelOptions> = {}): ModelConfig {
  return modelConfig.parse({ ...presets[name], ...changes })
}

/** Weights of all matrices that tokens are multiplied with: without embedding tables, with the head. */
function multipliedWeights(config: ModelConfig): number {
  const { layers, width, heads, kvHeads, hiddenWidth, activation, vocabularySize } = config
  const headSize = width / heads
  const attention = width * (heads + 2 * kvHeads) * headSize + heads * headSize * width
  const feedForward = (activation === 'swiglu' ? 3 : 2) * width * hiddenWidth
  return layers * (attention + feedForward) + vocabularySize * width
}

export function parameterCount(config: ModelConfig): number {
  const { layers, width, heads, kvHeads, hiddenWidth, activation, vocabularySize, contextLength } = config
  let count = multipliedWeights(config)
  if (!config.tiedEmbeddings) count += vocabularySize * width
  if (config.positions === 'learned') count += contextLength * width
  const normSize = config.norm === 'layernorm' && config.biases ? 2 * width : width
  count += (2 * layers + 1) * normSize
  if (config.biases) {
    const attention = (heads + 2 * kvHeads) * (width / heads) + width
    count += layers * (attention + (activation === 'swiglu' ? 2 : 1) * hiddenWidth + width)
  }
  return count
}

/**
 * Floating-point operations of forward and backward per token: 6 per multiplied weight, and the lower triangle of both
 * products of attention, 6·layers·width·length. Recomputation would not count.
 */
export function flopsPerToken(config: ModelConfig, length: number): number {
  return 6 * multipliedWeights(config) + 6 * config.layers * config.width * length
}

/** The model of the Llama family, with heads of 32 or 64, whose number of parameters is nearest to the one wanted. */
export function modelOfSize(parameters: number, shape: { vocabularySize: number; contextLength: number }): ModelConfig {
  const at = (width: number) => {
    // depth grows with width as in GPT-2 and Llama: 4 blocks at 128, 6 at 256, 12 at 768, 24 at 2048
    const layers = Math.max(2, Math.round(2 + width / 64 - (width > 512 ? (width - 512) / 120 : 0)))
    return modelConfig.parse({ ...shape, layers, width, heads: width / (width >= 512 ? 64 : 32) })
  }
  let below = at(32)
  for (let width = 64; ; width += width < 512 ? 32 : 64) {
    const above = at(width)
    const count = parameterCount(above)
    if (count >= parameters) return count / parameters < parameters / parameterCount(below) ? above : below
    below = above
  }
}
