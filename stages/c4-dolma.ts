// C4's line rules as the Dolma toolkit has them, tagger c4_v1 (Soldaini et al. 2024, arxiv.org/abs/2402.00159; commit 669f5348). Another
// filter than c4Quality: it looks at lines between "\n", asks for . ? ! or " at their end, and takes every line by itself.
//
// Quirks kept: "javascript" and bad words must stand between blanks, so "JavaScript." passes; empty lines are lines with too few words; "{"
// and "lorem ipsum" drop the document wherever they stand.

import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import { type Drop, drop, keep, mapStage, type Stage, type Verdict } from '../src/core/stage.ts'
import { documentBlankGrams, type HasText } from '../src/text/analysis.ts'
import { codePointLength, hasFewerWords, isBlank, strip } from '../src/text/characters.ts'
import { listVersion, readList } from '../src/text/lists.ts'
import { variantOption } from './variant.ts'

export const c4DolmaOptions = z.strictObject({
  variant: variantOption('c4@dolma-1'),
  removeLinesWithNoEndingPunctuation: z.boolean().default(true).describe('takes out lines that do not end in . ? ! or "'),
  removeLinesWithTooFewWords: z.boolean().default(true).describe('takes out lines with fewer than 3 words'),
  dropJavascript: z.boolean().default(true).describe('drops documents with the word javascript'),
  dropLoremIpsum: z.boolean().default(true).describe('drops documents with "lorem ipsum"'),
  dropCurlyBrace: z.boolean().default(true).describe('drops documents with {'),
  naughtyWords: z
    .union([z.array(z.string()), z.strictObject({ file: z.string() })])
    .default([])
    .describe('words and phrases that drop a document: inline, or { file } with one a line, lower case'),
})
export type C4DolmaOptions = z.input<typeof c4DolmaOptions>
type Choices = z.output<typeof c4DolmaOptions>

/** Changes texts, and drops by what they hold. Reasons: `has_naughty_word`, `has_javascript`, `has_lorem_ipsum`, `has_curly_brace`. */
export function c4Dolma<T extends Document>(options: C4DolmaOptions = {}): Stage<T> {
  const choices = c4DolmaOptions.parse(options)
  return mapStage<T, T>('c4Dolma', {
    options: { ...choices, version: listVersion(choices.naughtyWords) },
    prepare: () => {
      const naughty = naughtyList(readList(choices.naughtyWords))
      return (document, report): T | Drop => {
        const attributes = measureC4Dolma(document, naughty)
        const statistics = countC4Dolma(attributes)
        report(statistics)
        const verdict = decideC4Dolma(statistics, choices)
        if (!verdict.keep) return verdict
        const text = keptLines(document.text, attributes, choices)
        return text === document.text ? document : { ...document, text }
      }
    },
  })
}

// ---- attributes ----

/** A line's stretch of the text, its break included, in code points. */
export type Span = readonly [start: number, end: number]

export interface C4DolmaAttributes {
  readonly lines_with_no_ending_punctuation: readonly Span[]
  readonly lines_with_too_few_words: readonly Span[]
  readonly has_naughty_word: boolean
  readonly has_javascript: boolean
  readonly has_lorem_ipsum: boolean
  readonly has_curly_brace: boolean
  readonly line_count: number
}

export interface NaughtyList {
  readonly words: ReadonlySet<string>
  /** Undefined where there is none. */
  readonly phrases: RegExp | undefined
}

/** Entries with a blank are phrases, which match anywhere; the others must be a whole word. */
export function naughtyList(entries: readonly string[]): NaughtyList {
  const listed = entries.filter((entry) => entry !== '')
  // Sorted, because the engine then tests common beginnings once.
  const phrases = listed.filter((entry) => entry.includes(' ')).sort()
  return {
    words: new Set(listed.filter((entry) => !entry.includes(' '))),
    phrases: phrases.length === 0 ? undefined : new RegExp(phrases.map((phrase) => RegExp.escape(phrase)).join('|')),
  }
}

