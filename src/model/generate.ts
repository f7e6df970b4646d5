// Sampling from a model: a penalty for tokens already there (Keskar et al. 2019, arxiv.org/abs/1909.05858), temperature, the K
// likeliest tokens, the nucleus of probability P (Holtzman et al. 2020, arxiv.org/abs/1904.09751), those not much less likely
// than the likeliest (min-p, Nguyen et al. 2024, arxiv.org/abs/2407.01082), in this order as in Hugging Face transformers.
// A draw is a function of (seed, ordinal of the text, index of the token): the same call gives the same text.

import { z } from 'zod'
import { SluiceError } from '../core/errors.ts'
import { uniform } from '../tensor/rng.ts'
import { createInference, type Inference } from './inference.ts'
import { createSequenceInference } from './sequence.ts'
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
  batch: z.int().min(1).default(8).describe('texts that are written at once, where there are several'),
  threads: z.int().min(1).max(1024).default(1).describe('threads of the CPU device'),
})
export type GenerateOptions = z.input<typeof generateOptions>
type Choice = Pick<z.output<typeof generateOptions>, 'temperature' | 'topK' | 'topP' | 'minP'>

/** What happens to one of several texts: a token more, or its end. */
export type TextEvent = { readonly text: number; readonly token: number } | { readonly text: number; readonly end: 'stop' | 'length' }

/** A text on its way, in a row of the model's cache. */
interface Row {
  readonly text: number
  /** All that the model goes on from: a decoder's prompt, then what was written. */
  readonly tokens: number[]
  /** What the model has not read yet. */
  pending: readonly number[]
  written: number
}

/**
 * The tokens after a prompt, one by one; of an encoder-decoder those that it writes from the prompt as its source. A text
 * that outgrows the context goes on from its last half.
 *
 * @param prompt at least one token; one longer than the context is cut at its beginning, a source before its last token
 * @throws SluiceError SLUICE_MODEL_PROMPT where the prompt is empty
 */
export async function* generate(
  model: Trainable | Weights | Inference,
  prompt: readonly number[],
  options: GenerateOptions = {},
): AsyncGenerator<number, void, undefined> {
  for await (const event of generateTexts(model, [prompt], options)) if ('token' in event) yield event.token
}

/**
 * The tokens after several prompts as they come, `batch` texts at a time: where one ends, the next one takes its row.
 * Events name a text by its prompt's index. Its draws are those of `generate` with the option `text` set to that, or counted
 * from `text` on where it is given.
 *
 * @throws SluiceError SLUICE_MODEL_PROMPT where a prompt is empty
 */
export async function* generateTexts(
  model: Trainable | Weights | Inference,
  prompts: readonly (readonly number[])[],
  options: GenerateOptions = {},
): AsyncGenerator<TextEvent, void, undefined> {
  const settings = generateOptions.parse(options)
  if (prompts.some((prompt) => prompt.length === 0))
    throw new SluiceError('SLUICE_MODEL_PROMPT', 'the prompt has no tokens', { fix: 'begin with the end-of-text token' })
  if (prompts.length === 0) return
  const longest = prompts.reduce((most, prompt) => Math.max(most, prompt.length), 0)
  const { batch, maxTokens, threads } = settings
  const rows = Math.min(batch, prompts.length)
  const inference = 'next' in model ? model : await openInference(model, { rows, longest, maxTokens, threads })
  try {
    yield* writeTexts(inference, prompts, settings)
  } finally {
    if (inference !== model) await inference.dispose()
  }
}

function openInference(
  model: Trainable | Weights,
  { rows, longest, maxTokens, threads }: { rows: number; longest: number; maxTokens: number; threads: number },
): Promise<Inference> {
  if (model.config.architecture === 'encoder-decoder')
    return createSequenceInference(model, { rows, threads, length: longest, context: 1 + maxTokens })
  return createInference(model, { rows, threads, context: longest + maxTokens })
}

