// Reads WARC files: gzip per record (the usual form), plain, and gzip over the whole file. Never fails on bad data: what
// cannot be read is reported with its place, and reading goes on at the next record. A byte range of a file with one
// member a record gives exactly the records that start in it, so that ranges can be read by different workers.

import { constants, crc32, createInflateRaw, inflateRawSync } from 'node:zlib'
import { SluiceError } from '../core/errors.ts'
import { type ByteSource, readBytes } from '../io/byte-source.ts'
import { ByteWindow } from '../io/byte-window.ts'
import { Decoder } from '../io/decoder.ts'
import { GZIP_MAGIC, gzipHeadBytes, hasGzipMagic, inflateMember } from './gzip-member.ts'
import { makeRecord, nextHead, plainRecords, type WarcDamage } from './plain-records.ts'
import { parseWarcHead, startsWithWarc, type WarcRecord } from './record.ts'

/** How records lie in a file. `gzip-shared`: several in one member, so that none but the first can be reached directly. */
export type WarcLayout = 'plain' | 'gzip' | 'gzip-shared'

export interface WarcReadOptions {
  readonly damaged: (damage: WarcDamage) => void
  /** [start, end): records that start in it, whole. A start between records begins with the next. */
  readonly range?: readonly [start: number, end: number]
  /** Larger records are passed over and reported: a few bytes of gzip can hold gigabytes. */
  readonly maxRecordBytes?: number
  /** Told when it is known, at the latest at the end; `gzip-shared` may follow `gzip`. */
  readonly layout?: (layout: WarcLayout) => void
}

type Settled = Required<Omit<WarcReadOptions, 'range'>> & { readonly size: number; readonly end: number }

export const DEFAULT_MAX_RECORD_BYTES = 128 << 20

/** A member up to these sizes is decoded in one call; larger ones as a stream. */
const MEMBER_STORED_BYTES = 1 << 20
const MEMBER_CONTENT_BYTES = 16 << 20
/** Bytes in the window before a member is tried: most end within. */
const LOOK_AHEAD_BYTES = 1 << 18
const STREAM_PIECE_BYTES = 1 << 16
/** What is read behind a range's end along with it: the rest of its last record, mostly. */
const OVERLAP_BYTES = 1 << 20
/** A member with more content than so many of the largest records is given up: nobody wrote that in good faith. */
const GIVE_UP_FACTOR = 16
/** Compressed bytes that a record's first line must come out of. */
const PROBE_BYTES = 2048

/** @throws SluiceError SLUICE_WARC_FORMAT where the file is an archive of another kind */
export async function* readWarc(source: ByteSource, options: WarcReadOptions): AsyncGenerator<WarcRecord> {
  const [start, end] = options.range ?? [0, source.size]
  if (start >= Math.min(end, source.size)) return
  const settled: Settled = {
    damaged: options.damaged,
    layout: options.layout ?? (() => {}),
    maxRecordBytes: options.maxRecordBytes ?? DEFAULT_MAX_RECORD_BYTES,
    size: source.size,
    end,
  }
  const isGzip = await isGzipFile(source, start)
  settled.layout(isGzip ? 'gzip' : 'plain')
  const input = new RestartableInput(source, start, end)
  try {
    if (start > 0) await (isGzip ? nextMember(input.window, 0) : nextHead(input.window, 0))
    yield* isGzip ? gzipRecords(input, settled) : plainRecords(input.window, settled)
  } finally {
    await input.window.close()
  }
}

/** A range's bytes, and what its last record has behind it. */
class RestartableInput {
  readonly source: ByteSource
  window: ByteWindow
  readonly #end: number

  constructor(source: ByteSource, start: number, end: number) {
    this.source = source
    this.#end = end
    this.window = new ByteWindow(rangeThenMore(source, start, end), start)
  }

