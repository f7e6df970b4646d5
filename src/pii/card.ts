// Payment card numbers: brand prefix and length (ISO/IEC 7812 ranges as the brands publish them), Luhn's check digit,
// written in one piece or in the groups that cards print.

import { passesLuhn } from './checksums.ts'
import type { Find } from './spans.ts'

/** First and last value of the leading digits, and the lengths of such numbers. */
const brands: readonly [first: number, last: number, lengths: readonly number[]][] = [
  [4, 4, [13, 16, 19]], // Visa
  [51, 55, [16]], // Mastercard
  [2221, 2720, [16]],
  [34, 34, [15]], // American Express
  [37, 37, [15]],
  [300, 305, [14, 16]], // Diners Club
  [36, 36, [14, 16]],
  [38, 39, [14, 16]],
  [3528, 3589, [16, 17, 18, 19]], // JCB
  [6011, 6011, [16, 19]], // Discover
  [644, 659, [16, 19]],
  [62, 62, [16, 17, 18, 19]], // UnionPay
  [2200, 2204, [16, 17, 18, 19]], // Mir
  [5018, 5018, [16, 18, 19]], // Maestro
  [5020, 5020, [16, 18, 19]],
  [5038, 5038, [16, 18, 19]],
  [5893, 5893, [16, 18, 19]],
  [6304, 6304, [16, 18, 19]],
  [6759, 6763, [16, 18, 19]],
]
const groupings = new Set(['4-4-4-4', '4-4-4-4-3', '4-4-4-1', '4-6-5', '4-6-4', '6-13', '8-8', '4-4-4-2', '4-4-4-3'])
const candidate =
  /(?<![\w.,+-]|\d[ -])\d{4}(?:\d{9,15}|\d{2}-\d{13}|\d{4}[ -]\d{8}|([ -])\d{4}(?:\1\d{4}\1\d{1,4}(?:\1\d{3})?|\d{2}\1\d{4,5}))(?![\w-]|[ .,]\d)/g

/** A word that names a card vouches for brands that are not in the table. */
const announced = /\b(?:cards?|credit|debit|cc|visa|maestro|amex)\b[^\d\n]{0,24}(\d{12,19})(?!\d)/gi

export const findCards: Find = (text, found) => {
  const spans = new Map<number, number>()
  for (const { 0: written, index } of text.matchAll(candidate)) {
    const digits = written.replace(/[ -]/g, '')
    if (isCard(digits) && isGrouped(written, digits)) spans.set(index, index + written.length)
  }
  for (const { 0: match, 1: digits, index } of text.matchAll(announced))
    if (passesLuhn(digits) && !/^(\d)\1*$/.test(digits)) spans.set(index + match.length - digits.length, index + match.length)
  for (const [start, end] of [...spans].sort(([a], [b]) => a - b)) found(start, end)
}

function isGrouped(written: string, digits: string): boolean {
  return (
    written === digits ||
    groupings.has(
      written
        .split(/[ -]/)
        .map((group) => group.length)
        .join('-'),
    )
  )
}

/** @param digits nothing else */
export function isCard(digits: string): boolean {
  const isBranded = brands.some(([first, last, lengths]) => {
    const prefix = Number(digits.slice(0, String(first).length))
    return prefix >= first && prefix <= last && lengths.includes(digits.length)
  })
  return isBranded && passesLuhn(digits) && !/^(\d)\1*$/.test(digits)
}
