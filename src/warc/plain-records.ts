// Records one after another in decompressed bytes: a plain WARC file, or the content of a gzip member that holds more
// than one. Behind damage it goes on at the next header.

import type { ByteWindow } from '../io/byte-window.ts'
import { field, type HeadResult, headEnd, MAX_HEAD_BYTES, parseWarcHead, startsWithWarc, type WarcHead, type WarcRecord } from './record.ts'

export interface WarcDamage {
  readonly offset: number
  readonly length: number
  /** `SLUICE_WARC_…` */
  readonly code: string
  readonly message: string
}

export interface PlainOptions {
  /** Records that start there or behind are another reader's. */
  readonly end: number
  readonly maxRecordBytes: number
  /** Where the bytes end, as far as is known before they are read. */
  readonly size: number
  readonly damaged: (damage: WarcDamage) => void
}

const CR = 13,
  LF = 10
const HEAD_LINE = '\nWARC/'

/** Offsets and lengths are the window's. */
export async function* plainRecords(window: ByteWindow, options: PlainOptions): AsyncGenerator<WarcRecord> {
  for (;;) {
    await skipLineEnds(window)
    if (window.buffer.length === 0 || window.offset >= options.end) return
    const start = window.offset
    const head = await completeHead(window)
    if (typeof head === 'string' || Number.isNaN(head.contentBytes)) {
      const [code, message] = headDamage(head)
      await nextHead(window, 1)
      options.damaged({ offset: start, length: window.offset - start, code, message })
    } else if (head.contentBytes > options.maxRecordBytes) {
      const isPossible = start + head.headBytes + head.contentBytes <= options.size
      await (isPossible ? window.skip(head.headBytes + head.contentBytes) : nextHead(window, head.headBytes))
      const code = isPossible ? 'SLUICE_WARC_RECORD_TOO_LARGE' : 'SLUICE_WARC_LENGTH'
      const message = isPossible
        ? `the record holds ${head.contentBytes} bytes: more than ${options.maxRecordBytes} are not read`
        : `Content-Length ${head.contentBytes} is wrong: the file ends before`
      options.damaged({ offset: start, length: window.offset - start, code, message })
    } else {
      const record = await wholeRecord(window, head, options)
      if (record) yield record
    }
  }
}

/** Reads one record and the blank behind it, or reports why not and moves to the next header. */
async function wholeRecord(window: ByteWindow, head: WarcHead, options: PlainOptions): Promise<WarcRecord | undefined> {
  const start = window.offset
  const bytes = head.headBytes + head.contentBytes
  const isWhole = await window.fill(bytes)
  const gap = isWhole ? await lineEndsAt(window, bytes) : undefined
  if (gap && (gap.lineFeeds >= 2 || gap.isAtEnd || startsWithWarc(window.buffer, bytes + gap.bytes))) {
    const record = makeRecord(head, window.buffer, start, bytes + gap.bytes)
    window.advance(bytes + gap.bytes)
    return record
  }
  const available = window.buffer.length - head.headBytes
  await nextHead(window, head.headBytes)
  const isCut = !isWhole && window.isEnded && window.buffer.length === 0
  options.damaged({
    offset: start,
    length: window.offset - start,
    code: isCut ? 'SLUICE_WARC_TRUNCATED' : 'SLUICE_WARC_LENGTH',
    message: isCut
      ? `the record is cut short: Content-Length is ${head.contentBytes}, ${available} bytes are there`
      : `Content-Length ${head.contentBytes} is wrong: the record does not end there`,
  })
  return undefined
}

/** @param content begins with the header */
export function makeRecord(head: WarcHead, content: Buffer, offset: number, length: number): WarcRecord {
  return {
    version: head.version,
    type: field(head.fields, 'warc-type')?.toLowerCase() ?? 'unknown',
    fields: head.fields,
    head: content.subarray(0, head.headBytes),
    block: content.subarray(head.headBytes, head.headBytes + head.contentBytes),
    offset,
    length,
  }
}

async function completeHead(window: ByteWindow): Promise<HeadResult> {
  let head = parseWarcHead(window.buffer)
  while (head === 'incomplete' && (await window.grow())) head = parseWarcHead(window.buffer)
  return head
}

function headDamage(head: HeadResult): [code: string, message: string] {
  if (head === 'not-warc') return ['SLUICE_WARC_GARBAGE', 'no WARC record begins here']
  if (head === 'bad-version') return ['SLUICE_WARC_VERSION', 'the first line of the record names no WARC version']
  if (head === 'incomplete') return ['SLUICE_WARC_TRUNCATED', 'the header of the record is cut short']
  return ['SLUICE_WARC_NO_LENGTH', 'the record has no usable Content-Length']
}

async function skipLineEnds(window: ByteWindow): Promise<void> {
  for (;;) {
    let end = 0
    while (end < window.buffer.length && (window.buffer[end] === CR || window.buffer[end] === LF)) end++
    window.advance(end)
    if (window.buffer.length > 0 || !(await window.grow())) return
  }
}

async function lineEndsAt(window: ByteWindow, start: number): Promise<{ bytes: number; lineFeeds: number; isAtEnd: boolean }> {
  let end = start,
    lineFeeds = 0
  for (;;) {
    for (; end < window.buffer.length; end++) {
      if (window.buffer[end] === LF) lineFeeds++
      else if (window.buffer[end] !== CR) {
        await window.fill(end + 5) // for the look at what follows
        return { bytes: end - start, lineFeeds, isAtEnd: false }
      }
    }
    if (!(await window.grow())) return { bytes: end - start, lineFeeds, isAtEnd: true }
  }
}

/** Moves to the next header at `from` or behind, or to the end. A header counts where its length and type are there. */
export async function nextHead(window: ByteWindow, from: number): Promise<void> {
  let position = from
  for (;;) {
    const { buffer } = window
    const at = headLine(buffer, position)
    const end = at === -1 ? -1 : headEnd(buffer, at)
    if (end !== -1) {
      // Where several first lines stand before one end, headers were cut off. To try all of them would take for ever on
      // a file that is made of them: the first and the last will do.
      for (const start of [at, at + buffer.subarray(at, end).lastIndexOf(HEAD_LINE) + 1]) {
        const head = parseWarcHead(buffer, start)
        if (typeof head !== 'string' && !Number.isNaN(head.contentBytes) && field(head.fields, 'warc-type') !== undefined)
          return window.advance(start)
      }
      position = end
      continue
    }
    // No header ends in the buffer. What may be the beginning of one stays there, with the line feed before it.
    const done = Math.max(0, at === -1 ? buffer.length - HEAD_LINE.length + 1 : Math.max(at - 1, buffer.length - MAX_HEAD_BYTES))
    window.advance(done)
    if (done > 0) position = Math.max(1, position - done)
    if (!(await window.grow())) return window.advance(window.buffer.length)
  }
}

/** Where a line begins as the first one of a header does, at `from` or behind; -1 where none does. */
function headLine(bytes: Buffer, from: number): number {
  if (from === 0 && startsWithWarc(bytes)) return 0
  const feed = bytes.indexOf(HEAD_LINE, Math.max(0, from - 1), 'latin1')
  return feed === -1 ? -1 : feed + 1
}
