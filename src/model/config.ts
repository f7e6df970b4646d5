// What a model is made of: one schema, told apart by the architecture. Each family below is a choice of these features.
//   decoder          Radford et al. 2019 (GPT-2); Touvron et al. 2023, arxiv.org/abs/2302.13971 (Llama, Qwen, SmolLM)
//   encoder          Devlin et al. 2019, arxiv.org/abs/1810.04805 (BERT); Warner et al. 2024, arxiv.org/abs/2412.13663 (ModernBERT)
//   encoder-decoder  Raffel et al. 2020, arxiv.org/abs/1910.10683 (T5), and its version 1.1

import { z } from 'zod'

/** Feed-forward parts with a gate (Shazeer 2020, arxiv.org/abs/2002.05202), and the activation of the gate. */
export const GATED = { swiglu: 'silu', geglu: 'gelu', geglu_tanh: 'gelu_tanh', reglu: 'relu' } as const
const PLAIN = ['gelu_tanh', 'gelu', 'silu', 'relu', 'relu2', 'tanh'] as const
export type PlainActivation = (typeof PLAIN)[number]
export type GatedActivation = keyof typeof GATED
export const GATED_NAMES = ['swiglu', 'geglu', 'geglu_tanh', 'reglu'] as const satisfies readonly GatedActivation[]

export function isGated(activation: PlainActivation | GatedActivation): activation is GatedActivation {
  return Object.hasOwn(GATED, activation)
}

const activation = z.enum([...PLAIN, ...GATED_NAMES]).describe('non-linearity of the feed-forward part')

/** As deep as any was trained (Wang et al. 2022, arxiv.org/abs/2203.00555). Planning memory takes the square of it: 3 s there. */
const MOST_LAYERS = 1000

const size = {
  vocabularySize: z.int().min(2).describe('tokens that the model knows'),
  contextLength: z.int().min(1).describe('longest sequence, in tokens'),
  layers: z.int().min(1).max(MOST_LAYERS).describe('transformer blocks'),
  width: z.int().min(1).describe('size of the residual stream'),
  heads: z.int().min(1).describe('attention heads'),
  headSize: z.int().min(1).optional().describe('size of a head; default width / heads'),
  hiddenWidth: z.int().min(1).optional().describe('width inside the feed-forward part; default 4·width, and 8/3·width where it is gated'),
}

const ropeScaling = z
  .strictObject({
    factor: z.number().min(1).describe('how many times longer the slow wavelengths become'),
    lowFrequencyFactor: z.number().positive().describe('wavelengths above originalLength / this are stretched in full'),
    highFrequencyFactor: z.number().positive().describe('wavelengths below originalLength / this stay'),
    originalLength: z.int().min(1).describe('context that the model was first trained on'),
  })
  .refine((scaling) => scaling.highFrequencyFactor > scaling.lowFrequencyFactor, {
    path: ['highFrequencyFactor'],
    error: 'must exceed lowFrequencyFactor',
  })

const selfAttention = {
  ropeTheta: z.number().positive().default(10_000).describe('base of the rotary wavelengths'),
  localRopeTheta: z.number().positive().optional().describe('base in layers with a window; default ropeTheta'),
  windows: z
    .array(z.int().min(0))
    .min(1)
    .default([0])
    .describe('distance below which positions see each other, 0: any; one a layer, repeated over the layers'),
}

export const decoderConfig = z
  .strictObject({
    architecture: z.literal('decoder').default('decoder'),
    ...size,
    kvHeads: z.int().min(1).optional().describe('heads of keys and values, each shared by heads / kvHeads queries; default heads'),
    norm: z.enum(['rmsnorm', 'layernorm']).default('rmsnorm').describe('normalization of each part of a block'),
    normPlace: z.enum(['pre', 'post']).default('pre').describe('before each part, or after its sum with the residual stream'),
    normEpsilon: z.number().positive().default(1e-5).describe('added to the variance'),
    positions: z.enum(['rotary', 'learned', 'alibi', 'none']).default('rotary').describe('how the model knows the order of tokens'),
    ...selfAttention,
    ropeScaling: ropeScaling.optional().describe('stretched wavelengths, as in Llama 3.1 and later'),
    qkNorm: z.boolean().default(false).describe('RMSNorm of every query and key head, as in Qwen3'),
    attentionSoftcap: z.number().min(0).default(0).describe('c·tanh(score / c) of the attention scores; 0: none'),
    logitSoftcap: z.number().min(0).default(0).describe('c·tanh(logit / c) of the logits; 0: none'),
    activation: activation.default('swiglu'),
    biases: z
      .union([z.boolean(), z.literal('qkv')])
      .default(false)
      .describe('in linear layers and in layernorm; qkv: for queries, keys and values alone, as in Qwen2'),
    tiedEmbeddings: z.boolean().default(true).describe('one matrix for the embedding and the head'),
  })
  .transform((config) => ({ ...config, ...resolveSize(config), kvHeads: config.kvHeads ?? config.heads }))
  .superRefine((config, context) => {
    checkHeads(config, context)
    if (config.heads % config.kvHeads) refuse(context, 'kvHeads', `heads ${config.heads} is not a multiple of kvHeads ${config.kvHeads}`)
  })

