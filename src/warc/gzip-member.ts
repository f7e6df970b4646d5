// One gzip member at the front of a buffer: RFC 1952 header, deflate body, CRC-32 and length, all checked.

import { crc32, inflateRawSync } from 'node:zlib'

/** With deflate, the only method there is. */
export const GZIP_MAGIC = Buffer.from([0x1f, 0x8b, 8])
const CHUNK_BYTES = 1 << 16
const LARGEST_CHUNK_BYTES = 4 << 20
/** Header and trailer of the smallest member. */
const SMALLEST_MEMBER_BYTES = 18

export interface GzipMember {
  readonly content: Buffer
  /** Of the whole member, trailer included. */
  readonly storedBytes: number
}

/** `partial`: the buffer ends within the member, or its content is larger than asked for. */
export type MemberResult = GzipMember | 'partial' | 'corrupt'

/** True where a gzip member with deflate may begin. */
export function hasGzipMagic(bytes: Buffer, start = 0): boolean {
  return bytes[start] === 0x1f && bytes[start + 1] === 0x8b && bytes[start + 2] === 8 && (bytes[start + 3] & 0xe0) === 0
}

/** Bytes of the member's header, -1 where the buffer ends within it. Extra fields (Internet Archive's `sl`, wget's) are passed over. */
export function gzipHeadBytes(bytes: Buffer, start = 0): number {
  if (bytes.length < start + 10) return -1
  const flags = bytes[start + 3]
  let position = start + 10
  if (flags & 4) position += bytes.length < position + 2 ? 2 : 2 + bytes.readUInt16LE(position)
  for (const flag of [8, 16]) {
    if (!(flags & flag)) continue
    const end = position > bytes.length ? -1 : bytes.indexOf(0, position)
    if (end === -1) return -1
    position = end + 1
  }
  if (flags & 2) position += 2
  return position > bytes.length ? -1 : position - start
}

/** @param maxContentBytes a member that holds more is `partial`: read it as a stream */
export function inflateMember(bytes: Buffer, maxContentBytes: number): MemberResult {
  const headBytes = gzipHeadBytes(bytes)
  if (headBytes === -1) return 'partial'
  const inflated = inflate(bytes.subarray(headBytes), maxContentBytes, likelyContentBytes(bytes))
  if (typeof inflated === 'string') return inflated
  const trailer = headBytes + inflated.taken
  if (bytes.length < trailer + 8) return 'partial'
  const { content } = inflated
  if (crc32(content) !== bytes.readUInt32LE(trailer) || content.length >>> 0 !== bytes.readUInt32LE(trailer + 4)) return 'corrupt'
  return { content, storedBytes: trailer + 8 }
}

/**
 * A guess at how much comes out, for one output buffer of the right size: the length field before what looks like the
 * next member. Saves a third of the time on files with many small records (bench/warc.ts).
 */
function likelyContentBytes(bytes: Buffer): number {
  const next = bytes.indexOf(GZIP_MAGIC, SMALLEST_MEMBER_BYTES)
  const length = next === -1 ? CHUNK_BYTES : bytes.readUInt32LE(next - 4)
  return length > LARGEST_CHUNK_BYTES ? CHUNK_BYTES : length
}

function inflate(bytes: Buffer, maxOutputLength: number, likelyBytes: number): { content: Buffer; taken: number } | 'partial' | 'corrupt' {
  try {
    // More than the content, so that zlib sees the end in the same call. The types know no `info`: it adds the engine, whose bytesWritten is what the member took.
    const result: unknown = inflateRawSync(bytes, { info: true, chunkSize: likelyBytes + 64, maxOutputLength })
    if (isInfo(result)) return { content: result.buffer, taken: result.engine.bytesWritten }
    throw new TypeError('inflateRawSync gave no engine')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'Z_BUF_ERROR' || code === 'ERR_BUFFER_TOO_LARGE') return 'partial'
    if (code === 'Z_DATA_ERROR') return 'corrupt'
    throw error
  }
}

function isInfo(result: unknown): result is { buffer: Buffer; engine: { bytesWritten: number } } {
  return typeof result === 'object' && result !== null && 'engine' in result && 'buffer' in result
}
