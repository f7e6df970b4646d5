// The line rules of C4: Raffel et al. 2020, section 2.2, arxiv.org/abs/1910.10683, with the definitions, defaults and reasons
// of datatrove 0.10. Lines that fail are taken out of the text; a few rules drop the whole document. Words are split at blanks; of a
// language that is written without spaces (zh, ja, th, lo, km, my, bo, …) they are segmented by ICU's dictionaries, where datatrove
// finds one word a line.
//
// Quirks kept: a citation at the end of a line leaves a blank, and the line then does not end in a mark (`trimCitations` takes the
// blank away); curly closing quotes, ")", "。" and "…" are no end marks; what stands on a line that was taken out anyway, "{" or
// "lorem ipsum", does not drop the document.

import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import { type Drop, drop, keep, mapStage, type Stage, type Verdict } from '../src/core/stage.ts'
import { documentLineBounds, documentTokens, type HasText } from '../src/text/analysis.ts'
import { codePointLength, hasFewerWords, isBlank, strip } from '../src/text/characters.ts'
import { splitSentences } from '../src/text/sentences.ts'
import { isUnspaced, spaceWords } from '../src/text/unspaced.ts'
import { variantOption } from './variant.ts'

export const c4QualityOptions = z.strictObject({
  variant: variantOption('c4@datatrove-0.10'),
  splitParagraph: z.boolean().default(true).describe('judges lines; false: judges sentences, and joins what is kept by blanks'),
  removeCitations: z.boolean().default(true).describe('takes [1], [edit] and [citation needed] out of lines'),
  trimCitations: z.boolean().default(false).describe('takes away the blank that a citation at the end of a line leaves'),
  filterNoTerminalPunct: z.boolean().default(true).describe('takes out lines that do not end in . ? ! " or \', or end in ...'),
  minNumSentences: z.int().default(5).describe('fewest sentences on the lines kept; -1 switches it off'),
  minWordsPerLine: z.int().default(3).describe('takes out lines with fewer words, as blanks split them; -1 switches it off'),
  maxWordLength: z.int().default(1000).describe('takes out lines with a longer word, in code points; -1 switches it off'),
  filterLoremIpsum: z.boolean().default(true).describe('drops documents with "lorem ipsum" on a line that passed the rules above'),
  filterJavascript: z.boolean().default(true).describe('takes out lines with "javascript"'),
  filterCurlyBracket: z.boolean().default(true).describe('drops documents with { on a line that passed the rules above'),
  filterPolicy: z.boolean().default(true).describe('takes out lines about cookies, privacy policies and terms of use'),
})
export type C4QualityOptions = z.input<typeof c4QualityOptions>
type Limits = z.output<typeof c4QualityOptions>

/** Which option bounds which statistic. */
export const c4QualityLimits = { n_sentences: ['minNumSentences'] } as const

/** What became of the lines. After a line that drops the document, the rest was not looked at, and `n_sentences` is NaN. */
export interface C4Quality extends Record<string, number> {
  line_total: number
  line_kept: number
  line_filter_too_long_word: number
  line_filter_no_terminal_punc: number
  line_filter_too_few_words: number
  line_filter_javascript: number
  line_filter_policy: number
  lorem_ipsum: number
  curly_bracket: number
  n_sentences: number
}

/** Takes lines out, and drops documents by what they hold. Reasons: `lorem_ipsum`, `curly_bracket`, `too_few_sentences`. */
export function c4Quality<T extends Document>(options: C4QualityOptions = {}): Stage<T> {
  const limits = c4QualityOptions.parse(options)
  return mapStage<T, T>('c4Quality', {
    options: limits,
    prepare:
      () =>
      (document, report): T | Drop => {
        const { statistics, text } = measureC4Quality(document, limits)
        report(statistics)
        const verdict = decideC4Quality(statistics, limits)
        if (!verdict.keep) return verdict
        return text === document.text ? document : { ...document, text }
      },
  })
}

/** The decision alone, over numbers. */
export function decideC4Quality(s: C4Quality, limits: Pick<Limits, 'minNumSentences'>): Verdict {
  if (s.lorem_ipsum > 0) return drop('lorem_ipsum')
  if (s.curly_bracket > 0) return drop('curly_bracket')
  if (s.n_sentences < limits.minNumSentences) return drop('too_few_sentences')
  return keep
}

