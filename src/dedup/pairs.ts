// The merge steps of MinHash deduplication. Bands of all partitions become pairs of documents, pairs become clusters, and
// clusters become verdicts. A collected file has a section a band, and one of rows and preferences behind them.

import { join } from 'node:path'
import { SluiceError } from '../core/errors.ts'
import type { MergeContext } from '../core/stage.ts'
import type { EarlierBuilds } from './build-index.ts'
import { measureClusters, UnionFind } from './clusters.ts'
import { collectedRuns, mergeRuns } from './merge.ts'
import { OrdinalSet } from './ordinal-set.ts'
import { RunFile, readBlocks, readRuns } from './records.ts'
import { hasPreference, type Keep } from './survivor.ts'
import { earlierSurvivor, noSurvivor, partitionStarts, VerdictWriter } from './verdicts.ts'

/** hash high, hash low, row; behind the bands: row and a double's two words. */
export const bandWords = 3

/** The bands of what stays: a segment of the index. */
export const SEGMENT_FILE = 'segment'

/**
 * One band over all partitions, and before them over the index: pairs of ordinals, the first document of a hash with each
 * other one, and ordinals of documents whose hash an earlier build has.
 */
export async function findPairs(context: MergeContext, band: number, earlier: EarlierBuilds): Promise<void> {
  const starts = partitionStarts(context.collected)
  const sources = [...earlier.sources(band), ...collectedRuns(context, band, earlier.count)]
  const pairs = new RunFile(join(context.folder, pairsName(band)), 2)
  const known = new RunFile(join(context.folder, knownName(band)), 1)
  const pair = new Uint32Array(2)
  let high = -1
  let low = -1
  let isEarlier = false
  const { memoryBytes, signal } = context
  await mergeRuns(sources, { words: bandWords, orderWords: 2, memoryBytes, signal }, (records, at, source) => {
    const isNew = records[at] !== high || records[at + 1] !== low
    high = records[at]
    low = records[at + 1]
    if (source < earlier.count) {
      isEarlier = (isEarlier && !isNew) || earlier.isEarlier(source, records[at + 2])
      pair[0] = noSurvivor
      return
    }
    const ordinal = starts[source - earlier.count] + records[at + 2]
    if (isNew) isEarlier = false
    if (isEarlier) known.append(0, [ordinal])
    if (isNew || pair[0] === noSurvivor) {
      pair[0] = ordinal
      return
    }
    pair[1] = ordinal
    pairs.append(0, pair)
  })
  pairs.close()
  known.close()
}

const pairsName = (band: number) => `pairs-${band}`
const knownName = (band: number) => `known-${band}`

export async function findClusters(context: MergeContext, bands: number, keep: Keep): Promise<OrdinalSet> {
  const starts = partitionStarts(context.collected)
  const documents = starts[starts.length - 1]
  needMemory(context, documents, 3 * OrdinalSet.bytesFor(documents))
  // Most documents are in no pair: only those that are get a place in the arrays.
  const grouped = new OrdinalSet(documents)
  const known = new OrdinalSet(documents)
  eachPair(context, bands, (a, b) => {
    grouped.add(a)
    grouped.add(b)
  })
  eachKnown(context, bands, (ordinal) => {
    grouped.add(ordinal)
    known.add(ordinal)
  })
  const members = grouped.number()
  needMemory(context, documents, 3 * OrdinalSet.bytesFor(documents) + members * (hasPreference(keep) ? 29 : 17))
  const sets = new UnionFind(members)
  eachPair(context, bands, (a, b) => sets.union(grouped.rank(a), grouped.rank(b)))
  const preferences = hasPreference(keep) ? readPreferences(context, bands, starts, grouped, members) : undefined
  const { size, survivor } = measureClusters(sets, members, preferences)
  const survivors = keep === 'none' ? new Uint32Array(members).fill(noSurvivor) : ordinalsOfSurvivors(grouped, sets, survivor)
  eachMember(grouped, (ordinal, member) => {
    if (known.has(ordinal)) survivors[sets.find(member)] = earlierSurvivor
  })
  const firsts = ordinalsOfSurvivors(grouped, sets, undefined)
  const verdicts = new VerdictWriter(context.folder, starts)
  const dropped = new OrdinalSet(documents)
  eachMember(grouped, (ordinal, member) => {
    const root = sets.find(member)
    verdicts.add(ordinal, size[root], survivors[root], firsts[root])
    if (survivors[root] !== ordinal) dropped.add(ordinal)
  })
  verdicts.close()
  return dropped
}

