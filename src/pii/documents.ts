// Passports, licences, medical records: numbers whose form says little, so that the word in front decides; and the machine
// readable zone, whose check digits decide.

import type { Find } from './spans.ts'

const number = '(?=[A-Z0-9-]{0,12}\\d)'
const is = '(?:\\s{0,2}(?:number|no\\.?|num\\.?|nr\\.?|#|id))?["\']?(?:\\s{1,2}(?:is|was|reads))?\\s{0,3}[:=#]?\\s{0,3}["\']?'

const passport = new RegExp(`(?:passport|reisepass|passeport|pasaporte|passaporto)${is}(${number}[A-Z]{0,2}\\d{6,9}[A-Z]?)(?![\\w-])`, 'gi')
const licence = new RegExp(
  `(?:(?:driver'?s?'?s?|driving)[ -]licen[cs]e|\\bDLN?)${is}(${number}[A-Z]{0,2}\\d[A-Z0-9-]{5,17})(?![\\w-])`,
  'gi',
)
const record = /\bMRN[-: #]{1,3}\d{6,10}(?![\w-])/g
const namedRecord = new RegExp(
  `(?:medical record|patient (?:id|record)|health record)${is}(${number}[A-Z]{0,3}-?\\d{5,10})(?![\\w-])`,
  'gi',
)
/** ICAO 9303, TD3: two lines of 44; the second has a check digit behind number, birth and expiry, and one of all. */
const zone = /P[A-Z<][A-Z]{3}[A-Z<]{39}\s{1,2}([A-Z0-9<]{9}\d[A-Z<]{3}\d{6}\d[MF<]\d{6}\d[A-Z0-9<]{14}[0-9<]\d)/g

/** ICAO 9303-3, section 4.9: weights 7, 3, 1; letters count from 10, fillers as 0. */
export function zoneCheck(characters: string): number {
  const weights = [7, 3, 1]
  let sum = 0
  for (const [i, character] of [...characters].entries()) sum += weights[i % 3] * (character === '<' ? 0 : Number.parseInt(character, 36))
  return sum % 10
}

export const findPassports: Find = (text, found) => {
  const spans: { start: number; end: number }[] = []
  for (const { 0: all, 1: line, index } of text.includes('<<') ? text.matchAll(zone) : []) {
    const fields: [number, number][] = [
      [0, 9],
      [13, 19],
      [21, 27],
    ]
    if (fields.every(([from, to]) => zoneCheck(line.slice(from, to)) === Number(line[to])))
      spans.push({ start: index, end: index + all.length })
  }
  spans.push(...announcedNumbers(text, passport))
  for (const { start, end } of spans.sort((a, b) => a.start - b.start)) found(start, end)
}

export const findLicences: Find = (text, found) => {
  for (const { start, end } of announcedNumbers(text, licence)) found(start, end)
}

export const findMedicalRecords: Find = (text, found) => {
  const spans = announcedNumbers(text, namedRecord)
  for (const { 0: match, index } of text.matchAll(record)) spans.push({ start: index, end: index + match.length })
  for (const { start, end } of spans.sort((a, b) => a.start - b.start)) found(start, end)
}

/** The expression's first group, which ends its match. */
function announcedNumbers(text: string, expression: RegExp): { start: number; end: number }[] {
  return Array.from(text.matchAll(expression), ({ 0: match, 1: part, index }) => ({
    start: index + match.length - part.length,
    end: index + match.length,
  }))
}
