// Simplified text, the form in which duplicates are looked for: datatrove 0.10's simplify_text with its defaults.

import { blanks, PUNCTUATION, strip } from './characters.ts'

const number = /\p{Nd}+(?:[.,،٫⎖⎗⎘]\p{Nd}+)?/gu
const punctuation = new RegExp(`[${[...PUNCTUATION].map(escaped).join('')}]`, 'gu')
export const blankRuns = new RegExp(`[${blanks}]+`, 'g')
const nonAscii = /[^\0-\x7f]/

/** Lower case, numbers as 0, punctuation as blanks, runs of blanks as one, no diacritics, nothing at either end. */
export function simplify(text: string): string {
  const plain = text.toLowerCase().replace(number, '0').replace(punctuation, ' ')
  const spaced = strip(plain).replace(blankRuns, ' ')
  return nonAscii.test(spaced) ? strip(spaced.normalize('NFD').replace(/\p{Mn}+/gu, '')) : spaced
}

function escaped(character: string): string {
  return `\\u{${character.charCodeAt(0).toString(16)}}`
}
