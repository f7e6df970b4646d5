// Where the next member begins: at the place where the last one ended, or, behind damage, wherever a member's content begins
// like a record.

import { setImmediate } from 'node:timers/promises'
import type { ByteWindow } from '../io/byte-window.ts'
import { arcRecords } from './arc.ts'
import type { MemberFormat } from './member.ts'
import type { WarcDamage } from './plain-records.ts'
import { warcRecords } from './record.ts'

export interface FindOptions {
  readonly damaged: (damage: WarcDamage) => void
  /** Records that start there or behind are another reader's. */
  readonly end: number
  /** Of the file. */
  readonly size: number
}

/** A member up to this size is in the window as a whole. */
const MEMBER_STORED_BYTES = 1 << 20
/** Read at once, where so much of a range is left: what stays in the window is copied each time. */
const READ_BYTES = 4 << 20
/** Bytes behind a place that may be a member's start before it is tried. */
export const LOOK_AHEAD_BYTES = 1 << 18
/** Places that are tried in one go: a decoder that has failed lets its memory go only when the thread comes to rest. */
const TRIES_AT_ONCE = 256

/** What `findMember` says of nearly every place, without a promise. */
export function isAtMember({ buffer, offset }: ByteWindow, format: MemberFormat, { end }: FindOptions): boolean {
  return buffer.length >= MEMBER_STORED_BYTES && offset < end && format.mayBegin(buffer, 0)
}

/** Moves to the next member that is ours, reporting what is none; false where there is no more. */
export async function findMember(window: ByteWindow, format: MemberFormat, options: FindOptions): Promise<boolean> {
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

export function startsRecord(content: Buffer): boolean {
  return warcRecords.startsAt(content) || arcRecords.startsAt(content)
}

/** Skippable frames carry no content: seek tables, dictionaries. One that ends behind the file is damage, not to be followed. */
export async function skipSkippable(window: ByteWindow, { skippableBytes }: MemberFormat, size: number): Promise<void> {
  if (!skippableBytes) return
  for (;;) {
    await window.fill(8)
    const bytes = skippableBytes(window.buffer)
    if (bytes === 0 || window.offset + bytes > size) return
    await window.skip(bytes)
  }
}

async function reportGarbage(window: ByteWindow, format: MemberFormat, { damaged }: FindOptions): Promise<void> {
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
