// Sampling from a model: a penalty for tokens already there (Keskar et al. 2019, arxiv.org/abs/1909.05858), temperature, the K
// likeliest tokens, the nucleus of probability P (Holtzman et al. 2020, arxiv.org/abs/1904.09751), those not much less likely
// than the likeliest (min-p, Nguyen et al. 2024, arxiv.org/abs/2407.01082), in this order as in Hugging Face transformers.
// A draw is a function of (seed, ordinal of the text, index of the token): the same call gives the same text.

import { z } from 'zod'
import { SluiceError } from '../core/errors.ts'
import { uniform } from '../tensor/rng.ts'
import { createInference, type Inference } from './inference.ts'
import type { Trainable } from './trainable.ts'
import type { Weights } from './weights.ts'

export const generateOptions = z.strictObject({
  maxTokens: z.int().min(1).default(128).describe('tokens to generate at most'),
  temperature: z.number().min(0).default(0.8).describe('0 takes the likeliest token, 1 samples as the model says'),
  topK: z.int().min(0).default(0).describe('sample among the K likeliest tokens; 0: all'),
  topP: z.number().gt(0).max(1).default(1).describe('sample among the fewest tokens with this much probability together'),
  minP: z.number().min(0).max(1).default(0).describe('leave out tokens less likely than this share of the likeliest'),
  repetitionPenalty: z.number().min(1).max(10).default(1).describe('make tokens that are there already less likely; 1: not'),
  seed: z.uint32().default(1).describe('same seed, same text'),
  text: z.int().min(0).default(0).describe('which of the texts of this seed: each is another draw'),
  stop: z.array(z.int()).default([]).describe('tokens that end the text; not part of it'),
})
export type GenerateOptions = z.input<typeof generateOptions>
type Choice = Pick<z.output<typeof generateOptions>, 'temperature' | 'topK' | 'topP' | 'minP'>

/**
 * The tokens after a prompt, one by one. A text that outgrows the context goes on from its last half.
 *
 * @param prompt at least one token; a longer one than the context is cut at its beginning
 * @throws SluiceError SLUICE_MODEL_PROMPT where the prompt is empty
 */
export async function* generate(
  model: Trainable | Weights | Inference,
  prompt: readonly number[],
  options: GenerateOptions = {},
): AsyncGenerator<number, void, undefined> {
  const { maxTokens, seed, text, stop, repetitionPenalty, ...choice } = generateOptions.parse(options)
  if (prompt.length === 0)
    throw new SluiceError('SLUICE_MODEL_PROMPT', 'the prompt has no tokens', { fix: 'begin with the end-of-text token' })
  const inference = 'next' in model ? model : await createInference(model)
  try {
    const tokens = [...prompt]
    inference.reset()
    let logits = feed(inference, tokens, inference.config.contextLength)
    for (let i = 0; i < maxTokens; i++) {
      if (repetitionPenalty > 1) penalize(logits, tokens, repetitionPenalty)
      const token = sample(logits, choice, uniform(seed, i, text, 0))
      if (stop.includes(token)) return
      yield token
      tokens.push(token)
      if (i + 1 === maxTokens) return
      if (inference.position < inference.config.contextLength) logits = inference.next(token)
      else {
        inference.reset()
        logits = feed(inference, tokens, Math.max(1, inference.config.contextLength >> 1))
      }
    }
  } finally {
    if (inference !== model) await inference.dispose()
  }
}

/** Feeds the last `limit` tokens. */
function feed(inference: Inference, tokens: readonly number[], limit: number): Float32Array {
  let logits: Float32Array = new Float32Array(0)
  for (const token of tokens.slice(-limit)) logits = inference.next(token)
  return logits
}

/** Lowers the logits of tokens that are in the text, each once. */
function penalize(logits: Float32Array, tokens: readonly number[], penalty: number): void {
  for (const token of new Set(tokens)) logits[token] = logits[token] > 0 ? logits[token] / penalty : logits[token] * penalty
}

/**
 * The token that `draw` in [0, 1) falls on.
 *
 * @param logits f32[V]
 */
export function sample(logits: Float32Array, { temperature, ...limits }: Choice, draw: number): number {
  let best = 0
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i
  if (temperature === 0) return best
  const weights = Float64Array.from(logits, (logit) => Math.exp((logit - logits[best]) / temperature))
  const tokens = candidates(weights, limits)
  let left = draw * sumOf(weights, tokens)
  for (const token of tokens) {
    left -= weights[token]
    if (left < 0) return token
  }
  return tokens[tokens.length - 1]
}

/**
 * The tokens that may be drawn, likeliest first; all, as they are, where none is left out.
 *
 * @param weights f64[V], probabilities as shares of the largest
 */
function candidates(weights: Float64Array, { topK, topP, minP }: Omit<Choice, 'temperature'>): Uint32Array {
  const all = Uint32Array.from(weights.keys())
  if (topK === 0 && topP === 1 && minP === 0) return all
  const most = topK === 0 ? all.length : Math.min(topK, all.length)
  const total = sumOf(weights, all)
  // Sorting a whole vocabulary would cost more than a small model's token: what is rare is sorted only where it may be drawn.
  for (const floor of [1e-3, 0]) {
    const order = all.filter((token) => weights[token] >= floor).sort((a, b) => weights[b] - weights[a] || a - b)
    const isEnough = order.length >= most || (most === all.length && (minP >= floor || sumOf(weights, order) >= topP * total))
    if (!isEnough && floor > 0) continue
    const likeliest = order.subarray(0, most)
    const nucleus = topP === 1 ? Number.POSITIVE_INFINITY : topP * (most === all.length ? total : sumOf(weights, likeliest))
    let kept = 0
    for (let sum = 0; kept < likeliest.length && sum < nucleus && weights[likeliest[kept]] >= minP; kept++) sum += weights[likeliest[kept]]
    return likeliest.subarray(0, kept)
  }
  return all
}

function sumOf(weights: Float64Array, tokens: Uint32Array): number {
  let sum = 0
  for (const token of tokens) sum += weights[token]
  return sum
}
