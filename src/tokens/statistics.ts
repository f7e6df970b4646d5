// What a token corpus holds, counted; and whether it holds what its shards promise.

import { createHash } from 'node:crypto'
import { createReadStream, existsSync, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { SluiceError } from '../core/errors.ts'
import { type Corpus, listShards, openCorpus } from './corpus.ts'

export interface CorpusStatistics {
  readonly documents: number
  readonly tokens: number
  /** Ids that occur, of the vocabulary's. */
  readonly usedIds: number
  readonly vocabularySize: number
  /** Tokens of a document: quantiles. */
  readonly length: { readonly min: number; readonly p10: number; readonly median: number; readonly p90: number; readonly max: number }
  readonly endInEndOfText: number
  readonly bySubset: readonly { readonly subset: string; readonly documents: number; readonly tokens: number }[]
  /** The most frequent ids. */
  readonly top: readonly { readonly id: number; readonly count: number }[]
}

const TOP = 10

/** Reads all of it once. */
export async function measureCorpus(corpus: Corpus, progress: (documents: number) => void = () => undefined): Promise<CorpusStatistics> {
  const counts = new Float64Array(corpus.vocabulary.size)
  const lengths: number[] = []
  const subsets = new Map<string, { documents: number; tokens: number }>()
  let endInEndOfText = 0
  for (const group of corpus.rowGroups) {
    const { tokens } = await corpus.readRows(group)
    const origins = await corpus.readOrigins(group)
    for (const [row, ids] of tokens.entries()) {
      for (let i = 0; i < ids.length; i++) counts[ids[i]]++
      lengths.push(ids.length)
      if (ids.at(-1) === corpus.vocabulary.endOfText) endInEndOfText++
      const name = origins[row].subset ?? ''
      const subset = subsets.get(name) ?? { documents: 0, tokens: 0 }
      subsets.set(name, subset)
      subset.documents++
      subset.tokens += ids.length
    }
    progress(lengths.length)
  }
  lengths.sort((a, b) => a - b)
  const quantile = (share: number) => lengths[Math.min(lengths.length - 1, Math.floor(share * lengths.length))] ?? 0
  const byCount = Array.from(counts, (count, id) => ({ id, count }))
    .filter(({ count }) => count > 0)
    .sort((a, b) => b.count - a.count || a.id - b.id)
  return {
    documents: lengths.length,
    tokens: lengths.reduce((sum, length) => sum + length, 0),
    usedIds: byCount.length,
    vocabularySize: corpus.vocabulary.size,
    length: { min: quantile(0), p10: quantile(0.1), median: quantile(0.5), p90: quantile(0.9), max: quantile(1) },
    endInEndOfText,
    bySubset: [...subsets].map(([subset, count]) => ({ subset, ...count })).sort((a, b) => b.tokens - a.tokens),
    top: byCount.slice(0, TOP),
  }
}

export interface ShardCheck {
  readonly shard: string
  readonly rows: number
  readonly tokens: number
  /** What is wrong with it; undefined where nothing is. */
  readonly problem?: string
}

const manifest = z.looseObject({ shards: z.array(z.object({ name: z.string(), sha256: z.string().optional() })) })

/**
 * Reads every row of every shard, and compares with the manifest where there is one: digests, and what shards there are. A
 * damaged shard does not keep the others from being read.
 */
export async function* verifyCorpus(path: string): AsyncGenerator<ShardCheck> {
  const { folder, shards } = await listShards(path)
  const isFolder = existsSync(path) && statSync(path).isDirectory()
  const promised = isFolder ? await manifestDigests(folder) : new Map<string, string | undefined>()
  for (const { name, path } of shards) {
    yield { shard: name, ...(await checkShard(path, promised.get(name))) }
    promised.delete(name)
  }
  for (const name of promised.keys()) yield { shard: name, rows: 0, tokens: 0, problem: 'the manifest names it, and it is not there' }
}

/** @param digest undefined where none is known */
async function checkShard(path: string, digest: string | undefined): Promise<Omit<ShardCheck, 'shard'>> {
  let [rows, tokens] = [0, 0]
  try {
    const corpus = await openCorpus(path)
    for (const group of corpus.rowGroups) {
      const read = await corpus.readRows(group)
      rows += read.ids.length
      tokens += read.tokens.reduce((sum, { length }) => sum + length, 0)
    }
    const counts = { rows, tokens }
    if (rows !== corpus.documents) return { ...counts, problem: `it holds ${rows} rows, its footer says ${corpus.documents}` }
    if (tokens !== corpus.tokens) return { ...counts, problem: `it holds ${tokens} tokens, its metadata says ${corpus.tokens}` }
    const isOther = digest !== undefined && digest !== (await digestOf(path))
    return { ...counts, problem: isOther ? 'its digest is not that of the manifest' : undefined }
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error
    return { rows, tokens, problem: error.message }
  }
}

/** By the names of shards. */
async function manifestDigests(folder: string): Promise<Map<string, string | undefined>> {
  const file = join(folder, 'manifest.json')
  if (!existsSync(file)) return new Map()
  const parsed = manifest.safeParse(parsedJson(await readFile(file, 'utf8')))
  if (!parsed.success)
    throw new SluiceError('SLUICE_TOKENS_MANIFEST', 'the manifest of the corpus is damaged', {
      where: { file },
      fix: 'remove it to read the shards alone, or make the corpus again',
    })
  const shards = parsed.data.shards.filter(({ name }) => name.endsWith('.parquet'))
  return new Map(shards.map(({ name, sha256 }) => [name, sha256]))
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** SHA-256, as manifests have it. */
export async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk)
  return hash.digest('hex')
}
