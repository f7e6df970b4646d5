// Reads web archives: WARC and ARC, plain, gzip, zstd or lz4 per record or over the whole file, and WACZ. Never fails on
// bad data: what cannot be read is reported with its place, and reading goes on at the next record. A byte range of a file
// with one member a record gives exactly the records that start in it, so that ranges can be read by different workers.

import { SluiceError } from '../core/errors.ts'
import { type ByteSource, readBytes } from '../io/byte-source.ts'
import { libdeflate } from '../io/libdeflate.ts'
import { hasZstdMagic, isSkippable } from '../io/zstd-format.ts'
import { nextMember } from './find-member.ts'
import { gzipMembers, hasGzipMagic } from './gzip-member.ts'
import { hasLz4Magic, lz4Frames } from './lz4-frame.ts'
import type { MemberFormat } from './member.ts'
import { memberRecords, recordFormatOf } from './members.ts'
import { nextHead, plainRecords, type WarcDamage } from './plain-records.ts'
import { type WarcRecord, warcRecords } from './record.ts'
import { RestartableInput } from './restartable-input.ts'
import { zipRecords } from './wacz.ts'
import { readDictionary, zstdFrames } from './zstd-frame.ts'

/**
 * How records lie in a file. With `-shared`, several in one member, so that none but the first can be reached directly.
 * `zip`: as in the archives that the container holds.
 */
export type WarcLayout = 'plain' | 'zip' | `${MemberFormat['name']}${'' | '-shared'}`

export interface WarcReadOptions {
  readonly damaged: (damage: WarcDamage) => void
  /** [start, end): records that start in it, whole. A start between records begins with the next. */
  readonly range?: readonly [start: number, end: number]
  /** Larger records are passed over and reported: a few bytes of gzip can hold gigabytes. */
  readonly maxRecordBytes?: number
  /** Told when it is known, at the latest at the end; `gzip-shared` may follow `gzip`. */
  readonly layout?: (layout: WarcLayout) => void
}

type Settled = Required<WarcReadOptions>

export const DEFAULT_MAX_RECORD_BYTES = 128 << 20

/** What archives are called. */
export const ARCHIVE_EXTENSIONS: readonly string[] = [
  ...['.warc', '.arc'].flatMap((kind) => ['', '.gz', '.zst', '.lz4'].map((compression) => kind + compression)),
  '.wacz',
]

/**
 * @throws SluiceError SLUICE_WARC_FORMAT where the file is compressed in a way that is not read, SLUICE_WARC_DICTIONARY
 * where the dictionary of a .warc.zst cannot be read
 */
export async function* readWarc(source: ByteSource, options: WarcReadOptions): AsyncGenerator<WarcRecord> {
  const [start, end] = options.range ?? [0, source.size]
  if (start >= Math.min(end, source.size)) return
  const settled: Settled = {
    damaged: options.damaged,
    range: [start, end],
    layout: options.layout ?? (() => {}),
    maxRecordBytes: options.maxRecordBytes ?? DEFAULT_MAX_RECORD_BYTES,
  }
  const container = await containerOf(source, start)
  if (container !== 'zip') return yield* await archiveRecords(source, container, settled)
  settled.layout('zip')
  const read = async (part: ByteSource, range: readonly [number, number], damaged: Settled['damaged']) => {
    const inner = await containerOf(part, range[0])
    return await archiveRecords(part, inner === 'zip' ? 'plain' : inner, { ...settled, layout: () => {}, range, damaged })
  }
  if (yield* zipRecords(source, { start, end, damaged: options.damaged, read })) return
  if (end >= source.size) {
    const offset = Math.max(0, source.size - ZIP_END_BYTES)
    const message = 'the directory at the end of the ZIP container is missing: only gzip members in it can be found'
    options.damaged({ offset, length: source.size - offset, code: 'SLUICE_WARC_ZIP', message })
  }
  yield* await archiveRecords(source, gzipMembers(libdeflate()), settled)
}

/** A function that gives a generator, not one that goes on in another: each of those costs a record three promises. */
async function archiveRecords(
  source: ByteSource,
  container: 'plain' | MemberFormat,
  options: Settled,
): Promise<AsyncGenerator<WarcRecord>> {
  const { damaged, maxRecordBytes, layout } = options
  const [start, end] = options.range
  if (container === 'plain') {
    const input = new RestartableInput(source, start, end)
    layout('plain')
    const format = recordFormatOf(await readBytes(source, 0, HEAD_BYTES))
    if (start > 0) await nextHead(input.window, 0, format)
    return plainRecords(input.window, { format, damaged, maxRecordBytes, size: source.size, end })
  }
  layout(container.name)
  const first = start > 0 ? Math.max(start, container.firstOffset ?? 0) : 0
  const input = new RestartableInput(source, first, Math.max(first, end))
  if (start > 0) await nextMember(input.window, 0, container)
  return memberRecords(input, container, {
    damaged,
    maxRecordBytes,
    size: source.size,
    end,
    shared: () => layout(`${container.name}-shared`),
  })
}

/** Where a ZIP directory's place would stand. */
const ZIP_END_BYTES = 22
/** The first line of an ARC file lies in so many. */
const HEAD_BYTES = 1 << 12

/** Whether ranges of a file can be read without what lies before them. */
export async function isSplittable(source: ByteSource): Promise<boolean> {
  return (await containerOf(source)) !== 'plain'
}

/** @param start of the range; behind the file's start its name decides where it can, to save a request */
async function containerOf(source: ByteSource, start = 0): Promise<'plain' | 'zip' | MemberFormat> {
  if (start > 0 && /\.gz$/i.test(source.url)) return gzipMembers(libdeflate())
  const head = await readBytes(source, 0, 16)
  refuseOtherFormats(head, source.url)
  if (head.length >= 4 && head.readUInt32LE(0) === 0x04034b50) return 'zip'
  const extension = /\.(?:gz|zst|lz4)$/i.exec(source.url)?.[0].toLowerCase()
  const isPlain = warcRecords.startsAt(head) || head.toString('latin1', 0, 11) === 'filedesc://'
  const is = (hasMagic: boolean, name: string) => hasMagic || (extension === name && !isPlain) // a damaged start
  if (is(hasGzipMagic(head), '.gz')) return gzipMembers(libdeflate())
  if (is(hasLz4Magic(head), '.lz4')) return lz4Frames
  if (is(hasZstdMagic(head) || isSkippable(head), '.zst')) return zstdFrames(await readDictionary(source))
  return 'plain'
}

function refuseOtherFormats(head: Buffer, url: string): void {
  const refuse = (what: string, tool: string) => {
    throw new SluiceError('SLUICE_WARC_FORMAT', `the file is compressed by ${what}, which is not read`, {
      where: { source: url },
      fix: `decompress it (${tool} -d FILE); gzip, zstd and lz4 are read as they are`,
    })
  }
  if (head.toString('latin1', 0, 6) === '\u00fd7zXZ\0') refuse('xz', 'xz')
  if (/^BZh[1-9]1AY/.test(head.toString('latin1', 0, 7))) refuse('bzip2', 'bzip2')
}