async function* writeTexts(
  inference: Inference,
  prompts: readonly (readonly number[])[],
  { maxTokens, seed, text: first, stop, repetitionPenalty, ...choice }: z.output<typeof generateOptions>,
): AsyncGenerator<TextEvent, void, undefined> {
  const V = inference.config.vocabularySize
  const waiting = prompts.entries()
  const admit = (row: number): Row | undefined => {
    const next = waiting.next()
    if (next.done) return undefined
    const [text, prompt] = next.value
    const tokens = [...inference.begin(row, prompt)]
    return { text, tokens, pending: tokens.slice(-inference.context), written: 0 }
  }
  const rows = Array.from({ length: inference.rows }, (_, row) => admit(row))
  while (rows.some((row) => row !== undefined)) {
    const logits = inference.next(rows.map((row) => row?.pending ?? []))
    for (const [place, row] of rows.entries()) {
      if (!row) continue
      const own = logits.subarray(place * V, (place + 1) * V)
      if (repetitionPenalty > 1) penalize(own, row.tokens, repetitionPenalty)
      const token = sample(own, choice, uniform(seed, row.written, first + row.text, 0))
      const isStopped = stop.includes(token)
      if (!isStopped) {
        yield { text: row.text, token }
        row.tokens.push(token)
        row.written++
      }
      if (isStopped || row.written === maxTokens) {
        yield { text: row.text, end: isStopped ? 'stop' : 'length' }
        rows[place] = admit(place)
      } else if (inference.positions[place] < inference.context) row.pending = [token]
      else {
        inference.reset(place)
        row.pending = row.tokens.slice(-Math.max(1, inference.context >> 1))
      }
    }
  }
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
  const weights = new Float64Array(logits.length)
  for (let i = 0; i < weights.length; i++) weights[i] = Math.exp((logits[i] - logits[best]) / temperature)
  leaveOut(weights, limits)
  let left = draw * sumOf(weights)
  for (let i = 0; i < weights.length; i++) {
    left -= weights[i]
    if (left < 0) return i
  }
  return best
}

/**
 * Zeroes what may not be drawn. Of tokens that are equally likely the first ones stay.
 *
 * @param weights f64[V], probabilities as shares of the largest
 */
function leaveOut(weights: Float64Array, { topK, topP, minP }: Omit<Choice, 'temperature'>): void {
  const isCounted = topK > 0 || topP < 1
  const { least, ties } = isCounted ? leastLikely(weights, { topK, topP, minP }) : { least: minP, ties: weights.length }
  for (let i = 0, left = ties; i < weights.length; i++) if (weights[i] < least || (weights[i] === least && left-- <= 0)) weights[i] = 0
}

/** The weight of the least likely token that may be drawn, and how many of this weight may be. */
function leastLikely(weights: Float64Array, { topK, topP, minP }: Omit<Choice, 'temperature'>): { least: number; ties: number } {
  const buckets = fillBuckets(weights)
  const count = topK === 0 ? weights.length : Math.min(topK, weights.length)
  const counted = likeliest(weights, buckets, { count, sum: Number.POSITIVE_INFINITY })
  const { least, ties } = topP === 1 ? counted : likeliest(weights, buckets, { count, sum: topP * counted.sum })
  return least < minP ? { least: minP, ties: weights.length } : { least, ties }
}

/** 32 for each halving of a weight, from 1 on; the last for all below 2^−64. */
const BUCKETS = 64 * 32 + 1

interface Buckets {
  /** Of each weight. */
  readonly bucketOf: Uint16Array
  readonly counts: Uint32Array
  readonly sums: Float64Array
}

/** Sorting a whole vocabulary would cost more than a small model's token. */
function fillBuckets(weights: Float64Array): Buckets {
  const [counts, sums] = [new Uint32Array(BUCKETS), new Float64Array(BUCKETS)]
  const bucketOf = new Uint16Array(weights.length)
  const words = new Int32Array(weights.buffer, weights.byteOffset, 2 * weights.length)
  for (let i = 0; i < weights.length; i++) {
    // exponent and the upper 20 bits of the mantissa: they fall as the weight does
    const bucket = Math.min((0x3ff00000 - words[2 * i + 1] + 0x7fff) >> 15, BUCKETS - 1)
    bucketOf[i] = bucket
    counts[bucket]++
    sums[bucket] += weights[i]
  }
  return { bucketOf, counts, sums }
}

/** The likeliest tokens until there are `count` or their weights add up to `sum`: the least of these, how many there are of it, their sum. */
function likeliest(weights: Float64Array, { bucketOf, counts, sums }: Buckets, limits: { count: number; sum: number }) {
  let [count, sum, bucket] = [0, 0, 0]
  for (; bucket < BUCKETS - 1 && count + counts[bucket] < limits.count && sum + sums[bucket] < limits.sum; bucket++) {
    count += counts[bucket]
    sum += sums[bucket]
  }
  const members = new Float64Array(counts[bucket])
  for (let i = 0, filled = 0; i < weights.length; i++) if (bucketOf[i] === bucket) members[filled++] = weights[i]
  members.sort().reverse()
  let kept = 0
  for (; kept < members.length && count + kept < limits.count && sum < limits.sum; kept++) sum += members[kept]
  const least = kept > 0 ? members[kept - 1] : 0
  return { least, ties: kept - members.indexOf(least), sum }
}

function sumOf(weights: Float64Array): number {
  let sum = 0
  for (let i = 0; i < weights.length; i++) sum += weights[i]
  return sum
}
