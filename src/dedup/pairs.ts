// The merge steps of MinHash deduplication. Bands of all partitions become pairs of documents, pairs become clusters, and
// clusters become verdicts. A collected file has a section a band, one of rows and preferences behind them, and one of keys
// where there is an index across builds (build-segment.ts makes this build's part of it).

import { join } from 'node:path'
import { SluiceError } from '../core/errors.ts'
import type { MergeContext } from '../core/stage.ts'
import { mergeRuns } from '../io/merge-runs.ts'
import { RunFile, readBlocks, readRuns } from '../io/sorted-runs.ts'
import { measureClusters, UnionFind } from './clusters.ts'
import { collectedRuns } from './collected-runs.ts'
import type { EarlierBuilds } from './earlier-builds.ts'
import { OrdinalSet } from './ordinal-set.ts'
import { hasPreference, type Keep } from './survivor.ts'
import { earlierSurvivor, noSurvivor, partitionStarts, SeenWriter, VerdictWriter } from './verdicts.ts'

/** hash high, hash low, row; behind the bands: row and a double's two words; and key high, key low, row. */
export const bandWords = 3
/** Words of a document's key, the first 64 bits of its id: a name that a run done again gives it too. */
export const keyWords = 2

/** Sections of a collected file. */
export const preferenceSection = (bands: number) => bands
export const keySection = (bands: number) => bands + 1

/**
 * One band over all partitions, and before them over the index: pairs of ordinals, the first document of a hash with each
 * other one; and ordinals of documents whose hash an earlier build has, with the key of that build's document.
 */
export async function findPairs(context: MergeContext, band: number, earlier: EarlierBuilds): Promise<void> {
  const starts = partitionStarts(context.collected)
  const sources = [...earlier.sources(band), ...collectedRuns(context, band, earlier.count)]
  const pairs = new RunFile(join(context.folder, pairsName(band)), 2)
  const known = new RunFile(join(context.folder, knownName(band)), knownWords)
  const pair = new Uint32Array(2)
  const found = new Uint32Array(knownWords)
  let high = -1
  let low = -1
  let isEarlier = false
  let hasKey = false
  let segment = 0
  let document = 0
  const { memoryBytes, signal } = context
  await mergeRuns(sources, { words: bandWords, orderWords: 2, memoryBytes, signal }, (records, at, source) => {
    const isNew = records[at] !== high || records[at + 1] !== low
    high = records[at]
    low = records[at + 1]
    if (isNew) isEarlier = hasKey = false
    if (source < earlier.count) {
      pair[0] = noSurvivor
      if (isEarlier || !earlier.isEarlier(source, records[at + 2])) return
      isEarlier = true
      segment = source
      document = records[at + 2]
      return
    }
    const ordinal = starts[source - earlier.count] + records[at + 2]
    if (isEarlier) {
      if (!hasKey) earlier.keyInto(segment, document, found, 1)
      hasKey = true
      found[0] = ordinal
      known.append(0, found)
    }
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

/** ordinal, key high, key low. */
const knownWords = 1 + keyWords
const pairsName = (band: number) => `pairs-${band}`
const knownName = (band: number) => `known-${band}`
const SEEN_FILE = 'seen'

/** Documents that other builds have dropped for documents of this run: ordinal, how many. Only a build that is repeated has such. */
export async function findSeen(context: MergeContext, bands: number, earlier: EarlierBuilds): Promise<void> {
  const starts = partitionStarts(context.collected)
  const sources = [...earlier.counts(), ...collectedRuns(context, keySection(bands), earlier.count)]
  const seen = new RunFile(join(context.folder, SEEN_FILE), 2)
  let high = -1
  let low = -1
  let count = 0
  const { memoryBytes, signal } = context
  await mergeRuns(sources, { words: bandWords, orderWords: keyWords, memoryBytes, signal }, (records, at, source) => {
    if (records[at] !== high || records[at + 1] !== low) count = 0
    high = records[at]
    low = records[at + 1]
    if (source < earlier.count) count += records[at + 2]
    else if (count > 0) seen.append(0, [starts[source - earlier.count] + records[at + 2], count])
  })
  seen.close()
}

/** What the last merge step knows of the documents that are in groups. */
export interface Clusters {
  readonly grouped: OrdinalSet
  readonly sets: UnionFind
  /** By root: documents of this run. */
  readonly size: Uint32Array
  /** By root: the ordinal of the document that stays, or why none does. */
  readonly survivors: Uint32Array
}

/** @param isIndexed `findSeen` has run, and what other builds have seen of what stays is written too */
export async function findClusters(context: MergeContext, bands: number, keep: Keep, isIndexed: boolean): Promise<Clusters> {
  const starts = partitionStarts(context.collected)
  const documents = starts[starts.length - 1]
  const setBytes = (isIndexed ? 4 : 3) * OrdinalSet.bytesFor(documents)
  needMemory(context, documents, setBytes)
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
  if (isIndexed) eachSeen(context, (ordinal) => grouped.add(ordinal))
  const members = grouped.number()
  needMemory(context, documents, setBytes + members * ((hasPreference(keep) ? 29 : 17) + (isIndexed ? 5 : 0)))
  const sets = new UnionFind(members)
  eachPair(context, bands, (a, b) => sets.union(grouped.rank(a), grouped.rank(b)))
  const preferences = hasPreference(keep) ? readPreferences(context, bands, starts, grouped, members) : undefined
  const { size, survivor } = measureClusters(sets, members, preferences)
  const survivors = keep === 'none' ? new Uint32Array(members).fill(noSurvivor) : ordinalsOfSurvivors(grouped, sets, survivor)
  eachMember(grouped, (ordinal, member) => {
    const root = sets.find(member)
    if (known.has(ordinal)) survivors[root] = earlierSurvivor
    else if (size[root] === 1) survivors[root] = ordinal
  })
  const firsts = ordinalsOfSurvivors(grouped, sets, undefined)
  const verdicts = new VerdictWriter(context.folder, starts)
  eachMember(grouped, (ordinal, member) => {
    const root = sets.find(member)
    if (size[root] > 1 || survivors[root] !== ordinal) verdicts.add(ordinal, size[root], survivors[root], firsts[root])
  })
  verdicts.close()
  const clusters = { grouped, sets, size, survivors }
  if (isIndexed) writeSeen(context, starts, clusters)
  return clusters
}

/** How many documents of what stays were seen over all builds. */
function writeSeen(context: MergeContext, starts: Float64Array, { grouped, sets, size, survivors }: Clusters): void {
  const others = new Uint32Array(size.length)
  eachSeen(context, (ordinal, count) => {
    others[sets.find(grouped.rank(ordinal))] += count
  })
  const seen = new SeenWriter(context.folder, starts)
  eachMember(grouped, (ordinal, member) => {
    const root = sets.find(member)
    if (survivors[root] === ordinal && others[root] > 0) seen.add(ordinal, size[root] + others[root])
  })
  seen.close()
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

/** Documents whose hash an earlier build has, with the key of that build's document, from the lowest band on. */
export function eachKnown(context: MergeContext, bands: number, visit: (ordinal: number, high: number, low: number) => void): void {
  eachBlock(context, bands, knownName, (known) => {
    for (let i = 0; i < known.length; i += knownWords) visit(known[i], known[i + 1], known[i + 2])
  })
}

function eachSeen(context: MergeContext, visit: (ordinal: number, count: number) => void): void {
  eachBlock(
    context,
    1,
    () => SEEN_FILE,
    (seen) => {
      for (let i = 0; i < seen.length; i += 2) visit(seen[i], seen[i + 1])
    },
  )
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
