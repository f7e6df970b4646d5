// Where the frames of a zstd file lie, from their headers alone. A file of several frames can be read in pieces, like one of
// several gzip members, but its frames say how long they are.

import type { ByteSource } from './byte-source.ts'
import { ByteWindow } from './byte-window.ts'
import { hasZstdMagic, isSkippable, parseBlock, parseFrameHead } from './zstd-format.ts'

export interface ZstdFrame {
  /** Bytes [start, end) of the file; skippable frames behind it are part of it. */
  readonly start: number
  readonly end: number
  /** Bytes [start, end) of the decompressed stream. */
  readonly decodedStart: number
  readonly decodedEnd: number
}

const LONGEST_HEADER_BYTES = 18

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

/** @returns bytes that the frame decompresses to, where it says so */
async function skipFrame(window: ByteWindow, longestFrameBytes: number): Promise<number | undefined> {
  const start = window.offset
  await window.fill(LONGEST_HEADER_BYTES)
  if (!hasZstdMagic(window.buffer)) return undefined
  const head = parseFrameHead(window.buffer)
  if (typeof head === 'string' || head.contentBytes === undefined) return undefined
  await window.skip(head.headBytes)
  for (let isLast = false; !isLast; ) {
    if (window.offset - start > longestFrameBytes || !(await window.fill(3))) return undefined
    const block = parseBlock(window.buffer, 0)
    if (block === 'corrupt' || !(await skips(window, block.blockBytes))) return undefined
    isLast = block.isLast
  }
  return !head.hasChecksum || (await skips(window, 4)) ? head.contentBytes : undefined
}

/** @returns false where the file ends before */
async function skips(window: ByteWindow, bytes: number): Promise<boolean> {
  const end = window.offset + bytes
  await window.skip(bytes)
  return window.offset === end
}
