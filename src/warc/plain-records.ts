// Records one after another in decompressed bytes: a plain WARC or ARC file, or the content of a gzip member that holds
// more than one. Behind damage it goes on at the next header.

import type { ByteWindow } from '../io/byte-window.ts'
import { field, type HeadResult, type RecordFormat, type WarcHead, type WarcRecord } from './record.ts'

export interface WarcDamage {
  readonly offset: number
  readonly length: number
  /** `SLUICE_WARC_…` */
  readonly code: string
  readonly message: string
}

export interface PlainOptions {
  readonly format: RecordFormat
  /** Records that start there or behind are another reader's. */
  readonly end: number
  readonly maxRecordBytes: number
  /** Where the bytes end, as far as is known before they are read. */
  readonly size: number
  readonly damaged: (damage: WarcDamage) => void
}

const CR = 13,
  LF = 10
/** To see whether a record follows: in ARC files its URL must be there. */
const LOOK_AHEAD_BYTES = 1 << 12

/** Offsets and lengths are the window's, which is closed at the end. */
export async function* plainRecords(window: ByteWindow, options: PlainOptions): AsyncGenerator<WarcRecord> {
  try {
    for (;;) {
      await skipLineEnds(window)
      if (window.buffer.length === 0 || window.offset >= options.end) return
      const record = await nextRecord(window, options)
      if (record) yield record
    }
  } finally {
    await window.close()
  }
}

/** The record that begins here; undefined where it is damaged, which is reported. */
async function nextRecord(window: ByteWindow, options: PlainOptions): Promise<WarcRecord | undefined> {
  const start = window.offset
  const head = await completeHead(window, options.format)
  const isWrong = typeof head === 'string' || Number.isNaN(head.contentBytes)
  if (!isWrong && head.contentBytes <= options.maxRecordBytes) return await wholeRecord(window, head, options)
  let [code, message] = isWrong ? headDamage(head) : ['', '']
  if (isWrong) await nextHead(window, 1, options.format)
  else if (start + head.headBytes + head.contentBytes <= options.size) {
    await window.skip(head.headBytes + head.contentBytes)
    code = 'SLUICE_WARC_RECORD_TOO_LARGE'
    message = `the record holds ${head.contentBytes} bytes: more than ${options.maxRecordBytes} are not read`
  } else {
    await nextHead(window, head.headBytes, options.format)
    code = 'SLUICE_WARC_LENGTH'
    message = `Content-Length ${head.contentBytes} is wrong: the file ends before`
  }
  options.damaged({ offset: start, length: window.offset - start, code, message })
  return undefined
}

/** Reads one record and the blank behind it, or reports why not and moves to the next header. */
async function wholeRecord(window: ByteWindow, head: WarcHead, options: PlainOptions): Promise<WarcRecord | undefined> {
  const start = window.offset
  const bytes = head.headBytes + head.contentBytes
  const isWhole = await window.fill(bytes)
  const gap = isWhole ? await lineEndsAt(window, bytes) : undefined
  if (gap && (gap.lineFeeds >= options.format.lineFeeds || gap.isAtEnd || options.format.startsAt(window.buffer, bytes + gap.bytes))) {
    const record = makeRecord(head, window.buffer, start, bytes + gap.bytes)
    window.advance(bytes + gap.bytes)
    return record
  }
  const available = window.buffer.length - head.headBytes
  await nextHead(window, head.headBytes, options.format)
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

async function completeHead(window: ByteWindow, { parseHead }: RecordFormat): Promise<HeadResult> {
  let head = parseHead(window.buffer)
  while (head === 'incomplete' && (await window.grow())) head = parseHead(window.buffer)
  return head
}

function headDamage(head: HeadResult): [code: string, message: string] {
  if (head === 'no-head') return ['SLUICE_WARC_GARBAGE', 'no record begins here']
  if (head === 'bad-version') return ['SLUICE_WARC_VERSION', 'the first line of the record names no WARC version']
  if (head === 'incomplete') return ['SLUICE_WARC_TRUNCATED', 'the header of the record is cut short']
  return ['SLUICE_WARC_NO_LENGTH', 'the record has no usable length']
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
        await window.fill(end + LOOK_AHEAD_BYTES)
        return { bytes: end - start, lineFeeds, isAtEnd: false }
      }
    }
    if (!(await window.grow())) return { bytes: end - start, lineFeeds, isAtEnd: true }
  }
}

/** Moves to the next header at `from` or behind, or to the end. */
export async function nextHead(window: ByteWindow, from: number, { findHead }: RecordFormat): Promise<void> {
  let position = from
  for (;;) {
    const { at, isFound } = findHead(window.buffer, position)
    if (isFound) return window.advance(at)
    // What may be the beginning of a header stays, with the line feed before it.
    const done = Math.max(0, at - 1)
    window.advance(done)
    if (done > 0) position = Math.max(1, position - done)
    if (!(await window.grow())) return window.advance(window.buffer.length)
  }
}
