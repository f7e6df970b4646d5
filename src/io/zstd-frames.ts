// Where the frames of a zstd file lie, from their headers alone: RFC 8878, sections 3.1.1 and 3.1.2. A file of several
// frames can be read in pieces, like one of several gzip members, but its frames say how long they are.

import type { ByteSource } from './byte-source.ts'
import { ByteWindow } from './byte-window.ts'

export interface ZstdFrame {
  /** Bytes [start, end) of the file; skippable frames behind it are part of it. */
  readonly start: number
  readonly end: number
  /** Bytes [start, end) of the decompressed stream. */
  readonly decodedStart: number
  readonly decodedEnd: number
}

const MAGIC = 0xfd2fb528
const LONGEST_HEADER_BYTES = 18
const RLE = 1

/**
 * Walks from block to block, so the file is read once, but not decompressed.
 *
 * @param longestFrameBytes gives up where a frame is longer: such a file is not worth cutting
 * @returns undefined where a frame does not say how much it holds, is too long, or is damaged
 */
export async function zstdFrames(source: ByteSource, longestFrameBytes: number): Promise<ZstdFrame[] | undefined> {
  const window = new ByteWindow(source.read())
  const frames: ZstdFrame[] = []
  try {
    while (window.buffer.length > 0 || (await window.grow())) {
      const start = window.offset
      if (!(await window.fill(8))) return undefined
      if (isSkippable(window.buffer)) {
        if (!(await skips(window, 8 + window.buffer.readUInt32LE(4)))) return undefined
        const before = frames.pop()
        if (before) frames.push({ ...before, end: window.offset })
        continue
      }
      const decodedBytes = await skipFrame(window, longestFrameBytes)
      if (decodedBytes === undefined) return undefined
      const decodedStart = frames.at(-1)?.decodedEnd ?? 0
      frames.push({ start: frames.length === 0 ? 0 : start, end: window.offset, decodedStart, decodedEnd: decodedStart + decodedBytes })
    }
    return frames
  } finally {
    await window.close()
  }
}

function isSkippable(bytes: Buffer): boolean {
  return (bytes.readUInt32LE(0) & 0xfffffff0) >>> 0 === 0x184d2a50
}

/** @returns bytes that the frame decompresses to, where it says so */
async function skipFrame(window: ByteWindow, longestFrameBytes: number): Promise<number | undefined> {
  const start = window.offset
  await window.fill(LONGEST_HEADER_BYTES)
  const header = parseHeader(window.buffer)
  if (!header) return undefined
  await window.skip(header.bytes)
  for (let isLast = false; !isLast; ) {
    if (window.offset - start > longestFrameBytes || !(await window.fill(3))) return undefined
    const block = window.buffer.readUIntLE(0, 3)
    isLast = (block & 1) === 1
    const type = (block >> 1) & 3
    if (type === 3 || !(await skips(window, 3 + (type === RLE ? 1 : block >> 3)))) return undefined
  }
  return (await skips(window, header.checksumBytes)) ? header.contentBytes : undefined
}

/** @returns false where the file ends before */
async function skips(window: ByteWindow, bytes: number): Promise<boolean> {
  const end = window.offset + bytes
  await window.skip(bytes)
  return window.offset === end
}

function parseHeader(bytes: Buffer): { bytes: number; contentBytes: number; checksumBytes: number } | undefined {
  if (bytes.length < 6 || bytes.readUInt32LE(0) !== MAGIC) return undefined
  const descriptor = bytes[4]
  const isSingleSegment = (descriptor & 0x20) !== 0
  const contentSizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6]
  if (contentSizeBytes === 0) return undefined
  const at = 5 + (isSingleSegment ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]
  if (bytes.length < at + contentSizeBytes) return undefined
  const stored = contentSizeBytes === 8 ? Number(bytes.readBigUInt64LE(at)) : bytes.readUIntLE(at, contentSizeBytes)
  return {
    bytes: at + contentSizeBytes,
    contentBytes: contentSizeBytes === 2 ? stored + 256 : stored,
    checksumBytes: (descriptor & 4) !== 0 ? 4 : 0,
  }
}
