// Block lists from files: read once a process and shared by its threads; what takes long to build is kept on disk, under the
// digest of what it was built from, so that the next run reads it as it is.

import { existsSync, globSync } from 'node:fs'
import { open, readdir, rm, stat, utimes } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { createXXHash128 } from 'hash-wasm'
import { SluiceError, systemCode } from '../core/errors.ts'
import { hash128 } from '../core/identity.ts'
import { shareAcrossThreads } from '../core/share.ts'
import { decompress, type StreamDamage } from '../io/decompress.ts'
import { makeFolder } from '../io/make-folder.ts'
import { openBytes } from '../io/open-bytes.ts'
import { writeWhole } from '../io/write-whole.ts'
import { strip } from '../text/characters.ts'
import { listVersion } from '../text/lists.ts'
import { BLOCK_LIST_VERSION, type BlockList, BlockListBuilder, openBlockList, type Place } from './block-list.ts'

/** One list of several that are looked through together. */
export interface ListSource {
  /** For people: a path, or the name of an option. */
  readonly name: string
  readonly lines: readonly string[] | { readonly file: string }
}

/** `exact`: as written, blanks at the ends off. `word`: only ASCII letters and digits, in lower case. */
export type EntryForm = 'exact' | 'word'

/** What is smaller is built as fast as it is read back. */
const CACHED_FROM_BYTES = 4 << 20
const FORGOTTEN_AFTER_MS = 30 * 86400_000

/**
 * The files that a path, or a pattern with *, ** and {a,b}, stands for, sorted.
 *
 * @throws SluiceError `SLUICE_LIST_UNREADABLE` where there is none
 */
export function listFiles(name: string): string[] {
  const found = existsSync(name) ? [name] : globSync(name).sort()
  if (found.length > 0) return found
  throw new SluiceError('SLUICE_LIST_UNREADABLE', `there is no list ${name}`, {
    where: { file: name },
    fix: 'give the path of a text file with one entry a line, gzip or zstd or plain, or a pattern such as lists/*.gz',
  })
}

const marks = /[^a-zA-Z0-9]+/g

/** Only ASCII letters and digits, in lower case. */
export function withoutMarks(text: string): string {
  return text.replace(marks, '').toLowerCase()
}

const normalizers = { exact: strip, word: withoutMarks }
const loading = new Map<string, Promise<BlockList>>()

/** Lines that begin with #, or of which the form leaves nothing, are no entries. Lists count from `firstList`. */
export function loadBlockList(sources: readonly ListSource[], form: EntryForm, firstList = 1): Promise<BlockList> {
  const files = sources.flatMap(({ lines }) => ('file' in lines ? [resolve(lines.file), listVersion(lines)] : []))
  if (files.length === 0) return build(sources, form, firstList)
  const inline = sources.map(({ lines }) => ('file' in lines ? null : lines))
  const key = `sluice-list-${hash128(JSON.stringify([form, firstList, files, inline]))}`
  const known = loading.get(key)
  if (known !== undefined) return known
  const made = shareAcrossThreads(key, async () => ({ buffer: (await cachedOrBuilt(sources, form, firstList)).buffer }), isShared)
  const list = made.then(({ buffer }) => openBlockList(buffer) ?? build(sources, form, firstList))
  loading.set(key, list)
  list.catch(() => loading.delete(key)) // a file that is mended in the meantime is read again
  return list
}

function isShared(value: unknown): value is { buffer: SharedArrayBuffer } {
  return typeof value === 'object' && value !== null && 'buffer' in value && value.buffer instanceof SharedArrayBuffer
}

async function build(sources: readonly ListSource[], form: EntryForm, firstList: number): Promise<BlockList> {
  const builder = new BlockListBuilder()
  const normalize = normalizers[form]
  for await (const { text, place } of listEntries(sources, firstList)) {
    const entry = normalize(text)
    if (entry !== '') builder.add(entry, place) // it would meet every address without a registered domain, or with a mark at its end
  }
  return builder.finish()
}

/** Entries as written, with their places. */
export async function* listEntries(sources: readonly ListSource[], firstList: number): AsyncGenerator<{ text: string; place: Place }> {
  for (const [index, { lines }] of sources.entries()) {
    let line = 0
    for await (const block of 'file' in lines ? readLines(lines.file) : [lines]) {
      for (const text of block) {
        line++
        if (text !== '' && !text.startsWith('#')) yield { text, place: { list: firstList + index, line } }
      }
    }
  }
}

