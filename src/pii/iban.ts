// International bank account numbers, ISO 13616: country, its length, and the check digits mod 97.

import type { Find } from './spans.ts'

/** Length by country, from the IBAN registry (SWIFT, release 99). */
const registry = `
  AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24
  FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32
  LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24
  RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30`
const lengths = new Map(Array.from(registry.matchAll(/([A-Z]{2})(\d+)/g), ([, country, length]) => [country, Number(length)]))
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
