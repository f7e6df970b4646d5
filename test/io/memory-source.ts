// An input in memory that hands out its bytes in pieces of any size.

import { Readable } from 'node:stream'
import type { ByteSource } from '../../src/io/byte-source.ts'

export function memorySource(bytes: Buffer, pieceBytes: number, url = 'file:///memory'): ByteSource {
  return {
    url,
    size: bytes.length,
    version: '1',
    read: (start = 0, end = bytes.length) => {
      const pieces: Buffer[] = []
      for (let at = start; at < Math.min(end, bytes.length); at += pieceBytes)
        pieces.push(bytes.subarray(at, Math.min(at + pieceBytes, end)))
      return Readable.from(pieces)
    },
  }
}
