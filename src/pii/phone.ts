// Phone numbers, validated by libphonenumber's metadata. Precise rather than greedy: an international form, or a national
// one that its country writes in just this way, or a number behind a word that announces one.

import { createRequire } from 'node:module'
import type { CountryCode, parsePhoneNumberFromString as Parse } from 'libphonenumber-js/max'
import type { Find } from './spans.ts'

const separator = '[ \\u00a0.\\-\\u2010\\u2011\\u2013/]'
/** At most 17 digits, no more than two separators or brackets between two of them. */
const tail = `(?:(?:${separator}|[()]){0,2}\\d){6,16}`
const extension = '(?: ?(?:x|ext\\.?|extension) ?\\d{1,6})?'
const international = new RegExp(`(?<![\\w+])\\+(?:\\(0\\))?\\d${tail}(?!\\d)`, 'g')
const candidate = new RegExp(
  `(?<![\\w+.,/$€£%#-]|\\d[ \\u00a0])(?:\\(\\d{2,5}\\)|\\d)${tail}${extension}(?![\\w%$€£]|[.,/-]\\d|[-:][\\dA-F]{2}\\b)`,
  'g',
)
const anExtension = new RegExp(`^${extension}(?!\\w)`)

/** How North America writes its numbers; area and exchange do not begin with 0 or 1. */
const northAmerican = /^(?:1[-. ])?(?:\([2-9]\d\d\) ?[2-9]\d\d[-. ]\d{4}|[2-9]\d\d-[2-9]\d\d-\d{4})(?: ?[xe].*)?$/
/** Country and how it writes its numbers, where that is hard to mistake for something else. */
const nationalForms: readonly [CountryCode, RegExp][] = [
  ['US', /^(?:1\.)?\d{3}\.\d{3}\.\d{4}(?: ?[xe].*)?$/],
  ['FR', /^0[1-9]([ .-])\d\d\1\d\d\1\d\d\1\d\d$/],
  ['GB', /^(?:\(?0\d{2}\)? \d{4} \d{4}|\(?0\d{3}\)? \d{3} \d{4}|\(?0\d{4}\)? \d{3} ?\d{3}|07\d{3} \d{6})$/],
  ['AU', /^\(0\d\) \d{4} \d{4}$/],
  ['BR', /^\(\d\d\) 9?\d{4}-\d{4}$/],
]
const nouns = 'tel|telephone|telefon|telefono|teléfono|tél|téléphone|phone|ph|fax|mobile|mob|cell|cellphone|handy|móvil|whatsapp|hotline'
const announced = new RegExp(`(?:\\b(?:${nouns}|sms|call|dial)s?\\b|[☎📞📱✆])[^\\d\\n]{0,16}$`, 'iu')
/** Nothing but the word, a colon or the like, and the number: no country need know it. */
const labelled = new RegExp(`(?:\\b(?:${nouns})\\b(?: (?:number|no\\.?|nr\\.?|#))?[.)]?\\s{0,2}[:=]\\s{0,2}|[☎📞📱✆]\\s?)$`, 'iu')
const years = /^(?:19|20)\d\d\D(?:19|20)\d\d$/
const countries: readonly CountryCode[] = [
  'US',
  'GB',
  'DE',
  'FR',
  'ES',
  'IT',
  'NL',
  'PL',
  'SE',
  'CH',
  'AT',
  'BE',
  'PT',
  'BR',
  'MX',
  'IN',
  'AU',
  'NZ',
  'ZA',
  'JP',
  'CN',
  'CA',
]
const contextLength = 32

const require = createRequire(import.meta.url)
let parse: typeof Parse | undefined

/** Loaded at the first candidate: the metadata of all countries take longer to read than everything else here. */
function parsePhoneNumber(written: string, country?: CountryCode): ReturnType<typeof Parse> {
  if (parse === undefined) {
    const library: { parsePhoneNumberFromString: typeof Parse } = require('libphonenumber-js/max')
    parse = library.parsePhoneNumberFromString
  }
  return parse(written, country)
}

export const findPhones: Find = (text, found) => {
  // Spans of international numbers, which the search for national ones steps over.
  const starts: number[] = []
  const ends: number[] = []
  if (text.includes('+')) {
    for (const match of text.matchAll(international)) {
      const end = internationalEnd(match[0], text.slice(match.index + match[0].length, match.index + match[0].length + 16))
      if (end === 0) continue
      starts.push(match.index)
      ends.push(match.index + end)
    }
  }
  let next = 0
  const reportUntil = (end: number) => {
    for (; next < starts.length && starts[next] < end; next++) found(starts[next], ends[next])
  }
  for (const match of text.matchAll(candidate)) {
    const start = match.index
    const end = start + match[0].length
    reportUntil(end)
    if (next > 0 && ends[next - 1] > start) continue
    if (isNational(match[0], text.slice(Math.max(0, start - contextLength), start))) found(start, end)
  }
  reportUntil(text.length)
}

/**
 * Length of the longest part, cut where a group of digits ends, that is a valid international number, else all of it where
 * its length is possible; with an extension that follows. 0 for none.
 */
function internationalEnd(written: string, after: string): number {
  const extensionLength = anExtension.exec(after)?.[0].length ?? 0
  const whole = parsePhoneNumber(written)
  if (whole?.isPossible()) return written.length + extensionLength
  for (let end = groupEndBefore(written, written.length); end > 7; end = groupEndBefore(written, end))
    if (parsePhoneNumber(written.slice(0, end))?.isValid()) return end
  return 0
}

/** End of the group of digits before the last one. */
function groupEndBefore(written: string, end: number): number {
  return /^(.*\d)\D+\d*$/s.exec(written.slice(0, end))?.[1].length ?? 0
}

function isNational(written: string, before: string): boolean {
  if (northAmerican.test(written)) return true
  for (const [country, form] of nationalForms) if (form.test(written) && parsePhoneNumber(written, country)?.isValid()) return true
  if (labelled.test(before) && !years.test(written)) return true
  return announced.test(before) && countries.some((country) => parsePhoneNumber(written, country)?.isValid())
}
