// How English text without blanks comes apart: spaCy 3.8's tokenizer (spacy/tokenizer.pyx and spacy/lang/punctuation.py,
// MIT), each step linear in the length of the string. Strings are looked up, then affixes are peeled from both ends, then
// what is left is a URL, or is cut at infixes. Merging special strings back together is left to words.ts.

import { lastCodePoint } from './characters.ts'
import { currencies, letters, lowerLetters, punctuation, quotes, symbols, upperLetters } from './word-classes.ts'
import { wordExceptions } from './word-exceptions.ts'

export const exceptions = wordExceptions()
const longestException = Math.max(...[...exceptions.keys()].map((key) => key.length))

/** Words of a string that holds no blank and is not empty; joined they give the string. */
export function splitBlankFree(string: string): string[] {
  return peel(string, true)
}

/** The special strings that consist of affixes or infixes, so that other rules may tear them; with the words they are torn into. */
export function tornExceptions(): Map<string, string[]> {
  const torn = new Map<string, string[]>()
  for (const string of exceptions.keys()) {
    if (prefixLength(string) > 0 || suffixLength(string) > 0 || string.search(infix) >= 0) torn.set(string, peel(string, false))
  }
  return torn
}

function peel(string: string, withExceptions: boolean): string[] {
  const isException = (part: string) => withExceptions && part.length <= longestException && exceptions.has(part)
  const words: string[] = []
  const suffixes: string[] = []
  let rest = string
  while (rest !== '' && !isException(rest)) {
    const prefix = prefixLength(rest)
    const withoutPrefix = rest.slice(prefix)
    if (prefix > 0 && isException(withoutPrefix)) {
      words.push(rest.slice(0, prefix))
      rest = withoutPrefix
      break
    }
    const suffix = suffixLength(withoutPrefix)
    const withoutSuffix = rest.slice(0, rest.length - suffix)
    if (suffix > 0 && isException(withoutSuffix)) {
      suffixes.push(rest.slice(rest.length - suffix))
      rest = withoutSuffix
      break
    }
    if (prefix === 0 && suffix === 0) break
    if (prefix > 0) words.push(rest.slice(0, prefix))
    if (suffix > 0) suffixes.push(rest.slice(rest.length - suffix))
    rest = rest.slice(prefix, rest.length - suffix)
  }
  if (rest !== '') splitCore(rest, isException(rest), words)
  for (let i = suffixes.length - 1; i >= 0; i--) words.push(suffixes[i])
  return words
}

function splitCore(core: string, isException: boolean, words: string[]): void {
  const special = isException ? exceptions.get(core) : undefined
  if (special) for (const word of special) words.push(word)
  else if (isUrl(core)) words.push(core)
  else splitInfixes(core, words)
}

// ---- prefixes ----

const prefix = new RegExp(`[§%=—–${punctuation}${quotes}${currencies}${symbols}]|\\+(?![0-9])|\\.\\.+|(?:US|[CA])\\$`, 'vy')

/** Length of what is split from the front, in UTF-16 units; 0 where nothing is. */
function prefixLength(string: string): number {
  prefix.lastIndex = 0
  return prefix.test(string) ? prefix.lastIndex : 0
}

// ---- suffixes ----

const suffixMark = new RegExp(`^[—–${punctuation}${quotes}${symbols}]$`, 'v')
const beforeFullStop = new RegExp(`^[0-9%²\\-+\\|${punctuation}${quotes}${lowerLetters}]$`, 'v')
const upperLetter = new RegExp(`^[${upperLetters}]$`, 'v')
const digit = /^[0-9]$/

/** Split from the number before them. "тбكم" is the reference's slip: two units that lost the blank between them. */
const unitsAndCurrencies = new Set(
  `km m dm cm mm км м дм см мм م سم مم`
    .split(' ')
    .flatMap((length) => [length, length + '²', length + '³'])
    .concat(
      `كم كم² كم³ ha µm nm yd in ft kg g mg µg t lb oz m/s km/h kmh mph hPa Pa mbar mb MB kb KB gb GB tb TB T G M K % нм кг г мг м/с км/ч кПа
      Па мбар Кб КБ кб Мб МБ мб Гб ГБ гб Тб ТБ тбكم غرام جرام جم كغ ملغ كوب اكواب US$ C$ A$ +`.split(/\s+/),
    ),
)
const longestUnit = Math.max(...[...unitsAndCurrencies].map((unit) => unit.length))
const currency = new RegExp(`^[${currencies}]$`, 'v')

