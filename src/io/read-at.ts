// A part of an open file, however long.

import type { FileHandle } from 'node:fs/promises'

/** The system reads 2³¹ − 1 bytes at most at once. */
const MOST_BYTES = 2 ** 30

/** Bytes from a position on, fewer where the file ends before, in memory of their own: it begins where any typed array may. */
export async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer<ArrayBuffer>> {
  const { size } = await file.stat()
  const buffer = Buffer.from(new ArrayBuffer(Math.min(length, Math.max(0, size - position))))
  let done = 0
  while (done < buffer.length) {
    const { bytesRead } = await file.read(buffer, done, Math.min(buffer.length - done, MOST_BYTES), position + done)
    if (bytesRead === 0) return buffer.subarray(0, done)
    done += bytesRead
  }
  return buffer
}
