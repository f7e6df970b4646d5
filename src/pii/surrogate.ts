// Surrogates: something else of the same form in the place of personal data, the same for the same value, so that who is who
// can still be told. Keyed by HMAC-SHA-256 (RFC 2104): without the key nobody gets from a surrogate back, or from a guess there.

import { createHmac } from 'node:crypto'
import type { Kind } from './spans.ts'

const digit = /\p{Nd}/u
const upper = /\p{Lu}/u
const letter = /\p{L}/u

/** Letters stay letters, of the same case, digits stay digits, everything else stays as it is. */
export function surrogate(key: string, kind: Kind, found: string): string {
  const normal = found.toLowerCase().replace(/[\s().-]/g, '')
  let block = Buffer.alloc(0)
  let used = 0
  let blocks = 0
  const next = (below: number) => {
    // The modulo's bias, at most one in 65,536 / 26, gives nothing away.
    if (used + 2 > block.length) {
      block = createHmac('sha256', key).update(`${kind}\0${normal}\0${blocks++}`).digest()
      used = 0
    }
    const value = block.readUInt16LE(used)
    used += 2
    return value % below
  }
  let out = ''
  for (const character of found) {
    if (digit.test(character)) out += next(10)
    else if (letter.test(character)) {
      const chosen = String.fromCharCode(97 + next(26))
      out += upper.test(character) ? chosen.toUpperCase() : chosen
    } else out += character
  }
  return out
}
