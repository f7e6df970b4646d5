// Dolma's taggers of length, punctuation and repetition: Soldaini et al. 2024, arxiv.org/abs/2402.00159, as the toolkit has them
// (allenai/dolma, commit 669f5348, python/dolma/taggers). Scores that its mixer filters by; spans are in code points.

import { blanks, codePointLength, strip } from '../text/characters.ts'
import { findRepetitions } from './repetitions.ts'
import { roundTo } from './rounding.ts'

/** As the toolkit writes it: where a stretch starts and ends, in code points, and its score. */
export type Span = readonly [start: number, end: number, score: number]

/** The toolkit rounds scores to five places. */
export const round5 = (value: number) => roundTo(value, 5)

interface Paragraph {
  readonly text: string
  /** Code points. */
  readonly start: number
  readonly end: number
}

/** Lines with their "\n". */
function paragraphsOf(text: string): Paragraph[] {
  let start = 0
  const pieces = text === '' ? [] : text.split(/(?<=\n)/)
  return pieces.map((piece) => {
    const paragraph = { text: piece, start, end: start + codePointLength(piece) }
    start = paragraph.end
    return paragraph
  })
}

const notBlank = new RegExp(`[^${blanks}]`)
const filledParagraphsOf = (text: string) => paragraphsOf(text).filter((paragraph) => notBlank.test(paragraph.text))

// ---- lengths ----

export const bytesLength = (text: string) => ({ bytes: Buffer.byteLength(text) })
export const charLength = (text: string) => ({ length: codePointLength(text) })
export const charLengthStripped = (text: string) => ({ length_no_ws: codePointLength(strip(text)) })

export function charLengthWithParagraphs(text: string) {
  const paragraph = filledParagraphsOf(text).map(({ start, end }): Span => [start, end, end - start])
  return { paragraph, document: codePointLength(text) }
}

/** Runs of word characters, and of other signs, as Python's package regex tells them apart. */
const piece = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}\p{White_Space}]+/gu

/** Quirk of the reference: it splits at words instead of finding them, so it counts one too many. */
const countPieces = (text: string) => (text.match(piece)?.length ?? 0) + 1

export const whitespaceLength = (text: string) => ({ length: countPieces(text) })

export function whitespaceLengthWithParagraphs(text: string) {
  const paragraph = filledParagraphsOf(text).map(({ text, start, end }): Span => [start, end, countPieces(text)])
  return { paragraph, document: paragraph.reduce((sum, [, , score]) => sum + score, 0) }
}

// ---- punctuation ----

const alphanumeric = /[a-zA-Z0-9]/
const onlyPunctuation =
  /^(?:[\p{P}[\p{S}--\p{Alphabetic}]\p{White_Space}\u{1f300}-\u{1f64f}\u{1f680}-\u{1f6ff}\u2600-\u26ff\u2700-\u27bf])+$/v

/** Paragraphs of nothing but punctuation, symbols and emoji. The whole text with score 0 where there is none. */
export function notAlphanumParagraphs(text: string) {
  const found = filledParagraphsOf(text).filter((paragraph) => !alphanumeric.test(paragraph.text) && onlyPunctuation.test(paragraph.text))
  const spans = found.map(({ start, end }): Span => [start, end, 1])
  return { all_punct: spans.length > 0 ? spans : [[0, codePointLength(text), 0] satisfies Span] }
}

// ---- repetitions ----

export function repetitions(text: string) {
  return repetitionAttributes(repetitionSpans(text, 0), text)
}

/** Each paragraph by itself: repetitions that reach over a line break are not found. */
export function paragraphRepetitions(text: string) {
  return repetitionAttributes(
    paragraphsOf(text).flatMap(({ text: paragraph, start }) => repetitionSpans(paragraph, start)),
    text,
  )
}

function repetitionSpans(text: string, offset: number): Span[] {
  let at = 0
  let characters = offset
  const forward = (to: number) => {
    characters += codePointLength(text.slice(at, to))
    at = to
    return characters
  }
  return findRepetitions(text).map(({ start, end, times }): Span => [forward(start), forward(end), times])
}

function repetitionAttributes(repetition: Span[], text: string) {
  const lengths = repetition.map(([start, end]) => end - start)
  const sum = lengths.reduce((total, length) => total + length, 0)
  return {
    repetition,
    doc_max_score_repetition: repetition.reduce((most, [, , times]) => Math.max(most, times), 0),
    doc_max_length_repetition: lengths.reduce((most, length) => Math.max(most, length), 0),
    doc_frac_repetition: repetition.length === 0 ? 0 : round5(sum / codePointLength(text)),
  }
}
