// Local files as byte sources.

import { createReadStream } from 'node:fs'
import { access, constants, stat } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import { SluiceError } from '../core/errors.ts'
import type { ByteSource, OpenOptions } from './byte-source.ts'
import { diskError } from './disk-errors.ts'
import { localPath } from './inputs.ts'

const CHUNK_BYTES = 1 << 20

export async function openFile(name: string, options: OpenOptions): Promise<ByteSource> {
  const path = localPath(name)
  const { size, version } = await inspect(path)
  if (options.version !== undefined && options.version !== version) throw changed(path)
  return {
    url: pathToFileURL(path).href,
    size,
    version,
    read: (start = 0, end = size) => readRange(path, start, Math.min(end, size), options.signal),
  }
}

async function inspect(path: string): Promise<{ size: number; version: string }> {
  try {
    const found = await stat(path)
    if (found.isDirectory()) throw Object.assign(new Error('is a directory'), { code: 'EISDIR' })
    await access(path, constants.R_OK)
    return { size: found.size, version: `${found.size}-${Math.round(found.mtimeMs)}` }
  } catch (error) {
    throw diskError(error, path)
  }
}

async function* readRange(path: string, start: number, end: number, signal?: AbortSignal): AsyncGenerator<Buffer> {
  if (start >= end) return
  let position = start
  try {
    for await (const chunk of createReadStream(path, { start, end: end - 1, highWaterMark: CHUNK_BYTES, signal })) {
      position += chunk.length
      yield chunk
    }
  } catch (error) {
    throw diskError(error, path)
  }
  if (position < end) throw changed(path)
}

function changed(path: string): SluiceError {
  return new SluiceError('SLUICE_INPUT_CHANGED', 'the input has changed since the work on it was planned', {
    where: { file: path },
    fix: 'run again: what depends on it is done anew',
  })
}
