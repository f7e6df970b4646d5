// Lines of text files, compressed or not, as byte ranges with offsets: what is in them is decoded by whoever asked.

import { type ByteSource, readBytes } from './byte-source.ts'
import { compressionOf, decompress, type StreamDamage } from './decompress.ts'

export interface Line {
  /** Without its line feed or carriage return. */
  readonly bytes: Buffer
  /** Of its first byte: in the file where the file is plain, in the decompressed stream where it is not. */
  readonly offset: number
}

/** Lines that became whole with one chunk. */
export interface LineBlock {
  readonly lines: Line[]
  /** Bytes of the file read since the last block. */
  readonly consumed: number
}

export interface LineDamage {
  /** As a line's offset. */
  readonly offset: number
  readonly length: number
  readonly code: string
  readonly message: string
}

export interface LineOptions {
  /** Plain files only: lines that start in [start, end). A start within a line begins with the next. */
  readonly range?: readonly [start: number, end: number]
  /** A longer line is damage: it is skipped, not held. */
  readonly maxLineBytes: number
  readonly damaged: (damage: LineDamage) => void
}

export async function isSplittable(source: ByteSource): Promise<boolean> {
  return compressionOf(await readBytes(source, 0, 4)) === 'none'
}

export async function* readLines(source: ByteSource, options: LineOptions): AsyncGenerator<LineBlock> {
  if (options.range) {
    yield* rangeBlocks(source, options.range, options)
    return
  }
  const cutter = new LineCutter(options)
  let damage: StreamDamage | undefined
  for await (const { chunk, consumed } of decompress(source, (found) => (damage = found))) yield { lines: cutter.push(chunk), consumed }
  if (!damage || damage.code === 'SLUICE_STREAM_TRAILING') yield { lines: cutter.finish(), consumed: 0 }
  if (damage)
    options.damaged({
      offset: cutter.lineStart,
      length: Math.max(1, source.size - damage.offset),
      code: damage.code,
      message: damage.message,
    })
}

async function* rangeBlocks(source: ByteSource, [start, end]: readonly [number, number], options: LineOptions): AsyncGenerator<LineBlock> {
  const first = start === 0 ? 0 : await lineStartAfter(source, start - 1)
  const cutter = new LineCutter(options, first, end)
  let reached = start
  const block = (lines: Line[]): LineBlock => {
    const before = reached
    reached = Math.min(cutter.lineStart, end)
    return { lines, consumed: reached - before }
  }
  if (cutter.isPast) {
    yield block([])
    return
  }
  for await (const chunk of source.read(first)) {
    yield block(cutter.push(chunk))
    if (cutter.isPast) return
  }
  yield block(cutter.finish())
}

/** Where the first line begins whose line feed before it lies at `offset` or behind. */
async function lineStartAfter(source: ByteSource, offset: number): Promise<number> {
  let position = offset
  for await (const chunk of source.read(offset)) {
    const feed = chunk.indexOf(10)
    if (feed !== -1) return position + feed + 1
    position += chunk.length
  }
  return position
}

/** Cuts a stream of chunks at line feeds. */
class LineCutter {
  /** Offset of the line that has begun and not ended. */
  lineStart: number
  readonly #options: LineOptions
  readonly #end: number
  #pending: Buffer[] = []
  #pendingBytes = 0
  #isTooLong = false

  /** @param end lines from there on are another reader's */
  constructor(options: LineOptions, start = 0, end = Number.POSITIVE_INFINITY) {
    this.#options = options
    this.lineStart = start
    this.#end = end
  }

  get isPast(): boolean {
    return this.lineStart >= this.#end
  }

  push(chunk: Buffer): Line[] {
    const lines: Line[] = []
    let start = 0
    for (let feed = chunk.indexOf(10); feed !== -1 && !this.isPast; feed = chunk.indexOf(10, start)) {
      this.#endLine(chunk.subarray(start, feed), 1, lines)
      start = feed + 1
    }
    if (start < chunk.length && !this.isPast) this.#hold(chunk.subarray(start))
    return lines
  }

  /** The last line, where no line feed ends it. */
  finish(): Line[] {
    const lines: Line[] = []
    if (this.#pendingBytes > 0) this.#endLine(Buffer.alloc(0), 0, lines)
    return lines
  }

  #hold(piece: Buffer): void {
    this.#pendingBytes += piece.length
    if (this.#pendingBytes > this.#options.maxLineBytes) {
      this.#isTooLong = true
      this.#pending = []
    } else this.#pending.push(piece)
  }

  #endLine(last: Buffer, feedBytes: number, lines: Line[]): void {
    const offset = this.lineStart
    const length = this.#pendingBytes + last.length
    if (this.#isTooLong || length > this.#options.maxLineBytes)
      this.#options.damaged({
        offset,
        length,
        code: 'SLUICE_LINE_TOO_LONG',
        message: `a line of ${length} bytes is longer than ${this.#options.maxLineBytes}`,
      })
    else {
      const bytes = this.#pending.length === 0 ? last : Buffer.concat([...this.#pending, last], length)
      lines.push({ bytes: bytes[bytes.length - 1] === 13 ? bytes.subarray(0, -1) : bytes, offset })
    }
    this.lineStart = offset + length + feedBytes
    this.#pending = []
    this.#pendingBytes = 0
    this.#isTooLong = false
  }
}
