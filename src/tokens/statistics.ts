// What a token corpus holds, counted; and whether it holds what its shards promise.

import { createHash } from 'node:crypto'
import { createReadStream, existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { SluiceError } from '../core/errors.ts'
import type { Corpus } from './corpus.ts'

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

/** Reads every row of every shard, and compares digests with the manifest where there is one. */
export async function* verifyCorpus(corpus: Corpus): AsyncGenerator<ShardCheck> {
  const digests = await manifestDigests(corpus.folder)
  for (const [shard, name] of corpus.shards.entries()) {
    const groups = corpus.rowGroups.filter((group) => group.shard === shard)
    let [rows, tokens] = [0, 0]
    let problem: string | undefined
    try {
      for (const group of groups) {
        const read = await corpus.readRows(group)
        rows += read.ids.length
        tokens += read.tokens.reduce((sum, { length }) => sum + length, 0)
      }
      const promised = groups.reduce((sum, group) => sum + group.rows, 0)
      if (rows !== promised) problem = `it holds ${rows} rows, its footer says ${promised}`
      else if (tokens !== corpus.shardTokens[shard]) problem = `it holds ${tokens} tokens, its metadata says ${corpus.shardTokens[shard]}`
      else if (digests.has(name) && digests.get(name) !== (await digestOf(join(corpus.folder, name))))
        problem = 'its digest is not that of the manifest'
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error
      problem = error.message
    }
    yield { shard: name, rows, tokens, problem }
  }
}

async function manifestDigests(folder: string): Promise<Map<string, string>> {
  const file = join(folder, 'manifest.json')
  const parsed = existsSync(file) ? manifest.safeParse(JSON.parse(await readFile(file, 'utf8'))) : undefined
  const shards = parsed?.data?.shards ?? []
  return new Map(shards.flatMap(({ name, sha256 }) => (sha256 === undefined ? [] : [[name, sha256] as const])))
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk)
  return hash.digest('hex')
}
