// Other definitions of the same rules: Dolma's taggers. And what measures or tidies without a verdict: datatrove's statistics
// and its symbol lines.

import { z } from 'zod'
import { measureC4Dolma, naughtyList, type Span } from '../../stages/c4-dolma.ts'
import { gopherDolmaOptions, measureGopherDolma } from '../../stages/gopher-dolma.ts'
import { measureCharacters, measureLines, measureParagraphs, measureSentences, measureWords } from '../../stages/summary-stats.ts'
import { removeSymbolLines, symbolLinesOptions } from '../../stages/symbol-lines.ts'
import { compareNumbers, difference, optionNames, type Runner, rowByRow } from './cases.ts'

// ---- Gopher, by Dolma ----

const pairs = z.array(z.tuple([z.number(), z.number()]))
const gopherAttributes = z.record(z.string(), z.union([z.number(), pairs]))
const gopherCase = z.object({ text: z.string(), gopher_v1: gopherAttributes.optional(), gopher_v2: gopherAttributes.optional() })

function compareGopher(text: string, expected: z.output<typeof gopherAttributes> | undefined, ignoreEmptyLines: boolean) {
  const measured = measureGopherDolma({ text }, { ...gopherDolmaOptions.parse({}), ignoreEmptyLines })
  const numbers: Record<string, number> = {}
  for (const [name, value] of Object.entries(expected ?? {})) {
    if (typeof value === 'number') numbers[name] = value
    else for (const [n, share] of value) numbers[name.replace(/ngram(s?)$/, `${n}grams`)] = share
  }
  const missing = expected && Object.keys(measured).filter((name) => !(name in numbers))
  return compareNumbers(numbers, measured) ?? (missing && difference('attributes beyond the expected', [], missing))
}

const gopherDolma = rowByRow(
  'dolma_gopher*.jsonl',
  gopherCase,
  (row) => compareGopher(row.text, row.gopher_v1, false) ?? compareGopher(row.text, row.gopher_v2, true),
)

// ---- C4, by Dolma ----

const spanCase = z.object({
  text: z.string(),
  spans: z.array(z.object({ start: z.number(), end: z.number(), type: z.string(), score: z.number() })),
})

const c4Dolma = rowByRow('dolma_c4*.jsonl', spanCase, ({ text, spans }) => {
  const attributes = measureC4Dolma({ text }, naughtyList([]))
  const whole: Span = [0, [...text].length]
  const claims = (['has_naughty_word', 'has_javascript', 'has_lorem_ipsum', 'has_curly_brace'] as const).filter((name) => attributes[name])
  const got = [
    ...attributes.lines_with_no_ending_punctuation.map((span) => [...span, 'lines_with_no_ending_punctuation', 1]),
    ...attributes.lines_with_too_few_words.map((span) => [...span, 'lines_with_too_few_words', 1]),
    ...claims.map((name) => [...whole, name, 1]),
    [...whole, 'line_count', attributes.line_count],
  ]
  const expected = spans.map(({ start, end, type, score }) => [start, end, type, score])
  return difference('spans', expected.map(String).sort(), got.map(String).sort())
})

// ---- statistics ----

/** A block that the reference could not compute holds the exception's name instead of numbers. */
const block = z.record(z.string(), z.union([z.number().nullable(), z.string()])).optional()
const statsCase = z.object({
  text: z.string(),
  stats: z.object({ doc: block, line: block, word: block, paragraph: block, sentence: block }),
})

const summaryStats = rowByRow('summary_stats*.jsonl', statsCase, (row) => {
  const compare = (expected: z.output<typeof block>, measured: Readonly<Record<string, number>>) =>
    compareNumbers(
      Object.fromEntries(Object.entries(expected ?? {}).filter((entry): entry is [string, number] => typeof entry[1] === 'number')),
      measured,
    )
  return (
    compare(row.stats.doc, measureCharacters(row)) ??
    compare(row.stats.line, measureLines(row)) ??
    compare(row.stats.word, measureWords(row)) ??
    compare(row.stats.paragraph, measureParagraphs(row)) ??
    compare(row.stats.sentence, measureSentences(row))
  )
})

// ---- symbol lines ----

const symbolCase = z.object({
  params: z.record(z.string(), z.unknown()).default({}).transform(optionNames),
  text: z.string(),
  output: z.string(),
})

const symbolLines = rowByRow('symbol_lines*.jsonl', symbolCase, (row) =>
  difference('text', row.output, removeSymbolLines(row.text, symbolLinesOptions.parse(row.params))),
)

export const variantRunners: readonly Runner[] = [gopherDolma, c4Dolma, summaryStats, symbolLines]
