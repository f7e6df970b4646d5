// What leads to a person's device, place or age: MAC addresses, coordinates, dates of birth.

import type { Find } from './spans.ts'

const macForms = /(?<![\w:.-])(?:[0-9A-F]{2}([:-])(?:[0-9A-F]{2}\1){4}[0-9A-F]{2}|[0-9A-F]{4}\.[0-9A-F]{4}\.[0-9A-F]{4})(?![\w:-]|\.\w)/gi

/** IEEE 802 addresses of one device: not those of groups, and not all zeros. */
export const findMacs: Find = (text, found) => {
  for (const match of text.matchAll(macForms)) {
    const isGroup = (Number.parseInt(match[0].slice(0, 2), 16) & 1) === 1
    if (!isGroup && /[1-9A-F]/i.test(match[0])) found(match.index, match.index + match[0].length)
  }
}

const degrees = '\\d{1,3}(?:\\.\\d+)?\\s?°(?:\\s?\\d{1,2}(?:\\.\\d+)?\\s?[′\']\\s?(?:\\d{1,2}(?:\\.\\d+)?\\s?[″"]\\s?)?)?'
/** Four decimals are eleven metres: a house. Fewer are a quarter, which is nobody's. */
const decimal = (most: string) => `[-+−]?${most}\\.\\d{4,}`
const coordinates = new RegExp(
  [
    `(?<![\\w.])${degrees}\\s?[NS][,;/ ]{1,3}${degrees}\\s?[EW](?!\\w)`,
    `\\blat(?:itude)?\\W{1,4}${decimal('\\d{1,2}')}["']?[,;&\\s]{1,4}["']?(?:lon|lng|long|longitude)\\W{1,4}${decimal('\\d{1,3}')}`,
    `(?:coordinates?|location|gps|geo:|position|maps?[^ ]{0,40}@|[?&]q=|[?&]ll=)\\W{0,4}${decimal('\\d{1,2}')}[,; ]{1,2}${decimal('\\d{1,3}')}(?![\\d.])`,
  ].join('|'),
  'gi',
)

export const findCoordinates: Find = (text, found) => {
  for (const { 0: match, index } of text.matchAll(coordinates)) {
    // Words may stand in front of the first number.
    const start = index + match.search(/[-+−]?\d/)
    found(start, index + match.length)
  }
}

const months =
  '(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sep(?:t(?:ember)?)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\\.?'
const date = [
  '\\d{1,2}[./-]\\d{1,2}[./-](?:\\d{4}|\\d{2})',
  '\\d{4}[./-]\\d{1,2}[./-]\\d{1,2}',
  `\\d{1,2}(?:st|nd|rd|th)?(?: of)? ${months},? \\d{4}`,
  `${months} \\d{1,2}(?:st|nd|rd|th)?,? \\d{4}`,
].join('|')
const announced =
  '(?:date of birth|birth ?date|birthday|\\bd\\.?o\\.?b\\b\\.?|geburtsdatum|geboren am|geb\\.|date de naissance|fecha de nacimiento|data di nascita|data de nascimento|\\bborn(?: on)?)'
const birthDate = new RegExp(`${announced}["']?(?:\\W{1,4}|\\W{1,3}(?:is|was|it'?s|on)\\W{1,3}){0,2}(${date})(?![\\d/])`, 'gi')

/** Dates that are announced as somebody's birth. */
export const findBirthDates: Find = (text, found) => {
  for (const { 0: match, 1: day, index } of text.matchAll(birthDate)) found(index + match.length - day.length, index + match.length)
}
