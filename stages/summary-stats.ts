// Measures documents and drops none: lengths, kinds of characters, lines, words, paragraphs, sentences, with the names, definitions
// and thresholds of datatrove 0.10's statistics blocks. For histograms and what-if before a filter is chosen.

import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import { filterStage, keep, type Stage } from '../src/core/stage.ts'
import { documentCodePoints, documentTokens, documentWords, type HasText } from '../src/text/analysis.ts'
import { codePointLength, isBlank, isDigit, PUNCTUATION, splitBlanks, strip } from '../src/text/characters.ts'
import { splitLines } from '../src/text/lines.ts'
import { countRepeats } from '../src/text/repeats.ts'

export const summaryStatsOptions = z.strictObject({})

/** Records some forty statistics of each document. A share is NaN where there is nothing to share among. */
export function summaryStats<T extends Document>(options: z.input<typeof summaryStatsOptions> = {}): Stage<T> {
  return filterStage('summaryStats', {
    options: summaryStatsOptions.parse(options),
    measure: (document: T) => ({
      ...measureCharacters(document),
      ...measureLines(document),
      ...measureWords(document),
      ...measureParagraphs(document),
      ...measureSentences(document),
    }),
    decide: () => keep,
  })
}

export function measureCharacters(document: HasText) {
  const { text } = document
  const length = documentCodePoints(document)
  let blanks = 0
  let letters = 0
  let digits = 0
  let uppers = 0
  let marks = 0
  for (const character of text) {
    if (isBlank(character.charCodeAt(0))) blanks++
    if (letter.test(character)) letters++
    else if (isDigit(character)) digits++
    if (upper.test(character)) uppers++
    if (PUNCTUATION.has(character)) marks++
  }
  const ellipses = text.match(/\.\.\.|…/g) ?? []
  return {
    length,
    white_space_ratio: blanks / length,
    non_alpha_digit_ratio: (length - letters - digits) / length,
    digit_ratio: digits / length,
    uppercase_ratio: uppers / length,
    elipsis_ratio: ellipses.join('').length / length,
    punctuation_ratio: marks / length,
  }
}

const letter = /^\p{L}$/u
const upper = /^\p{Uppercase}$/u
const lower = /^\p{Lowercase}$/u
const title = /^\p{Lt}$/u

/** Lines are those between "\n", empty ones too. */
export function measureLines({ text }: HasText) {
  const lines = text.split('\n')
  const lengths = lines.map(codePointLength)
  const repeats = countRepeats(lines)
  return {
    n_lines: lines.length,
    avg_line_length: mean(lengths),
    short_line_ratio_chars_10: share(lengths, (length) => length <= 10),
    short_line_ratio_chars_30: share(lengths, (length) => length <= 30),
    long_line_ratio_chars_2000: share(lengths, (length) => length >= 2000),
    long_line_ratio_chars_10000: share(lengths, (length) => length >= 10_000),
    lines_ending_with_terminal_mark_ratio: share(lines, (line) => /[.?!"']$/.test(line)),
    bullet_point_lines_ratio: share(lines, (line) => /^[-*•]/.test(strip(line))),
    line_duplicates: repeats.count / lines.length,
    line_char_duplicates: repeats.characters / sum(lengths),
  }
}

/** Words are those of the filters; lines are Python's, for the mean of words on one. */
export function measureWords(document: HasText) {
  const words = documentWords(document)
  const lengths = words.map(codePointLength)
  return {
    n_words: words.length,
    avg_word_length: mean(lengths),
    avg_words_per_line: words.length / splitLines(document.text).length,
    short_word_ratio_3: share(lengths, (length) => length <= 3),
    long_word_ratio_7: share(lengths, (length) => length >= 7),
    type_token_ratio: new Set(words).size / words.length,
    uppercase_word_ratio: share(words, isUpper),
    capitalized_word_ratio: share(words, isTitle),
    stop_word_ratio: share(words, (word) => stopWords.has(word)),
  }
}

const stopWords = new Set(['the', 'be', 'to', 'of', 'and', 'that', 'have', 'with'])

/** Python's `str.isupper`: some letter is upper case, and none is not. */
function isUpper(word: string): boolean {
  return /\p{Uppercase}/u.test(word) && !/[\p{Lowercase}\p{Lt}]/u.test(word)
}

/** Python's `str.istitle`: upper or title case where a run of cased letters begins, lower case within it. */
function isTitle(word: string): boolean {
  let isInside = false
  let isCased = false
  for (const character of word) {
    const isCapital = upper.test(character) || title.test(character)
    const isSmall = lower.test(character)
    if (isCapital && isInside) return false
    if (isSmall && !isInside) return false
    isInside = isCapital || isSmall
    isCased ||= isInside
  }
  return isCased
}

/** Paragraphs are what stands between pairs of "\n" and is not blank. */
export function measureParagraphs({ text }: HasText) {
  const paragraphs = text.split('\n\n').filter((paragraph) => splitBlanks(paragraph).length > 0)
  const lengths = paragraphs.map(codePointLength)
  const repeats = countRepeats(paragraphs)
  return {
    n_paragraphs: paragraphs.length,
    avg_paragraph_length: mean(lengths),
    short_paragraph_ratio_100: share(lengths, (length) => length <= 100),
    long_paragraph_ratio_1000: share(lengths, (length) => length >= 1000),
    paragraph_duplicates: repeats.count / paragraphs.length,
    paragraph_char_duplicates: repeats.characters / sum(lengths),
  }
}

/** Sentences stripped; those of blanks only are none. */
export function measureSentences(document: HasText) {
  const { text } = document
  const lengths: number[] = []
  let start = 0
  for (const end of [...documentTokens(document).sentenceEnds, text.length]) {
    const sentence = strip(text.slice(start, end))
    if (sentence !== '') lengths.push(codePointLength(sentence))
    start = end
  }
  return {
    n_sentences: lengths.length,
    avg_sentence_length: mean(lengths),
    short_sentence_ratio_20: share(lengths, (length) => length <= 20),
    long_sentence_ratio_75: share(lengths, (length) => length >= 75),
  }
}

function share<T>(all: readonly T[], part: (element: T) => boolean): number {
  let count = 0
  for (const element of all) if (part(element)) count++
  return count / all.length
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
const mean = (values: readonly number[]) => sum(values) / values.length
