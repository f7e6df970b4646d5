// lz4 frames as members of an archive.

import { decodeLz4Block, decodeLz4Frame, LZ4_MAGIC, lz4Content, parseLz4Head } from '../io/lz4.ts'
import type { MemberFormat } from './member.ts'

/** Content that is decoded to see what begins in a frame. */
const PEEK_BYTES = 1 << 16

export const lz4Frames: MemberFormat = {
  name: 'lz4',
  magic: LZ4_MAGIC,
  code: 'SLUICE_WARC_LZ4',
  mayBegin: hasLz4Magic,
  decode: decodeLz4Frame,
  peek: peekLz4,
  stream: (window, fail) => lz4Content(window, (kind) => fail({ kind })),
}

export function hasLz4Magic(bytes: Buffer, start = 0): boolean {
  return bytes.length >= start + 4 && bytes.compare(LZ4_MAGIC, 0, 4, start, start + 4) === 0
}

function peekLz4(bytes: Buffer, start: number): Buffer {
  const head = parseLz4Head(bytes, start)
  if (typeof head === 'string') return Buffer.alloc(0)
  const block = start + head.headBytes
  if (bytes.length < block + 4) return Buffer.alloc(0)
  const size = bytes.readUInt32LE(block)
  const stored = bytes.subarray(block + 4, block + 4 + (size & 0x7fffffff))
  if (size >= 2 ** 31) return stored.subarray(0, PEEK_BYTES)
  // Cut short it decodes as far as it goes: what fits is there, whatever the decoder says of the rest.
  const out = Buffer.alloc(PEEK_BYTES)
  const length = decodeLz4Block(stored, 0, stored.length, out, 0, PEEK_BYTES)
  return length === -1 ? out : out.subarray(0, length)
}
