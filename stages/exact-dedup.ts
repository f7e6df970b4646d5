// Drops exact duplicates: documents with the same text, the same URL, or the same text after simplification.
// As datatrove 0.10's exact dedup; there the hash is xxh64, and ties go to the lowest row (see `ties`).

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import { hash128, idWords } from '../src/core/identity.ts'
import { type Barrier, type CollectContext, type CollectRun, type MergeContext, named } from '../src/core/stage.ts'
import { checkIndex, type IndexDefinition, indexOption } from '../src/dedup/build-index.ts'
import { collectRecords } from '../src/dedup/collect.ts'
import { collectedRuns, previousRuns } from '../src/dedup/collected-runs.ts'
import { EarlierBuilds } from '../src/dedup/earlier-builds.ts'
import { createTextHasher } from '../src/dedup/kernel.ts'
import { keepOption, preference, writeDescending } from '../src/dedup/survivor.ts'
import { applyVerdicts, earlierSurvivor, noSurvivor, partitionStarts, SeenWriter, VerdictWriter } from '../src/dedup/verdicts.ts'
import { countsFile, publishSegment } from '../src/dedup/write-index.ts'
import { mergeRuns, type Source } from '../src/io/merge-runs.ts'
import { RecordWriter, RunFile, readBlocks, readRuns } from '../src/io/sorted-runs.ts'
import { simplify } from '../src/text/simplify.ts'

export const exactDedupOptions = z.strictObject({
  by: z
    .enum(['text', 'url', 'simplified'])
    .default('text')
    .describe('what must be the same; simplified: without case, punctuation, digits'),
  hash: z
    .enum(['xxh128', 'xxh64'])
    .default('xxh128')
    .describe('xxh64 as the reference: at 200 million documents, one false duplicate in a thousand runs'),
  keep: keepOption,
  ties: z
    .enum(['input', 'row'])
    .default('input')
    .describe('of equally preferred, the first in the input, or, as the reference, of the lowest row in its partition'),
  index: indexOption,
})
export type ExactDedupOptions = z.input<typeof exactDedupOptions>
type Resolved = z.output<typeof exactDedupOptions>

/** Ranges of hashes that are merged at once. */
const ranges = 16
/** ordinal, size, survivor, first of the group. */
const verdictWords = 4
/** ordinal, documents of the group over all builds. */
const seenWords = 2

/** The hashes of what stays: a segment of the index. */
const SEGMENT_FILE = 'segment'

/**
 * Keeps one document of each group of equals, with the annotation `exact_group_size`. Reasons: `exact_duplicate`, and
 * `exact_earlier` for what the index has. With an index, the annotation `exact_seen` counts the group over all builds (see
 * `minhashDedup`). A document without a URL has no duplicates by URL.
 */
export function exactDedup(options: ExactDedupOptions = {}): Barrier<Document> {
  const resolved = exactDedupOptions.parse(options)
  const { by, hash, index } = resolved
  const definition: IndexDefinition = {
    stage: 'exactDedup',
    parameters: { by, hash },
    words: recordWords(resolved),
    keyWords: hashWords(resolved),
    sections: ranges,
    countSections: ranges,
  }
  return {
    kind: 'barrier',
    dropsDuplicates: true,
    // Version 2 counts over all builds.
    ...named('exactDedup', { options: resolved, version: index === undefined ? 1 : 2 }),
    collect: async (context) => {
      if (index !== undefined) await checkIndex(index, definition)
      return collect(context, resolved)
    },
    merges: [
      {
        name: 'groups',
        tasks: ranges,
        run: async (context, range) => {
          using earlier = await EarlierBuilds.open(index, definition, context.build)
          await findGroups(context, range, resolved, earlier)
        },
      },
      { name: 'verdicts', tasks: 1, run: (context) => gatherVerdicts(context, resolved) },
    ],
    apply: (context) =>
      applyVerdicts(context, {
        reason: 'exact_duplicate',
        earlierReason: 'exact_earlier',
        annotation: 'exact_group_size',
        seenAnnotation: index === undefined ? undefined : 'exact_seen',
      }),
    publish: async ({ merged, build }) => {
      if (index !== undefined) await publishSegment(index, definition, build, join(merged, SEGMENT_FILE))
    },
  }
}

/**
 * Records are hash, preference (descending), row; in the index hash, 0, 0, ordinal, which comes before all of its hash, and
 * hash, 0, 0, documents that were dropped for having it.
 */
const hashWords = ({ hash }: Resolved) => (hash === 'xxh128' ? 4 : 2)
const recordWords = (options: Resolved) => hashWords(options) + 3

function collect(context: CollectContext, options: Resolved): CollectRun<Document> {
  const words = recordWords(options)
  const writer = new RecordWriter(context.path, words, ranges, context.memoryBytes)
  const hash = options.hash === 'xxh128' ? (text: string) => idWords(hash128(text)) : createTextHasher()
  const record = new Uint32Array(words)
  const collectOne = (document: Document, row: number) => {
    const content = contentOf(document, options.by)
    if (content === undefined) return
    record.set(hash(content))
    writeDescending(preference(document, options.keep), record, words - 3)
    record[words - 1] = row
    writer.add(record[0] >>> 28, record)
  }
  return collectRecords(context, writer, collectOne)
}

function contentOf(document: Document, by: Resolved['by']): string | undefined {
  if (by === 'url') return document.url
  return by === 'text' ? document.text : simplify(document.text)
}

/**
 * One range of hashes over all partitions: who does not stay, or not alone, sorted by ordinal; and for the index, the hashes of
 * what stays, and how many were dropped for a hash.
 */
