// E-mail addresses: the expression of datatrove 0.10's formatter, found from the @ outwards, so that no text makes it slow.

import type { Find } from './spans.ts'

const letterOrDigit = 1
const local = 2 // also ! # $ % & ' * + / = ? ^ _ ` { | } ~ -
const hyphen = 4
const classes = new Uint8Array(128)
for (const character of "!#$%&'*+/=?^_`{|}~-") classes[character.charCodeAt(0)] = local
for (const [first, last] of ['09', 'AZ', 'az'])
  for (let unit = first.charCodeAt(0); unit <= last.charCodeAt(0); unit++) classes[unit] = letterOrDigit | local
classes[45] |= hyphen

const dot = 46
const wordCharacter = /[\p{L}\p{N}_]/u
const octet = '(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)'
const literalDomain = new RegExp(`\\[(?:${octet}\\.){3}(?:${octet}|[A-Za-z0-9-]*[A-Za-z0-9]:)\\]`, 'y')

/** Calls back with the bounds of each address, in order. */
export const findReferenceEmails: Find = (text, found) => {
  let free = 0
  for (let at = text.indexOf('@'); at >= 0; at = text.indexOf('@', at + 1)) {
    const start = localStart(text, at, free)
    if (start < 0) continue
    const end = text.charCodeAt(at + 1) === 91 ? literalEnd(text, at + 1) : domainEnd(text, at + 1)
    if (end < 0) continue
    found(start, end)
    free = end
  }
}

const isOf = (text: string, at: number, wanted: number) => {
  const unit = text.charCodeAt(at)
  return unit < 128 && (classes[unit] & wanted) !== 0
}

/**
 * The first place from which the local part matches: characters of its kind, single dots between them, up to the @, and a
 * word boundary in front. -1 where there is none.
 *
 * @param free end of the match before
 */
function localStart(text: string, at: number, free: number): number {
  let first = -1
  for (let i = at - 1; i >= free; i--) {
    if (isOf(text, i, local)) {
      if (isWordBefore(text, i) !== isWord(text.charCodeAt(i))) first = i
    } else if (text.charCodeAt(i) !== dot || i === at - 1 || i === free || !isOf(text, i - 1, local)) break
  }
  return first
}

/** Of an ASCII character of the local part. */
const isWord = (unit: number) => (classes[unit] & letterOrDigit) !== 0 || unit === 95

function isWordBefore(text: string, at: number): boolean {
  if (at === 0) return false
  const unit = text.charCodeAt(at - 1)
  if (unit < 128) return isWord(unit)
  const isLowSurrogate = unit >= 0xdc00 && unit < 0xe000 && at > 1
  return wordCharacter.test(isLowSurrogate ? text.slice(at - 2, at) : text[at - 1])
}

/** Labels that end in a dot, then one more, as far as it ends in a letter or digit. -1 where there are not two labels. */
function domainEnd(text: string, start: number): number {
  let end = -1
  let labels = 0
  for (let i = start; isOf(text, i, letterOrDigit); ) {
    let last = i
    let next = i
    for (; isOf(text, next, letterOrDigit | hyphen); next++) if (isOf(text, next, letterOrDigit)) last = next
    if (labels > 0) end = last + 1
    if (text.charCodeAt(next) !== dot || last !== next - 1) break
    labels++
    i = next + 1
  }
  return end
}

function literalEnd(text: string, start: number): number {
  literalDomain.lastIndex = start
  return literalDomain.test(text) ? literalDomain.lastIndex : -1
}

// ---- the default rule ----

/** Scripts that addresses are written in, or disguised in; others stand beside an address without a blank. */
const letterBeyondAscii = /[\p{Script=Latin}\p{Script=Cyrillic}\p{Script=Greek}\p{M}]/u
const topLevel = /^(?:[a-z\p{Script=Latin}\p{Script=Cyrillic}\p{Script=Greek}]{2,24}|xn--[a-z0-9-]+)$/iu
/** Names of files with an @ in them (`photo@2x.png`) end like this. */
const fileEndings = new Set([
  'png',
  'jpg',
  'jpeg',
  'gif',
  'svg',
  'webp',
  'css',
  'js',
  'ts',
  'json',
  'html',
  'md',
  'txt',
  'pdf',
  'zip',
  'map',
])
const at = /@|%40/g

/**
 * Addresses as people write them: no `=`, `&` or `/` in front, so that one in a URL's query is bounded rightly; Latin,
 * Cyrillic and Greek letters; an @ that a URL encodes. The domain ends in letters that are no file's ending.
 */
export const findEmails: Find = (text, found) => {
  let free = 0
  for (const match of text.matchAll(at)) {
    const start = nameStart(text, match.index, free)
    const end = start < 0 ? -1 : hostEnd(text, match.index + match[0].length)
    // `git@host:path` names a repository.
    if (end < 0 || text.slice(start, match.index) === 'git') continue
    found(start, end)
    free = end
  }
}

function isLetterOrDigit(text: string, i: number): boolean {
  const unit = text.charCodeAt(i)
  return unit < 128 ? (classes[unit] & letterOrDigit) !== 0 : letterBeyondAscii.test(text.charAt(i))
}

/** Start of the letters, digits and `. _ + - '` in front of the @, the first of them a letter, digit or `_`; -1 for none. */
function nameStart(text: string, end: number, free: number): number {
  let first = -1
  for (let i = end - 1; i >= free; i--) {
    const isPlain = isLetterOrDigit(text, i) || text.charCodeAt(i) === 95
    if (isPlain) first = i
    else if (!".+-'".includes(text.charAt(i)) || (i === end - 1 && text.charCodeAt(i) === dot)) break
  }
  return first
}

/** As `domainEnd`, with more letters, and a last label that a host name may end in. */
function hostEnd(text: string, start: number): number {
  let end = -1
  let labels = 0
  for (let i = start; isLetterOrDigit(text, i); ) {
    let next = i
    while (isLetterOrDigit(text, next) || text.charCodeAt(next) === 45) next++
    const label = text.slice(i, next)
    if (labels > 0 && topLevel.test(label) && !fileEndings.has(label.toLowerCase())) end = next
    if (text.charCodeAt(next) !== dot || label.endsWith('-')) break
    labels++
    i = next + 1
  }
  return end
}