export const encoderConfig = z
  .strictObject({
    architecture: z.literal('encoder'),
    ...size,
    norm: z.enum(['rmsnorm', 'layernorm']).default('layernorm').describe('normalization of each part of a block, and of the embedding'),
    normPlace: z
      .enum(['pre', 'post'])
      .default('pre')
      .describe('before each part (ModernBERT), or after its sum with the residual stream (BERT)'),
    normEpsilon: z.number().positive().default(1e-5).describe('added to the variance'),
    positions: z.enum(['rotary', 'learned', 'alibi', 'none']).default('rotary').describe('how the model knows the order of tokens'),
    ...selfAttention,
    tokenTypes: z.int().min(0).default(0).describe('segments that tokens belong to, each with an embedding; BERT has 2'),
    activation: activation.default('geglu'),
    biases: z.boolean().default(false).describe('in linear layers and in layernorm'),
    tiedEmbeddings: z.boolean().default(true).describe('one matrix for the embedding and the masked-token head'),
    labels: z.int().min(0).default(0).describe('classes to tell apart by the first token; 0: the head restores masked tokens'),
  })
  .transform((config) => ({ ...config, ...resolveSize(config) }))
  .superRefine((config, context) => {
    checkHeads(config, context)
    if (config.labels === 1) refuse(context, 'labels', 'a classifier needs two labels at least')
  })

export const encoderDecoderConfig = z
  .strictObject({
    architecture: z.literal('encoder-decoder'),
    ...size,
    decoderLayers: z.int().min(1).max(MOST_LAYERS).optional().describe('blocks of the decoder; default layers, which the encoder has'),
    normEpsilon: z.number().positive().default(1e-6).describe('added to the variance, of RMSNorm before each part'),
    buckets: z.int().min(4).multipleOf(4).default(32).describe('relative distances that attention tells apart'),
    maxDistance: z.int().min(2).default(128).describe('distances from here on share the last bucket'),
    activation: activation.default('geglu_tanh'),
    tiedEmbeddings: z
      .boolean()
      .default(false)
      .describe('one matrix for the embedding and the head, which then reads the stream times width^−½'),
    startToken: z.int().min(0).default(0).describe('what the target side begins with'),
  })
  .transform((config) => ({ ...config, ...resolveSize(config), decoderLayers: config.decoderLayers ?? config.layers }))
  .superRefine((config, context) => {
    checkHeads({ ...config, positions: 'relative' }, context)
    if (config.maxDistance <= config.buckets / 2) refuse(context, 'maxDistance', `must exceed half of the ${config.buckets} buckets`)
    if (config.startToken >= config.vocabularySize) refuse(context, 'startToken', 'is not in the vocabulary')
  })

/** A configuration without an architecture is a decoder's: so were they written before there were others. */
export const modelConfig = z.discriminatedUnion('architecture', [decoderConfig, encoderConfig, encoderDecoderConfig])
export type ModelOptions = z.input<typeof modelConfig>
export type ModelConfig = z.output<typeof modelConfig>
export type DecoderOptions = z.input<typeof decoderConfig>
export type DecoderConfig = z.output<typeof decoderConfig>
export type EncoderConfig = z.output<typeof encoderConfig>
export type EncoderDecoderConfig = z.output<typeof encoderDecoderConfig>
export type Architecture = ModelConfig['architecture']

interface Sized {
  readonly width: number
  readonly heads: number
  readonly headSize?: number
  readonly hiddenWidth?: number
  readonly activation: PlainActivation | GatedActivation
}

function resolveSize({ width, heads, headSize, hiddenWidth, activation }: Sized) {
  return {
    headSize: headSize ?? width / heads,
    hiddenWidth: hiddenWidth ?? (isGated(activation) ? roundUp((8 / 3) * width, 32) : 4 * width),
  }
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple
}

function checkHeads(config: Required<Sized> & { readonly positions: string }, context: z.RefinementCtx): void {
  const { width, heads, headSize, hiddenWidth, activation, positions } = config
  if (!Number.isInteger(headSize)) refuse(context, 'heads', `width ${width} is not a multiple of heads ${heads}`)
  else if (positions === 'rotary' && headSize % 2) refuse(context, 'heads', 'rotary positions need an even head size')
  if (isGated(activation) && hiddenWidth % 4) refuse(context, 'hiddenWidth', `${activation} needs a multiple of 4`)
}

function refuse(context: z.RefinementCtx, path: string, message: string): void {
  context.addIssue({ code: 'custom', path: [path], message })
}

/** The window of a layer: positions at this distance and beyond do not see each other; 0: all do. */
export function windowOf({ windows }: { readonly windows: readonly number[] }, layer: number): number {
  return windows[layer % windows.length]
}
