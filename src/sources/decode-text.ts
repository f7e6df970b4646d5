// Text from the bytes of a file that says nothing of its encoding: its byte order mark, UTF-8 where the bytes are that, and
// else the encoding in which they read most like a language.

import { isUtf8 } from 'node:buffer'
import { guessEncoding } from '../html/guess-encoding.ts'

export interface Decoded {
  /** Well-formed, without a byte order mark. */
  readonly text: string
  /** By the Encoding Standard's name. */
  readonly encoding: string
}

/** Where git too looks for a zero byte. */
const HEAD_BYTES = 8000
const LINE_FEED = Buffer.from('\n')

/** @returns undefined where the bytes are no text */
export function decodeText(bytes: Buffer): Decoded | undefined {
  const encoding = encodingOf(bytes)
  return encoding === undefined ? undefined : { text: new TextDecoder(encoding).decode(bytes), encoding }
}

/** @param bytes a whole file, or its head cut at a line */
export function encodingOf(bytes: Buffer): string | undefined {
  const marked = byteOrderMark(bytes)
  if (marked !== undefined) return marked
  const hasZero = bytes.subarray(0, HEAD_BYTES).includes(0)
  if (!hasZero && isUtf8(bytes)) return 'utf-8'
  const guess = guessEncoding(Buffer.concat([bytes, LINE_FEED])) // a page may end within a character, a file does not
  return hasZero && !guess.startsWith('utf-16') ? undefined : guess
}

function byteOrderMark(bytes: Buffer): string | undefined {
  if (bytes.length >= 3 && bytes.readUIntBE(0, 3) === 0xefbbbf) return 'utf-8'
  const mark = bytes.length >= 2 ? bytes.readUInt16BE(0) : 0
  if (mark === 0xfffe) return 'utf-16le'
  return mark === 0xfeff ? 'utf-16be' : undefined
}
