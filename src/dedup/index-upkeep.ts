// Tending an index across builds: compacted, merged with others, freed of a build, looked into, checked.

import { SluiceError } from '../core/errors.ts'
import { mergeRuns } from '../io/merge-runs.ts'
import { RunFile, readBlocks, readRecords, readRuns } from '../io/sorted-runs.ts'
import { type BuildCounts, buildAt, checkIndex, countSection, type IndexDefinition, noIndex, readDefinition } from './build-index.ts'
import { closeSegments, type OpenSegment, openSegments, sourcesOf } from './earlier-builds.ts'
import { type IndexWriter, writeIndex } from './write-index.ts'

const mergeBytes = 256 << 20
const keyBlock = 1 << 16

export interface Compaction {
  readonly segments: number
  readonly records: number
}

/** Makes one segment of all. The old ones stay readable until the new one is there. */
export async function compactIndex(folder: string): Promise<Compaction> {
  return await rewriteInto(folder, await definitionOf(folder), [folder])
}

/** Adds what other indexes hold, and makes one segment of all. */
export async function mergeIndexes(folder: string, others: readonly string[]): Promise<Compaction> {
  const definitions = await Promise.all(others.map(definitionOf))
  for (const definition of definitions) await checkIndex(folder, definition)
  for (const [i, definition] of definitions.entries()) if (i > 0) await checkIndex(others[0], definition)
  return await rewriteInto(folder, definitions[0], [folder, ...others])
}

/** Takes a build out of the index: its documents may come again, and what it counted is forgotten. */
export async function forgetBuild(folder: string, build: string): Promise<Compaction> {
  return await rewriteInto(folder, await definitionOf(folder), [folder], build)
}

async function definitionOf(folder: string): Promise<IndexDefinition> {
  const found = await readDefinition(folder)
  if (!found) throw noIndex(folder)
  return found
}

async function rewriteInto(folder: string, definition: IndexDefinition, sources: readonly string[], gone?: string): Promise<Compaction> {
  await using writer = await writeIndex(folder, definition)
  const segments: OpenSegment[] = []
  try {
    for (const source of sources) segments.push(...(await openSegments(source)))
    const affected = gone === undefined ? segments : segments.filter((segment) => holdsBuild(segment, gone))
    return await rewrite(writer, definition, affected, folder, gone)
  } finally {
    closeSegments(segments)
  }
}

const holdsBuild = ({ builds }: OpenSegment, build: string) => builds.some(({ name, counts }) => counts && name === build)

/** A build, and where it is. */
interface Part extends BuildCounts {
  readonly name: string
  readonly segment: number
  /** Its place among the builds of its segment. */
  readonly place: number
  readonly first: number
}

async function rewrite(
  writer: IndexWriter,
  definition: IndexDefinition,
  segments: readonly OpenSegment[],
  folder: string,
  gone: string | undefined,
): Promise<Compaction> {
  const all = partsOf(segments)
  const twice = all.find(({ name }, i) => name === all[i - 1]?.name)
  if (twice)
    throw new SluiceError('SLUICE_INDEX_BUILD', `more than one index has the build ${twice.name}`, {
      where: { index: folder },
      fix: 'take it out of one of them first: sluice index forget',
    })
  if (gone !== undefined && !all.some(({ name }) => name === gone))
    throw new SluiceError('SLUICE_INDEX_BUILD', `the index has no build ${gone}`, {
      where: { index: folder },
      fix: 'sluice index inspect shows their names',
    })
  const parts = all.filter(({ name }) => name !== gone)
  const documents = parts.reduce((sum, { kept }) => sum + kept, 0)
  if (documents > 0xffffffff)
    throw new SluiceError('SLUICE_DEDUP_TOO_MANY', `a segment of ${documents} documents would be too large`, {
      where: { index: folder },
      fix: 'leave the index as it is: runs read any number of segments',
    })
  let records = 0
  const builds = parts.map(({ name, kept, duplicates, earlier }) => ({ name, kept, duplicates, earlier }))
  await writer.put('compact', builds, gone === undefined ? [] : [gone], async (target) => {
    records = await writeParts(target, definition, segments, parts)
  })
  return { segments: segments.length, records }
}