async function findGroups(context: MergeContext, range: number, options: Resolved, earlier: EarlierBuilds): Promise<void> {
  const starts = partitionStarts(context.collected)
  const key = hashWords(options)
  const words = recordWords(options)
  const { memoryBytes, signal } = context
  const writer = new RecordWriter(join(context.folder, groupsName(range)), verdictWords, 1, memoryBytes / 2)
  const segment = new RunFile(join(context.folder, hashesName(range)), words)
  const counts = new RunFile(join(context.folder, countsName(range)), words)
  const seen = new RecordWriter(join(context.folder, seenName(range)), seenWords, 1, memoryBytes / 4)
  const group = { members: new Uint32Array(16), size: 0, isEarlier: false, others: 0 }
  const hash = new Uint32Array(words)
  const record = new Uint32Array(verdictWords)
  const finishGroup = () => {
    const { members, size, isEarlier, others } = group
    group.size = 0
    group.isEarlier = false
    group.others = 0
    if (size === 0) return
    const survivor = isEarlier ? earlierSurvivor : options.keep === 'none' && size > 1 ? noSurvivor : members[0]
    const stays = survivor === members[0]
    if (options.index !== undefined) {
      if (stays) segment.append(0, hash)
      hash[words - 1] = isEarlier ? size : size - 1
      if (hash[words - 1] > 0 && survivor !== noSurvivor) counts.append(0, hash)
      hash[words - 1] = 0
      if (stays && others > 0) seen.add(0, [members[0], size + others])
      if (seen.isFull) seen.flush()
    }
    if (size === 1 && !isEarlier) return
    record[1] = size
    record[2] = survivor
    record[3] = members[0]
    for (let i = 0; i < size; i++) {
      record[0] = members[i]
      writer.add(0, record)
    }
    if (writer.isFull) writer.flush()
  }
  const orderWords = options.ties === 'input' ? words - 1 : words
  // Behind the sources of documents: they make no groups of their own.
  const firstCounts = earlier.count + context.collected.length
  const sources = [
    ...earlier.sources(range),
    ...collectedRuns(context, range, earlier.count),
    ...earlier.counts(range).map((source) => ({ ...source, ordinal: firstCounts + source.ordinal })),
  ]
  await mergeRuns(sources, { words, orderWords, memoryBytes: memoryBytes / 4, signal }, (records, at, source) => {
    if (!hasHash(records, at, hash, key)) finishGroup()
    for (let w = 0; w < key; w++) hash[w] = records[at + w]
    if (source < earlier.count) {
      group.isEarlier ||= earlier.isEarlier(source, records[at + words - 1])
      return
    }
    if (source >= firstCounts) {
      group.others += records[at + words - 1]
      return
    }
    if (group.size === group.members.length) group.members = grown(group.members)
    group.members[group.size++] = starts[source - earlier.count] + records[at + words - 1]
  })
  finishGroup()
  writer.close()
  segment.close()
  counts.close()
  seen.close()
}

const countsName = (range: number) => `counts-${range}`
const seenName = (range: number) => `seen-${range}`
const hashesName = (range: number) => `hashes-${range}`
const groupsName = (range: number) => `groups-${range}`

function hasHash(records: Uint32Array, at: number, hash: Uint32Array, key: number): boolean {
  for (let w = 0; w < key; w++) if (records[at + w] !== hash[w]) return false
  return true
}

function grown(members: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(members.length * 2)
  larger.set(members)
  return larger
}

async function gatherVerdicts(context: MergeContext, options: Resolved): Promise<void> {
  const starts = partitionStarts(context.collected)
  const verdicts = new VerdictWriter(context.folder, starts)
  const { memoryBytes, signal } = context
  let duplicates = 0
  let earlier = 0
  const words = verdictWords
  await mergeRuns(previousOf(context, groupsName), { words, orderWords: words, memoryBytes, signal }, (records, at) => {
    const [ordinal, size, survivor, first] = records.subarray(at, at + words)
    verdicts.add(ordinal, size, survivor, first)
    if (survivor === earlierSurvivor) earlier++
    else if (survivor !== ordinal) duplicates++
  })
  verdicts.close()
  if (options.index === undefined) return
  const seen = new SeenWriter(context.folder, starts)
  await mergeRuns(previousOf(context, seenName), { words: seenWords, orderWords: seenWords, memoryBytes, signal }, (records, at) =>
    seen.add(records[at], records[at + 1]),
  )
  seen.close()
  const kept = gatherSegment(context, recordWords(options))
  writeFileSync(join(context.folder, countsFile(SEGMENT_FILE)), JSON.stringify({ kept, duplicates, earlier }))
}

function previousOf(context: MergeContext, name: (range: number) => string): Source[] {
  return previousRuns(
    context,
    Array.from({ length: ranges }, (_, range) => name(range)),
  )
}

/** @returns documents in it */
function gatherSegment(context: MergeContext, words: number): number {
  const segment = new RunFile(join(context.folder, SEGMENT_FILE), words)
  let documents = 0
  const copy = (name: (range: number) => string, firstSection: number) => {
    for (let range = 0; range < ranges; range++)
      for (const run of readRuns(join(context.previous ?? '', name(range))))
        for (const records of readBlocks(run))
          for (let at = 0; at < records.length; at += words) segment.append(firstSection + range, records.subarray(at, at + words))
  }
  for (let range = 0; range < ranges; range++)
    for (const { count } of readRuns(join(context.previous ?? '', hashesName(range)))) documents += count
  copy(hashesName, 0)
  copy(countsName, ranges + 1)
  segment.close()
  return documents
}
