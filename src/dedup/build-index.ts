// The index of a deduplication across builds: what earlier builds have published, which tonight's run consults and extends.
// A build is named by its output: a run that is repeated replaces its own part, and never takes its own documents for
// somebody else's. A segment never changes; its header, which appears last and by rename, is what makes it count and makes
// others count no more. Here is what an index holds and how it is read, for which no lock is needed (earlier-builds.ts asks
// it); write-index.ts puts segments in, index-upkeep.ts tends what is there.
//
//   index.json               what the records are: stage and parameters
//   lock                     whoever writes
//   <segment>.json           header: the builds, and the segments in which these builds count no more
//   <segment>.runs           sorted runs (src/io/sorted-runs.ts), in sections:
//     0 … sections − 1       records; their last word is the ordinal of their document in the segment
//     sections               keys of the documents by ordinal, where a record does not show its own
//     sections + 1 + …       by build: key, number of documents that were dropped as duplicates of the key's (countSection)

import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import type { Json } from '../core/document.ts'
import { SluiceError } from '../core/errors.ts'
import { diskError } from '../io/disk-errors.ts'

export const indexOption = z
  .string()
  .min(1)
  .optional()
  .describe('folder of an index across builds: what earlier builds published is dropped and counted, what this one publishes is added')

export const FORMAT = 2
export const LOCK = 'lock'

const definition = z.strictObject({
  format: z.literal(FORMAT),
  stage: z.string(),
  parameters: z.json(),
  words: z.int(),
  keyWords: z.int(),
  sections: z.int(),
  countSections: z.int(),
})
export const buildCounts = z.strictObject({ kept: z.int(), duplicates: z.int(), earlier: z.int() })
const header = z.strictObject({
  builds: z.array(buildCounts.extend({ name: z.string() })).readonly(),
  /** Segments in which these builds, and those that are gone, count no more. */
  replaces: z.array(z.string()).readonly(),
  gone: z.array(z.string()).readonly(),
  bytes: z.number(),
})
export type Header = z.infer<typeof header>

/** What an index holds: a run may use it only with the same. */
export interface IndexDefinition {
  readonly stage: string
  /** What decides which documents count as equal. */
  readonly parameters: Json
  /** Words a record. */
  readonly words: number
  /** Words that name a document, or a group of equal ones. */
  readonly keyWords: number
  readonly sections: number
  /** Sections that the counts of a build are cut into, by ranges of keys. */
  readonly countSections: number
}

/** Where the counts of a build are, by its place in the segment. */
export function countSection({ sections, countSections }: IndexDefinition, build: number, range: number): number {
  return sections + 1 + build * countSections + range
}

/** Documents of a build: those in the index, those dropped for another of the build, those dropped for one of an earlier build. */
export type BuildCounts = z.infer<typeof buildCounts>

export interface Build extends BuildCounts {
  readonly name: string
  /** Ordinal of its first document in the segment. */
  readonly first: number
  /** False where another segment has the build's newer part. */
  readonly counts: boolean
}

export interface Segment {
  readonly name: string
  readonly path: string
  readonly bytes: number
  /** Builds follow each other in the ordinals of documents. */
  readonly builds: readonly Build[]
}

/** Checks that the folder is such an index, or may become one. */
export async function checkIndex(folder: string, wanted: IndexDefinition): Promise<void> {
  const found = await readDefinition(folder)
  if (!found) {
    const names = existsSync(folder) ? (await readdir(folder)).filter((name) => !isLock(name)) : []
    if (names.length > 0) throw notAnIndex(folder, names[0])
    return
  }
  if (isDeepStrictEqual(found, wanted)) return
  throw new SluiceError('SLUICE_INDEX_OTHER', `the index was made by ${found.stage} with other parameters`, {
    where: { index: folder, has: JSON.stringify(found.parameters), wanted: JSON.stringify(wanted.parameters) },
    fix: 'give the index a folder of its own for each set of parameters, or rebuild it from the shards of the builds',
  })
}

