// Identity numbers of persons, by the form in which their countries write them and their check digits. A form that other numbers
// have as well counts only behind a word that names it.

import { isDay, modulo, passesLuhn, passesMod11And10, passesVerhoeff, weightedSum } from './checksums.ts'
import type { Find } from './spans.ts'

interface IdForm {
  /** As people of the country call it. */
  readonly name: string
  /** A regular expression's source, without groups. */
  readonly form: string
  /** Of the number without blanks, dots, hyphens and slashes, in upper case. */
  readonly isValid: (number: string) => boolean
  /** Where it must be announced: the words that do. */
  readonly announced?: RegExp
}

const remainder = (value: number, divisor: number) => ((value % divisor) + divisor) % divisor
const last = (number: string) => Number(number.at(-1))

/** Year, month and day written as two digits each, from a position on; months may carry an offset. */
function hasBirthDate(number: string, at = 0, monthOffsets: readonly number[] = [0]): boolean {
  const month = Number(number.slice(at + 2, at + 4))
  const day = Number(number.slice(at + 4, at + 6))
  return monthOffsets.some((offset) => isDay(month - offset, day))
}

const hasDayFirst = (number: string) => isDay(Number(number.slice(2, 4)), Number(number.slice(0, 2)) % 40)

const letterOfDni = (digits: string) => 'TRWAGMYFPDXBNJZSQVHLCKE'[Number(digits) % 23]

/** Decreto ministeriale 23/12/1976: each character counts by its place, odd ones by a table. */
function isCodiceFiscale(code: string): boolean {
  const odd = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23]
  let sum = 0
  for (let i = 0; i < 15; i++) {
    const value = Number.parseInt(code[i], 36)
    const place = value > 9 ? value - 10 : value
    sum += i % 2 === 0 ? odd[place] : place
  }
  return sum % 26 === code.charCodeAt(15) - 65
}

/** The key is 97 less the number modulo 97; Corsica's 2A and 2B count as 19 and 18. */
function isNir(number: string): boolean {
  const digits = number.replace('2A', '19').replace('2B', '18')
  return /^\d{15}$/.test(digits) && 97 - modulo(digits.slice(0, 13), 97) === Number(digits.slice(13))
}

const isCpf = (digits: string) =>
  !/^(\d)\1*$/.test(digits) &&
  [9, 10].every((length) => {
    const weights = Array.from({ length }, (_, i) => length + 1 - i)
    return ((weightedSum(digits, weights) * 10) % 11) % 10 === Number(digits[length])
  })

const isSteuerId = (digits: string) => {
  const counts = Object.values(Object.groupBy(digits.slice(0, 10), (digit) => digit)).map((same) => same?.length ?? 0)
  // One digit comes two or three times, the others at most once.
  return digits[0] !== '0' && counts.filter((count) => count > 1).length === 1 && Math.max(...counts) <= 3 && passesMod11And10(digits)
}

const isNorwegian = (digits: string) =>
  hasDayFirst(digits) &&
  remainder(weightedSum(digits, [3, 7, 6, 1, 8, 9, 4, 5, 2, 1]), 11) === 0 &&
  remainder(weightedSum(digits, [5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]), 11) === 0

const isTurkish = (digits: string) => {
  const at = (i: number) => Number(digits[i])
  const odd = at(0) + at(2) + at(4) + at(6) + at(8)
  const even = at(1) + at(3) + at(5) + at(7)
  return digits[0] !== '0' && remainder(odd * 7 - even, 10) === at(9) && (odd + even + at(9)) % 10 === at(10)
}

const isBaltic = (digits: string) => {
  let check = weightedSum(digits, [1, 2, 3, 4, 5, 6, 7, 8, 9, 1]) % 11
  if (check === 10) check = weightedSum(digits, [3, 4, 5, 6, 7, 8, 9, 1, 2, 3]) % 11
  return hasBirthDate(digits, 1) && check % 10 === last(digits)
}

/** The alphabet of CURP has Ñ between N and O. */
const isCurp = (code: string) => {
  const sum = [...code.slice(0, 17)].reduce(
    (total, character, i) => total + '0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ'.indexOf(character) * (18 - i),
    0,
  )
  return hasBirthDate(code, 4) && (10 - (sum % 10)) % 10 === last(code)
}

