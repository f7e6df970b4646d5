// The content of a member and of those behind it that go on with its record, as one stream.

import type { ByteWindow } from '../io/byte-window.ts'
import { LOOK_AHEAD_BYTES, skipSkippable, startsRecord } from './find-member.ts'
import type { Member, MemberFailure, MemberFormat } from './member.ts'

export interface RunOptions {
  readonly maxRecordBytes: number
  /** Of the file. */
  readonly size: number
}

/** A member with content up to this size is decoded in one call; a larger one as a stream. */
export const MEMBER_CONTENT_BYTES = 16 << 20
/** Content of so many of the largest records without a record in it is given up: nobody wrote that in good faith. */
const GIVE_UP_FACTOR = 16

/** The content of a member, and of those behind it for as long as they do not begin with a record. */
export class MemberRun {
  failure: { readonly code: string; readonly message: string } | undefined
  contentBytes = 0
  readonly #window: ByteWindow
  readonly #format: MemberFormat
  readonly #start: number
  readonly #maxBytes: number
  readonly #size: number
  /** Content since the last record. */
  #bytes = 0

  constructor(window: ByteWindow, format: MemberFormat, { maxRecordBytes, size }: RunOptions) {
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
