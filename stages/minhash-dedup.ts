// Drops near-duplicates by MinHash and banding. Broder 1997; as datatrove 0.10 does it (Penedo et al. 2024, FineWeb,
// arxiv.org/abs/2406.17557), whose signatures and clusters it gives. Which document of a cluster stays is a choice here.

import { join } from 'node:path'
import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import { SluiceError } from '../src/core/errors.ts'
import { type Barrier, type CollectContext, type CollectRun, type MergeContext, named } from '../src/core/stage.ts'
import { measureClusters, UnionFind } from '../src/dedup/clusters.ts'
import { collectedRuns, mergeRuns } from '../src/dedup/merge.ts'
import { createSigner, fineWebParameters } from '../src/dedup/minhash.ts'
import { OrdinalSet } from '../src/dedup/ordinal-set.ts'
import { RecordWriter, RunFile, readBlocks, readRuns } from '../src/dedup/records.ts'
import { hasPreference, keepOption, preference } from '../src/dedup/survivor.ts'
import { applyVerdicts, noSurvivor, partitionStarts, VerdictWriter } from '../src/dedup/verdicts.ts'
import { simplify } from '../src/text/simplify.ts'
import { splitWords } from '../src/text/words.ts'

export const minhashDedupOptions = z
  .strictObject({
    shingleWords: z.int().min(1).max(32).default(fineWebParameters.shingleWords).describe('words per shingle'),
    bands: z.int().min(1).default(fineWebParameters.bands).describe('a pair that agrees on any one band is taken for duplicates'),
    hashesPerBand: z.int().min(1).default(fineWebParameters.hashesPerBand).describe('all of them must agree within the band'),
    seed: z.uint32().default(fineWebParameters.seed).describe('of the permutations: same seed, same signatures'),
    hash: z.enum(['xxhash', 'sha1']).default(fineWebParameters.hash).describe('of the shingles'),
    precision: z
      .union([z.literal(32), z.literal(64)])
      .default(64)
      .describe('bits of hashes and minima; 32 is faster'),
    words: z
      .enum(['english', 'blanks'])
      .default('english')
      .describe('spaCy’s English tokenizer, as the reference, or what blanks separate'),
    keep: keepOption,
  })
  .refine((o) => o.bands * o.hashesPerBand <= 1024, { path: ['bands'], error: 'bands × hashesPerBand exceeds 1024: lower one of them' })
export type MinhashDedupOptions = z.input<typeof minhashDedupOptions>
type Resolved = z.output<typeof minhashDedupOptions>

/** hash high, hash low, row; in the section behind the bands: row and preference. */
const recordWords = 3

/**
 * Keeps one document of each cluster of near-duplicates, with the annotation `minhash_cluster_size`.
 * Reason: `minhash_duplicate`. A document of fewer words than a shingle has no duplicates.
 */
export function minhashDedup(options: MinhashDedupOptions = {}): Barrier<Document> {
  const resolved = minhashDedupOptions.parse(options)
  return {
    kind: 'barrier',
    ...named('minhashDedup', { options: resolved }),
    collect: async (context) => collect(context, resolved),
    merges: [
      { name: 'pairs', tasks: resolved.bands, run: findPairs },
      { name: 'clusters', tasks: 1, run: (context) => findClusters(context, resolved) },
    ],
    apply: (context) => applyVerdicts(context, { reason: 'minhash_duplicate', annotation: 'minhash_cluster_size' }),
  }
}

/** The words that shingles are made of. */
export function shingleWords(text: string, splitter: Resolved['words']): string[] {
  const simplified = simplify(text)
  if (splitter === 'english') return splitWords(simplified)
  return simplified === '' ? [] : simplified.split(' ')
}

function collect(context: CollectContext, options: Resolved): CollectRun<Document> {
  const { bands, keep } = options
  const signer = createSigner(options)
  const writer = new RecordWriter(context.path, recordWords, bands + 1, context.memoryBytes)
  const record = new Uint32Array(recordWords)
  const preferred = new Float64Array(1)
  const preferredWords = new Uint32Array(preferred.buffer)
  const collectOne = (document: Document, row: number) => {
    const words = shingleWords(document.text, options.words)
    if (!signer.sign(words)) return
    const hashes = signer.bandHashes()
    record[2] = row
    for (let band = 0; band < bands; band++) {
      record[0] = hashes[2 * band + 1]
      record[1] = hashes[2 * band]
      writer.add(band, record)
    }
    if (!hasPreference(keep)) return
    preferred[0] = preference(document, keep)
    writer.add(bands, [row, preferredWords[0], preferredWords[1]])
  }
  return {
    process: (batch, rows) => {
      for (const [i, document] of batch.entries()) context.examine(document, () => collectOne(document, rows[i]))
      if (writer.isFull) writer.flush()
    },
    close: async () => writer.close(),
  }
}

