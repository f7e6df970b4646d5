// gzip members of an archive: RFC 1952 header, deflate body, CRC-32 and length, all checked.

import { constants, crc32, createInflateRaw, inflateRawSync } from 'node:zlib'
import { systemCode } from '../core/errors.ts'
import type { ByteWindow } from '../io/byte-window.ts'
import { Decoder } from '../io/decoder.ts'
import type { Gunzip } from '../io/libdeflate.ts'
import type { MemberFailure, MemberFormat, MemberResult } from './member.ts'

/** With deflate, the only method there is. */
export const GZIP_MAGIC = Buffer.from([0x1f, 0x8b, 8])
const CHUNK_BYTES = 1 << 16
const LARGEST_CHUNK_BYTES = 4 << 20
/** Header and trailer of the smallest member. */
const SMALLEST_MEMBER_BYTES = 18

/** Compressed bytes that a record's first line must come out of. */
const PEEK_BYTES = 2048
const STREAM_PIECE_BYTES = 1 << 16
/** A header with its file name and comment is no longer. */
const MAX_HEAD_BYTES = 1 << 20

/** @param gunzip tried first; without it all is zlib's */
export function gzipMembers(gunzip?: Gunzip): MemberFormat {
  return {
    name: 'gzip',
    magic: GZIP_MAGIC,
    code: 'SLUICE_WARC_GZIP',
    mayBegin: hasGzipMagic,
    decode: (bytes, maxContentBytes) =>
      gunzip?.(bytes, likelyContentBytes(bytes), maxContentBytes) ?? inflateMember(bytes, maxContentBytes),
    peek: peekMember,
    stream: streamMember,
  }
}

/** True where a gzip member with deflate may begin. */
export function hasGzipMagic(bytes: Buffer, start = 0): boolean {
  return bytes[start] === 0x1f && bytes[start + 1] === 0x8b && bytes[start + 2] === 8 && (bytes[start + 3] & 0xe0) === 0
}

/** Bytes of the member's header, -1 where the buffer ends within it. Extra fields (Internet Archive's `sl`, wget's) are passed over. */
function gzipHeadBytes(bytes: Buffer, start = 0): number {
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

/** By zlib. */
function inflateMember(bytes: Buffer, maxContentBytes: number): MemberResult {
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
    const code = systemCode(error)
    if (code === 'Z_BUF_ERROR' || code === 'ERR_BUFFER_TOO_LARGE') return 'partial'
    if (code === 'Z_DATA_ERROR') return 'corrupt'
    throw error
  }
}

function isInfo(result: unknown): result is { buffer: Buffer; engine: { bytesWritten: number } } {
  return typeof result === 'object' && result !== null && 'engine' in result && 'buffer' in result
}

function peekMember(bytes: Buffer, start: number): Buffer {
  const headBytes = gzipHeadBytes(bytes, start)
  if (headBytes === -1) return Buffer.alloc(0)
  const body = start + headBytes
  try {
    return inflateRawSync(bytes.subarray(body, body + PEEK_BYTES), { finishFlush: constants.Z_SYNC_FLUSH, chunkSize: PEEK_BYTES })
  } catch {
    return Buffer.alloc(0) // no deflate data: one of the many places that look like a gzip header
  }
}

async function* streamMember(window: ByteWindow, fail: (failure: MemberFailure) => void): AsyncGenerator<Buffer> {
  let headBytes = gzipHeadBytes(window.buffer)
  while (headBytes === -1 && window.buffer.length < MAX_HEAD_BYTES && (await window.grow())) headBytes = gzipHeadBytes(window.buffer)
  if (headBytes === -1) return fail({ kind: window.isEnded ? 'truncated' : 'corrupt' })
  window.advance(headBytes)
  const decoder = new Decoder(createInflateRaw({ chunkSize: STREAM_PIECE_BYTES }))
  let checksum = 0,
    length = 0
  try {
    while (!decoder.isDone) {
      const before = decoder.taken
      const hasInput = window.buffer.length > 0 || (await window.grow())
      const chunks = hasInput ? await decoder.push(window.buffer.subarray(0, STREAM_PIECE_BYTES)) : await decoder.finish()
      window.advance(decoder.error ? 0 : decoder.taken - before) // before the content goes out: who takes it asks how far this is
      for (const chunk of chunks) {
        checksum = crc32(chunk, checksum)
        length += chunk.length
        yield chunk
      }
      if (decoder.error) return fail(failureOf(decoder.error))
      if (!hasInput) break
    }
  } finally {
    decoder.close()
  }
  if (!(await window.fill(8))) return fail({ kind: 'truncated' })
  const isGood = checksum === window.buffer.readUInt32LE(0) && length % 2 ** 32 === window.buffer.readUInt32LE(4)
  if (!isGood) return fail({ kind: 'checksum' })
  window.advance(8)
}

function failureOf(error: Error): MemberFailure {
  return systemCode(error) === 'Z_BUF_ERROR' ? { kind: 'truncated' } : { kind: 'corrupt', detail: error.message }
}
