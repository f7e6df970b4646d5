// How near documents are in meaning to texts that are as they should be: the cosine between a document's embedding and the mean
// of the references'. Any OpenAI-compatible server with /v1/embeddings will do, and the text of the documents goes there: with
// a server that is not yours, it leaves your machine. Embeddings are kept in a cache. Documents that an earlier stage dropped
// and that go on for their receipts (a hundredth: sluice run --shadows) are asked about too.

import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import { SluiceError } from '../src/core/errors.ts'
import { drop, keep, type Stage, type Verdict } from '../src/core/stage.ts'
import { type Endpoint, endpointOptions } from '../src/endpoint/endpoint.ts'
import { type Asked, asking, beginningOf, cacheKey, endpointStage, mapConcurrently } from '../src/endpoint/stage.ts'
import { annotate } from '../src/text/analysis.ts'

export const embeddingSimilarityOptions = z.strictObject({
  ...endpointOptions,
  references: z.array(z.string().min(1)).min(1).describe('texts that are as they should be'),
  documentsPerRequest: z.int().min(1).max(2048).default(32).describe('texts sent together'),
  annotation: z
    .string()
    .regex(/^[a-z][a-z0-9_]*$/)
    .default('embedding_similarity')
    .describe('name of the annotation, −1 to 1'),
  minSimilarity: z.number().min(-1).max(1).nullable().default(null).describe('smallest to keep; null: all'),
  textCharacters: z.int().min(1).default(4000).describe('of a text’s beginning, sent (UTF-16 units)'),
})
export type EmbeddingSimilarityOptions = z.input<typeof embeddingSimilarityOptions>
type Limits = z.output<typeof embeddingSimilarityOptions>

/** Which option bounds which statistic. */
export const embeddingSimilarityLimits = { embedding_similarity: ['minSimilarity'] } as const

/** Annotates with the cosine. Reason: `embedding_similarity`. */
export function embeddingSimilarity<T extends Document>(options: EmbeddingSimilarityOptions): Stage<T> {
  const limits = embeddingSimilarityOptions.parse(options)
  return endpointStage<T, number>('embeddingSimilarity', {
    options: limits,
    prepare: async (endpoint, signal) => {
      const centre = mean((await embedAll(endpoint, limits.references, limits, signal)).map(embeddingOf))
      return async (batch) => {
        const texts = batch.map(({ text }) => text)
        return (await embedAll(endpoint, texts, limits, signal)).map((asked) => compared(asked, centre))
      }
    },
    finish: (document, similarity, report) => {
      report({ embedding_similarity: similarity })
      return {
        verdict: decideSimilarity(similarity, limits),
        document: annotate(document, { [limits.annotation]: similarity }),
      }
    },
  })
}

export function decideSimilarity(similarity: number, { minSimilarity }: Pick<Limits, 'minSimilarity'>): Verdict {
  return minSimilarity !== null && similarity < minSimilarity ? drop('embedding_similarity') : keep
}

// ---- embeddings ----

/** Of each text, in order. Those in the cache are not asked for again, equal ones once. */
async function embedAll(endpoint: Endpoint, texts: readonly string[], limits: Limits, signal: AbortSignal): Promise<Asked<Float32Array>[]> {
  const beginnings = texts.map((text) => beginningOf(text, limits.textCharacters))
  const known = new Map<string, Asked<Float32Array>>()
  for (const text of new Set(beginnings)) {
    const cached = endpoint.store.get(keyOf(text, limits))
    if (cached) known.set(text, { answer: new Float32Array(Uint8Array.from(cached).buffer) })
  }
  const missing = [...new Set(beginnings)].filter((text) => !known.has(text))
  const groups = Array.from({ length: Math.ceil(missing.length / limits.documentsPerRequest) }, (_, i) =>
    missing.slice(i * limits.documentsPerRequest, (i + 1) * limits.documentsPerRequest),
  )
  await mapConcurrently(groups, limits.concurrency, async (group) => {
    for (const [i, asked] of (await embedGroup(endpoint, group, limits, signal)).entries()) known.set(group[i], asked)
  })
  return beginnings.map((text) => known.get(text) ?? { isUnscored: true })
}

/** Where the server refuses a group, its texts are asked for one by one: one of them may be all that is wrong. */
async function embedGroup(
  endpoint: Endpoint,
  texts: readonly string[],
  limits: Limits,
  signal: AbortSignal,
): Promise<Asked<Float32Array>[]> {
  const asked = await asking(limits.onBudget, () =>
    endpoint.post('embeddings', { model: limits.model, input: texts }, embeddingsShape(texts.length), signal),
  )
  if (!('answer' in asked)) {
    if (texts.length === 1 || 'isUnscored' in asked) return texts.map(() => asked)
    return (await mapConcurrently(texts, 1, (text) => embedGroup(endpoint, [text], limits, signal))).flat()
  }
  return asked.answer.map((embedding, i) => {
    endpoint.store.put(keyOf(texts[i], limits), new Uint8Array(embedding.buffer))
    return { answer: embedding }
  })
}

function keyOf(text: string, { model }: Limits): Uint8Array {
  return cacheKey('embedding', model, text)
}

/** The answer in the order of the question: servers may give it in another. */
function embeddingsShape(count: number) {
  return z
    .object({ data: z.array(z.object({ index: z.int(), embedding: z.array(z.float32()).min(1) })).length(count) })
    .refine(
      ({ data }) => new Set(data.map(({ index }) => index)).size === count && data.every(({ index }) => index >= 0 && index < count),
      {
        path: ['data'],
        error: 'does not have an embedding for each text',
      },
    )
    .transform(({ data }) => [...data].sort((a, b) => a.index - b.index).map(({ embedding }) => Float32Array.from(embedding)))
}

function embeddingOf(asked: Asked<Float32Array>): Float32Array {
  if ('answer' in asked) return asked.answer
  if ('error' in asked) throw asked.error
  throw new SluiceError('SLUICE_ENDPOINT_BUDGET', 'the budget is used up before the references are embedded', { fix: 'raise the budget' })
}

// ---- geometry ----

/** Mean direction. @throws SluiceError where the embeddings differ in size */
function mean(embeddings: readonly Float32Array[]): Float64Array {
  const centre = new Float64Array(embeddings[0].length)
  for (const embedding of embeddings) {
    checkSize(embedding, centre.length)
    const length = Math.hypot(...embedding)
    for (let i = 0; i < centre.length; i++) centre[i] += length === 0 ? 0 : embedding[i] / length
  }
  return centre
}

function compared(asked: Asked<Float32Array>, centre: Float64Array): Asked<number> {
  if (!('answer' in asked)) return asked
  try {
    checkSize(asked.answer, centre.length)
    return { answer: cosine(asked.answer, centre) }
  } catch (error) {
    return { error }
  }
}

function checkSize(embedding: Float32Array, size: number): void {
  if (embedding.length === size) return
  throw new SluiceError('SLUICE_ENDPOINT_ANSWER', `an embedding has ${embedding.length} numbers, the first reference's has ${size}`, {
    fix: 'remove the cache where the model was changed under its name',
  })
}

/** 0 where one of the two is nothing but zeros. */
function cosine(a: Float32Array, b: Float64Array): number {
  let product = 0
  let squaresA = 0
  let squaresB = 0
  for (let i = 0; i < a.length; i++) {
    product += a[i] * b[i]
    squaresA += a[i] * a[i]
    squaresB += b[i] * b[i]
  }
  return squaresA === 0 || squaresB === 0 ? 0 : product / Math.sqrt(squaresA * squaresB)
}