  /** Goes back: a failed decoder may have eaten into the records behind the one that failed. */
  async restart(offset: number): Promise<void> {
    await this.window.close()
    this.window = new ByteWindow(rangeThenMore(this.source, offset, Math.max(offset, this.#end)), offset)
  }
}

/** In pieces, so that a server is not asked for a whole file of which a range is wanted. */
async function* rangeThenMore(source: ByteSource, start: number, end: number): AsyncGenerator<Buffer> {
  let position = Math.min(end + OVERLAP_BYTES, source.size)
  yield* source.read(start, position)
  for (; position < source.size; position += 4 * OVERLAP_BYTES) yield* source.read(position, position + 4 * OVERLAP_BYTES)
}

/** @param start of the range; behind the file's start its name decides where it can, to save a request */
export async function isGzipFile(source: ByteSource, start = 0): Promise<boolean> {
  if (start > 0 && /\.gz$/i.test(source.url)) return true
  const head = await readBytes(source, 0, 16)
  refuseOtherFormats(head, source.url)
  return hasGzipMagic(head) || (/\.gz$/i.test(source.url) && !startsWithWarc(head))
}

function refuseOtherFormats(head: Buffer, url: string): void {
  const magic = head.length >= 4 ? head.readUInt32LE(0) : 0
  const refuse = (what: string, fix: string) => {
    throw new SluiceError('SLUICE_WARC_FORMAT', `this is ${what}, not a WARC file`, { where: { source: url }, fix })
  }
  if (magic === 0x04034b50) refuse('a ZIP container (WACZ)', 'unpack it and read the files in its archive folder')
  if (magic === 0x184d2204) refuse('lz4-compressed, which cannot be read yet', 'recompress it: lz4 -d FILE, then gzip')
  if (magic === 0xfd2fb528) refuse('zstd-compressed, which cannot be read yet', 'decompress it: zstd -d FILE')
  if (head.toString('latin1', 0, 11) === 'filedesc://')
    refuse('an ARC file, which cannot be read yet', 'convert it: warcio recompress FILE.arc FILE.warc.gz')
}

// ---- gzip ----

async function* gzipRecords(input: RestartableInput, options: Settled): AsyncGenerator<WarcRecord> {
  for (;;) {
    const { window } = input
    if (window.buffer.length < LOOK_AHEAD_BYTES && !window.isEnded) await window.fill(MEMBER_STORED_BYTES)
    if (window.buffer.length === 0) return
    const isOurs = window.offset < options.end
    if (isOurs ? !hasGzipMagic(window.buffer) : !isMemberStart(window.buffer)) {
      await reportGarbage(window, options)
      continue
    }
    if (!isOurs) return
    const offset = window.offset
    let member = inflateMember(window.buffer, MEMBER_CONTENT_BYTES)
    if (member === 'partial' && window.buffer.length < MEMBER_STORED_BYTES && (await window.fill(MEMBER_STORED_BYTES)))
      member = inflateMember(window.buffer, MEMBER_CONTENT_BYTES)
    if (typeof member === 'string') {
      yield* memberAsStream(input, options)
      continue
    }
    if (offset === 0) refuseOtherFormats(member.content, input.source.url)
    const { content, storedBytes } = member
    window.advance(storedBytes)
    const record = onlyRecord(content, offset, storedBytes)
    if (record) yield record
    else yield* recordsOf(new ByteWindow(once(content)), offset, () => ({ storedBytes }), options)
  }
}

/** The record of a member that holds one and nothing else, which is nearly every member. */
function onlyRecord(content: Buffer, offset: number, storedBytes: number): WarcRecord | undefined {
  const head = parseWarcHead(content)
  if (typeof head === 'string' || Number.isNaN(head.contentBytes)) return undefined
  const end = head.headBytes + head.contentBytes
  if (content.length < end || content.length > end + 8) return undefined
  for (let index = end; index < content.length; index++) if (content[index] !== 13 && content[index] !== 10) return undefined
  return makeRecord(head, content, offset, storedBytes)
}

async function* once(content: Buffer): AsyncGenerator<Buffer> {
  yield content
}

interface MemberEnd {
  readonly storedBytes: number
  /** Why the member's content is not all there, or not what was written. */
  readonly failure?: { readonly code: string; readonly message: string }
}

/**
 * Records of one member's content. What is wrong in a member with one record or none concerns the whole member.
 *
 * @param end asked for when the content has been read
 */
async function* recordsOf(raw: ByteWindow, offset: number, end: () => MemberEnd, options: Settled): AsyncGenerator<WarcRecord> {
  const damages: WarcDamage[] = []
  let held: WarcRecord | undefined
  let isShared = false
  const { maxRecordBytes } = options
  for await (const record of plainRecords(raw, {
    end: Number.POSITIVE_INFINITY,
    size: Number.POSITIVE_INFINITY,
    maxRecordBytes,
    damaged: (damage) => damages.push(damage),
  })) {
    if (held) {
      if (!isShared) options.layout('gzip-shared')
      isShared = true
      yield { ...held, offset: offset + held.offset }
    }
    held = record
  }
  const { storedBytes, failure } = end()
  const isAlone = !isShared && damages.length === 0
  // The content of a failed member is not to be trusted; of a shared one, records have gone out already.
  if (held && (!failure || isShared)) yield isAlone ? { ...held, offset, length: storedBytes } : { ...held, offset: offset + held.offset }
  if (failure || damages.length === 0) return // the caller reports a failure, over all of the member
  if (held) for (const damage of damages) options.damaged({ ...damage, offset: offset + damage.offset })
  else options.damaged({ ...damages[0], offset, length: storedBytes })
}

/** A member that is large, cut short or corrupt: what comes out of it before it fails is still read. */
async function* memberAsStream(input: RestartableInput, options: Settled): AsyncGenerator<WarcRecord> {
  const { window } = input
  const { offset } = window
  const member = new MemberStream(window, options.maxRecordBytes * GIVE_UP_FACTOR)
  let records = 0
  for await (const record of recordsOf(new ByteWindow(member.content()), offset, () => member, options)) {
    records++
    yield record
  }
  if (!member.failure) return
  const { code, message } = member.failure
  await input.restart(offset + 1)
  await nextMember(input.window, 0)
  const read = records === 0 ? '' : `; ${records} records were read from it before`
  options.damaged({ offset, length: input.window.offset - offset, code, message: message + read })
}

class MemberStream implements MemberEnd {
  failure: MemberEnd['failure']
  readonly #window: ByteWindow
  readonly #start: number
  readonly #maxBytes: number

  constructor(window: ByteWindow, maxBytes: number) {
    this.#window = window
    this.#start = window.offset
    this.#maxBytes = maxBytes
  }

  get storedBytes(): number {
    return this.#window.offset - this.#start
  }

  async *content(): AsyncGenerator<Buffer> {
    const window = this.#window
    const headBytes = await this.#headBytes()
    if (headBytes === -1) return this.#fail('SLUICE_WARC_TRUNCATED', 'the gzip header is cut short')
    window.advance(headBytes)
    const decoder = new Decoder(createInflateRaw({ chunkSize: STREAM_PIECE_BYTES }))
    let checksum = 0,
      bytes = 0
    try {
      while (!decoder.isDone) {
        const before = decoder.taken
        const hasInput = window.buffer.length > 0 || (await window.grow())
        const chunks = hasInput ? await decoder.push(window.buffer.subarray(0, STREAM_PIECE_BYTES)) : await decoder.finish()
        for (const chunk of chunks) {
          checksum = crc32(chunk, checksum)
          bytes += chunk.length
          yield chunk
        }
        if (decoder.error) return this.#fail(...failureOf(decoder.error))
        if (bytes > this.#maxBytes)
          return this.#fail('SLUICE_WARC_RECORD_TOO_LARGE', `the gzip member holds more than ${this.#maxBytes} bytes`)
        window.advance(decoder.taken - before)
        if (!hasInput) break
      }
    } finally {
      decoder.close()
    }
    if (!(await window.fill(8))) return this.#fail('SLUICE_WARC_TRUNCATED', 'the end of the gzip member is cut off')
    const isGood = checksum === window.buffer.readUInt32LE(0) && bytes % 2 ** 32 === window.buffer.readUInt32LE(4)
    if (!isGood) return this.#fail('SLUICE_WARC_CHECKSUM', 'the content does not match the checksum of its gzip member')
    window.advance(8)
  }

  async #headBytes(): Promise<number> {
    let headBytes = gzipHeadBytes(this.#window.buffer)
    while (headBytes === -1 && this.#window.buffer.length < MEMBER_STORED_BYTES && (await this.#window.grow()))
      headBytes = gzipHeadBytes(this.#window.buffer)
    return headBytes
  }

  #fail(code: string, message: string): void {
    this.failure = { code, message }
  }
}

function failureOf(error: Error): [code: string, message: string] {
  if ('code' in error && error.code === 'Z_BUF_ERROR') return ['SLUICE_WARC_TRUNCATED', 'the file ends within a gzip member']
  return ['SLUICE_WARC_GZIP', `the gzip member is corrupt: ${error.message}`]
}

async function reportGarbage(window: ByteWindow, { damaged }: Settled): Promise<void> {
  const { offset } = window
  await nextMember(window, 1)
  damaged({ offset, length: window.offset - offset, code: 'SLUICE_WARC_GARBAGE', message: 'no gzip member with a WARC record begins here' })
}

/** Moves to the next member that holds a WARC record, at `from` or behind, or to the end. */
async function nextMember(window: ByteWindow, from: number): Promise<void> {
  let position = from
  for (;;) {
    const at = window.buffer.indexOf(GZIP_MAGIC, position)
    if (at !== -1 && (window.isEnded || window.buffer.length - at >= LOOK_AHEAD_BYTES)) {
      if (isMemberStart(window.buffer, at)) return window.advance(at)
      position = at + 1
      continue
    }
    window.advance(at === -1 ? Math.max(0, window.buffer.length - 2) : at)
    position = 0
    if (window.isEnded) return window.advance(window.buffer.length)
    await window.fill(LOOK_AHEAD_BYTES)
  }
}

/**
 * Whether a member begins here whose content begins like a WARC record: proven by decoding its first bytes. The one thing
 * that it takes for a record and is none: a .warc.gz that was itself crawled, where a range begins within it.
 */
function isMemberStart(bytes: Buffer, start = 0): boolean {
  if (!hasGzipMagic(bytes, start)) return false
  const headBytes = gzipHeadBytes(bytes, start)
  if (headBytes === -1) return false
  const body = start + headBytes
  try {
    return startsWithWarc(inflateRawSync(bytes.subarray(body, body + PROBE_BYTES), { finishFlush: constants.Z_SYNC_FLUSH }))
  } catch {
    return false // no deflate data: one of the many places that look like a gzip header
  }
}
