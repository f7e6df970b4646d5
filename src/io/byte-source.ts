// An input as bytes: its size, a version that changes when it does, and any range of it as a stream. `openBytes` opens one.

import type { RetryPolicy } from './retry.ts'

export interface ByteSource {
  /** Absolute: `file:`, `http(s):` or `s3:`. */
  readonly url: string
  readonly size: number
  /** ETag, or size and modification time. */
  readonly version: string
  /** Bytes [start, end), the end cut to the size. The buffers are the reader's own. */
  readonly read: (start?: number, end?: number) => AsyncIterable<Buffer>
}

export interface OpenOptions {
  /** What the input's version was when the work was planned: another one is refused with SLUICE_INPUT_CHANGED. */
  readonly version?: string
  /** What will be read first, bytes [start, end): over a network the request that asks for the size brings it along. */
  readonly first?: readonly [start: number, end: number]
  /** Where bytes that came over a network are kept. */
  readonly cache?: CacheOptions
  readonly signal?: AbortSignal
  readonly http?: Partial<HttpPolicy>
}

export interface CacheOptions {
  readonly folder: string
  /** What was not used for longest goes where it grows larger. */
  readonly maxBytes: number
}

/** Failures in a row are those without a byte between them. */
export interface HttpPolicy extends RetryPolicy {
  /** A body that stands still for so long is a failure. */
  readonly idleTimeoutMs: number
}

/** All of an input in one buffer: for what is small by its nature. */
export async function readBytes(source: ByteSource, start = 0, end = source.size): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of source.read(start, end)) chunks.push(chunk)
  return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)
}