/** Length of what is split from the end, in UTF-16 units; 0 where nothing is. Where several rules match, the longest wins. */
function suffixLength(string: string): number {
  const end = string.length
  if (end === 0) return 0
  const last = lastCodePoint(string, end)
  if (last === '.') return fullStopsLength(string)
  if (last === '…' && string.endsWith('……')) return 2
  if ((last === 's' || last === 'S') && (string[end - 2] === "'" || string[end - 2] === '’')) return 2
  for (let length = Math.min(longestUnit, end - 1); length > 0; length--) {
    if (digit.test(string[end - length - 1]) && (unitsAndCurrencies.has(string.slice(-length)) || (length === 1 && currency.test(last))))
      return length
  }
  return suffixMark.test(last) ? last.length : 0
}

function fullStopsLength(string: string): number {
  let start = string.length - 1
  while (start > 0 && string[start - 1] === '.') start--
  if (string.length - start > 1) return string.length - start
  if (start === 0) return 0
  const before = lastCodePoint(string, start)
  if (beforeFullStop.test(before)) return 1
  const beforeThat = lastCodePoint(string, start - before.length)
  if (upperLetter.test(before) && upperLetter.test(beforeThat)) return 1
  return beforeThat === '°' && 'FfCcKk'.includes(before) ? 1 : 0
}

// ---- infixes ----

const infix = new RegExp(
  [
    '\\.\\.+',
    `[…${symbols}]`,
    '(?<=[0-9])[+\\-*\\^](?=[0-9\\-])',
    `(?<=[${lowerLetters}${quotes}])\\.(?=[${upperLetters}${quotes}])`,
    `(?<=[${letters}]),(?=[${letters}])`,
    `(?<=[${letters}0-9])(?:-|–|—|--|---|——|~)(?=[${letters}])`,
    `(?<=[${letters}0-9])[:<>=\\/](?=[${letters}])`,
  ].join('|'),
  'gv',
)

/** No infix rule matches in plain letters and digits, which is what most strings are. */
const plain = /^[A-Za-z0-9]*$/

function splitInfixes(string: string, words: string[]): void {
  let start = 0
  infix.lastIndex = plain.test(string) ? string.length : 0
  // Not matchAll: it copies the expression, and this one is large (9 µs a call).
  for (let match = infix.exec(string); match !== null; match = infix.exec(string)) {
    if (match.index === 0) continue
    if (match.index > start) words.push(string.slice(start, match.index))
    words.push(match[0])
    start = infix.lastIndex
  }
  if (start < string.length) words.push(string.slice(start))
}

// ---- URLs ----

const scheme = /^[\p{L}\p{N}_+\-.]{2,}:\/\//u
const hostEnd = /[:/?#@]/g
const afterHost = /(?::\p{Nd}{2,5})?(?:[/?#]|$)/uy
const octets =
  /^(?:[1-9]\p{Nd}?|1\p{Nd}{2}|2[01]\p{Nd}|22[0-3])(?:\.(?:1?\p{Nd}{1,2}|2[0-4]\p{Nd}|25[0-5])){2}\.(?:[1-9]\p{Nd}?|1\p{Nd}{2}|2[0-4]\p{Nd}|25[0-4])$/u
const privateNetwork =
  /^(?:(?:10|127)(?:\.\p{Nd}{1,3}){3}|(?:169\.254|192\.168)(?:\.\p{Nd}{1,3}){2}|172\.(?:1[6-9]|2\p{Nd}|3[01])(?:\.\p{Nd}{1,3}){2})/u
const label = '[A-Za-z0-9\\u00a1-\\uffff]'
const domain = new RegExp(`^(?:(?:${label}[A-Za-z0-9\\u00a1-\\uffff_\\-]{0,62})?${label}\\.)+[${lowerLetters}]{2,63}$`, 'v')

/**
 * A URL, a host name or an e-mail address, by the well-known expression of Diego Perini. The expression backtracks over
 * `user:password@`; since what stands before the `@` may be anything, it is enough to try the host after each `@`.
 */
function isUrl(string: string): boolean {
  if (!string.includes('.')) return false
  const afterScheme = scheme.exec(string)?.[0].length ?? 0
  if (isHostAt(string, 0) || (afterScheme > 0 && isHostAt(string, afterScheme))) return true
  for (let at = string.indexOf('@', 1); at >= 0; at = string.indexOf('@', at + 1)) {
    if (isHostAt(string, at + 1)) return true
  }
  return false
}

/** Does a host begin here, followed by nothing but a port and a path? */
function isHostAt(string: string, start: number): boolean {
  hostEnd.lastIndex = start
  const end = hostEnd.exec(string)?.index ?? string.length
  afterHost.lastIndex = end
  if (!afterHost.test(string)) return false
  const host = string.slice(start, end)
  return domain.test(host) || (octets.test(host) && !privateNetwork.test(host))
}
