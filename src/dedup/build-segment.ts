// The part of a build in an index across builds, of MinHash deduplication: what stays, and how many were dropped for which
// document. The last merge step makes it of the clusters (see pairs.ts); it joins the index when the run publishes.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { MergeContext } from '../core/stage.ts'
import { mergeRuns } from '../io/merge-runs.ts'
import { RecordWriter, RunFile, readBlocks, readRuns } from '../io/sorted-runs.ts'
import type { BuildCounts } from './build-index.ts'
import { collectedRuns } from './collected-runs.ts'
import { OrdinalSet } from './ordinal-set.ts'
import { bandWords, type Clusters, eachKnown, keySection, keyWords } from './pairs.ts'
import { earlierSurvivor, partitionStarts } from './verdicts.ts'
import { countsFile } from './write-index.ts'

/** Where `writeSegment` leaves it. */
export const SEGMENT_FILE = 'segment'

/** The part of this build in the index: bands of all documents that stay, their keys, and how many were dropped for which document. */
export async function writeSegment(context: MergeContext, bands: number, clusters: Clusters): Promise<void> {
  const starts = partitionStarts(context.collected)
  const { memoryBytes, signal } = context
  const path = join(context.folder, SEGMENT_FILE)
  const segment = new RunFile(path, bandWords)
  const working = join(context.folder, 'counts')
  const counts = new RecordWriter(working, bandWords, 1, memoryBytes / 4)
  const keys = new RunFile(join(context.folder, 'keys'), bandWords)
  const kept = new OrdinalSet(starts[starts.length - 1])
  const totals = keepDocuments(context, bands, starts, clusters, { kept, keys, counts })
  countEarlier(context, bands, clusters, counts)
  keys.close()
  counts.close()
  kept.number()
  const record = new Uint32Array(bandWords)
  for (let band = 0; band < bands; band++) {
    const merge = { words: bandWords, orderWords: 2, memoryBytes: memoryBytes / 2, signal }
    await mergeRuns(collectedRuns(context, band), merge, (records, at, partition) => {
      const ordinal = starts[partition] + records[at + 2]
      if (!kept.has(ordinal)) return
      record[0] = records[at]
      record[1] = records[at + 1]
      record[2] = kept.rank(ordinal)
      segment.append(band, record)
    })
  }
  copyRecords(join(context.folder, 'keys'), segment, bands)
  await mergeCounts(working, segment, bands + 1, { memoryBytes: memoryBytes / 2, signal })
  segment.close()
  writeFileSync(countsFile(path), JSON.stringify(totals))
}

/** Notes the documents that stay, with their keys, and the sizes of their clusters. */
function keepDocuments(
  context: MergeContext,
  bands: number,
  starts: Float64Array,
  { grouped, sets, size, survivors }: Clusters,
  { kept, keys, counts }: { kept: OrdinalSet; keys: RunFile; counts: RecordWriter },
): BuildCounts {
  const totals = { kept: 0, duplicates: 0, earlier: 0 }
  for (const [partition, { path, rows }] of context.collected.entries()) {
    context.signal.throwIfAborted()
    const { isSigned, keyOf } = readKeys(path, rows, bands)
    for (let row = 0; row < rows; row++) {
      if (isSigned[row] === 0) continue
      const ordinal = starts[partition] + row
      const root = grouped.has(ordinal) ? sets.find(grouped.rank(ordinal)) : -1
      if (root !== -1 && survivors[root] !== ordinal) {
        if (survivors[root] === earlierSurvivor) totals.earlier++
        else totals.duplicates++
        continue
      }
      totals.kept++
      kept.add(ordinal)
      const [high, low] = keyOf.subarray(keyWords * row)
      keys.append(0, [high, low, 0])
      if (root === -1 || size[root] === 1) continue
      counts.add(0, [high, low, size[root] - 1])
      if (counts.isFull) counts.flush()
    }
  }
  return totals
}

/** Clusters that an earlier build has count for one document of it: of those found in the lowest band, the one of the lowest hash. */
function countEarlier(context: MergeContext, bands: number, { grouped, sets, size, survivors }: Clusters, counts: RecordWriter): void {
  const counted = new Uint8Array(size.length)
  eachKnown(context, bands, (ordinal, high, low) => {
    const root = sets.find(grouped.rank(ordinal))
    if (counted[root] === 1 || survivors[root] !== earlierSurvivor) return
    counted[root] = 1
    counts.add(0, [high, low, size[root]])
    if (counts.isFull) counts.flush()
  })
}

/** u8[rows], 1 where a document has a signature; u32[2 · rows], its key. */
function readKeys(path: string, rows: number, bands: number): { isSigned: Uint8Array; keyOf: Uint32Array } {
  const isSigned = new Uint8Array(rows)
  const keyOf = new Uint32Array(keyWords * rows)
  for (const run of readRuns(path, keySection(bands)))
    for (const records of readBlocks(run))
      for (let at = 0; at < records.length; at += bandWords) {
        const row = records[at + keyWords]
        isSigned[row] = 1
        keyOf.set(records.subarray(at, at + keyWords), keyWords * row)
      }
  return { isSigned, keyOf }
}

function copyRecords(path: string, target: RunFile, section: number): void {
  for (const run of readRuns(path))
    for (const records of readBlocks(run))
      for (let at = 0; at < records.length; at += run.words) target.append(section, records.subarray(at, at + run.words))
}

/** One run, one record a key. */
async function mergeCounts(
  path: string,
  target: RunFile,
  section: number,
  { memoryBytes, signal }: { memoryBytes: number; signal: AbortSignal },
): Promise<void> {
  const sum = new Uint32Array(bandWords)
  const finish = () => {
    if (sum[2] > 0) target.append(section, sum)
    sum[2] = 0
  }
  const sources = readRuns(path).map((run, ordinal) => ({ run, ordinal }))
  await mergeRuns(sources, { words: bandWords, orderWords: bandWords, memoryBytes, signal }, (records, at) => {
    if (records[at] !== sum[0] || records[at + 1] !== sum[1]) finish()
    sum[0] = records[at]
    sum[1] = records[at + 1]
    sum[2] += records[at + 2]
  })
  finish()
}