/** Counts, and the text of the lines that are kept, which is meaningless where a line drops the document. */
export function measureC4Quality(document: HasText, limits: Limits): { statistics: C4Quality; text: string } {
  const statistics: C4Quality = {
    line_total: 0,
    line_kept: 0,
    line_filter_too_long_word: 0,
    line_filter_no_terminal_punc: 0,
    line_filter_too_few_words: 0,
    line_filter_javascript: 0,
    line_filter_policy: 0,
    lorem_ipsum: 0,
    curly_bracket: 0,
    n_sentences: 0,
  }
  const kept: string[] = []
  for (const line of limits.splitParagraph ? linesOf(document) : sentencesOf(document)) {
    statistics.line_total++
    const cited = limits.removeCitations ? withoutCitations(line.text) : line.text
    const text = limits.trimCitations ? strip(cited) : cited
    const fate = fateOf(line.text, text, limits, document.language)
    if (fate === 'lorem_ipsum' || fate === 'curly_bracket') {
      statistics[fate] = 1
      statistics.n_sentences = Number.NaN
      break
    }
    statistics[fate]++
    if (fate !== 'line_kept') continue
    kept.push(text)
    if (limits.minNumSentences === -1) continue
    if (!limits.splitParagraph) statistics.n_sentences++
    else statistics.n_sentences += text === line.text ? line.sentences() : splitSentences(text, document.language).length
  }
  return { statistics, text: strip(kept.join(limits.splitParagraph ? '\n' : ' ')) }
}

// ---- lines ----

/** Stripped text of a line, and how many sentences it holds. */
interface Line {
  readonly text: string
  readonly sentences: () => number
}

/** Sentences are counted from the ends already known for the document: they fall within lines as they would in each line alone. */
function* linesOf(document: HasText): Generator<Line> {
  const { text } = document
  const bounds = documentLineBounds(document)
  let ends: Int32Array | undefined
  let next = 0
  for (let i = 0; i < bounds.length; i += 2) {
    let start = bounds[i]
    let end = bounds[i + 1]
    while (start < end && isBlank(text.charCodeAt(start))) start++
    while (end > start && isBlank(text.charCodeAt(end - 1))) end--
    const sentences = () => {
      ends ??= documentTokens(document).sentenceEnds
      while (next < ends.length && ends[next] <= start) next++
      let count = 1
      for (; next < ends.length && ends[next] < end; next++) count++
      return count
    }
    yield { text: text.slice(start, end), sentences }
  }
}

function* sentencesOf(document: HasText): Generator<Line> {
  const { text } = document
  let start = 0
  for (const end of [...documentTokens(document).sentenceEnds, text.length]) {
    yield { text: strip(text.slice(start, end)), sentences: () => 1 }
    start = end
  }
}

const citation = /\[\p{Nd}*\]|\[edit\]|\[citation needed\]/gu

function withoutCitations(line: string): string {
  return line.includes('[') ? line.replace(citation, '') : line
}

// ---- the rules of one line ----

type Fate = Exclude<keyof C4Quality & string, 'line_total' | 'n_sentences'>

const policies = /terms of use|privacy policy|cookie policy|uses cookies|use of cookies|use cookies/

/** What the first rule that applies makes of a line; `text` is the line without citations. */
function fateOf(original: string, text: string, limits: Limits, language: string | undefined): Fate {
  // Words are split at blanks here: where the language writes none, they are put in.
  const line = isUnspaced(language) ? spaceWords(original, language).text : original
  if (limits.maxWordLength !== -1 && hasLongWord(line, limits.maxWordLength)) return 'line_filter_too_long_word'
  if (limits.filterNoTerminalPunct && !endsWell(text)) return 'line_filter_no_terminal_punc'
  if (hasFewerWords(line, limits.minWordsPerLine)) return 'line_filter_too_few_words'
  const lower = text.toLowerCase()
  if (limits.filterLoremIpsum && lower.includes('lorem ipsum')) return 'lorem_ipsum'
  if (limits.filterJavascript && lower.includes('javascript')) return 'line_filter_javascript'
  if (limits.filterCurlyBracket && text.includes('{')) return 'curly_bracket'
  if (limits.filterPolicy && policies.test(lower)) return 'line_filter_policy'
  return 'line_kept'
}

function endsWell(text: string): boolean {
  return text !== '' && '.?!"\''.includes(text[text.length - 1]) && !text.endsWith('...')
}

function hasLongWord(line: string, longest: number): boolean {
  if (line.length <= longest) return false
  let start = 0
  for (let i = 0; i <= line.length; i++) {
    if (i < line.length && !isBlank(line.charCodeAt(i))) continue
    if (i - start > longest && codePointLength(line.slice(start, i)) > longest) return true
    start = i + 1
  }
  return false
}
