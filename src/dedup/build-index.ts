// The index of a deduplication across builds: what earlier builds have published, which tonight's run consults and extends.
// A segment is one file of sorted records (see records.ts) with a header beside it; it appears by rename, header last, so
// that an interrupted run leaves at most a file that nobody reads. A build is named by its output: a run that is repeated
// replaces its own segment, and never takes its own documents for somebody else's.
//
//   index.json               what the records are: stage and parameters
//   <segment>.runs           records; their last word is the ordinal of their build among the header's
//   <segment>.json           header: the builds, and the segments that this one stands for (compacted)

import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import type { Json } from '../core/document.ts'
import { SluiceError } from '../core/errors.ts'
import { diskError } from '../io/disk-errors.ts'
import { writeWhole } from '../io/write-whole.ts'
import { mergeRuns, type Source } from './merge.ts'
import { RunFile, readRuns } from './records.ts'

export const indexOption = z
  .string()
  .min(1)
  .optional()
  .describe('folder of an index across builds: what earlier builds published is dropped, what this one publishes is added')

const FORMAT = 1

const definition = z.strictObject({ format: z.literal(FORMAT), stage: z.string(), parameters: z.json(), words: z.int(), sections: z.int() })
const header = z.strictObject({ builds: z.array(z.string()).readonly(), replaces: z.array(z.string()).readonly() })

/** What an index holds: a run may use it only with the same. */
export interface IndexDefinition {
  readonly stage: string
  /** What decides which documents count as equal. */
  readonly parameters: Json
  /** Words a record, the last the ordinal of its build. */
  readonly words: number
  readonly sections: number
}

export interface Segment {
  readonly name: string
  readonly path: string
  readonly builds: readonly string[]
}

/** Checks that the folder is such an index, or may become one. */
export async function checkIndex(folder: string, wanted: IndexDefinition): Promise<void> {
  const found = await readDefinition(folder)
  if (!found) {
    const names = existsSync(folder) ? await readdir(folder) : []
    if (names.length > 0) throw notAnIndex(folder, names[0])
    return
  }
  const { stage, parameters, words, sections } = found
  if (isDeepStrictEqual({ stage, parameters, words, sections }, wanted)) return
  throw new SluiceError('SLUICE_INDEX_OTHER', `the index was made by ${stage} with other parameters`, {
    where: { index: folder, has: JSON.stringify(parameters), wanted: JSON.stringify(wanted.parameters) },
    fix: 'give the index a folder of its own for each set of parameters, or rebuild it from the shards of the builds',
  })
}

async function readDefinition(folder: string): Promise<z.infer<typeof definition> | undefined> {
  const file = join(folder, 'index.json')
  if (!existsSync(file)) return undefined
  const parsed = definition.safeParse(await readJson(file))
  if (!parsed.success) throw damaged(file)
  return parsed.data
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch (error) {
    if (error instanceof SyntaxError) throw damaged(file)
    throw diskError(error, file)
  }
}

function damaged(file: string): SluiceError {
  return new SluiceError('SLUICE_INDEX_DAMAGED', 'a file of the index is damaged', {
    where: { file },
    fix: 'rebuild the index from the shards of the builds',
  })
}

function notAnIndex(folder: string, file: string): SluiceError {
  return new SluiceError('SLUICE_INDEX_TAKEN', 'the folder holds files that are no index', {
    where: { folder, file },
    fix: 'give the index an empty folder or a new one',
  })
}

/** The segments that count, sorted by name: those of compacted ones are left out. None where there is no index yet. */
export async function readSegments(folder: string): Promise<Segment[]> {
  if (!existsSync(folder)) return []
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json') && name !== 'index.json').sort()
  const segments: Segment[] = []
  const replaced = new Set<string>()
  for (const file of names) {
    const parsed = header.safeParse(await readJson(join(folder, file)))
    if (!parsed.success) throw damaged(join(folder, file))
    const name = file.slice(0, -'.json'.length)
    segments.push({ name, path: join(folder, `${name}.runs`), builds: parsed.data.builds })
    for (const other of parsed.data.replaces) replaced.add(other)
  }
  return segments.filter(({ name }) => !replaced.has(name))
}

/** Records of earlier builds as sources of a merge, before those of tonight. */
export class EarlierBuilds {
  readonly #segments: readonly Segment[]
  /** By segment: the ordinal of tonight's own build in it; −1 where it is none of them. */
  readonly #own: Int32Array

  private constructor(segments: readonly Segment[], build: string) {
    this.#segments = segments
    this.#own = Int32Array.from(segments, ({ builds }) => builds.indexOf(build))
  }

  /** @param index undefined where the stage has none */
  static async open(index: string | undefined, wanted: IndexDefinition, build: string): Promise<EarlierBuilds> {
    if (index === undefined) return new EarlierBuilds([], build)
    await checkIndex(index, wanted)
    return new EarlierBuilds(await readSegments(index), build)
  }

  /** Sources below this ordinal are of the index. */
  get count(): number {
    return this.#segments.length
  }

  sources(section: number): Source[] {
    return this.#segments.flatMap(({ path }, ordinal) => readRuns(path, section).map((run) => ({ run, ordinal })))
  }

  /** Whether a record of the index is of another build than tonight's. */
  isEarlier(source: number, build: number): boolean {
    return this.#own[source] !== build
  }
}

/** Puts a segment into the index, in the place of what the same build put there before. May be repeated. */
export async function publishSegment(folder: string, wanted: IndexDefinition, build: string, file: string): Promise<void> {
  await createIndex(folder, wanted)
  const compacted = (await readSegments(folder)).find(({ name, builds }) => name !== build && builds.includes(build))
  if (compacted) await withoutBuild(folder, wanted, compacted, build)
  await putSegment(folder, build, file, { builds: [build], replaces: [] })
}

