// Hashes, MinHash and the deduplication stages, ranks of the reference being partitions.

import { join } from 'node:path'
import { z } from 'zod'
import type { Document } from '../../src/core/document.ts'
import { sha1Head, xxh32, xxh64 } from '../../src/dedup/hash.ts'
import { createSigner, fineWebParameters, type MinhashParameters, shingleHashes } from '../../src/dedup/minhash.ts'
import { readSection } from '../../src/dedup/verdicts.ts'
import { simplify } from '../../src/text/simplify.ts'
import { splitWords } from '../../src/text/words.ts'
import { exactDedup } from '../../stages/exact-dedup.ts'
import { minhashDedup } from '../../stages/minhash-dedup.ts'
import { sentenceDedup } from '../../stages/sentence-dedup.ts'
import { runBarrier } from '../dedup/run-barrier.ts'
import { difference, type Outcome, type Runner, rowByRow } from './cases.ts'

// ---- hashes and signatures ----

const wordsOf = (text: string) => splitWords(simplify(text))

const hashCase = z.object({ text: z.string(), xxhash32: z.string(), xxhash64: z.string(), sha132: z.string(), sha164: z.string() })

const hashes = rowByRow('hash_vectors*.jsonl', hashCase, ({ text, ...expected }) => {
  const bytes = Buffer.from(text)
  const sha1 = sha1Head(bytes)
  const got = { xxhash32: xxh32(bytes), xxhash64: xxh64(bytes), sha132: sha1 & 0xffffffffn, sha164: sha1 }
  return difference('hashes', expected, { ...Object.fromEntries(Object.entries(got).map(([name, hash]) => [name, String(hash)])) })
})

const variants = new Map<string, MinhashParameters>([
  ['xxhash64', { ...fineWebParameters }],
  ['xxhash32', { ...fineWebParameters, precision: 32 }],
  ['sha1_64', { ...fineWebParameters, hash: 'sha1' }],
  ['sha1_32', { ...fineWebParameters, hash: 'sha1', precision: 32 }],
])
const signers = new Map(Array.from(variants, ([name, parameters]) => [name, createSigner(parameters)]))

/** Buckets of values as decimal strings; undefined where there are too few words. */
function signature(words: readonly string[], variant = 'xxhash64'): string[][] | undefined {
  const signer = signers.get(variant)
  if (signer === undefined) throw new Error(`no variant ${variant}`)
  if (!signer.sign(words)) return undefined
  const minima = Array.from(signer.minima(), String)
  return Array.from({ length: 14 }, (_, band) => minima.slice(8 * band, 8 * band + 8))
}

const signatureCase = z.object({
  text: z.string(),
  simplified: z.string(),
  n_words: z.int(),
  n_shingles: z.int(),
  n_distinct_shingles: z.int(),
  /** The first buckets, all for the default variant. */
  signatures: z.record(z.string(), z.array(z.array(z.string())).nullable()),
})

const signatures = rowByRow('minhash_signatures*.jsonl', signatureCase, (row) => {
  const words = wordsOf(row.text)
  const shingles = shingleHashes(words, fineWebParameters)
  const counts = [words.length, shingles.length, new Set(shingles).size]
  const fault =
    difference('simplified', row.simplified, simplify(row.text)) ??
    difference('words, shingles, distinct', [row.n_words, row.n_shingles, row.n_distinct_shingles], counts)
  if (fault !== undefined) return fault
  for (const [variant, expected] of Object.entries(row.signatures)) {
    const got = signature(words, variant)?.slice(0, expected?.length)
    const differs = difference(variant, expected, got ?? null)
    if (differs !== undefined) return differs
  }
  return undefined
})

const pairCase = z.object({
  a: z.string(),
  b: z.string(),
  jaccard_5gram: z.number(),
  matching_hashes_of_112: z.int(),
  matching_buckets_of_14: z.int(),
  duplicate: z.boolean(),
})

const pairs = rowByRow('minhash_pairs*.jsonl', pairCase, (row) => {
  const [a, b] = [row.a, row.b].map(wordsOf)
  const [first, second] = [signature(a) ?? [], signature(b) ?? []]
  const equal = first.map((band, i) => band.filter((value, k) => value === second[i]?.[k]).length)
  const buckets = equal.filter((count) => count === 8).length
  const similarity = jaccard(new Set(shingleHashes(a, fineWebParameters)), new Set(shingleHashes(b, fineWebParameters)))
  if (Math.abs(similarity - row.jaccard_5gram) > 1e-6) return difference('similarity', row.jaccard_5gram, similarity)
  const expected = [row.matching_hashes_of_112, row.matching_buckets_of_14, row.duplicate]
  return difference('hashes, buckets, duplicate', expected, [equal.reduce((sum, count) => sum + count, 0), buckets, buckets > 0])
})

function jaccard(a: ReadonlySet<bigint>, b: ReadonlySet<bigint>): number {
  return a.size + b.size === 0 ? 0 : a.intersection(b).size / a.union(b).size
}

