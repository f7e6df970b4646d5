// Compressed inputs as one stream of bytes: gzip (all members), zstd (all frames) or plain, told apart by magic bytes.
// What can be decoded is handed out before damage is reported.

import { createGunzip, createZstdDecompress } from 'node:zlib'
import type { ByteSource } from './byte-source.ts'
import { Decoder, type DecoderStream } from './decoder.ts'

export type Compression = 'gzip' | 'zstd' | 'none'

/** Why a compressed input ends early. */
export interface StreamDamage {
  /** In the compressed file, roughly: where the decoder stopped. */
  readonly offset: number
  readonly code: 'SLUICE_STREAM_TRUNCATED' | 'SLUICE_STREAM_CORRUPT' | 'SLUICE_STREAM_TRAILING'
  readonly message: string
}

export interface Decompressed {
  /** Decoded bytes. */
  readonly chunk: Buffer
  /** Bytes of the file read since the last one. */
  readonly consumed: number
}

const PIECE_BYTES = 1 << 18
const CHUNK_BYTES = 1 << 18
/** A failing call of the decoder keeps what it had not handed out; small chunks make that little. */
const CAREFUL_CHUNK_BYTES = 1 << 10

/** @param head the first four bytes or more */
export function compressionOf(head: Buffer): Compression {
  if (head.length >= 3 && head[0] === 0x1f && head[1] === 0x8b && head[2] === 8) return 'gzip'
  if (head.length < 4) return 'none'
  const magic = head.readUInt32LE(0)
  return magic === 0xfd2fb528 || (magic & 0xfffffff0) >>> 0 === 0x184d2a50 ? 'zstd' : 'none'
}

/**
 * The decoded bytes of a whole input.
 *
 * @param damaged called at most once, after the last chunk
 */
export async function* decompress(source: ByteSource, damaged: (damage: StreamDamage) => void): AsyncGenerator<Decompressed> {
  let given = 0
  for await (const part of decodeOnce(source, CHUNK_BYTES)) {
    if (!('damage' in part)) {
      given += part.chunk.length
      yield part
    } else if (part.damage.code === 'SLUICE_STREAM_CORRUPT') {
      yield* decodeAgain(source, given)
      damaged(part.damage)
    } else damaged(part.damage)
  }
}

/** What lies between the first pass's last chunk and the damage. */
async function* decodeAgain(source: ByteSource, given: number): AsyncGenerator<Decompressed> {
  let position = 0
  for await (const part of decodeOnce(source, CAREFUL_CHUNK_BYTES)) {
    if ('damage' in part) return
    const rest = part.chunk.subarray(Math.max(0, given - position))
    position += part.chunk.length
    if (rest.length > 0) yield { chunk: rest, consumed: 0 }
  }
}

async function* decodeOnce(source: ByteSource, chunkSize: number): AsyncGenerator<Decompressed | { readonly damage: StreamDamage }> {
  let decoder: Decoder | undefined
  let isPlain = false
  let read = 0
  try {
    for await (const chunk of source.read()) {
      if (read === 0) {
        const stream = decoderFor(compressionOf(chunk), chunkSize)
        isPlain = stream === undefined
        if (stream) decoder = new Decoder(stream)
      }
      read += chunk.length
      if (isPlain) yield { chunk, consumed: chunk.length }
      for (let start = 0; decoder && start < chunk.length; start += PIECE_BYTES) {
        const piece = chunk.subarray(start, start + PIECE_BYTES)
        yield* parts(await decoder.push(piece), piece.length)
        if (decoder.error || decoder.isDone) break
      }
      if (decoder?.error || decoder?.isDone) break
    }
    if (!decoder) return
    yield* parts(await decoder.finish(), 0)
    const damage = damageOf(decoder, source.size)
    if (damage) yield { damage }
  } finally {
    decoder?.close()
  }
}

function* parts(chunks: Buffer[], consumed: number): Generator<Decompressed> {
  if (chunks.length === 0 && consumed > 0) yield { chunk: Buffer.alloc(0), consumed }
  for (const [index, chunk] of chunks.entries()) yield { chunk, consumed: index === 0 ? consumed : 0 }
}

function decoderFor(compression: Compression, chunkSize: number): DecoderStream | undefined {
  if (compression === 'gzip') return createGunzip({ chunkSize })
  return compression === 'zstd' ? createZstdDecompress({ chunkSize }) : undefined
}

function damageOf(decoder: Decoder, size: number): StreamDamage | undefined {
  const offset = Math.min(decoder.taken, size)
  if (decoder.error) {
    const isTruncated = 'code' in decoder.error && decoder.error.code === 'Z_BUF_ERROR'
    const code = isTruncated ? 'SLUICE_STREAM_TRUNCATED' : 'SLUICE_STREAM_CORRUPT'
    return {
      offset,
      code,
      message: isTruncated ? `the compressed data end early, after ${size} bytes` : `the compressed data are bad: ${decoder.error.message}`,
    }
  }
  if (offset === size) return undefined
  return {
    offset,
    code: 'SLUICE_STREAM_TRAILING',
    message: `${size - offset} bytes behind the end of the compressed data are no such data`,
  }
}