async function createIndex(folder: string, wanted: IndexDefinition): Promise<void> {
  await mkdir(folder, { recursive: true })
  await checkIndex(folder, wanted)
  const { stage, parameters, words, sections } = wanted
  await writeWhole(join(folder, 'index.json'), JSON.stringify({ format: FORMAT, stage, parameters, words, sections }))
}

async function putSegment(folder: string, name: string, file: string, { builds, replaces }: z.infer<typeof header>): Promise<void> {
  const target = join(folder, `${name}.runs`)
  const temporary = `${target}.${randomBytes(4).toString('hex')}.tmp`
  try {
    await copyFile(file, temporary)
    await rename(temporary, target)
  } catch (error) {
    throw diskError(error, target)
  }
  await writeWhole(join(folder, `${name}.json`), JSON.stringify({ builds, replaces }))
}

/** Replaces a compacted segment by one without a build that is published anew. */
async function withoutBuild(folder: string, wanted: IndexDefinition, segment: Segment, build: string): Promise<void> {
  await rewrite(folder, wanted, [segment], (name) => name !== build)
}

export interface Compaction {
  readonly segments: number
  readonly records: number
}

/** Makes one segment of all. The old ones stay readable until the new one is there. */
export async function compactIndex(folder: string): Promise<Compaction> {
  return await rewriteAll(folder, () => true)
}

/** Adds copies of the segments of other indexes, and makes one segment of all. */
export async function mergeIndexes(folder: string, others: readonly string[]): Promise<Compaction> {
  for (const other of others) {
    const found = await readDefinition(other)
    if (!found) throw notAnIndex(other, 'no index.json')
    const { format: _, ...wanted } = found
    const segments = await readSegments(other)
    const known = new Set((await readSegments(folder)).flatMap(({ builds }) => builds))
    const twice = segments.flatMap(({ builds }) => builds).find((build) => known.has(build))
    if (twice !== undefined)
      throw new SluiceError('SLUICE_INDEX_BUILD', `both indexes have the build ${twice}`, {
        where: { index: folder, other },
        fix: 'take it out of one of them first: sluice index forget',
      })
    await createIndex(folder, wanted)
    for (const { name, path, builds } of segments) await putSegment(folder, name, path, { builds, replaces: [] })
  }
  return await compactIndex(folder)
}

/** Takes a build out of the index: its documents may come again. */
export async function forgetBuild(folder: string, build: string): Promise<Compaction> {
  const segments = await readSegments(folder)
  const known = segments.flatMap(({ builds }) => builds)
  if (!known.includes(build))
    throw new SluiceError('SLUICE_INDEX_BUILD', `the index has no build ${build}`, {
      where: { index: folder },
      fix: `it has ${known.join(', ') || 'none'}`,
    })
  return await rewriteAll(folder, (name) => name !== build)
}

async function rewriteAll(folder: string, keeps: (build: string) => boolean): Promise<Compaction> {
  const found = await readDefinition(folder)
  if (!found) throw notAnIndex(folder, 'no index.json')
  return await rewrite(folder, found, await readSegments(folder), keeps)
}

/** Writes the records of some segments as one, in the order of a merge, and removes those. */
async function rewrite(
  folder: string,
  { words, sections }: Pick<IndexDefinition, 'words' | 'sections'>,
  segments: readonly Segment[],
  keeps: (build: string) => boolean,
): Promise<Compaction> {
  const builds = [...new Set(segments.flatMap((segment) => segment.builds))].filter(keeps).sort()
  const replaces = segments.map(({ name }) => name)
  const name = `compact-${createHash('sha256')
    .update(JSON.stringify([builds, replaces]))
    .digest('hex')
    .slice(0, 16)}`
  const file = join(folder, `${name}.working`)
  const ordinals = segments.map((segment) => Int32Array.from(segment.builds, (build) => builds.indexOf(build)))
  const target = new RunFile(file, words)
  const record = new Uint32Array(words)
  let records = 0
  const { signal } = new AbortController()
  for (let section = 0; section < sections; section++) {
    const sources = segments.flatMap(({ path }, ordinal) => readRuns(path, section).map((run) => ({ run, ordinal })))
    await mergeRuns(sources, { words, orderWords: words, memoryBytes: 256 << 20, signal }, (from, at, source) => {
      const build = ordinals[source][from[at + words - 1]]
      if (build === -1) return
      for (let w = 0; w < words - 1; w++) record[w] = from[at + w]
      record[words - 1] = build
      target.append(section, record)
      records++
    })
  }
  target.close()
  await putSegment(folder, name, file, { builds, replaces })
  await rm(file, { force: true })
  for (const segment of segments) {
    if (segment.name === name) continue
    await rm(join(folder, `${segment.name}.json`), { force: true })
    await rm(segment.path, { force: true })
  }
  return { segments: segments.length, records }
}

export interface IndexFacts extends IndexDefinition {
  readonly segments: readonly { readonly name: string; readonly builds: readonly string[]; readonly records: number }[]
}

export async function inspectIndex(folder: string): Promise<IndexFacts> {
  const found = await readDefinition(folder)
  if (!found) throw notAnIndex(folder, 'no index.json')
  const { format: _, ...facts } = found
  const segments = (await readSegments(folder)).map(({ name, builds, path }) => ({
    name,
    builds,
    records: readRuns(path).reduce((sum, { count }) => sum + count, 0),
  }))
  return { ...facts, segments }
}
