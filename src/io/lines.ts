// Lines of text files, compressed or not, as byte ranges with offsets: what is in them is decoded by whoever asked.

import { type ByteSource, readBytes } from './byte-source.ts'
import { compressionOf, decompress, type StreamDamage } from './decompress.ts'
import { type ZstdFrame, zstdFrames } from './zstd-frames.ts'

export interface Line {
  /** Without its line feed or carriage return. */
  readonly bytes: Buffer
  /** Of its first byte: in the file where the file is plain, in the decompressed stream where it is not. */
  readonly offset: number
  /** Counts from 0 at the start of what is read, lines that are too long included. */
  readonly ordinal: number
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
  /** Lines that start in bytes [start, end) of a plain file. A start within a line begins with the next. */
  readonly range?: readonly [start: number, end: number]
  /**
   * For a zstd file, where frames begin, with `range` in the file: bytes (start, end] of the decompressed stream, so that a
   * reader can tell without the byte before it which line is its first.
   */
  readonly decoded?: readonly [start: number, end: number]
  /** A longer line is damage: it is skipped, not held. */
  readonly maxLineBytes: number
  readonly damaged: (damage: LineDamage) => void
}

/** A piece of a file that can be read on its own. */
export type LineRange = Pick<LineOptions, 'range' | 'decoded'>

/** Cuts a plain file anywhere, and a local zstd file at its frames, at about every `stride` bytes. One piece where it cannot be cut. */
export async function lineRanges(source: ByteSource, stride: number): Promise<LineRange[]> {
  if (source.size < stride * 2) return [{}]
  const compression = compressionOf(await readBytes(source, 0, 4))
  if (compression === 'none') return evenRanges(source.size, stride).map((range) => ({ range }))
  // Finding the frames reads the whole file once: over a network that is what cutting should save.
  if (compression !== 'zstd' || !source.url.startsWith('file:')) return [{}]
  return frameRanges((await zstdFrames(source, stride * 2)) ?? [], stride)
}

function evenRanges(size: number, stride: number): [start: number, end: number][] {
  const count = Math.max(1, Math.floor(size / stride))
  return Array.from({ length: count }, (_, index) => [index * stride, index === count - 1 ? size : (index + 1) * stride])
}

function frameRanges(frames: readonly ZstdFrame[], stride: number): LineRange[] {
  const ranges: LineRange[] = []
  let first = 0
  for (const [index, { end, decodedEnd }] of frames.entries()) {
    const { start, decodedStart } = frames[first]
    if (end - start < stride && index < frames.length - 1) continue
    ranges.push({ range: [start, end], decoded: [decodedStart, decodedEnd] })
    first = index + 1
  }
  return ranges.length > 1 ? ranges : [{}]
}

export async function* readLines(source: ByteSource, options: LineOptions): AsyncGenerator<LineBlock> {
  if (options.range && options.decoded) yield* frameBlocks(source, options.range, options.decoded, options)
  else if (options.range) yield* rangeBlocks(source, options.range, options)
  else yield* blocks(source, new LineCutter(options), options)
}

/** @param source from where the cutter begins */
async function* blocks(source: ByteSource, cutter: LineCutter, options: LineOptions): AsyncGenerator<LineBlock> {
  let damage: StreamDamage | undefined
  for await (const { chunk, consumed } of decompress(source, (found) => (damage = found))) {
    yield { lines: cutter.push(chunk), consumed }
    if (cutter.isPast) return
  }
  if (!damage || damage.code === 'SLUICE_STREAM_TRAILING') yield { lines: cutter.finish(), consumed: 0 }
  if (damage)
    options.damaged({
      offset: cutter.lineStart,
      length: Math.max(1, source.size - damage.offset),
      code: damage.code,
      message: damage.message,
    })
}

async function* frameBlocks(
  source: ByteSource,
  [start, end]: readonly [number, number],
  [decodedStart, decodedEnd]: readonly [number, number],
  options: LineOptions,
): AsyncGenerator<LineBlock> {
  const cutter = new LineCutter(options, decodedStart, decodedEnd + 1, start > 0)
  let left = end - start
  for await (const { lines, consumed } of blocks(tailOf(source, start), cutter, options)) {
    const counted = Math.min(left, consumed) // what lies behind is the next reader's
    left -= counted
    yield { lines, consumed: counted }
  }
  if (left > 0) yield { lines: [], consumed: left }
}

function tailOf(source: ByteSource, at: number): ByteSource {
  return { ...source, size: source.size - at, read: (start = 0, end = source.size - at) => source.read(at + start, at + end) }
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
  #ordinal = 0
  /** The line in hand began before the range: its reader is another. */
  #isForeign: boolean
  #pending: Buffer[] = []
  #pendingBytes = 0
  #isTooLong = false

  /**
   * @param end lines from there on are another reader's
   * @param isInLine so is what comes before the first line feed
   */
  constructor(options: LineOptions, start = 0, end = Number.POSITIVE_INFINITY, isInLine = false) {
    this.#options = options
    this.lineStart = start
    this.#end = end
    this.#isForeign = isInLine
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
    if (this.#isForeign || this.#pendingBytes > this.#options.maxLineBytes) {
      this.#isTooLong = true
      this.#pending = []
    } else this.#pending.push(piece)
  }

  #endLine(last: Buffer, feedBytes: number, lines: Line[]): void {
    const offset = this.lineStart
    const length = this.#pendingBytes + last.length
    if (this.#isForeign) this.#isForeign = false
    else if (this.#isTooLong || length > this.#options.maxLineBytes) {
      this.#ordinal++
      this.#options.damaged({
        offset,
        length,
        code: 'SLUICE_LINE_TOO_LONG',
        message: `a line of ${length} bytes is longer than ${this.#options.maxLineBytes}`,
      })
    } else {
      const bytes = this.#pending.length === 0 ? last : Buffer.concat([...this.#pending, last], length)
      lines.push({ bytes: bytes[bytes.length - 1] === 13 ? bytes.subarray(0, -1) : bytes, offset, ordinal: this.#ordinal++ })
    }
    this.lineStart = offset + length + feedBytes
    this.#pending = []
    this.#pendingBytes = 0
    this.#isTooLong = false
  }
}
