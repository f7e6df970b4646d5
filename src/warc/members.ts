// Records of archives that are made of members: gzip members, zstd or lz4 frames. Mostly a member is a record; a member
// may also hold many, and a record may go on in the members behind. Behind damage reading goes on at the next member
// whose content begins like a record.

import { ByteWindow } from '../io/byte-window.ts'
import { arcRecords } from './arc.ts'
import { type FindOptions, findMember, isAtMember, nextMember } from './find-member.ts'
import type { Member, MemberFormat } from './member.ts'
import { MEMBER_CONTENT_BYTES, MemberRun, type RunOptions } from './member-run.ts'
import { makeRecord, plainRecords, type WarcDamage } from './plain-records.ts'
import { type RecordFormat, type WarcRecord, warcRecords } from './record.ts'
import type { RestartableInput } from './restartable-input.ts'

export interface MemberOptions extends FindOptions, RunOptions {
  /** Told when records share a member. */
  readonly shared: () => void
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

/** WARC, unless bytes begin as an ARC file or one of its records does. */
export function recordFormatOf(bytes: Buffer): RecordFormat {
  return !warcRecords.startsAt(bytes) && arcRecords.startsAt(bytes) ? arcRecords : warcRecords
}