export function measureC4Dolma(document: HasText, naughty: NaughtyList): C4DolmaAttributes {
  const lower = document.text.toLowerCase()
  const words = distinctWords(document)
  const mayHoldPhrase = naughty.phrases?.test(lower) === true
  return {
    ...measureLines(document.text),
    has_naughty_word:
      words.some((word) => naughty.words.has(word)) ||
      (mayHoldPhrase && lower.split('\n').some((line) => naughty.phrases?.test(strip(line)))),
    has_javascript: words.includes('javascript'),
    has_lorem_ipsum: lower.includes('lorem ipsum'),
    has_curly_brace: document.text.includes('{'),
  }
}

/** In lower case; each once, more or less. */
function distinctWords(document: HasText): string[] {
  const { ids, lexicon } = documentBlankGrams(document).tokens
  return [...new Set(ids)].map((id) => lexicon.words[id].toLowerCase())
}

function measureLines(text: string) {
  const unended: Span[] = []
  const short: Span[] = []
  let lines = 0
  let start = 0
  for (let at = 0; at <= text.length; lines++) {
    const next = text.indexOf('\n', at)
    const end = next < 0 ? text.length : next
    const line = text.slice(at, end)
    const span: Span = [start, start + codePointLength(line) + (next < 0 ? 0 : 1)]
    if (!endsWell(line)) unended.push(span)
    if (hasFewerWords(line, 3)) short.push(span)
    start = span[1]
    at = end + 1
  }
  return { lines_with_no_ending_punctuation: unended, lines_with_too_few_words: short, line_count: lines }
}

function endsWell(line: string): boolean {
  let end = line.length
  while (end > 0 && isBlank(line.charCodeAt(end - 1))) end--
  return end > 0 && '.?!"'.includes(line[end - 1])
}

/**
 * Tagger c4_v2, faster in the reference: the whole text is put into lower case first, which shifts spans where that changes a
 * text's length, "javascript" counts within words, and phrases may reach over a line break.
 */
export function measureC4DolmaFast(document: HasText, naughty: NaughtyList): C4DolmaAttributes {
  const lower = document.text.toLowerCase()
  return {
    ...measureLines(lower),
    has_naughty_word: distinctWords(document).some((word) => naughty.words.has(word)) || naughty.phrases?.test(lower) === true,
    has_javascript: lower.includes('javascript'),
    has_lorem_ipsum: lower.includes('lorem ipsum'),
    has_curly_brace: lower.includes('{'),
  }
}

/** The attributes as numbers: lines counted, claims as 0 or 1. */
export function countC4Dolma(attributes: C4DolmaAttributes) {
  return {
    lines_with_no_ending_punctuation: attributes.lines_with_no_ending_punctuation.length,
    lines_with_too_few_words: attributes.lines_with_too_few_words.length,
    has_naughty_word: Number(attributes.has_naughty_word),
    has_javascript: Number(attributes.has_javascript),
    has_lorem_ipsum: Number(attributes.has_lorem_ipsum),
    has_curly_brace: Number(attributes.has_curly_brace),
    line_count: attributes.line_count,
  }
}

export function decideC4Dolma(
  s: ReturnType<typeof countC4Dolma>,
  choices: Pick<Choices, 'dropJavascript' | 'dropLoremIpsum' | 'dropCurlyBrace'>,
): Verdict {
  if (s.has_naughty_word > 0) return drop('has_naughty_word')
  if (choices.dropJavascript && s.has_javascript > 0) return drop('has_javascript')
  if (choices.dropLoremIpsum && s.has_lorem_ipsum > 0) return drop('has_lorem_ipsum')
  if (choices.dropCurlyBrace && s.has_curly_brace > 0) return drop('has_curly_brace')
  return keep
}

function keptLines(text: string, attributes: C4DolmaAttributes, choices: Choices): string {
  const removed = new Set<number>()
  if (choices.removeLinesWithNoEndingPunctuation) for (const [start] of attributes.lines_with_no_ending_punctuation) removed.add(start)
  if (choices.removeLinesWithTooFewWords) for (const [start] of attributes.lines_with_too_few_words) removed.add(start)
  let start = 0
  const kept = text.split(/(?<=\n)/).filter((line) => {
    const isKept = !removed.has(start)
    start += codePointLength(line)
    return isKept
  })
  return kept.join('')
}
