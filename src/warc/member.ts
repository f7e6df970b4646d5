// Compressed archives are made of members, one after another: gzip members, zstd frames or lz4 frames, mostly one a
// record. What a reader must know of each kind stands in this interface; src/warc/members.ts does the reading.

import type { ByteWindow } from '../io/byte-window.ts'

export interface Member {
  readonly content: Buffer
  /** Of the whole member, header and trailer included. */
  readonly storedBytes: number
}

/** `partial`: the buffer ends within the member, or its content is larger than asked for. */
export type MemberResult = Member | 'partial' | 'corrupt'

/** Why a member's content ends early. Messages complete "the member …". */
export interface MemberFailure {
  readonly kind: 'truncated' | 'corrupt' | 'checksum'
  readonly detail?: string
}

export interface MemberFormat {
  readonly name: 'gzip' | 'zstd' | 'lz4'
  /** The first bytes of every member: what a search looks for. */
  readonly magic: Buffer
  /** Of damage in a member. */
  readonly code: string
  /** Where the first member of the file begins, if not at its start: what lies before, a dictionary, may look like records. */
  readonly firstOffset?: number
  /** Whether a member may begin there, judged by its first bytes alone. */
  readonly mayBegin: (bytes: Buffer, start: number) => boolean
  /** Bytes of what carries no content and may stand before a member, 0 where nothing does. */
  readonly skippableBytes?: (bytes: Buffer) => number
  /** Decodes the member at the front of a buffer in one call. */
  readonly decode: (bytes: Buffer, maxContentBytes: number) => MemberResult
  /** The beginning of the content of the member at `start`; empty where no content comes out. */
  readonly peek: (bytes: Buffer, start: number) => Buffer
  /** The content of the member at the front of a window piece by piece; the window moves behind the member. */
  readonly stream: (window: ByteWindow, fail: (failure: MemberFailure) => void) => AsyncGenerator<Buffer>
}