/** Undefined where the folder is no index yet. */
export async function readDefinition(folder: string): Promise<IndexDefinition | undefined> {
  const file = join(folder, 'index.json')
  if (!existsSync(file)) return undefined
  const content = await readJson(file)
  const parsed = definition.safeParse(content)
  if (parsed.success) {
    const { format: _, ...found } = parsed.data
    return found
  }
  const known = z.looseObject({ format: z.int() }).safeParse(content)
  if (!known.success || known.data.format === FORMAT) throw damaged(file)
  throw new SluiceError('SLUICE_INDEX_FORMAT', `the index has format ${known.data.format}, this version reads format ${FORMAT}`, {
    where: { file },
    fix: 'rebuild the index from the shards of the builds: sluice index --help says how',
  })
}

export async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch (error) {
    if (error instanceof SyntaxError) throw damaged(file)
    throw diskError(error, file)
  }
}

export function damaged(file: string): SluiceError {
  return new SluiceError('SLUICE_INDEX_DAMAGED', 'a file of the index is damaged or missing', {
    where: { file },
    fix: 'rebuild the index from the shards of the builds: sluice index --help says how',
  })
}

export function noIndex(folder: string): SluiceError {
  return new SluiceError('SLUICE_INDEX_MISSING', 'there is no index in this folder', {
    where: { folder },
    fix: 'give the folder that minhashDedup or exactDedup has as its option index; it is made when a run publishes',
  })
}

function notAnIndex(folder: string, file: string): SluiceError {
  return new SluiceError('SLUICE_INDEX_TAKEN', 'the folder holds files that are no index', {
    where: { folder, file },
    fix: 'give the index an empty folder or a new one',
  })
}

const isLock = (name: string) => name === LOCK || name.startsWith(`${LOCK}.`)

/** Segments with a build that counts, sorted by name. None where there is no index yet. */
export async function readSegments(folder: string): Promise<Segment[]> {
  return countingSegments(folder, await readHeaders(folder)).filter(({ builds }) => builds.some((build) => build.counts))
}

/** By segment. */
export async function readHeaders(folder: string): Promise<Map<string, Header>> {
  if (!existsSync(folder)) return new Map()
  const files = (await readdir(folder)).filter((name) => name.endsWith('.json') && name !== 'index.json').sort()
  const headers = new Map<string, Header>()
  for (const file of files) {
    const content = await readJson(join(folder, file)).catch((error) => {
      // Taken away since the folder was listed, by a writer who has put another in its place.
      if (!existsSync(join(folder, file))) return undefined
      throw error
    })
    if (content === undefined) return await readHeaders(folder)
    const parsed = header.safeParse(content)
    if (!parsed.success) throw damaged(join(folder, file))
    headers.set(file.slice(0, -'.json'.length), parsed.data)
  }
  return headers
}

/** All segments, with what counts of each. */
export function countingSegments(folder: string, headers: ReadonlyMap<string, Header>): Segment[] {
  const replaced = new Set<string>()
  for (const { builds, gone, replaces } of headers.values())
    for (const other of replaces) for (const build of [...builds.map(({ name }) => name), ...gone]) replaced.add(`${other}\n${build}`)
  return [...headers].map(([name, { builds, bytes }]) => {
    let first = 0
    const placed = builds.map((build) => {
      const place = { ...build, first, counts: !replaced.has(`${name}\n${build.name}`) }
      first += build.kept
      return place
    })
    return { name, path: join(folder, `${name}.runs`), bytes, builds: placed }
  })
}

/** The build that an ordinal of the segment's documents belongs to. */
export function buildAt(builds: readonly Build[], ordinal: number): number {
  let low = 0
  let high = builds.length
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (builds[middle].first <= ordinal) low = middle
    else high = middle
  }
  // Builds without documents share their first ordinal with the next one.
  return low
}
