// Writing into an index across builds (build-index.ts): one process at a time, behind a lock. An interrupted writer leaves at
// most files that nobody reads, and the next one removes them.

import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { copyFile, open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { SluiceError } from '../core/errors.ts'
import { diskError } from '../io/disk-errors.ts'
import { lockFolder } from '../io/folder-lock.ts'
import { makeFolder } from '../io/make-folder.ts'
import { writeWhole } from '../io/write-whole.ts'
import {
  buildCounts,
  checkIndex,
  countingSegments,
  FORMAT,
  type Header,
  type IndexDefinition,
  LOCK,
  readHeaders,
  readJson,
  readSegments,
  type Segment,
} from './build-index.ts'

/** A writer copies a segment at most, or compacts: others wait for it. */
const LOCK_WAIT_MS = 600_000
const LOCK_LOOK_MS = 200

/** Where a merge has left the counts of the segment that it wrote. */
export const countsFile = (segment: string) => `${segment}.json`

/** Puts a segment into the index, in the place of what the same build put there before. May be repeated. */
export async function publishSegment(folder: string, wanted: IndexDefinition, build: string, file: string): Promise<void> {
  const counts = buildCounts.parse(await readJson(countsFile(file)))
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
