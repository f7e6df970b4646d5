// International bank account numbers, ISO 13616: country, its length, and the check digits mod 97.

import type { Find } from './spans.ts'

/** Length by country, from the IBAN registry (SWIFT, release 99). */
const lengths = new Map(
  Object.entries({
    AD: 24,
    AE: 23,
    AL: 28,
    AT: 20,
    AZ: 28,
    BA: 20,
    BE: 16,
    BG: 22,
    BH: 22,
    BI: 27,
    BR: 29,
    BY: 28,
    CH: 21,
    CR: 22,
    CY: 28,
    CZ: 24,
    DE: 22,
    DJ: 27,
    DK: 18,
    DO: 28,
    EE: 20,
    EG: 29,
    ES: 24,
    FI: 18,
    FK: 18,
    FO: 18,
    FR: 27,
    GB: 22,
    GE: 22,
    GI: 23,
    GL: 18,
    GR: 27,
    GT: 28,
    HN: 28,
    HR: 21,
    HU: 28,
    IE: 22,
    IL: 23,
    IQ: 23,
    IS: 26,
    IT: 27,
    JO: 30,
    KW: 30,
    KZ: 20,
    LB: 28,
    LC: 32,
    LI: 21,
    LT: 20,
    LU: 20,
    LV: 21,
    LY: 25,
    MC: 27,
    MD: 24,
    ME: 22,
    MK: 19,
    MN: 20,
    MR: 27,
    MT: 31,
    MU: 30,
    NI: 28,
    NL: 18,
    NO: 15,
    OM: 23,
    PK: 24,
    PL: 28,
    PS: 29,
    PT: 25,
    QA: 29,
    RO: 24,
    RS: 22,
    RU: 33,
    SA: 24,
    SC: 31,
    SD: 18,
    SE: 24,
    SI: 19,
    SK: 24,
    SM: 27,
    SO: 23,
    ST: 25,
    SV: 28,
    TL: 23,
    TN: 24,
    TR: 26,
    UA: 29,
    VA: 22,
    VG: 24,
    XK: 20,
    YE: 30,
  }),
)
const longest = 34
const head = /(?<![A-Za-z0-9])([A-Za-z]{2})\d{2}(?=[ -]?[A-Za-z0-9])/g

export const findIbans: Find = (text, found) => {
  let free = 0
  for (const match of text.matchAll(head)) {
    const length = lengths.get(match[1].toUpperCase())
    if (length === undefined || match.index < free) continue
    const end = endOfCharacters(text, match.index, length)
    if (end < 0 || !isIban(text.slice(match.index, end).replace(/[ -]/g, ''))) continue
    found(match.index, end)
    free = end
  }
}

/** End of so many letters and digits, single blanks or hyphens between them; -1 where there are fewer, or more follow. */
function endOfCharacters(text: string, start: number, count: number): number {
  let seen = 0
  let at = start
  for (; seen < count && at < start + 2 * longest; at++) {
    const unit = text.charCodeAt(at)
    if (isLetterOrDigit(unit)) seen++
    else if ((unit !== 32 && unit !== 45) || !isLetterOrDigit(text.charCodeAt(at - 1))) return -1
  }
  return seen === count && !isLetterOrDigit(text.charCodeAt(at)) ? at : -1
}

/** False for NaN, the code behind the text's end. */
function isLetterOrDigit(unit: number): boolean {
  return (unit >= 48 && unit <= 57) || (unit >= 65 && unit <= 90) || (unit >= 97 && unit <= 122)
}

/** @param iban letters and digits, nothing else */
export function isIban(iban: string): boolean {
  const upper = iban.toUpperCase()
  if (lengths.get(upper.slice(0, 2)) !== upper.length) return false
  let remainder = 0
  for (const character of upper.slice(4) + upper.slice(0, 4)) {
    const value = Number.parseInt(character, 36)
    remainder = (remainder * (value > 9 ? 100 : 10) + value) % 97
  }
  return remainder === 1
}
