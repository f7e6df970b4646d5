// The index of a deduplication across builds: what earlier builds have published, which tonight's run consults and extends.
// A build is named by its output: a run that is repeated replaces its own part, and never takes its own documents for
// somebody else's. A segment never changes; its header, which appears last and by rename, is what makes it count and makes
// others count no more, so that an interrupted writer leaves at most files that nobody reads and the next writer removes.
// One process writes at a time; readers need no lock (see earlier-builds.ts, and index-upkeep.ts for what else is written).
//
//   index.json               what the records are: stage and parameters
//   lock                     whoever writes
//   <segment>.json           header: the builds, and the segments in which these builds count no more
//   <segment>.runs           sorted runs (see records.ts), in sections:
//     0 … sections − 1       records; their last word is the ordinal of their document in the segment
//     sections               keys of the documents by ordinal, where a record does not show its own
//     sections + 1 + …       by build: key, number of documents that were dropped as duplicates of the key's (countSection)

import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { copyFile, open, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import type { Json } from '../core/document.ts'
import { SluiceError } from '../core/errors.ts'
import { diskError } from '../io/disk-errors.ts'
import { lockFolder } from '../io/folder-lock.ts'
import { makeFolder } from '../io/make-folder.ts'
import { writeWhole } from '../io/write-whole.ts'

export const indexOption = z
  .string()
  .min(1)
  .optional()
  .describe('folder of an index across builds: what earlier builds published is dropped and counted, what this one publishes is added')

const FORMAT = 2
const LOCK = 'lock'
/** A writer copies a segment at most, or compacts: others wait for it. */
const LOCK_WAIT_MS = 600_000
const LOCK_LOOK_MS = 200

const definition = z.strictObject({
  format: z.literal(FORMAT),
  stage: z.string(),
  parameters: z.json(),
  words: z.int(),
  keyWords: z.int(),
  sections: z.int(),
  countSections: z.int(),
})
const countsSchema = z.strictObject({ kept: z.int(), duplicates: z.int(), earlier: z.int() })
const header = z.strictObject({
  builds: z.array(countsSchema.extend({ name: z.string() })).readonly(),
  /** Segments in which these builds, and those that are gone, count no more. */
  replaces: z.array(z.string()).readonly(),
  gone: z.array(z.string()).readonly(),
  bytes: z.number(),
})
type Header = z.infer<typeof header>

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
export type BuildCounts = z.infer<typeof countsSchema>

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

async function readJson(file: string): Promise<unknown> {
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
async function readHeaders(folder: string): Promise<Map<string, Header>> {
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

function countingSegments(folder: string, headers: ReadonlyMap<string, Header>): Segment[] {
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

// ---- writing ----

/** Where a merge has left the counts of the segment that it wrote. */
export const countsFile = (segment: string) => `${segment}.json`

/** Puts a segment into the index, in the place of what the same build put there before. May be repeated. */
export async function publishSegment(folder: string, wanted: IndexDefinition, build: string, file: string): Promise<void> {
  const counts = countsSchema.parse(await readJson(countsFile(file)))
  await using writer = await writeIndex(folder, wanted)
  await writer.put(build, [{ name: build, ...counts }], [], (target) => copyFile(file, target))
}

export interface IndexWriter extends AsyncDisposable {
  /** Segments that count. */
  readonly segments: () => Promise<Segment[]>
  /**
   * Adds a segment; in the others its builds and those that are gone count no more, and what counts no more is removed.
   *
   * @param write makes the file, which nobody reads before its header is there
   */
  readonly put: (name: string, builds: Header['builds'], gone: readonly string[], write: (target: string) => Promise<void>) => Promise<void>
}

/** Opens an index for writing, and waits for others who do. It is made where it is not there. */
export async function writeIndex(folder: string, wanted: IndexDefinition): Promise<IndexWriter> {
  const lock = await takeLock(folder)
  try {
    await checkIndex(folder, wanted)
    const file = join(folder, 'index.json')
    if (!existsSync(file)) await writeWhole(file, JSON.stringify({ format: FORMAT, ...wanted }))
    await removeRest(folder)
  } catch (error) {
    await lock[Symbol.asyncDispose]()
    throw error
  }
  return {
    segments: () => readSegments(folder),
    put: async (name, builds, gone, write) => {
      await putSegment(folder, name, builds, gone, write)
      await removeRest(folder)
    },
    [Symbol.asyncDispose]: () => lock[Symbol.asyncDispose](),
  }
}

async function takeLock(folder: string): Promise<AsyncDisposable> {
  await makeFolder(folder)
  const until = Date.now() + LOCK_WAIT_MS
  while (true) {
    try {
      return await lockFolder(folder, LOCK)
    } catch (error) {
      if (!(error instanceof SluiceError)) throw diskError(error, folder)
      if (error.code !== 'SLUICE_RUN_LOCKED' || Date.now() > until) throw error
      await sleep(LOCK_LOOK_MS)
    }
  }
}

async function putSegment(
  folder: string,
  prefix: string,
  builds: Header['builds'],
  gone: readonly string[],
  write: (target: string) => Promise<void>,
): Promise<void> {
  const name = `${prefix}-${randomBytes(4).toString('hex')}`
  const target = join(folder, `${name}.runs`)
  const affected = new Set([...builds.map((build) => build.name), ...gone])
  const others = [...(await readHeaders(folder))].filter(([, other]) =>
    [...other.builds.map((build) => build.name), ...other.gone].some((build) => affected.has(build)),
  )
  try {
    await write(target)
    await syncFile(target)
    const { size: bytes } = await stat(target)
    await writeWhole(join(folder, `${name}.json`), JSON.stringify({ builds, replaces: others.map(([other]) => other), gone, bytes }))
  } catch (error) {
    await rm(target, { force: true }).catch(() => undefined) // the first error is the one to tell
    throw diskError(error, target)
  }
}

/** The header must not outlive a loss of power that its records do not. */
async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Removes what does not count: segments of which no build does, and what interrupted writers left. */
async function removeRest(folder: string): Promise<void> {
  const headers = await readHeaders(folder)
  const segments = countingSegments(folder, headers)
  for (const dead of segments.filter(({ builds }) => !builds.some((build) => build.counts))) {
    const rest = new Map(headers)
    rest.delete(dead.name)
    // It may still say of another, which an interrupted writer did not come to remove, that it does not count.
    const others = countingSegments(folder, headers).filter(({ name }) => name !== dead.name)
    if (!isDeepStrictEqual(countingSegments(folder, rest), others)) continue
    await rm(join(folder, `${dead.name}.json`), { force: true })
    headers.delete(dead.name)
  }
  for (const file of await readdir(folder)) {
    const isData = file.endsWith('.runs') && !headers.has(file.slice(0, -'.runs'.length))
    if (isData || file.endsWith('.tmp')) await rm(join(folder, file), { force: true })
  }
}
