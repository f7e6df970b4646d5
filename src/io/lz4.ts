// LZ4 frames: github.com/lz4/lz4, doc/lz4_Frame_format.md 1.6 and lz4_Block_format.md. Reads only. Checksums, where the
// frame has them, are checked; dictionaries are not supported, and nobody ships archives with them.

import { createXXHash32 } from 'hash-wasm'
import type { ByteWindow } from './byte-window.ts'

export const LZ4_MAGIC = Buffer.from([0x04, 0x22, 0x4d, 0x18])
const HISTORY_BYTES = 1 << 16
/** No block gives more than so many times its bytes: a length byte stands for 255 at most. */
const MAX_RATIO = 255

const hasher = await createXXHash32()

export interface Lz4Head {
  readonly headBytes: number
  readonly hasBlockChecksums: boolean
  readonly hasContentChecksum: boolean
  readonly maxBlockBytes: number
}

/** `partial`: the buffer ends within it. */
export function parseLz4Head(bytes: Buffer, start = 0): Lz4Head | 'partial' | 'corrupt' {
  if (bytes.length < start + 7) return 'partial'
  const flags = bytes[start + 4],
    blockSize = bytes[start + 5] >>> 4
  if (flags >>> 6 !== 1 || (flags & 2) !== 0 || blockSize < 4 || blockSize > 7 || (bytes[start + 5] & 15) !== 0) return 'corrupt'
  const end = start + 6 + (flags & 8 ? 8 : 0) + (flags & 1 ? 4 : 0)
  if (bytes.length <= end) return 'partial'
  if (bytes[end] !== ((xxh32(bytes.subarray(start + 4, end)) >>> 8) & 0xff)) return 'corrupt'
  return {
    headBytes: end + 1 - start,
    hasBlockChecksums: (flags & 16) !== 0,
    hasContentChecksum: (flags & 4) !== 0,
    maxBlockBytes: 1 << (8 + 2 * blockSize),
  }
}

/**
 * Decodes the frame at the front of a buffer.
 *
 * @returns `partial` where the buffer ends within the frame, or its content is larger than asked for
 */
export function decodeLz4Frame(bytes: Buffer, maxContentBytes: number): { content: Buffer; storedBytes: number } | 'partial' | 'corrupt' {
  const head = parseLz4Head(bytes)
  if (typeof head === 'string') return head
  const extent = measure(bytes, head)
  if (typeof extent === 'string') return extent
  const content = Buffer.allocUnsafe(Math.min(extent.mostContentBytes, maxContentBytes))
  let position = head.headBytes,
    length = 0
  for (let size = bytes.readUInt32LE(position); size !== 0; size = bytes.readUInt32LE(position)) {
    const start = position + 4,
      end = start + (size & 0x7fffffff)
    if (head.hasBlockChecksums && xxh32(bytes.subarray(start, end)) !== bytes.readUInt32LE(end)) return 'corrupt'
    const next = readBlock(bytes, start, end, size, content, length, Math.min(content.length, length + head.maxBlockBytes))
    if (next === -1) return content.length < extent.mostContentBytes ? 'partial' : 'corrupt'
    length = next
    position = end + (head.hasBlockChecksums ? 4 : 0)
  }
  if (head.hasContentChecksum && xxh32(content.subarray(0, length)) !== bytes.readUInt32LE(position + 4)) return 'corrupt'
  return { content: fitted(content, length), storedBytes: extent.storedBytes }
}

/** A view, or a copy where a view would keep much more alive than it shows. */
function fitted(buffer: Buffer, length: number): Buffer {
  return length * 2 < buffer.length ? Buffer.from(buffer.subarray(0, length)) : buffer.subarray(0, length)
}

function measure(bytes: Buffer, head: Lz4Head): { storedBytes: number; mostContentBytes: number } | 'partial' | 'corrupt' {
  let position = head.headBytes,
    mostContentBytes = 0
  for (;;) {
    if (bytes.length < position + 4) return 'partial'
    const size = bytes.readUInt32LE(position)
    position += 4
    if (size === 0) break
    const stored = size & 0x7fffffff
    if (stored > head.maxBlockBytes) return 'corrupt'
    mostContentBytes += Math.min(head.maxBlockBytes, size >= 2 ** 31 ? stored : stored * MAX_RATIO)
    position += stored + (head.hasBlockChecksums ? 4 : 0)
  }
  position += head.hasContentChecksum ? 4 : 0
  return bytes.length < position ? 'partial' : { storedBytes: position, mostContentBytes }
}

