// Sampling from a model: temperature, the K likeliest tokens, the nucleus of probability P (Holtzman et al. 2020,
// arxiv.org/abs/1904.09751). A draw is a function of (seed, index of the token): the same call gives the same text.

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
  seed: z.uint32().default(1).describe('same seed, same text'),
  stop: z.array(z.int()).default([]).describe('tokens that end the text; not part of it'),
})
export type GenerateOptions = z.input<typeof generateOptions>
type Choice = Pick<z.output<typeof generateOptions>, 'temperature' | 'topK' | 'topP'>

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
  const { maxTokens, seed, stop, ...choice } = generateOptions.parse(options)
  if (prompt.length === 0)
    throw new SluiceError('SLUICE_MODEL_PROMPT', 'the prompt has no tokens', { fix: 'begin with the end-of-text token' })
  const inference = 'next' in model ? model : await createInference(model)
  try {
    const tokens = [...prompt]
    inference.reset()
    let logits = feed(inference, tokens, inference.config.contextLength)
    for (let i = 0; i < maxTokens; i++) {
      const token = sample(logits, choice, uniform(seed, i, 0, 0))
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

/**
 * The token that `draw` in [0, 1) falls on, likelier tokens first.
 *
 * @param logits f32[V]
 */
export function sample(logits: Float32Array, { temperature, topK, topP }: Choice, draw: number): number {
  let best = 0
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i
  if (temperature === 0) return best
  const weights = Float64Array.from(logits, (logit) => Math.exp((logit - logits[best]) / temperature))
  const cut = topK > 0 && topK < weights.length
  // sorting costs more than the rest, and only a cut needs it
  const order = cut || topP < 1 ? Uint32Array.from(weights.keys()).sort((a, b) => weights[b] - weights[a] || a - b) : undefined
  const count = cut ? topK : weights.length
  const weightAt = (rank: number) => weights[order ? order[rank] : rank]
  let total = 0
  for (let rank = 0; rank < count; rank++) total += weightAt(rank)
  let last = count
  if (topP < 1) {
    let sum = 0
    for (last = 0; last < count && sum < topP * total; last++) sum += weightAt(last)
    total = sum
  }
  let left = draw * total
  for (let rank = 0; rank < last; rank++) {
    left -= weightAt(rank)
    if (left < 0) return order ? order[rank] : rank
  }
  return order ? order[last - 1] : last - 1
}
