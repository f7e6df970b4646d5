// Stretches of text that occur four times and more in a row, with a blank between or none: what Dolma's tagger repetitions_v1
// finds by the expression (.+?)(\s?\1){3,}. That one tries every length at every place; here a stretch of eight characters
// or more is only tried where its first eight come again.

import { isBlank } from '../text/characters.ts'

/** Repeated stretches longer than this, in UTF-16 units, are not looked for (the reference has no bound): time stays linear. */
const LONGEST_STRETCH = 2000
const SEED = 8

/** In UTF-16 units. `times` counts the stretch within start … end, without overlap. */
export interface Repetition {
  readonly start: number
  readonly end: number
  readonly times: number
}

/** From left to right, none overlapping another; the shortest stretch wins. A stretch holds no "\n", but may be followed by one. */
export function findRepetitions(text: string): Repetition[] {
  const length = text.length
  const next = nextSeeds(text)
  const found: Repetition[] = []
  let lineEnd = -1
  for (let start = 0; start < length; ) {
    if (lineEnd < start) lineEnd = endOfLine(text, start)
    const repetition = repetitionAt(text, start, Math.min(LONGEST_STRETCH, lineEnd - start, (length - start) >> 2), next)
    if (repetition !== undefined) found.push(repetition)
    start = repetition?.end ?? start + ((text.codePointAt(start) ?? 0) > 0xffff ? 2 : 1)
  }
  return found
}

function repetitionAt(text: string, start: number, longest: number, next: Int32Array): Repetition | undefined {
  for (let size = 1; size < SEED && size <= longest; size++) {
    const repetition = repeated(text, start, size)
    if (repetition !== undefined) return repetition
  }
  for (let place = next[start]; place > 0 && place - start <= longest + 1; place = next[place]) {
    // The second occurrence begins at `place`: behind the first, or behind a blank that follows it.
    const before = place - start > SEED && isBlank(text.charCodeAt(place - 1)) ? repeated(text, start, place - start - 1) : undefined
    const repetition = before ?? (place - start <= longest ? repeated(text, start, place - start) : undefined)
    if (repetition !== undefined) return repetition
  }
  return undefined
}

/** The repetition of `text[start … start + size)` that begins there, if it comes four times. */
function repeated(text: string, start: number, size: number): Repetition | undefined {
  const first = start + size
  if ((text.charCodeAt(first) & 0xfc00) === 0xdc00) return undefined // cuts a character in two
  let end = more(text, start, size, first, 3)
  if (end < 0) return undefined
  for (let next = end; next >= 0; next = more(text, start, size, next, 1)) end = next
  return { start, end, times: countWithin(text, start, size, end) }
}

/**
 * Where so many more occurrences end, or -1. Between blanks there is a choice, to take a blank for the one between two
 * occurrences or for the next of them: as in the expression, the first is tried first, and the other where that leads nowhere.
 */
function more(text: string, start: number, size: number, at: number, count: number): number {
  if (count === 0) return at
  if (isBlank(text.charCodeAt(at)) && isSame(text, start, at + 1, size)) {
    const end = more(text, start, size, at + 1 + size, count - 1)
    if (end >= 0) return end
  }
  return isSame(text, start, at, size) ? more(text, start, size, at + size, count - 1) : -1
}

function countWithin(text: string, start: number, size: number, end: number): number {
  const stretch = text.slice(start, start + size)
  let times = 0
  for (let i = text.indexOf(stretch, start); i >= 0 && i + size <= end; i = text.indexOf(stretch, i + size)) times++
  return times
}

function isSame(text: string, a: number, b: number, size: number): boolean {
  if (b + size > text.length) return false
  for (let i = 0; i < size; i++) if (text.charCodeAt(a + i) !== text.charCodeAt(b + i)) return false
  return true
}

function endOfLine(text: string, start: number): number {
  const end = text.indexOf('\n', start)
  return end < 0 ? text.length : end
}

/** Where the SEED units that begin at a place begin next, or 0; some that only share their hash are among them. */
function nextSeeds(text: string): Int32Array {
  const next = new Int32Array(text.length)
  let size = 1 << 8
  while (size < text.length * 2) size *= 2
  const last = new Int32Array(size).fill(-1)
  for (let i = text.length - SEED; i >= 0; i--) {
    let hash = 0
    for (let k = i; k < i + SEED; k++) hash = (Math.imul(hash, 0x01000193) + text.charCodeAt(k)) | 0
    const slot = (Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 8) & (size - 1)
    if (last[slot] > 0) next[i] = last[slot]
    last[slot] = i
  }
  return next
}