/** Why a frame's content ends early. */
export type Lz4Failure = 'truncated' | 'corrupt' | 'checksum'

/** The content of the frame at the front of a window, block by block; the window moves behind the frame. */
export async function* lz4Content(window: ByteWindow, fail: (failure: Lz4Failure) => void): AsyncGenerator<Buffer> {
  let head = parseLz4Head(window.buffer)
  while (head === 'partial' && (await window.grow())) head = parseLz4Head(window.buffer)
  if (typeof head === 'string') return fail(head === 'partial' ? 'truncated' : head)
  window.advance(head.headBytes)
  const checksum = head.hasContentChecksum ? await createXXHash32() : undefined
  let history: Buffer = Buffer.alloc(0)
  for (;;) {
    if (!(await window.fill(4))) return fail('truncated')
    const size = window.buffer.readUInt32LE(0)
    if (size === 0) break
    const end = 4 + (size & 0x7fffffff)
    if (end - 4 > head.maxBlockBytes) return fail('corrupt')
    if (!(await window.fill(end + (head.hasBlockChecksums ? 4 : 0)))) return fail('truncated')
    const { buffer } = window
    if (head.hasBlockChecksums && xxh32(buffer.subarray(4, end)) !== buffer.readUInt32LE(end)) return fail('checksum')
    const out = Buffer.allocUnsafe(history.length + Math.min(head.maxBlockBytes, (end - 4) * MAX_RATIO))
    history.copy(out)
    const length = readBlock(buffer, 4, end, size, out, history.length, out.length)
    if (length === -1) return fail('corrupt')
    const block = out.subarray(history.length, length)
    checksum?.update(block)
    history = out.subarray(Math.max(0, length - HISTORY_BYTES), length)
    window.advance(end + (head.hasBlockChecksums ? 4 : 0))
    yield block
  }
  window.advance(4)
  if (!checksum) return
  if (!(await window.fill(4))) return fail('truncated')
  if (Number.parseInt(checksum.digest('hex'), 16) !== window.buffer.readUInt32LE(0)) return fail('checksum')
  window.advance(4)
}

/** One block, compressed or stored. @returns end of what was written, -1 where the block is corrupt */
function readBlock(bytes: Buffer, start: number, end: number, size: number, out: Buffer, outStart: number, outEnd: number): number {
  if (size < 2 ** 31) return decodeLz4Block(bytes, start, end, out, outStart, outEnd)
  return outStart + end - start > outEnd ? -1 : outStart + bytes.copy(out, outStart, start, end)
}

/**
 * Decodes a compressed block; matches may reach back to the first byte of `out`.
 *
 * @returns exclusive end of what was written, -1 where the block is corrupt or does not fit
 */
export function decodeLz4Block(bytes: Buffer, start: number, end: number, out: Buffer, outStart: number, outEnd: number): number {
  let from = start,
    to = outStart
  while (from < end) {
    const token = bytes[from++]
    let literals = token >>> 4
    if (literals === 15)
      for (let more = 255; more === 255; literals += more) {
        if (from >= end) return -1
        more = bytes[from++]
      }
    if (literals > end - from || literals > outEnd - to) return -1
    if (literals > 24) bytes.copy(out, to, from, from + literals)
    else for (let index = 0; index < literals; index++) out[to + index] = bytes[from + index]
    from += literals
    to += literals
    if (from === end) return to // the last sequence has no match
    if (end - from < 2) return -1
    const distance = bytes[from] | (bytes[from + 1] << 8)
    from += 2
    let length = token & 15
    if (length === 15)
      for (let more = 255; more === 255; length += more) {
        if (from >= end) return -1
        more = bytes[from++]
      }
    length += 4
    let match = to - distance
    if (distance === 0 || match < 0 || length > outEnd - to) return -1
    if (distance >= length && length > 24) {
      out.copyWithin(to, match, match + length)
      to += length
    } else for (const stop = to + length; to < stop; ) out[to++] = out[match++] // one by one: a match may run into itself
  }
  return to
}

function xxh32(bytes: Buffer): number {
  return Number.parseInt(hasher.init().update(bytes).digest('hex'), 16)
}
