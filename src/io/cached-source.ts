// What came over a network, kept on disk: whole objects and ranges of them, by URL and version (ETag). A range is a file
// that is named by its bounds and appears by rename, so that processes may share a folder and die at any moment; what was
// used longest ago goes first where the folder grows too large.
//
//   <folder>/<hash of the URL>/<hash of the version>/object.json       what it is of
//                                                    <start>-<end>     the bytes
//                                                    *.tmp             on their way

import { randomBytes } from 'node:crypto'
import { close, createReadStream, type Dirent, fdatasync, open, type Stats, write } from 'node:fs'
import { readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { z } from 'zod'
import { systemCode } from '../core/errors.ts'
import { hash128 } from '../core/identity.ts'
import type { ByteSource, CacheOptions, OpenOptions } from './byte-source.ts'
import { openKnown, openTarget, type Target } from './http-source.ts'
import { makeFolder } from './make-folder.ts'
import { notify } from './notices.ts'
import { writeWhole } from './write-whole.ts'

// By number: a FileHandle that a cancelled task leaves open ends the process when it is collected.
const openFile = promisify(open)
const writeFile = promisify(write)
const syncFile = promisify(fdatasync)
const closeFile = promisify(close)

/** A long stream is kept in files of this size: what a killed process had read before is there for the next. */
const PIECE_BYTES = 64 << 20
/** Files under way that nobody has touched for so long belong to a process that died. */
const ABANDONED_MS = 3600_000
/** A file's time of use is noted to this precision. */
const USE_MS = 60_000
/** The folder is measured again when this share of its limit was written; it is cleared down to the other. */
const MEASURE_SHARE = 1 / 16
const CLEARED_SHARE = 0.9

const READ_BYTES = 1 << 20

/** Asks the server which version is there now, unless the options name the one that is wanted and it is known here. */
export async function openCached(target: Target, options: OpenOptions, { folder, maxBytes }: CacheOptions): Promise<ByteSource> {
  const cache = cacheIn(folder, maxBytes)
  const { version, first } = options
  const { url } = target
  const size = version === undefined ? undefined : await cache.sizeOf(url, version)
  const isThere = first !== undefined && (await cache.holds(url, first))
  const source =
    version !== undefined && size !== undefined
      ? openKnown(target, size, version, options)
      : await openTarget(target, isThere ? { ...options, first: undefined } : options)
  return { ...source, read: (start = 0, end = source.size) => cache.read(source, start, Math.min(end, source.size)) }
}

const caches = new Map<string, Cache>()

function cacheIn(folder: string, maxBytes: number): Cache {
  const path = resolve(folder)
  const known = caches.get(path) ?? new Cache(path)
  known.maxBytes = maxBytes
  caches.set(path, known)
  return known
}

interface Range {
  readonly start: number
  readonly end: number
}

const objectFacts = z.object({ url: z.string(), version: z.string(), size: z.int() })

class Cache {
  maxBytes = 0
  readonly #folder: string
  /** Written since the folder was measured; undefined before it was. */
  #written: number | undefined
  #isClearing = false
  #isFailed = false

  constructor(folder: string) {
    this.#folder = folder
  }

  async sizeOf(url: string, version: string): Promise<number | undefined> {
    try {
      return objectFacts.parse(JSON.parse(await readFile(join(this.#objectFolder(url, version), 'object.json'), 'utf8'))).size
    } catch {
      return undefined // unknown, or half of it lost: it is written again
    }
  }

  /** Whether some version of the object is there over the whole range. */
  async holds(url: string, [start, end]: readonly [start: number, end: number]): Promise<boolean> {
    const folder = this.#urlFolder(url)
    for (const version of await namesIn(folder))
      if ((await rangesIn(join(folder, version))).some((range) => range.start <= start && range.end >= end)) return true
    return false
  }

  async *read(source: ByteSource, start: number, end: number): AsyncGenerator<Buffer> {
    const folder = this.#objectFolder(source.url, source.version)
    let position = start
    while (position < end) {
      const ranges = await rangesIn(folder)
      const held = ranges.filter((range) => range.start <= position && range.end > position).sort((a, b) => b.end - a.end)[0]
      const gapEnd = Math.min(end, ...ranges.filter((range) => range.start > position).map((range) => range.start))
      const bytes = held ? readRange(folder, held, position, Math.min(end, held.end)) : this.#fetch(source, folder, position, gapEnd)
      for await (const chunk of bytes) {
        position += chunk.length
        yield chunk
      }
    }
  }

  async *#fetch(source: ByteSource, folder: string, start: number, end: number): AsyncGenerator<Buffer> {
    const pieceBytes = Math.min(PIECE_BYTES, this.maxBytes / 4)
    let piece: Piece | undefined
    let position = start
    try {
      for await (const chunk of source.read(start, end)) {
        piece ??= await this.#keeping(() => this.#begin(source, folder, position))
        if (piece && !(await this.#keeping(async () => await piece?.append(chunk).then(() => true)))) piece = undefined
        position += chunk.length
        if (piece && piece.bytes >= pieceBytes) {
          await this.#finish(piece)
          piece = undefined
        }
        yield chunk
      }
    } finally {
      if (piece) await this.#finish(piece) // also where the reader has enough or the connection broke: it goes on from here
    }
  }

  async #begin(source: ByteSource, folder: string, start: number): Promise<Piece | undefined> {
    if (this.#isFailed) return undefined
    await makeFolder(folder)
    const { url, version, size } = source
    if ((await this.sizeOf(url, version)) === undefined)
      await writeWhole(join(folder, 'object.json'), JSON.stringify({ url, version, size }))
    return await Piece.create(folder, start)
  }

  async #finish(piece: Piece): Promise<void> {
    await this.#keeping(async () => {
      await piece.publish()
      if (this.#written !== undefined) this.#written += piece.bytes
      if (this.#written === undefined || this.#written > this.maxBytes * MEASURE_SHARE) await this.#clear()
    })
  }

  /** What goes wrong with the keeping must not end the reading. */
  async #keeping<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work()
    } catch (error) {
      if (!this.#isFailed)
        notify(`the cache ${this.#folder} cannot be written: ${error instanceof Error ? error.message : error}; reading goes on without it`)
      this.#isFailed = true
      return undefined
    }
  }

  /** Measures the folder, and removes what was used longest ago where it is too large. */
  async #clear(): Promise<void> {
    if (this.#isClearing) return
    this.#isClearing = true
    try {
      const now = Date.now()
      const files: { path: string; size: number; usedMs: number }[] = []
      let bytes = 0
      for (const entry of await entriesIn(this.#folder)) {
        const path = join(entry.parentPath, entry.name)
        const found = entry.isFile() ? await statOf(path) : undefined
        if (!found) continue
        bytes += found.size
        if (entry.name !== 'object.json' && !(entry.name.endsWith('.tmp') && now - found.mtimeMs < ABANDONED_MS))
          files.push({ path, size: found.size, usedMs: entry.name.endsWith('.tmp') ? 0 : found.mtimeMs })
      }
      files.sort((a, b) => a.usedMs - b.usedMs)
      const isTooLarge = bytes > this.maxBytes
      for (const { path, size, usedMs } of files) {
        if (usedMs > 0 && !(isTooLarge && bytes > this.maxBytes * CLEARED_SHARE)) break
        await rm(path, { force: true })
        bytes -= size
      }
      this.#written = 0
    } finally {
      this.#isClearing = false
    }
  }

  #urlFolder(url: string): string {
    return join(this.#folder, hash128(url))
  }

  #objectFolder(url: string, version: string): string {
    return join(this.#urlFolder(url), hash128(version).slice(0, 16))
  }
}

/** A range on its way to disk. */
class Piece {
  bytes = 0
  readonly #folder: string
  readonly #start: number
  readonly #path: string
  readonly #file: number

  private constructor(folder: string, start: number, path: string, file: number) {
    this.#folder = folder
    this.#start = start
    this.#path = path
    this.#file = file
  }

  static async create(folder: string, start: number): Promise<Piece> {
    const path = join(folder, `${start}.${randomBytes(4).toString('hex')}.tmp`)
    return new Piece(folder, start, path, await openFile(path, 'w'))
  }

  async append(chunk: Buffer): Promise<void> {
    try {
      for (let at = 0; at < chunk.length; ) at += (await writeFile(this.#file, chunk, at)).bytesWritten
      this.bytes += chunk.length
    } catch (error) {
      await closeFile(this.#file)
      await rm(this.#path, { force: true })
      throw error
    }
  }

  async publish(): Promise<void> {
    try {
      await syncFile(this.#file)
    } finally {
      await closeFile(this.#file)
    }
    await rename(this.#path, join(this.#folder, `${this.#start}-${this.#start + this.bytes}`))
  }
}

/** Ends early where the file turns out to be gone or damaged: then it is fetched. */
async function* readRange(folder: string, range: Range, start: number, end: number): AsyncGenerator<Buffer> {
  const path = join(folder, `${range.start}-${range.end}`)
  const found = await statOf(path)
  if (found?.size !== range.end - range.start) return await rm(path, { force: true })
  const now = new Date()
  if (now.getTime() - found.mtimeMs > USE_MS) await utimes(path, now, now).catch(() => {})
  try {
    yield* createReadStream(path, { start: start - range.start, end: end - range.start - 1, highWaterMark: READ_BYTES })
  } catch {
    await rm(path, { force: true })
  }
}

async function rangesIn(folder: string): Promise<Range[]> {
  return (await namesIn(folder)).flatMap((name) => {
    const bounds = /^(\d+)-(\d+)$/.exec(basename(name))
    return bounds ? [{ start: Number(bounds[1]), end: Number(bounds[2]) }] : []
  })
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return []
    throw error
  }
}

async function entriesIn(folder: string): Promise<Dirent[]> {
  return await readdir(folder, { recursive: true, withFileTypes: true })
}

async function statOf(path: string): Promise<Stats | undefined> {
  return await stat(path).catch(() => undefined) // another process has removed it
}