// ---- stages ----

/** A runner whose cases belong together: where one cannot be read, or the stage throws, none passes. */
function together(files: string, run: (rows: readonly unknown[]) => Promise<Outcome[]>): Runner {
  const failAll = (rows: readonly unknown[], why: string) => rows.map((_, i) => ({ id: `row ${i + 1}`, difference: why }))
  return {
    files,
    run: (rows) =>
      run(rows).catch((error) =>
        failAll(
          rows,
          error instanceof z.ZodError
            ? `unreadable case: ${error.issues[0].message} at ${error.issues[0].path.join('.')}`
            : `threw ${error}`,
        ),
      ),
  }
}

const rankedCase = z.object({ id: z.string(), rank: z.int(), index: z.int(), text: z.string(), keep: z.boolean() })
type Ranked = z.output<typeof rankedCase>

function partitionsOf<T extends Ranked>(rows: readonly T[], priority: (row: T) => number = () => 0): Document[][] {
  const partitions: Document[][] = []
  for (const row of rows) {
    while (partitions.length <= row.rank) partitions.push([])
    const { id, text, index } = row
    partitions[row.rank][index] = {
      id,
      text,
      source: `file:///${row.rank}`,
      offset: index,
      length: 0,
      metadata: { priority: priority(row) },
    }
  }
  return partitions
}

/** Clusters as sets of ids and the number kept; which document of a cluster stays is left to the implementation. */
const clusters = together('minhash_clusters*.jsonl', async (input) => {
  const rows = z.array(rankedCase.extend({ cluster_id: z.int(), cluster_size: z.int() })).parse(input)
  const partitions = partitionsOf(rows)
  const clusterOf = new Map<string, string>()
  const { kept } = await runBarrier(minhashDedup(), partitions, {
    inspect: async (merged) => {
      for (const [partition, documents] of partitions.entries()) {
        const records = readSection(join(merged, 'verdicts'), partition)
        for (let at = 0; at < records.length; at += 4) clusterOf.set(documents[records[at]].id, `${records[at + 2]}-${records[at + 3]}`)
      }
    },
  })
  const keptIds = new Set(kept.flat().map(({ id }) => id))
  const membersOf = (key: (row: (typeof rows)[number]) => string | number) => {
    const groups = Map.groupBy(rows, key)
    return new Map(rows.map((row) => [row.id, (groups.get(key(row)) ?? []).map(({ id }) => id).sort()]))
  }
  const expected = membersOf((row) => (row.cluster_id < 0 ? row.id : row.cluster_id))
  const got = membersOf((row) => clusterOf.get(row.id) ?? row.id)
  return rows.map(({ id }): Outcome => {
    const members = got.get(id) ?? []
    const keptCount = members.filter((member) => keptIds.has(member)).length
    return { id, difference: difference('cluster', expected.get(id), members) ?? difference('kept of the cluster', 1, keptCount) }
  })
})

const exact = together('exact_dedup*.jsonl', async (input) => {
  const rows = z.array(rankedCase.extend({ priority: z.int() })).parse(input)
  const stage = exactDedup({ hash: 'xxh64', keep: { highest: 'priority' }, ties: 'row' })
  const { dropped } = await runBarrier(
    stage,
    partitionsOf(rows, (row) => row.priority),
  )
  return rows.map(({ id, keep }) => ({ id, difference: difference('keep', keep, !dropped.has(id)) }))
})

const sentenceConfig = z
  .strictObject({
    n_sentences: z.int().optional(),
    split_sentences: z.boolean().optional(),
    min_doc_words: z.int().optional(),
    min_num_sentences: z.int().optional(),
    min_words_to_remove_span: z.int().optional(),
    only_dedup_in_index: z.boolean().optional(),
  })
  .transform((config) => ({
    sentences: config.n_sentences,
    split: config.split_sentences === false ? ('lines' as const) : ('sentences' as const),
    minWords: config.min_doc_words,
    minSentences: config.min_num_sentences,
    minSpanWords: config.min_words_to_remove_span,
    ties: 'row' as const,
  }))

const sentences = together('sentence_dedup*.jsonl', async (input) => {
  const rows = z.array(rankedCase.extend({ config: sentenceConfig, output: z.string().nullable() })).parse(input)
  const outcomes: Outcome[] = []
  // Cases of one configuration were one run.
  for (const group of Map.groupBy(rows, ({ config }) => JSON.stringify(config)).values()) {
    const { kept } = await runBarrier(sentenceDedup(group[0].config), partitionsOf(group))
    const texts = new Map(kept.flat().map(({ id, text }) => [id, text]))
    for (const { id, output } of group) outcomes.push({ id, difference: difference('text', output, texts.get(id) ?? null) })
  }
  return outcomes
})

export const dedupRunners: readonly Runner[] = [hashes, signatures, pairs, clusters, exact, sentences]