/** One band over all partitions: pairs of ordinals, the first document of a hash with each other one. */
async function findPairs(context: MergeContext, band: number): Promise<void> {
  const starts = partitionStarts(context.collected)
  const sources = collectedRuns(context, band)
  const pairs = new RunFile(join(context.folder, pairsName(band)), 2)
  const pair = new Uint32Array(2)
  let high = -1
  let low = -1
  const { memoryBytes, signal } = context
  await mergeRuns(sources, { words: recordWords, orderWords: 2, memoryBytes, signal }, (records, at, partition) => {
    const ordinal = starts[partition] + records[at + 2]
    if (records[at] === high && records[at + 1] === low) {
      pair[1] = ordinal
      pairs.append(0, pair)
      return
    }
    high = records[at]
    low = records[at + 1]
    pair[0] = ordinal
  })
  pairs.close()
}

const pairsName = (band: number) => `pairs-${band}`

async function findClusters(context: MergeContext, { bands, keep }: Resolved): Promise<void> {
  const starts = partitionStarts(context.collected)
  const documents = starts[starts.length - 1]
  needMemory(context, documents, OrdinalSet.bytesFor(documents))
  // Most documents are in no pair: only those that are get a place in the arrays.
  const paired = new OrdinalSet(documents)
  eachPair(context, bands, (a, b) => {
    paired.add(a)
    paired.add(b)
  })
  const members = paired.number()
  needMemory(context, documents, OrdinalSet.bytesFor(documents) + members * (hasPreference(keep) ? 24 : 12))
  const sets = new UnionFind(members)
  eachPair(context, bands, (a, b) => sets.union(paired.rank(a), paired.rank(b)))
  const preferences = hasPreference(keep) ? readPreferences(context, bands, starts, paired, members) : undefined
  const { size, survivor } = measureClusters(sets, members, preferences)
  const survivors = keep === 'none' ? undefined : ordinalsOfSurvivors(paired, sets, survivor)
  const verdicts = new VerdictWriter(context.folder, starts)
  let member = 0
  for (let ordinal = paired.next(0); ordinal < documents; ordinal = paired.next(ordinal + 1)) {
    const root = sets.find(member++)
    verdicts.add(ordinal, size[root], survivors ? survivors[root] : noSurvivor)
  }
  verdicts.close()
}

function needMemory({ memoryBytes }: MergeContext, documents: number, neededBytes: number): void {
  if (neededBytes <= memoryBytes) return
  throw new SluiceError('SLUICE_DEDUP_MEMORY', `clustering ${documents} documents needs ${neededBytes} bytes of memory`, {
    where: { memoryBytes },
    fix: 'give more memory, or deduplicate smaller parts first',
  })
}

function eachPair(context: MergeContext, bands: number, visit: (a: number, b: number) => void): void {
  for (let band = 0; band < bands; band++) {
    context.signal.throwIfAborted()
    for (const run of readRuns(join(context.previous ?? '', pairsName(band))))
      for (const pairs of readBlocks(run)) for (let i = 0; i < pairs.length; i += 2) visit(pairs[i], pairs[i + 1])
  }
}

/** By root: the ordinal of the member that stays. A root is the first of its cluster in input order. */
function ordinalsOfSurvivors(paired: OrdinalSet, sets: UnionFind, survivor: Uint32Array | undefined): Uint32Array {
  const ordinals = new Uint32Array(sets.count)
  let member = 0
  for (let ordinal = paired.next(0); ordinal < paired.limit; ordinal = paired.next(ordinal + 1), member++) {
    const root = sets.find(member)
    if ((survivor ? survivor[root] : root) === member) ordinals[root] = ordinal
  }
  return ordinals
}

/** f64[members]. */
function readPreferences(context: MergeContext, section: number, starts: Float64Array, paired: OrdinalSet, members: number): Float64Array {
  const preferences = new Float64Array(members)
  const value = new Float64Array(1)
  const words = new Uint32Array(value.buffer)
  for (const [partition, { path }] of context.collected.entries()) {
    for (const run of readRuns(path, section))
      for (const records of readBlocks(run))
        for (let at = 0; at < records.length; at += recordWords) {
          const ordinal = starts[partition] + records[at]
          if (!paired.has(ordinal)) continue
          words[0] = records[at + 1]
          words[1] = records[at + 2]
          preferences[paired.rank(ordinal)] = value[0]
        }
  }
  return preferences
}