/** By name. */
function partsOf(segments: readonly OpenSegment[]): Part[] {
  return segments
    .flatMap(({ builds }, segment) => builds.flatMap((build, place) => (build.counts ? [{ ...build, segment, place }] : [])))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

async function writeParts(
  path: string,
  definition: IndexDefinition,
  segments: readonly OpenSegment[],
  parts: readonly Part[],
): Promise<number> {
  const { words, sections } = definition
  const shifts = shiftsOf(segments, parts)
  const file = new RunFile(path, words)
  const record = new Uint32Array(words)
  let records = 0
  const { signal } = new AbortController()
  for (let section = 0; section < sections; section++)
    await mergeRuns(sourcesOf(segments, section), { words, orderWords: words - 1, memoryBytes: mergeBytes, signal }, (from, at, source) => {
      const ordinal = from[at + words - 1]
      const shift = shifts[source][buildAt(segments[source].builds, ordinal)]
      if (Number.isNaN(shift)) return
      for (let w = 0; w < words - 1; w++) record[w] = from[at + w]
      record[words - 1] = ordinal + shift
      file.append(section, record)
      records++
    })
  for (const part of parts) copyKeys(file, segments[part.segment], sections, part)
  for (const [b, { segment, place }] of parts.entries())
    for (let range = 0; range < definition.countSections; range++)
      for (const { run } of sourcesOf([segments[segment]], countSection(definition, place, range)))
        for (const block of readBlocks(run))
          for (let at = 0; at < block.length; at += words) file.append(countSection(definition, b, range), block.subarray(at, at + words))
  file.close()
  return records
}

/** By segment and build: what is added to the ordinals of its documents; NaN where they are left out. */
function shiftsOf(segments: readonly OpenSegment[], parts: readonly Part[]): Float64Array[] {
  const shifts = segments.map(({ builds }) => new Float64Array(builds.length).fill(Number.NaN))
  let first = 0
  for (const part of parts) {
    shifts[part.segment][part.place] = first - part.first
    first += part.kept
  }
  return shifts
}

/** The keys of a build's documents; none where records show them. */
function copyKeys(file: RunFile, segment: OpenSegment, section: number, { first, kept }: Part): void {
  const [run] = readRuns(segment.path, section, segment.file)
  if (!run) return
  for (let done = 0; done < kept; done += keyBlock) {
    const block = readRecords(run, first + done, Math.min(keyBlock, kept - done))
    for (let at = 0; at < block.length; at += run.words) file.append(section, block.subarray(at, at + run.words))
  }
}

// ---- looking into it ----

export interface IndexFacts extends IndexDefinition {
  readonly segments: readonly { readonly name: string; readonly builds: readonly string[]; readonly records: number }[]
  readonly builds: readonly (BuildCounts & { readonly name: string })[]
  /** Documents of which more than one was seen over all builds. */
  readonly repeated: { readonly documents: number; readonly seen: number; readonly largest: readonly Repeated[] }
}

/** A document of the index, or a group of equal ones, and how many of its kind were seen. */
export interface Repeated {
  /** The first 16 digits of the document's id, or the hash of what is equal. */
  readonly key: string
  /** Over all builds, itself included. */
  readonly seen: number
  /** Duplicates that were dropped, by build. */
  readonly duplicates: Readonly<Record<string, number>>
}

/** @param largest how many of the most repeated documents are named */
export async function inspectIndex(folder: string, largest = 5): Promise<IndexFacts> {
  const definition = await definitionOf(folder)
  const segments = await openSegments(folder)
  try {
    const most: Repeated[] = []
    let documents = 0
    let seen = 0
    await eachRepeated(definition, segments, (one) => {
      documents++
      seen += one.seen
      if (most.length === largest && one.seen <= (most.at(-1)?.seen ?? Number.POSITIVE_INFINITY)) return
      const place = most.findIndex((other) => other.seen < one.seen)
      most.splice(place === -1 ? most.length : place, 0, one)
      most.length = Math.min(most.length, largest)
    })
    return {
      ...definition,
      segments: segments.map(({ name, path, file, builds }) => ({
        name,
        builds: builds.filter(({ counts }) => counts).map((build) => build.name),
        records: readRuns(path, undefined, file).reduce((sum, run) => sum + (run.section < definition.sections ? run.count : 0), 0),
      })),
      builds: partsOf(segments).map(({ name, kept, duplicates, earlier }) => ({ name, kept, duplicates, earlier })),
      repeated: { documents, seen, largest: most },
    }
  } finally {
    closeSegments(segments)
  }
}

/** All documents of which more than one was seen, in the order of their keys. */
export async function visitRepeated(folder: string, visit: (repeated: Repeated) => void): Promise<void> {
  const definition = await definitionOf(folder)
  const segments = await openSegments(folder)
  try {
    await eachRepeated(definition, segments, visit)
  } finally {
    closeSegments(segments)
  }
}

async function eachRepeated(
  definition: IndexDefinition,
  segments: readonly OpenSegment[],
  visit: (repeated: Repeated) => void,
): Promise<void> {
  const { words, keyWords, countSections } = definition
  const parts = partsOf(segments)
  const sources = parts.flatMap(({ segment, place }, ordinal) =>
    Array.from({ length: countSections }, (_, range) => countSection(definition, place, range)).flatMap((section) =>
      sourcesOf([segments[segment]], section).map(({ run }) => ({ run, ordinal })),
    ),
  )
  let key = ''
  let seen = 1
  let duplicates: Record<string, number> = {}
  const finish = () => {
    if (seen > 1) visit({ key, seen, duplicates })
    seen = 1
    duplicates = {}
  }
  const { signal } = new AbortController()
  await mergeRuns(sources, { words, orderWords: keyWords, memoryBytes: mergeBytes, signal }, (records, at, source) => {
    const found = keyText(records, at, keyWords)
    if (found !== key) finish()
    key = found
    const count = records[at + words - 1]
    seen += count
    duplicates[parts[source].name] = (duplicates[parts[source].name] ?? 0) + count
  })
  finish()
}

function keyText(records: Uint32Array, at: number, keyWords: number): string {
  let text = ''
  for (let w = 0; w < keyWords; w++) text += records[at + w].toString(16).padStart(8, '0')
  return text
}

/** Reads every file of the index to its end. @returns records read */
export async function verifyIndex(folder: string): Promise<number> {
  await definitionOf(folder)
  const segments = await openSegments(folder)
  try {
    let records = 0
    for (const { path, file } of segments)
      for (const run of readRuns(path, undefined, file)) for (const block of readBlocks(run)) records += block.length / run.words
    return records
  } finally {
    closeSegments(segments)
  }
}
