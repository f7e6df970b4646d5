// An input as bytes: its size, a version that changes when it does, and any range of it as a stream. By URL scheme.

import { openFile } from './file-source.ts'
import { type HttpPolicy, openHttp } from './http-source.ts'
import { isRemote } from './inputs.ts'

export interface ByteSource {
  /** Absolute: `file:` or `http(s):`. */
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
  readonly signal?: AbortSignal
  readonly http?: Partial<HttpPolicy>
}

/** @param url as `expandInputs` gives it */
export async function openBytes(url: string, options: OpenOptions = {}): Promise<ByteSource> {
  return isRemote(url) ? await openHttp(url, options) : await openFile(url, options)
}

/** All of an input in one buffer: for what is small by its nature. */
export async function readBytes(source: ByteSource, start = 0, end = source.size): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of source.read(start, end)) chunks.push(chunk)
  return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)
}
