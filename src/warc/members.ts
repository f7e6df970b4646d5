// Records of archives that are made of members: gzip members, zstd or lz4 frames. Mostly a member is a record; a member
// may also hold many, and a record may go on in the members behind. Behind damage reading goes on at the next member
// whose content begins like a record.

import { setImmediate } from 'node:timers/promises'
import type { ByteSource } from '../io/byte-source.ts'
import { ByteWindow } from '../io/byte-window.ts'
import { arcRecords } from './arc.ts'
import type { Member, MemberFailure, MemberFormat } from './member.ts'
import { makeRecord, plainRecords, type WarcDamage } from './plain-records.ts'
import { type RecordFormat, type WarcRecord, warcRecords } from './record.ts'

export interface MemberOptions {
  readonly damaged: (damage: WarcDamage) => void
  /** Records that start there or behind are another reader's. */
  readonly end: number
  readonly maxRecordBytes: number
  /** Of the file. */
  readonly size: number
  /** Told when records share a member. */
  readonly shared: () => void
}

/** A member up to these sizes is decoded in one call; larger ones as a stream. */
const MEMBER_STORED_BYTES = 1 << 20
const MEMBER_CONTENT_BYTES = 16 << 20
/** Read at once, where so much of a range is left: what stays in the window is copied each time. */
const READ_BYTES = 4 << 20
/** Bytes behind a place that may be a member's start before it is tried. */
const LOOK_AHEAD_BYTES = 1 << 18
/** Places that are tried in one go: a decoder that has failed lets its memory go only when the thread comes to rest. */
const TRIES_AT_ONCE = 256
/** What is read behind a range's end along with it: the rest of its last record, mostly. */
const OVERLAP_BYTES = 1 << 20
/** Content of so many of the largest records without a record in it is given up: nobody wrote that in good faith. */
const GIVE_UP_FACTOR = 16

/** Content of failed members that is decoded again for those that begin within them: so much, and so many times what was read. */
const WASTE_BYTES = 256 << 20
const WASTE_FACTOR = 100

/** A range's bytes, and what its last record has behind it. */
export class RestartableInput {
  window: ByteWindow
  readonly #source: ByteSource
  readonly #start: number
  readonly #end: number
  #wastedBytes = 0

  constructor(source: ByteSource, start: number, end: number) {
    this.#source = source
    this.#start = start
    this.#end = end
    this.window = new ByteWindow(rangeThenMore(source, start, end), start)
  }