const isPesel = (digits: string) =>
  hasBirthDate(digits, 0, [0, 20, 40, 60, 80]) && (10 - (weightedSum(digits, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10)) % 10 === last(digits)

const isChinese = (number: string) =>
  isDay(Number(number.slice(10, 12)), Number(number.slice(12, 14))) &&
  /^(?:19|20)/.test(number.slice(6)) &&
  '10X98765432'[weightedSum(number, [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]) % 11] === number[17]

const isEan13 = (digits: string) => (10 - (weightedSum(digits, [1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3]) % 10)) % 10 === last(digits)

export const idForms: readonly IdForm[] = [
  {
    name: 'National Insurance number (UK)',
    form: '[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\\d{2} ?\\d{2} ?\\d{2} ?[A-D]',
    isValid: (number) => !/^(?:BG|GB|KN|NK|NT|TN|ZZ)/.test(number),
  },
  {
    name: 'NHS number (UK)',
    form: '\\d{3}[ -]?\\d{3}[ -]?\\d{4}',
    isValid: (digits) => (11 - (weightedSum(digits, [10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11)) % 11 === last(digits),
    announced: /\bNHS\b/,
  },
  { name: 'DNI (Spain)', form: '\\d{8}[- ]?[A-Z]', isValid: (id) => letterOfDni(id.slice(0, 8)) === id[8] },
  {
    name: 'NIE (Spain)',
    form: '[XYZ][- ]?\\d{7}[- ]?[A-Z]',
    isValid: (id) => letterOfDni(`${'XYZ'.indexOf(id[0])}${id.slice(1, 8)}`) === id[8],
  },
  { name: 'codice fiscale (Italy)', form: '[A-Z]{6}\\d{2}[A-EHLMPRST]\\d{2}[A-Z]\\d{3}[A-Z]', isValid: isCodiceFiscale },
  {
    name: 'NIR (France)',
    form: '[12] ?\\d{2} ?\\d{2} ?(?:\\d{2}|2[AB]) ?\\d{3} ?\\d{3} ?\\d{2}',
    isValid: (number) => isNir(number) && isDay(Math.max(1, Number(number.slice(3, 5)) % 20), 1),
  },
  {
    name: 'Steuer-ID (Germany)',
    form: '\\d{2} ?\\d{3} ?\\d{3} ?\\d{3}',
    isValid: isSteuerId,
    announced: /steuer|\bid-?nr|\btin\b/i,
  },
  {
    name: 'Rentenversicherungsnummer (Germany)',
    form: '\\d{2} ?\\d{6} ?[A-Z] ?\\d{3}',
    isValid: (id) => {
      const digits = id.slice(0, 8) + String(id.charCodeAt(8) - 64).padStart(2, '0') + id.slice(9, 11)
      const sum = [2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1].reduce((total, weight, i) => {
        const product = weight * Number(digits[i])
        return total + (product % 10) + Math.floor(product / 10)
      }, 0)
      return sum % 10 === last(id)
    },
    announced: /rentenversicherung|sozialversicherung|\bSV-?n|\bRV-?n|\bVSNR\b/i,
  },
  {
    name: 'Sozialversicherungsnummer (Austria)',
    form: '\\d{4} ?\\d{6}',
    isValid: (digits) => weightedSum(digits, [3, 7, 9, 0, 5, 8, 4, 2, 1, 6]) % 11 === Number(digits[3]),
    announced: /sozialversicherung|\bSV-?n|\bSVNR\b/i,
  },
  {
    name: 'BSN (Netherlands)',
    form: '\\d{4}\\.?\\d{2}\\.?\\d{3}',
    isValid: (digits) => !/^0+$/.test(digits) && remainder(weightedSum(digits, [9, 8, 7, 6, 5, 4, 3, 2, -1]), 11) === 0,
    announced: /\bBSN\b|burgerservice|sofinummer/i,
  },
  {
    name: 'rijksregisternummer (Belgium)',
    form: '\\d{2}\\.\\d{2}\\.\\d{2}-\\d{3}\\.\\d{2}',
    isValid: (digits) => ['', '2'].some((century) => 97 - modulo(century + digits.slice(0, 9), 97) === Number(digits.slice(9))),
  },
  { name: 'PESEL (Poland)', form: '\\d{11}', isValid: isPesel, announced: /\bPESEL\b/i },
  { name: 'CPF (Brazil)', form: '\\d{3}\\.\\d{3}\\.\\d{3}-\\d{2}', isValid: isCpf },
  { name: 'CPF (Brazil), bare', form: '\\d{11}', isValid: isCpf, announced: /\bCPF\b/ },
  {
    name: 'personnummer (Sweden)',
    form: '(?:19|20)?\\d{6}[-+]\\d{4}',
    isValid: (digits) => hasBirthDate(digits.slice(-10)) && passesLuhn(digits.slice(-10)),
  },
  {
    name: 'henkilötunnus (Finland)',
    form: '\\d{6}[-+A-FU-Y]\\d{3}[0-9A-FHJ-NPR-Y]',
    // The sign between may be a hyphen, which is gone by now.
    isValid: (id) => hasDayFirst(id) && '0123456789ABCDEFHJKLMNPRSTUVWXY'[Number(id.slice(0, 6) + id.slice(-4, -1)) % 31] === id.at(-1),
  },
  { name: 'fødselsnummer (Norway)', form: '\\d{6} \\d{5}', isValid: isNorwegian },
  { name: 'fødselsnummer (Norway), bare', form: '\\d{11}', isValid: isNorwegian, announced: /fødsels|person(?:nummer|nr)|\bfnr\b/i },
  { name: 'CPR-nummer (Denmark)', form: '\\d{6}-?\\d{4}', isValid: hasDayFirst, announced: /\bCPR\b/ },
  {
    name: 'NIF (Portugal)',
    form: '\\d{3} ?\\d{3} ?\\d{3}',
    isValid: (digits) => ((11 - (weightedSum(digits, [9, 8, 7, 6, 5, 4, 3, 2]) % 11)) % 11) % 10 === last(digits),
    announced: /\bNIF\b|contribuinte/i,
  },
  { name: 'AHV-Nummer (Switzerland)', form: '756\\.?\\d{4}\\.?\\d{4}\\.?\\d{2}', isValid: isEan13 },
  { name: 'resident identity number (China)', form: '[1-9]\\d{16}[0-9X]', isValid: isChinese },
  { name: 'Aadhaar (India)', form: '[2-9]\\d{3} ?\\d{4} ?\\d{4}', isValid: passesVerhoeff, announced: /aadha?ar|\bUIDAI?\b/i },
  { name: 'PAN (India)', form: '[A-Z]{3}P[A-Z]\\d{4}[A-Z]', isValid: () => true },
  { name: 'SIN (Canada)', form: '\\d{3}[- ]?\\d{3}[- ]?\\d{3}', isValid: passesLuhn, announced: /\bSIN\b|social insurance/ },
  {
    name: 'tax file number (Australia)',
    form: '\\d{3} ?\\d{3} ?\\d{3}',
    isValid: (digits) => weightedSum(digits, [1, 4, 3, 7, 5, 8, 6, 9, 10]) % 11 === 0,
    announced: /\bTFN\b|tax file/i,
  },
  { name: 'T.C. kimlik (Turkey)', form: '\\d{11}', isValid: isTurkish, announced: /kimlik|\bT\.?C\.?\b|\bTCKN\b/i },
  {
    name: 'resident registration number (Korea)',
    form: '\\d{6}-[1-8]\\d{6}',
    isValid: (digits) =>
      hasBirthDate(digits) && (11 - (weightedSum(digits, [2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]) % 11)) % 10 === last(digits),
  },
  { name: 'CURP (Mexico)', form: '[A-Z]{4}\\d{6}[HMX][A-Z]{5}[0-9A-Z]\\d', isValid: isCurp },
  { name: 'identity number (Israel)', form: '\\d{8}-?\\d', isValid: passesLuhn, announced: /\bID\b|teudat|תעודת|ת\.ז/i },
  {
    name: 'identity number (South Africa)',
    form: '\\d{6} ?\\d{4} ?[01][89]\\d',
    isValid: (digits) => hasBirthDate(digits) && passesLuhn(digits),
    announced: /\bID\b|identity/i,
  },
  {
    name: 'CNP (Romania)',
    form: '[1-9]\\d{12}',
    isValid: (digits) => hasBirthDate(digits, 1) && (weightedSum(digits, [2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11) % 10 === last(digits),
    announced: /\bCNP\b/i,
  },
  {
    name: 'EGN (Bulgaria)',
    form: '\\d{10}',
    isValid: (digits) =>
      hasBirthDate(digits, 0, [0, 20, 40]) && (weightedSum(digits, [2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11) % 10 === last(digits),
    announced: /\bEGN\b|ЕГН/i,
  },
  {
    name: 'rodné číslo (Czechia, Slovakia)',
    form: '\\d{6}/\\d{4}',
    isValid: (digits) => hasBirthDate(digits, 0, [0, 20, 50, 70]) && modulo(digits, 11) === 0,
  },
  { name: 'isikukood, asmens kodas (Estonia, Lithuania)', form: '[1-6]\\d{10}', isValid: isBaltic, announced: /isikukood|asmens kod/i },
  {
    name: 'PPS number (Ireland)',
    form: '\\d{7}[A-W][A-IW]?',
    isValid: (id) => {
      const second = id[8] === undefined || id[8] === 'W' ? 0 : id.charCodeAt(8) - 64
      return 'WABCDEFGHIJKLMNOPQRSTUV'[(weightedSum(id, [8, 7, 6, 5, 4, 3, 2]) + 9 * second) % 23] === id[7]
    },
    announced: /\bPPSN?\b/i,
  },
]

/** Characters in front of a number in which it is announced. */
const CONTEXT = 48

const alone = (forms: readonly string[]) => new RegExp(`(?<![\\w.,/+-])(?:${forms.join('|')})(?![\\w/-]|[.,]\\d)`, 'g')
const formsOf = (ids: readonly IdForm[]) => [...new Set(ids.map(({ form }) => form))]

/** Forms that speak for themselves, in one expression; what fits one may fit another as well. */
const unannounced = idForms
  .filter(({ announced }) => announced === undefined)
  .map(({ form, isValid }) => ({ exactly: new RegExp(`^(?:${form})$`), isValid }))
const unannouncedForms = alone(formsOf(idForms.filter(({ announced }) => announced === undefined)))
const announced = idForms.flatMap(({ form, isValid, announced: by }) => (by ? [{ candidate: alone([form]), isValid, by }] : []))
const anyAnnouncement = new RegExp([...new Set(announced.map(({ by }) => by.source))].join('|'), 'i')

/** Identity numbers of many countries. */
export const findNationalIds: Find = (text, found) => {
  const spans: { start: number; end: number }[] = []
  const add = (index: number, number: string) => spans.push({ start: index, end: index + number.length })
  for (const { 0: match, index } of text.matchAll(unannouncedForms)) {
    const number = match.replace(/[ ./+-]/g, '')
    if (unannounced.some(({ exactly, isValid }) => exactly.test(match) && isValid(number))) add(index, match)
  }
  if (anyAnnouncement.test(text))
    for (const { candidate, isValid, by } of announced) {
      if (!by.test(text)) continue
      for (const { 0: match, index } of text.matchAll(candidate))
        if (by.test(text.slice(Math.max(0, index - CONTEXT), index)) && isValid(match.replace(/[ ./+-]/g, ''))) add(index, match)
    }
  let free = 0
  for (const { start, end } of spans.sort((a, b) => a.start - b.start || b.end - a.end)) {
    if (start < free) continue
    found(start, end)
    free = end
  }
}

// ---- the United States' ----

const ssnForm = /(?<![\w.,/+-])\d{3}([- .]?)\d{2}\1\d{4}(?![\w/-]|[.,]\d)/g
const ssnAnnounced = /\bssn?s?\b|social[ -]?security|\bITIN\b|taxpayer|\btax id/i
/** Digits that scanning takes for letters. */
const scanned = /(?:\bssn\b|social[ -]?security(?: number)?)\W{1,4}(?:is )?([\dOoQIlSBZ]{3}-[\dOoQIlSBZ]{2}-[\dOoQIlSBZ]{4})(?!\w)/gi

/**
 * Social Security numbers, and ITINs, which are written alike: with hyphens anywhere, in other ways where they are announced.
 * Numbers that were never given out (group 00, serial 0000, areas 000 and 666) are left.
 */
export const findSsns: Find = (text, found) => {
  const spans = new Map<number, number>()
  for (const match of text.matchAll(ssnForm)) {
    const digits = match[0].replace(/\D/g, '')
    if (/^(?:000|666)|^...00|0000$/.test(digits) || /^(\d)\1*$/.test(digits)) continue
    const isAnnounced = ssnAnnounced.test(text.slice(Math.max(0, match.index - CONTEXT), match.index))
    if (match[1] === '-' || isAnnounced) spans.set(match.index, match.index + match[0].length)
  }
  for (const match of text.matchAll(scanned)) {
    const end = match.index + match[0].length
    spans.set(end - match[1].length, end)
  }
  for (const [start, end] of [...spans].sort(([a], [b]) => a - b)) found(start, end)
}
