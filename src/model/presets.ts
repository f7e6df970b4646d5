// Shapes with a name: published models, and small ones for tests and CPUs.

import { type DecoderConfig, type DecoderOptions, type ModelConfig, type ModelOptions, modelConfig } from './config.ts'

const gpt2 = {
  vocabularySize: 50_257,
  contextLength: 1024,
  norm: 'layernorm',
  positions: 'learned',
  activation: 'gelu_tanh',
  biases: true,
} as const

const bert = {
  architecture: 'encoder',
  vocabularySize: 30_522,
  contextLength: 512,
  normPlace: 'post',
  normEpsilon: 1e-12,
  positions: 'learned',
  tokenTypes: 2,
  activation: 'gelu',
  biases: true,
} as const

/** One layer in three sees everything, the others 64 positions to each side. */
const modernBert = {
  architecture: 'encoder',
  vocabularySize: 50_368,
  contextLength: 8192,
  ropeTheta: 160_000,
  localRopeTheta: 10_000,
  windows: [0, 65, 65],
} satisfies Partial<ModelOptions>

const t5 = {
  architecture: 'encoder-decoder',
  vocabularySize: 32_128,
  contextLength: 512,
  headSize: 64,
} as const

/** T5 as first published; without, its version 1.1. */
const t5First = { ...t5, activation: 'relu', tiedEmbeddings: true } as const

const nano = { vocabularySize: 4096, contextLength: 256, layers: 4, width: 128, heads: 4 }

/** The vocabulary of the small ones is a default: a trainer sets its tokenizer's. */
export const presets = {
  nano,
  micro: { ...nano, width: 192, heads: 6 },
  mini: { vocabularySize: 8192, contextLength: 512, layers: 6, width: 256, heads: 8 },
  small: { vocabularySize: 8192, contextLength: 512, layers: 8, width: 512, heads: 8 },
  'nano-gpt2': { ...gpt2, ...nano },
  'nano-bert': { ...bert, ...nano },
  'nano-modernbert': { ...modernBert, ...nano, hiddenWidth: 192 },
  'nano-t5': { ...t5, ...nano, layers: 2, headSize: 32, hiddenWidth: 256 },
  'gpt2-124m': { ...gpt2, layers: 12, width: 768, heads: 12 },
  'gpt2-355m': { ...gpt2, layers: 24, width: 1024, heads: 16 },
  'gpt2-774m': { ...gpt2, layers: 36, width: 1280, heads: 20 },
  'gpt2-1.5b': { ...gpt2, layers: 48, width: 1600, heads: 25 },
  /** Llama 3.2 1B. */
  'llama-1b': {
    vocabularySize: 128_256,
    contextLength: 131_072,
    layers: 16,
    width: 2048,
    heads: 32,
    kvHeads: 8,
    hiddenWidth: 8192,
    ropeTheta: 500_000,
    ropeScaling: { factor: 32, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalLength: 8192 },
  },
  'smollm2-135m': {
    vocabularySize: 49_152,
    contextLength: 8192,
    layers: 30,
    width: 576,
    heads: 9,
    kvHeads: 3,
    hiddenWidth: 1536,
    ropeTheta: 100_000,
  },
  /** Qwen2.5 0.5B. */
  'qwen-0.5b': {
    vocabularySize: 151_936,
    contextLength: 32_768,
    layers: 24,
    width: 896,
    heads: 14,
    kvHeads: 2,
    hiddenWidth: 4864,
    ropeTheta: 1_000_000,
    normEpsilon: 1e-6,
    biases: 'qkv',
  },
  'qwen3-0.6b': {
    vocabularySize: 151_936,
    contextLength: 40_960,
    layers: 28,
    width: 1024,
    heads: 16,
    kvHeads: 8,
    headSize: 128,
    hiddenWidth: 3072,
    ropeTheta: 1_000_000,
    normEpsilon: 1e-6,
    qkNorm: true,
  },
  'bert-base': { ...bert, layers: 12, width: 768, heads: 12 },
  'modernbert-base': { ...modernBert, layers: 22, width: 768, heads: 12, hiddenWidth: 1152 },
  't5-small': { ...t5First, layers: 6, width: 512, heads: 8, hiddenWidth: 2048 },
  't5-base': { ...t5First, layers: 12, width: 768, heads: 12, hiddenWidth: 3072 },
  't5-v1.1-small': { ...t5, layers: 8, width: 512, heads: 6, hiddenWidth: 1024 },
} satisfies Record<string, ModelOptions>
export type PresetName = keyof typeof presets

export function isPreset(name: string): name is PresetName {
  return Object.hasOwn(presets, name)
}

type DecoderPreset = { [N in PresetName]: (typeof presets)[N] extends { architecture: string } ? never : N }[PresetName]

/** @throws ZodError where the changes do not fit together */
export function preset(name: DecoderPreset, changes?: Partial<DecoderOptions>): DecoderConfig
export function preset(name: PresetName, changes?: Partial<ModelOptions>): ModelConfig
export function preset(name: PresetName, changes: Partial<ModelOptions> = {}): ModelConfig {
  return modelConfig.parse({ ...presets[name], ...changes })
}