  /**
   * Goes back behind the first byte of a member that failed: its decoder may have eaten into the records behind. Where that
   * has cost too much already, it stays where it is: members that are nested in one another would be decoded for ever.
   *
   * @param contentBytes what came out of the member
   */
  async retry(failed: number, contentBytes: number): Promise<void> {
    this.#wastedBytes += contentBytes
    const affordedBytes = WASTE_BYTES + WASTE_FACTOR * (failed - this.#start)
    await this.#restart(this.#wastedBytes <= affordedBytes ? failed + 1 : Math.max(failed + 1, this.window.offset))
  }

  async #restart(offset: number): Promise<void> {
    await this.window.close()
    this.window = new ByteWindow(rangeThenMore(this.#source, offset, Math.max(offset, this.#end)), offset)
  }
}

/** In pieces, so that a server is not asked for a whole file of which a range is wanted. */
async function* rangeThenMore(source: ByteSource, start: number, end: number): AsyncGenerator<Buffer> {
  let position = Math.min(end + OVERLAP_BYTES, source.size)
  yield* source.read(start, position)
  for (; position < source.size; position += 4 * OVERLAP_BYTES) yield* source.read(position, position + 4 * OVERLAP_BYTES)
}

/** WARC, unless bytes begin as an ARC file or one of its records does. */
export function recordFormatOf(bytes: Buffer): RecordFormat {
  return !warcRecords.startsAt(bytes) && arcRecords.startsAt(bytes) ? arcRecords : warcRecords
}

function startsRecord(content: Buffer): boolean {
  return warcRecords.startsAt(content) || arcRecords.startsAt(content)
}

/** Closes the input at the end. */
export async function* memberRecords(input: RestartableInput, format: MemberFormat, options: MemberOptions): AsyncGenerator<WarcRecord> {
  try {
    while (isAtMember(input.window, format, options) || (await findMember(input.window, format, options))) {
      const { window } = input
      const member = format.decode(window.buffer, MEMBER_CONTENT_BYTES)
      const record = typeof member === 'string' ? undefined : onlyRecord(member, window.offset)
      if (record) {
        window.advance(record.length)
        yield record
      } else yield* recordsOfRun(input, format, typeof member === 'string' ? undefined : member, options)
    }
  } finally {
    await input.window.close()
  }
}

/** What `findMember` says of nearly every place, without a promise. */
function isAtMember({ buffer, offset }: ByteWindow, format: MemberFormat, { end }: MemberOptions): boolean {
  return buffer.length >= MEMBER_STORED_BYTES && offset < end && format.mayBegin(buffer, 0)
}

/** Moves to the next member that is ours, reporting what is none; false where there is no more. */
async function findMember(window: ByteWindow, format: MemberFormat, options: MemberOptions): Promise<boolean> {
  for (;;) {
    await skipSkippable(window, format, options.size)
    if (window.buffer.length < MEMBER_STORED_BYTES && !window.isEnded)
      await window.fill(Math.max(MEMBER_STORED_BYTES, Math.min(READ_BYTES, options.end - window.offset)))
    if (window.buffer.length === 0) return false
    const isOurs = window.offset < options.end
    if (isOurs ? format.mayBegin(window.buffer, 0) : isMemberStart(window.buffer, 0, format)) return isOurs
    await reportGarbage(window, format, options)
  }
}

/** The record of a member that holds one and nothing else, which is nearly every member. */
function onlyRecord({ content, storedBytes }: Member, offset: number): WarcRecord | undefined {
  const head = recordFormatOf(content).parseHead(content)
  if (typeof head === 'string' || Number.isNaN(head.contentBytes)) return undefined
  const end = head.headBytes + head.contentBytes
  if (content.length < end || content.length > end + 8) return undefined
  for (let index = end; index < content.length; index++) if (content[index] !== 13 && content[index] !== 10) return undefined
  return makeRecord(head, content, offset, storedBytes)
}

/**
 * Records of a member that is large, shared, damaged, or does not end where its record does. What comes out of it before
 * it fails is still read. What is wrong in a member with one record or none concerns the whole member.
 */
async function* recordsOfRun(
  input: RestartableInput,
  format: MemberFormat,
  first: Member | undefined,
  options: MemberOptions,
): AsyncGenerator<WarcRecord> {
  const { offset } = input.window
  const run = new MemberRun(input.window, format, options)
  const raw = new ByteWindow(run.content(first))
  await raw.fill(1)
  const damages: WarcDamage[] = []
  let held: WarcRecord | undefined
  let records = 0,
    told = 0
  /** Each has its own offset, and what was read since the one before as its length. */
  const shared = (record: WarcRecord): WarcRecord => {
    const length = run.storedBytes - told
    told += length
    return { ...record, offset: offset + records++, length }
  }
  for await (const record of plainRecords(raw, {
    format: recordFormatOf(raw.buffer),
    end: Number.POSITIVE_INFINITY,
    size: Number.POSITIVE_INFINITY,
    maxRecordBytes: options.maxRecordBytes,
    damaged: (damage) => damages.push(damage),
  })) {
    run.foundRecord()
    if (held) {
      if (records === 0) options.shared()
      yield shared(held)
    }
    held = record
  }
  const { storedBytes, failure } = run
  const isAlone = records === 0 && damages.length === 0
  // The content of a failed member is not to be trusted; of a shared one, records have gone out already.
  if (held && (!failure || records > 0)) yield isAlone ? { ...held, offset, length: storedBytes } : shared(held)
  if (failure) {
    await input.retry(offset, run.contentBytes)
    await nextMember(input.window, 0, format)
    const read = records === 0 ? '' : `; ${records} records were read from it before`
    options.damaged({ offset, length: input.window.offset - offset, code: failure.code, message: failure.message + read })
  } else if (damages.length > 0 && !held) options.damaged({ ...damages[0], offset, length: storedBytes })
  else
    for (const { code, message, offset: start, length } of damages)
      options.damaged({
        offset,
        length: storedBytes,
        code,
        message: `${message} (bytes ${start}–${start + length} of what is compressed there)`,
      })
}

/** The content of a member, and of those behind it for as long as they do not begin with a record. */
class MemberRun {
  failure: { readonly code: string; readonly message: string } | undefined
  contentBytes = 0
  readonly #window: ByteWindow
  readonly #format: MemberFormat
  readonly #start: number
  readonly #maxBytes: number
  readonly #size: number
  /** Content since the last record. */
  #bytes = 0

  constructor(window: ByteWindow, format: MemberFormat, { maxRecordBytes, size }: MemberOptions) {
    this.#window = window
    this.#format = format
    this.#start = window.offset
    this.#maxBytes = maxRecordBytes * GIVE_UP_FACTOR
    this.#size = size
  }

  /** Of the members, as far as they have been read. */
  get storedBytes(): number {
    return this.#window.offset - this.#start
  }

  foundRecord(): void {
    this.#bytes = 0
  }

  /** @param first the first member, where it has been decoded already */
  async *content(first: Member | undefined): AsyncGenerator<Buffer> {
    yield* this.#member(first)
    while (!this.failure && (await this.#goesOn())) {
      const next = this.#format.decode(this.#window.buffer, MEMBER_CONTENT_BYTES)
      yield* this.#member(typeof next === 'string' ? undefined : next)
    }
  }

  /** @param decoded the member, where it could be decoded in one call: a stream for each of many small ones takes much memory */
  async *#member(decoded: Member | undefined): AsyncGenerator<Buffer> {
    if (decoded) this.#window.advance(decoded.storedBytes)
    for await (const chunk of decoded ? [decoded.content] : this.#format.stream(this.#window, (failure) => this.#fail(failure))) {
      this.#bytes += chunk.length
      this.contentBytes += chunk.length
      yield chunk
      if (this.#bytes <= this.#maxBytes) continue
      this.failure = {
        code: 'SLUICE_WARC_RECORD_TOO_LARGE',
        message: `the ${this.#noun} holds more than ${this.#maxBytes} bytes of one record`,
      }
      return
    }
  }

  async #goesOn(): Promise<boolean> {
    await skipSkippable(this.#window, this.#format, this.#size)
    await this.#window.fill(LOOK_AHEAD_BYTES)
    const { buffer } = this.#window
    if (!this.#format.mayBegin(buffer, 0)) return false
    const content = this.#format.peek(buffer, 0)
    return content.length > 0 && !startsRecord(content)
  }

  get #noun(): string {
    return this.#format.name === 'gzip' ? 'gzip member' : `${this.#format.name} frame`
  }

  #fail({ kind, detail }: MemberFailure): void {
    const noun = this.#noun
    if (kind === 'truncated') this.failure = { code: 'SLUICE_WARC_TRUNCATED', message: `the file ends within a ${noun}` }
    else if (kind === 'checksum')
      this.failure = { code: 'SLUICE_WARC_CHECKSUM', message: `the content does not match the checksum of its ${noun}` }
    else this.failure = { code: this.#format.code, message: `the ${noun} is corrupt${detail === undefined ? '' : `: ${detail}`}` }
  }
}

/** Skippable frames carry no content: seek tables, dictionaries. One that ends behind the file is damage, not to be followed. */
async function skipSkippable(window: ByteWindow, { skippableBytes }: MemberFormat, size: number): Promise<void> {
  if (!skippableBytes) return
  for (;;) {
    await window.fill(8)
    const bytes = skippableBytes(window.buffer)
    if (bytes === 0 || window.offset + bytes > size) return
    await window.skip(bytes)
  }
}

async function reportGarbage(window: ByteWindow, format: MemberFormat, { damaged }: MemberOptions): Promise<void> {
  const { offset } = window
  await nextMember(window, 1, format)
  const message = `no ${format.name} data with a record begin here`
  damaged({ offset, length: window.offset - offset, code: 'SLUICE_WARC_GARBAGE', message })
}

/** Moves to the next member that holds a record, at `from` or behind, or to the end. */
export async function nextMember(window: ByteWindow, from: number, format: MemberFormat): Promise<void> {
  let position = from
  for (let tries = 0; ; ) {
    const at = window.buffer.indexOf(format.magic, position)
    if (at !== -1 && (window.isEnded || window.buffer.length - at >= LOOK_AHEAD_BYTES)) {
      if (isMemberStart(window.buffer, at, format)) return window.advance(at)
      position = at + 1
      if (++tries % TRIES_AT_ONCE === 0) await setImmediate()
      continue
    }
    window.advance(at === -1 ? Math.max(0, window.buffer.length - format.magic.length + 1) : at)
    position = 0
    if (window.isEnded) return window.advance(window.buffer.length)
    await window.fill(LOOK_AHEAD_BYTES)
  }
}

/**
 * Whether a member begins here whose content begins like a record: proven by decoding its first bytes. The one thing that
 * it takes for a record and is none: a .warc.gz that was itself crawled, where a range begins within it.
 */
function isMemberStart(bytes: Buffer, start: number, format: MemberFormat): boolean {
  return format.mayBegin(bytes, start) && startsRecord(format.peek(bytes, start))
}