/** The bands of all documents that stay, sorted, as a segment of the index. */
export async function writeSegment(context: MergeContext, bands: number, dropped: OrdinalSet): Promise<void> {
  const starts = partitionStarts(context.collected)
  const segment = new RunFile(join(context.folder, SEGMENT_FILE), bandWords)
  const record = new Uint32Array(bandWords)
  const { memoryBytes, signal } = context
  for (let band = 0; band < bands; band++) {
    const merge = { words: bandWords, orderWords: 2, memoryBytes: memoryBytes / 2, signal }
    await mergeRuns(collectedRuns(context, band), merge, (records, at, partition) => {
      if (dropped.has(starts[partition] + records[at + 2])) return
      record[0] = records[at]
      record[1] = records[at + 1]
      segment.append(band, record)
    })
  }
  segment.close()
}

/** Members in order, with their numbers. */
function eachMember(set: OrdinalSet, visit: (ordinal: number, member: number) => void): void {
  let member = 0
  for (let ordinal = set.next(0); ordinal < set.limit; ordinal = set.next(ordinal + 1)) visit(ordinal, member++)
}

function needMemory({ memoryBytes }: MergeContext, documents: number, neededBytes: number): void {
  if (neededBytes <= memoryBytes) return
  throw new SluiceError('SLUICE_DEDUP_MEMORY', `clustering ${documents} documents needs ${neededBytes} bytes of memory`, {
    where: { memoryBytes },
    fix: 'give more memory, or deduplicate smaller parts first',
  })
}

function eachPair(context: MergeContext, bands: number, visit: (a: number, b: number) => void): void {
  eachBlock(context, bands, pairsName, (pairs) => {
    for (let i = 0; i < pairs.length; i += 2) visit(pairs[i], pairs[i + 1])
  })
}

function eachKnown(context: MergeContext, bands: number, visit: (ordinal: number) => void): void {
  eachBlock(context, bands, knownName, (ordinals) => {
    for (const ordinal of ordinals) visit(ordinal)
  })
}

function eachBlock(context: MergeContext, bands: number, name: (band: number) => string, visit: (records: Uint32Array) => void): void {
  for (let band = 0; band < bands; band++) {
    context.signal.throwIfAborted()
    for (const run of readRuns(join(context.previous ?? '', name(band)))) for (const records of readBlocks(run)) visit(records)
  }
}

/** By root: the ordinal of the member that stays. A root is the first of its cluster in input order. */
function ordinalsOfSurvivors(grouped: OrdinalSet, sets: UnionFind, survivor: Uint32Array | undefined): Uint32Array {
  const ordinals = new Uint32Array(sets.count)
  eachMember(grouped, (ordinal, member) => {
    const root = sets.find(member)
    if ((survivor ? survivor[root] : root) === member) ordinals[root] = ordinal
  })
  return ordinals
}

/** f64[members]. */
function readPreferences(context: MergeContext, section: number, starts: Float64Array, grouped: OrdinalSet, members: number): Float64Array {
  const preferences = new Float64Array(members)
  const value = new Float64Array(1)
  const words = new Uint32Array(value.buffer)
  for (const [partition, { path }] of context.collected.entries()) {
    for (const run of readRuns(path, section))
      for (const records of readBlocks(run))
        for (let at = 0; at < records.length; at += bandWords) {
          const ordinal = starts[partition] + records[at]
          if (!grouped.has(ordinal)) continue
          words[0] = records[at + 1]
          words[1] = records[at + 2]
          preferences[grouped.rank(ordinal)] = value[0]
        }
  }
  return preferences
}
