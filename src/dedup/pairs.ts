// The merge steps of MinHash deduplication. Bands of all partitions become pairs of documents, pairs become clusters, and
// clusters become verdicts. A collected file has a section a band, and one of rows and preferences behind them.

import { join } from 'node:path'
import { SluiceError } from '../core/errors.ts'
import type { MergeContext } from '../core/stage.ts'
import { measureClusters, UnionFind } from './clusters.ts'
import { collectedRuns, mergeRuns } from './merge.ts'
import { OrdinalSet } from './ordinal-set.ts'
import { RunFile, readBlocks, readRuns } from './records.ts'
import { hasPreference, type Keep } from './survivor.ts'
import { noSurvivor, partitionStarts, VerdictWriter } from './verdicts.ts'

/** hash high, hash low, row; behind the bands: row and a double's two words. */
export const bandWords = 3

/** One band over all partitions: pairs of ordinals, the first document of a hash with each other one. */
export async function findPairs(context: MergeContext, band: number): Promise<void> {
  const starts = partitionStarts(context.collected)
  const sources = collectedRuns(context, band)
  const pairs = new RunFile(join(context.folder, pairsName(band)), 2)
  const pair = new Uint32Array(2)
  let high = -1
  let low = -1
  const { memoryBytes, signal } = context
  await mergeRuns(sources, { words: bandWords, orderWords: 2, memoryBytes, signal }, (records, at, partition) => {
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

export async function findClusters(context: MergeContext, bands: number, keep: Keep): Promise<void> {
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
        for (let at = 0; at < records.length; at += bandWords) {
          const ordinal = starts[partition] + records[at]
          if (!paired.has(ordinal)) continue
          words[0] = records[at + 1]
          words[1] = records[at + 2]
          preferences[paired.rank(ordinal)] = value[0]
        }
  }
  return preferences
}
