// Numbers on the command line, read in one way: 3000, 3k, 2.5M or 1e-3; a size also as 512MB or 4GiB, a share as 0.1%. What does
// not fit is refused with the range it must lie in; commander puts the flag and the value before that.

import { InvalidArgumentError } from 'commander'
import { formatBytes } from '../core/format.ts'

export interface NumberRange {
  readonly isWhole?: boolean
  readonly from?: number
  /** In place of from: itself left out. */
  readonly above?: number
  readonly to?: number
  /** In place of to: itself left out. */
  readonly below?: number
}

type Read<T> = (text: string) => T

/** What the letters behind a number multiply it with. */
type Units = Readonly<Record<string, number>>

const amountUnits: Units = { '': 1, k: 1e3, m: 1e6, b: 1e9 }
const shareUnits: Units = { '': 1, '%': 0.01 }
const sizeUnits: Units = Object.fromEntries([
  ['', 1],
  ['b', 1],
  ...['k', 'm', 'g', 't'].flatMap((letter, i) => [
    [letter, 1000 ** (i + 1)],
    [`${letter}b`, 1000 ** (i + 1)],
    [`${letter}i`, 1024 ** (i + 1)],
    [`${letter}ib`, 1024 ** (i + 1)],
  ]),
])

export function numberIn(range: NumberRange): Read<number> {
  return (text) => {
    const value = parseNumber(text)
    if (isIn(value, range)) return value
    throw new InvalidArgumentError(`give ${describeRange(range)}`)
  }
}

/** Both ends included. */
export const wholeNumber = (from: number, to?: number): Read<number> => numberIn({ isWhole: true, from, to })

/** 1M,2M,4M */
export function numbersIn(range: NumberRange): Read<number[]> {
  return (text) => {
    const values = text.split(',').map((part) => parseNumber(part))
    if (values.every((value) => isIn(value, range))) return values
    throw new InvalidArgumentError(`give ${describeRange(range)}, or several with commas between`)
  }
}

export function share(text: string): number {
  const value = parseNumber(text, shareUnits)
  if (isIn(value, { from: 0, to: 1 })) return value
  throw new InvalidArgumentError('give a share from 0 to 1, or a percentage such as 0.1%')
}

/** @param from the least that does, in bytes */
export function size(from = 1): Read<number> {
  return (text) => {
    const bytes = Math.round(parseNumber(text, sizeUnits))
    if (isIn(bytes, { from })) return bytes
    throw new InvalidArgumentError(`give a size${from > 1 ? ` from ${formatBytes(from)}` : ''} such as 512MB or 4GiB`)
  }
}

/** NaN where the text is no number. */
export function parseNumber(text: string, units = amountUnits): number {
  const match = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*([a-z%]*)$/i.exec(text.trim())
  const unit = match?.[2].toLowerCase()
  if (!match || unit === undefined || !Object.hasOwn(units, unit)) return Number.NaN
  const exact = Number(match[1]) * units[unit]
  return Number.isInteger(exact) ? exact : Number(exact.toPrecision(15)) // 1.1k is 1100, 0.1% is 0.001
}

function isIn(value: number, { isWhole, from, above, to, below }: NumberRange): boolean {
  if (!Number.isFinite(value) || (isWhole && !Number.isSafeInteger(value))) return false
  if ((from !== undefined && value < from) || (above !== undefined && value <= above)) return false
  return !((to !== undefined && value > to) || (below !== undefined && value >= below))
}

/** `a whole number from 1, such as 3000, 3k or 2.5M`. */
function describeRange({ isWhole, from, above, to, below }: NumberRange): string {
  const last = to !== undefined && to < Number.MAX_SAFE_INTEGER ? to : undefined
  const lower = above === undefined ? (from === undefined ? '' : ` from ${from}`) : ` above ${above}`
  const end = last === undefined ? '' : above === undefined ? ` to ${last}` : `, up to ${last}`
  const upper = below === undefined ? end : `, below ${below}`
  const isLarge = (isWhole || (from ?? 0) >= 1000) && (last === undefined || last >= 1e6)
  return `a ${isWhole ? 'whole ' : ''}number${lower}${upper}${isLarge ? ', such as 3000, 3k or 2.5M' : ''}`
}
