// WACZ (specs.webrecorder.net/wacz) and other ZIP containers that hold archives. Entries are stored, as the specification
// asks, so that their records lie in the container byte for byte; deflated ones are read from their start only.

import type { ByteSource } from '../io/byte-source.ts'
import { inflateEntry, readZipDirectory, type ZipEntry, zipDataOffset } from '../io/zip.ts'
import type { WarcDamage } from './plain-records.ts'
import type { WarcRecord } from './record.ts'

export interface ZipOptions {
  readonly damaged: (damage: WarcDamage) => void
  /** Records that start in [start, end). A deflated entry counts as one place. */
  readonly start: number
  readonly end: number
  /** Reads an archive that is no ZIP container itself. */
  readonly read: (
    part: ByteSource,
    range: readonly [number, number],
    damaged: (damage: WarcDamage) => void,
  ) => Promise<AsyncIterable<WarcRecord>>
}

const ARCHIVE_NAME = /\.(?:warc|arc|wet|wat)(?:\.gz|\.zst|\.lz4)?$/i
/** From its start again, each time a member of a deflated entry is damaged. */
const MAX_INFLATIONS = 20

/** @returns false where the container has no directory: nothing has been read then */
export async function* zipRecords(source: ByteSource, options: ZipOptions): AsyncGenerator<WarcRecord, boolean> {
  const entries = await readZipDirectory(source)
  if (!entries) return false
  const archives = entries.filter(({ name }) => ARCHIVE_NAME.test(name))
  if (archives.length === 0 && options.start === 0)
    options.damaged({ ...whole(source), code: 'SLUICE_WARC_ZIP', message: 'the ZIP container holds no .warc or .arc file' })
  let taken = 0
  for (const entry of archives) {
    const offset = await zipDataOffset(source, entry)
    taken += entry.storedBytes
    const problem = offset === undefined ? 'does not lie in the container' : taken > source.size ? 'overlaps others' : unreadable(entry)
    const isOurs = entry.headOffset >= options.start && entry.headOffset < options.end
    if (problem !== undefined || offset === undefined) {
      const place =
        offset === undefined ? { offset: Math.min(entry.headOffset, source.size - 1), length: 1 } : { offset, length: entry.storedBytes }
      if (isOurs) options.damaged({ ...place, code: 'SLUICE_WARC_ZIP', message: `the entry ${entry.name} ${problem}` })
    } else if (entry.method === 0) yield* storedRecords(source, entry, offset, options)
    else if (offset >= options.start && offset < options.end) yield* deflatedRecords(source, entry, offset, options)
  }
  return true
}

function whole({ size }: ByteSource): { offset: number; length: number } {
  return { offset: 0, length: size }
}

function unreadable({ method, isEncrypted }: ZipEntry): string | undefined {
  if (isEncrypted) return 'is encrypted'
  return method === 0 || method === 8 ? undefined : `is compressed by method ${method}, which is not read`
}

async function* storedRecords(source: ByteSource, entry: ZipEntry, offset: number, options: ZipOptions): AsyncGenerator<WarcRecord> {
  const size = entry.storedBytes
  const part: ByteSource = {
    url: `${source.url}#/${entry.name}`,
    size,
    version: source.version,
    read: (start = 0, end = size) => source.read(offset + start, offset + Math.min(end, size)),
  }
  const range = [Math.max(0, options.start - offset), Math.min(size, options.end - offset)] as const
  if (range[0] >= range[1]) return
  const damaged = (damage: WarcDamage) => options.damaged({ ...damage, offset: offset + damage.offset })
  for await (const record of await options.read(part, range, damaged)) yield { ...record, offset: offset + record.offset }
}

/** As of records that share a gzip member: each has its own offset, and a share of the entry's bytes. */
async function* deflatedRecords(source: ByteSource, entry: ZipEntry, offset: number, options: ZipOptions): AsyncGenerator<WarcRecord> {
  const { storedBytes, contentBytes } = entry
  let inflations = 0,
    reached = 0
  const part: ByteSource = {
    url: `${source.url}#/${entry.name}`,
    size: contentBytes,
    version: source.version,
    async *read(start = 0, end = contentBytes) {
      if (++inflations > MAX_INFLATIONS) return
      let position = 0
      for await (const chunk of inflateEntry(source, entry, offset)) {
        const from = Math.max(0, start - position),
          to = Math.min(chunk.length, end - position)
        position += chunk.length
        reached = Math.max(reached, Math.min(position, contentBytes))
        if (from < to) yield chunk.subarray(from, to)
        if (position >= end) return
      }
    },
  }
  const lost = (code: string, message: string) =>
    options.damaged({ offset, length: storedBytes, code, message: `${message} (in the deflated entry ${entry.name})` })
  let records = 0
  const share = storedBytes / Math.max(1, contentBytes)
  for await (const record of await options.read(part, [0, contentBytes], ({ code, message }) => lost(code, message)))
    yield { ...record, offset: offset + records++, length: Math.round(record.length * share) }
  if (inflations > MAX_INFLATIONS) lost('SLUICE_WARC_ZIP', 'too much of it is damaged to go on without unpacking it')
  else if (reached < contentBytes) lost('SLUICE_WARC_ZIP', `it ends after ${reached} of ${contentBytes} bytes`)
}
