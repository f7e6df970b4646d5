// zstd frames as members of an archive: RFC 8878, and "Zstandard Compression for WARC Files 1.0" (IIPC, proposed), by which
// a file may begin with a skippable frame that carries the dictionary of all frames behind it.

import { constants, createZstdDecompress, zstdDecompressSync } from 'node:zlib'
import { SluiceError, systemCode } from '../core/errors.ts'
import { type ByteSource, readBytes } from '../io/byte-source.ts'
import type { ByteWindow } from '../io/byte-window.ts'
import { Decoder } from '../io/decoder.ts'
import { hasZstdMagic, isSkippable, parseBlock, parseFrameHead, ZSTD_MAGIC } from '../io/zstd-format.ts'
import type { MemberFailure, MemberFormat, MemberResult } from './member.ts'

const DICTIONARY_FRAME = 0x184d2a5d
/** Dictionaries in use have some 100 kB, and are made to pay at that size. */
const MAX_DICTIONARY_BYTES = 64 << 20
const CHUNK_BYTES = 1 << 16

export interface Dictionary {
  /** Decompressed. */
  readonly bytes: Buffer
  /** Exclusive end of its frame in the file. */
  readonly end: number
}

/**
 * The dictionary at the start of a file; undefined where there is none.
 *
 * @throws SluiceError SLUICE_WARC_DICTIONARY where it cannot be read: nothing behind it could be
 */
export async function readDictionary(source: ByteSource): Promise<Dictionary | undefined> {
  const head = await readBytes(source, 0, 8)
  if (head.length < 8 || head.readUInt32LE(0) !== DICTIONARY_FRAME) return undefined
  const size = head.readUInt32LE(4)
  if (size > MAX_DICTIONARY_BYTES) throw badDictionary(source, `it claims ${size} bytes, more than ${MAX_DICTIONARY_BYTES}`)
  const stored = await readBytes(source, 8, 8 + size)
  if (stored.length < size) throw badDictionary(source, `it has ${size} bytes and the file ends after ${stored.length} of them`)
  const end = 8 + size
  if (!hasZstdMagic(stored)) return { bytes: stored, end }
  try {
    return { bytes: zstdDecompressSync(stored, { maxOutputLength: MAX_DICTIONARY_BYTES }), end }
  } catch (cause) {
    throw badDictionary(source, 'it does not decompress', cause)
  }
}

function badDictionary({ url }: ByteSource, why: string, cause?: unknown): SluiceError {
  return new SluiceError('SLUICE_WARC_DICTIONARY', `the dictionary at the start of the file cannot be read: ${why}`, {
    where: { source: url, byte: 0 },
    fix: 'fetch the file again: without its dictionary none of its records can be decoded',
    cause,
  })
}

/** @param by what all frames were compressed with */
export function zstdFrames(by?: Dictionary): MemberFormat {
  const dictionary = by?.bytes
  return {
    name: 'zstd',
    firstOffset: by?.end,
    magic: ZSTD_MAGIC,
    code: 'SLUICE_WARC_ZSTD',
    mayBegin: hasZstdMagic,
    skippableBytes: (bytes) => (isSkippable(bytes) && bytes.length >= 8 ? 8 + bytes.readUInt32LE(4) : 0),
    decode: (bytes, maxContentBytes) => decodeFrame(bytes, maxContentBytes, dictionary),
    peek: (bytes, start) => peekFrame(bytes, start, dictionary),
    stream: (window, fail) => streamFrame(window, fail, dictionary),
  }
}

/** The frame's end is known without decoding it: zlib's interface does not tell where it stopped. */
function frameBytes(bytes: Buffer): number | 'partial' | 'corrupt' {
  const head = parseFrameHead(bytes)
  if (typeof head === 'string') return head
  let position = head.headBytes
  for (let isLast = false; !isLast; ) {
    if (bytes.length < position + 3) return 'partial'
    const block = parseBlock(bytes, position)
    if (block === 'corrupt') return block
    position += block.blockBytes
    isLast = block.isLast
  }
  position += head.hasChecksum ? 4 : 0
  return position > bytes.length ? 'partial' : position
}

function decodeFrame(bytes: Buffer, maxOutputLength: number, dictionary: Buffer | undefined): MemberResult {
  const storedBytes = frameBytes(bytes)
  if (typeof storedBytes === 'string') return storedBytes
  try {
    return {
      content: zstdDecompressSync(bytes.subarray(0, storedBytes), { dictionary, maxOutputLength, chunkSize: CHUNK_BYTES }),
      storedBytes,
    }
  } catch (error) {
    if (systemCode(error) === 'ERR_BUFFER_TOO_LARGE') return 'partial'
    if (isZstdError(error)) return 'corrupt'
    throw error
  }
}

function isZstdError(error: unknown): boolean {
  return /^Z(?:STD)?_/.test(systemCode(error) ?? '')
}

/** What the first block holds. */
function peekFrame(bytes: Buffer, start: number, dictionary: Buffer | undefined): Buffer {
  const head = parseFrameHead(bytes, start)
  if (typeof head === 'string' || bytes.length < start + head.headBytes + 3) return Buffer.alloc(0)
  const block = parseBlock(bytes, start + head.headBytes)
  if (block === 'corrupt') return Buffer.alloc(0)
  const end = start + head.headBytes + block.blockBytes
  try {
    return zstdDecompressSync(bytes.subarray(start, end), { dictionary, finishFlush: constants.ZSTD_e_flush })
  } catch (error) {
    if (isZstdError(error)) return Buffer.alloc(0) // one of the places that look like a frame
    throw error
  }
}

/** Fed block by block, so that the decoder never sees what lies behind the frame. */
async function* streamFrame(
  window: ByteWindow,
  fail: (failure: MemberFailure) => void,
  dictionary: Buffer | undefined,
): AsyncGenerator<Buffer> {
  const decoder = new Decoder(createZstdDecompress({ dictionary, chunkSize: CHUNK_BYTES }))
  const push = async (bytes: number) => {
    const piece = window.buffer.subarray(0, bytes)
    window.advance(bytes)
    return await decoder.push(piece)
  }
  try {
    let head = parseFrameHead(window.buffer)
    while (head === 'partial' && (await window.grow())) head = parseFrameHead(window.buffer)
    if (typeof head === 'string') return fail({ kind: head === 'partial' ? 'truncated' : head })
    yield* await push(head.headBytes)
    for (let isLast = false; !isLast && !decoder.error; ) {
      if (!(await window.fill(3))) return fail({ kind: 'truncated' })
      const block = parseBlock(window.buffer, 0)
      if (block === 'corrupt') return fail({ kind: block })
      if (!(await window.fill(block.blockBytes))) return fail({ kind: 'truncated' })
      yield* await push(block.blockBytes)
      isLast = block.isLast
    }
    if (!decoder.error && head.hasChecksum) {
      if (!(await window.fill(4))) return fail({ kind: 'truncated' })
      yield* await push(4)
    }
    yield* await decoder.finish()
    if (decoder.error) fail(failureOf(decoder.error))
  } finally {
    decoder.close()
  }
}

function failureOf(error: Error): MemberFailure {
  return systemCode(error) === 'ZSTD_error_checksum_wrong' ? { kind: 'checksum' } : { kind: 'corrupt', detail: error.message }
}
