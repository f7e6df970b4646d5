// Compressed inputs as one stream of bytes: gzip (all members), zstd (all frames) or plain, told apart by magic bytes.
// What can be decoded is handed out before damage is reported.

import { createGunzip, createZstdDecompress } from 'node:zlib'
import type { ByteSource } from './byte-source.ts'
import { ByteWindow } from './byte-window.ts'
import { Decoder, type DecoderStream } from './decoder.ts'
import { hasZstdMagic, isSkippable } from './zstd-format.ts'

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

const FIRST_PIECE_BYTES = 512
const PIECE_BYTES = 1 << 18
/** Decoded from one piece, all of which is in memory: zstd makes 32,000 bytes of one. Pieces grow as long as they give less. */
const MOST_GIVEN_BYTES = 16 << 20
const CHUNK_BYTES = 1 << 18

/** @param head the first four bytes or more */
export function compressionOf(head: Buffer): Compression {
  if (head.length >= 3 && head[0] === 0x1f && head[1] === 0x8b && head[2] === 8) return 'gzip'
  return hasZstdMagic(head) || isSkippable(head) ? 'zstd' : 'none'
}

/**
 * The decoded bytes of a whole input.
 *
 * @param damaged called at most once, after the last chunk
 */
export async function* decompress(source: ByteSource, damaged: (damage: StreamDamage) => void): AsyncGenerator<Decompressed> {
  let given = 0
  for await (const part of decodeOnce(source)) {
    if (!('damage' in part)) {
      given += part.chunk.length
      yield part
    } else if (part.damage.code !== 'SLUICE_STREAM_TRUNCATED') yield* decodeAgain(source, given, part.damage.offset, damaged)
    else damaged(part.damage)
  }
}

/**
 * What lies between the first pass's last chunk and the damage: a call of zlib that fails keeps what it has decoded, so
 * the bytes around the fault are fed one by one.
 */
async function* decodeAgain(
  source: ByteSource,
  given: number,
  carefulFrom: number,
  damaged: (damage: StreamDamage) => void,
): AsyncGenerator<Decompressed> {
  let position = 0
  for await (const part of decodeOnce(source, carefulFrom)) {
    if ('damage' in part) return damaged(part.damage)
    const rest = part.chunk.subarray(Math.max(0, given - position))
    position += part.chunk.length
    if (rest.length > 0) yield { chunk: rest, consumed: 0 }
  }
}

async function* decodeOnce(
  source: ByteSource,
  carefulFrom = Number.POSITIVE_INFINITY,
): AsyncGenerator<Decompressed | { readonly damage: StreamDamage }> {
  const window = new ByteWindow(source.read())
  await window.fill(4)
  const stream = decoderFor(compressionOf(window.buffer))
  if (!stream) {
    yield* plainChunks(window)
    return
  }
  const decoder = new Decoder(stream)
  let pieceBytes = FIRST_PIECE_BYTES
  try {
    while (!decoder.error && !decoder.isDone && (window.buffer.length > 0 || (await window.grow()))) {
      const piece = window.buffer.subarray(0, Math.max(1, Math.min(pieceBytes, carefulFrom - window.offset)))
      window.advance(piece.length)
      const chunks = await decoder.push(piece)
      pieceBytes = nextPieceBytes(pieceBytes, chunks)
      yield* parts(chunks, piece.length)
    }
    yield* parts(await decoder.finish(), 0)
    const damage = damageOf(decoder, source.size)
    if (damage) yield { damage }
  } finally {
    decoder.close()
    await window.close()
  }
}

function nextPieceBytes(pieceBytes: number, chunks: readonly Buffer[]): number {
  const givenBytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
  if (givenBytes > MOST_GIVEN_BYTES) return Math.max(1, pieceBytes >> 2)
  return givenBytes * 4 > MOST_GIVEN_BYTES ? pieceBytes : Math.min(PIECE_BYTES, pieceBytes * 4)
}

async function* plainChunks(window: ByteWindow): AsyncGenerator<Decompressed> {
  while (window.buffer.length > 0 || (await window.grow())) {
    const chunk = window.buffer
    window.advance(chunk.length)
    yield { chunk, consumed: chunk.length }
  }
}

function* parts(chunks: Buffer[], consumed: number): Generator<Decompressed> {
  if (chunks.length === 0 && consumed > 0) yield { chunk: Buffer.alloc(0), consumed }
  for (const [index, chunk] of chunks.entries()) yield { chunk, consumed: index === 0 ? consumed : 0 }
}

function decoderFor(compression: Compression): DecoderStream | undefined {
  if (compression === 'gzip') return createGunzip({ chunkSize: CHUNK_BYTES })
  return compression === 'zstd' ? createZstdDecompress({ chunkSize: CHUNK_BYTES }) : undefined
}

function damageOf(decoder: Decoder, size: number): StreamDamage | undefined {
  const offset = Math.min(decoder.taken, size)
  const { error } = decoder
  if (error && 'code' in error && error.code === 'Z_BUF_ERROR')
    return { offset, code: 'SLUICE_STREAM_TRUNCATED', message: `the compressed data are cut short: the file ends after ${size} bytes` }
  const isTrailing = error === undefined ? offset < size : offset > 0 && /header check/.test(error.message) // gunzip wants another member
  if (error && !isTrailing) return { offset, code: 'SLUICE_STREAM_CORRUPT', message: `the compressed data are corrupt: ${error.message}` }
  if (!isTrailing) return undefined
  return {
    offset,
    code: 'SLUICE_STREAM_TRAILING',
    message: `${size - offset} bytes behind the end of the compressed data are no such data`,
  }
}
