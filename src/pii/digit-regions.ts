// The parts of a text that hold digits, with some room around: all that detectors of numbers need to look at. In prose that
// is one character in twenty.

/** Characters on either side of a digit: labels such as "Date of birth:" stand that near. */
const MARGIN = 64
/** A part is stretched to the next blank, so that no word is cut; over no more than this. */
const LONGEST_WORD = 4096

const digits = /[0-9\u0660-\u0669\u06f0-\u06f9\u0966-\u096f\uff10-\uff19]/g

/** Calls back with parts of the text, in order, apart. */
export function eachDigitRegion(text: string, visit: (part: string, start: number) => void): void {
  let start = -1
  let end = -1
  digits.lastIndex = 0
  for (let found = digits.exec(text); found; found = digits.exec(text)) {
    const { index } = found
    if (start >= 0 && index - MARGIN > end) {
      visit(text.slice(start, end), start)
      start = -1
    }
    if (start < 0) start = blankBefore(text, Math.max(end, index - MARGIN, 0), end)
    // The next digit is mostly near: what lies between belongs to the part anyway.
    end = blankBehind(text, Math.min(text.length, index + MARGIN))
    digits.lastIndex = Math.max(index + 1, end - MARGIN)
  }
  if (start >= 0) visit(text.slice(start, end), start)
}

function isBlank(unit: number): boolean {
  return unit === 32 || (unit >= 9 && unit <= 13) || unit === 0xa0
}

function blankBefore(text: string, at: number, limit: number): number {
  const first = Math.max(0, limit, at - LONGEST_WORD)
  let place = at
  while (place > first && !isBlank(text.charCodeAt(place - 1))) place--
  return place
}

function blankBehind(text: string, at: number): number {
  const last = Math.min(text.length, at + LONGEST_WORD)
  let place = at
  while (place < last && !isBlank(text.charCodeAt(place))) place++
  return place
}
