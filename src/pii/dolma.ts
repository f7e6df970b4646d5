// Personal data as Dolma tags it: `pii_regex_with_counts_fast_v2` of allenai/dolma at 669f534823b0. Its expressions, paragraph
// by paragraph, found from their rare characters outwards so that no text makes them slow.

import { ipv4Anywhere } from './ip.ts'
import type { Find, Span } from './spans.ts'

/** Python's white space. */
const blank = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000'
const isBlank = characterTest(`[${blank}]`)
/** May stand around an address. */
const isLoose = characterTest(`[.@,?!;:)(${blank}]`)
/** Ends a domain, unless it is the last character before white space. */
const isOutside = characterTest(`[@,?!;:)(${blank}]`)
/** More question marks than this, and the reference looks for nothing. */
const mostQuestionMarks = 10_000

function characterTest(characterClass: string): (text: string, at: number) => boolean {
  const pattern = new RegExp(characterClass)
  return (text, at) => at < text.length && pattern.test(text.charAt(at))
}

export function findDolmaPii(text: string): Span[] {
  const spans: Span[] = []
  if (text.split('?').length - 1 > mostQuestionMarks) return spans
  for (let start = 0; start < text.length; ) {
    const feed = text.indexOf('\n', start)
    const end = feed < 0 ? text.length : feed + 1
    const paragraph = text.slice(start, end)
    const from = start
    const add = (kind: Span['kind']) => (first: number, last: number) => void spans.push({ kind, start: from + first, end: from + last })
    findEmails(paragraph, add('email'))
    findPhones(paragraph, add('phone'))
    for (const match of paragraph.matchAll(ipv4Anywhere)) add('ip')(match.index, match.index + match[0].length)
    start = end
  }
  return spans
}

/**
 * `[.\s@,?!;:)(]*([^\s@]+@[^\s@,?!;:)(]+?)[.\s@,?!;:)(]?\s`, with a dot in the domain. The span is the whole of it.
 * The loose characters in front are taken as far as they go, over an @ too: the last @ within their reach is tried first.
 */
const findEmails: Find = (text, found) => {
  let free = 0
  for (let at = text.indexOf('@'); at >= 0; at = text.indexOf('@', at + 1)) {
    if (at === free || !isNamed(text, at)) continue
    let start = nameStart(text, at, free)
    while (start > free && isLoose(text, start - 1)) start--
    let looseEnd = start
    while (isLoose(text, looseEnd)) looseEnd++
    const match = lastMatch(text, start, looseEnd)
    if (match !== undefined) {
      free = match.end
      if (match.isAddress) found(start, free)
    }
    // What the loose characters reach was tried now.
    at = Math.max(at, looseEnd - 1, free - 1)
  }
}

/** There is a character in front of the @ that is no white space and no other @. */
function isNamed(text: string, at: number): boolean {
  return at > 0 && text[at - 1] !== '@' && !isBlank(text, at - 1)
}

function nameStart(text: string, at: number, free: number): number {
  let start = at
  while (start > free && isNamed(text, start)) start--
  return start
}

interface EmailMatch {
  readonly end: number
  /** Not an opening bracket at a domain without a dot. */
  readonly isAddress: boolean
}

function lastMatch(text: string, start: number, looseEnd: number): EmailMatch | undefined {
  let next = looseEnd
  while (next < text.length && text[next] !== '@' && !isBlank(text, next)) next++
  if (next > looseEnd && text[next] === '@') {
    const match = matchAt(text, looseEnd, next)
    if (match) return match
  }
  for (let at = text.lastIndexOf('@', looseEnd - 1); at > start; at = text.lastIndexOf('@', at - 1)) {
    const match = isNamed(text, at) ? matchAt(text, at - 1, at) : undefined
    if (match) return match
  }
  return undefined
}

function matchAt(text: string, name: number, at: number): EmailMatch | undefined {
  const domain = domainEnds(text, at + 1)
  if (domain === undefined) return undefined
  return { end: domain.matchEnd, isAddress: text.slice(name, at) !== '(' && text.slice(at + 1, domain.end).includes('.') }
}

/** The shortest domain that white space follows, with one loose character between at most; and where the match ends. */
function domainEnds(text: string, start: number): { end: number; matchEnd: number } | undefined {
  for (let end = start; end < text.length && !isOutside(text, end); ) {
    end++
    if (isLoose(text, end) && isBlank(text, end + 1)) return { end, matchEnd: end + 2 }
    if (isBlank(text, end)) return { end, matchEnd: end + 1 }
  }
  return undefined
}

/** `\s+\(?(\d{3})\)?[-\. ]*(\d{3})[-. ]?(\d{4})`. */
const numberStart = new RegExp(`[${blank}](?=\\(?\\p{Nd}{3})`, 'gu')
const number = /\(?\p{Nd}{3}\)?[-. ]*\p{Nd}{3}[-. ]?\p{Nd}{4}/uy

const findPhones: Find = (text, found) => {
  let free = 0
  for (const match of text.matchAll(numberStart)) {
    if (match.index < free) continue
    number.lastIndex = match.index + 1
    if (!number.test(text)) continue
    let start = match.index
    while (start > free && isBlank(text, start - 1)) start--
    found(start, number.lastIndex)
    free = number.lastIndex
  }
}