async function* readLines(file: string): AsyncGenerator<readonly string[]> {
  const decoder = new TextDecoder()
  let damage: StreamDamage | undefined
  let rest = ''
  for await (const { chunk } of decompress(await openBytes(pathToFileURL(resolve(file)).href), (found) => (damage = found))) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split(/\r?\n/)
    rest = lines.pop() ?? ''
    yield lines
  }
  if (damage)
    throw new SluiceError('SLUICE_LIST_UNREADABLE', `the list ${file} is damaged: ${damage.message}`, {
      where: { file, offset: damage.offset },
      fix: 'fetch it again: half a block list would let through what it should drop',
    })
  yield [rest + decoder.decode()]
}

// ---- on disk ----

async function cachedOrBuilt(sources: readonly ListSource[], form: EntryForm, firstList: number): Promise<BlockList> {
  const sizes = await Promise.all(sources.map(async ({ lines }) => ('file' in lines ? (await stat(lines.file)).size : 0)))
  if (sizes.reduce((sum, size) => sum + size, 0) < CACHED_FROM_BYTES) return await build(sources, form, firstList)
  const file = join(cacheFolder(), `${await digest(sources, form, firstList)}.list`)
  const cached = await readCached(file)
  if (cached) return cached
  const versions = versionsOf(sources)
  const list = await build(sources, form, firstList)
  if (versionsOf(sources) === versions) await keep(file, list) // else the digest may be of other bytes
  return list
}

function versionsOf(sources: readonly ListSource[]): string {
  return sources.map(({ lines }) => listVersion(lines)).join()
}

/** `$XDG_CACHE_HOME/sluice/block-lists`, by default below `~/.cache`. */
function cacheFolder(): string {
  const base = process.env.XDG_CACHE_HOME
  return join(base === undefined || base === '' ? join(homedir(), '.cache') : base, 'sluice', 'block-lists')
}

async function digest(sources: readonly ListSource[], form: EntryForm, firstList: number): Promise<string> {
  const hasher = await createXXHash128()
  hasher.init().update(JSON.stringify([BLOCK_LIST_VERSION, form, firstList]))
  for (const { lines } of sources) {
    if (!('file' in lines)) {
      hasher.update(JSON.stringify(lines))
      continue
    }
    const source = await openBytes(pathToFileURL(resolve(lines.file)).href)
    hasher.update(`\n${source.size}\n`)
    for await (const chunk of source.read()) hasher.update(chunk)
  }
  return hasher.digest('hex')
}

/** The list and behind it the xxh3-128 of its bytes. */
async function readCached(file: string): Promise<BlockList | undefined> {
  try {
    await using handle = await open(file)
    const { size } = await handle.stat()
    const buffer = new SharedArrayBuffer(Math.max(0, size - 16))
    const bytes = new Uint8Array(buffer)
    for (let at = 0; at < bytes.length; ) {
      const { bytesRead } = await handle.read(bytes, at, Math.min(1 << 26, bytes.length - at), at)
      if (bytesRead === 0) return undefined // cut off in the meantime
      at += bytesRead
    }
    const { buffer: expected } = await handle.read(Buffer.alloc(16), 0, 16, bytes.length)
    if (!Buffer.from(await checksum(bytes), 'hex').equals(expected)) return undefined // torn: it is built again
    await utimes(file, new Date(), new Date())
    return openBlockList(buffer)
  } catch (error) {
    if (systemCode(error) === undefined) throw error
    return undefined // not there, or not to be read
  }
}

async function checksum(bytes: Uint8Array): Promise<string> {
  const hasher = await createXXHash128()
  hasher.init()
  for (let at = 0; at < bytes.length; at += 1 << 24) hasher.update(bytes.subarray(at, at + (1 << 24)))
  return hasher.digest('hex')
}

/** Keeps it for later runs where it can, and forgets what none has used for a month. */
async function keep(file: string, { buffer }: BlockList): Promise<void> {
  const folder = cacheFolder()
  const bytes = new Uint8Array(buffer)
  try {
    await makeFolder(folder)
    await writeWhole(file, [bytes, Buffer.from(await checksum(bytes), 'hex')])
    for (const name of await readdir(folder)) {
      const path = join(folder, name)
      if (Date.now() - (await stat(path)).mtimeMs > FORGOTTEN_AFTER_MS) await rm(path, { force: true })
    }
  } catch (error) {
    if (systemCode(error) === undefined && !(error instanceof SluiceError)) throw error // a disk that is full: the next run builds it
  }
}
