// What fastText takes for a token: whatever stands between blanks; the end of a line is a token of its own.

import { hashBytes } from './word-table.ts'

const SPACE = 32
/** Space, \t, \n, \v, \f, \r and the zero byte: a bit each. */
const BLANKS = 0b11111000000001

export const END_OF_LINE = Buffer.from('</s>')
export const END_OF_LINE_HASH = hashBytes(END_OF_LINE, 0, END_OF_LINE.length)

export function isBlank(byte: number): boolean {
  return byte === SPACE || (byte < SPACE && ((BLANKS >>> byte) & 1) === 1)
}

export function startsWith(bytes: Uint8Array, start: number, end: number, prefix: Uint8Array): boolean {
  if (end - start < prefix.length) return false
  for (let i = 0; i < prefix.length; i++) if (bytes[start + i] !== prefix[i]) return false
  return true
}

/** The tokens of a line, without its end. */
export function lineTokens(line: string): string[] {
  return line.split(/[ \n\r\t\v\f\0]+/).filter((token) => token !== '')
}
