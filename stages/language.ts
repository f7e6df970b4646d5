// Keeps documents, or their paragraphs, in the languages asked for, and writes down which language each is in. Model, threshold and
// comparison as in FineWeb (Penedo et al. 2024, section 3.2, arxiv.org/abs/2406.17557) and datatrove 0.10. `paragraphLanguage` judges
// line by line: it annotates `language_shares`, the share of characters in each language (und: none is sure enough), and takes out
// the lines in languages that are not kept.

import { z } from 'zod'
import type { Annotated, Document } from '../src/core/document.ts'
import { type Drop, drop, keep, mapStage, type Stage, type Verdict } from '../src/core/stage.ts'
import { type Identify, loadLanguageIdentifier } from '../src/lang/identify.ts'
import { keepAnalysis } from '../src/text/analysis.ts'
import { codePointLength, strip, stripEnd } from '../src/text/characters.ts'

const codes = z.union([z.string().transform((code) => [code]), z.array(z.string())]).nullable()

export const languageOptions = z.strictObject({
  keep: codes.default(null).describe('codes of the languages to keep: en, de, …; null: any, if the model is sure enough'),
  minScore: z.number().default(0.65).describe('a listed language must score higher than this, 0 to 1; it need not be the best one'),
  labelOnly: z.boolean().default(false).describe('drops nothing, only writes the language down'),
  keepTopPairsThreshold: z.number().default(-1).describe('languages that score higher go into metadata as top_language_XX_score; -1: none'),
})
export type LanguageOptions = z.input<typeof languageOptions>
type Limits = z.output<typeof languageOptions>

/** Which option bounds which statistic. */
export const languageLimits = { kept_score: ['minScore'] } as const

/** Smaller scores count as 0: of 176 languages all but a few are that unlikely, and need not be worked out. */
const SMALLEST_SCORE = 0.01

/** Sets `language` and `languageScore`. Reason: `language`. */
export function language<T extends Document>(options: LanguageOptions = {}): Stage<T> {
  const limits = languageOptions.parse(options)
  const smallest = Math.min(SMALLEST_SCORE, limits.minScore, limits.keepTopPairsThreshold < 0 ? 1 : limits.keepTopPairsThreshold)
  return mapStage<T, T>('language', {
    options: limits,
    prepare: async () => {
      const identify = await loadLanguageIdentifier()
      return (document, report): T | Drop => {
        const scores = identify(document.text, smallest)
        const statistics = measureLanguage(scores, limits)
        report(statistics)
        const verdict = decideLanguage(statistics, limits)
        if (!verdict.keep) return verdict
        return keepAnalysis(document, { ...document, ...languageFields(document, scores, limits) })
      }
    },
  })
}

/** `kept_score`: the best score among the languages to keep; the best of all where all are kept. */
export function measureLanguage(scores: ReadonlyMap<string, number>, limits: Pick<Limits, 'keep'>) {
  const languageScore = Math.max(0, ...scores.values())
  return {
    language_score: languageScore,
    kept_score: limits.keep === null ? languageScore : Math.max(0, ...limits.keep.map((code) => scores.get(code) ?? 0)),
  }
}

export function decideLanguage(s: { kept_score: number }, limits: Pick<Limits, 'keep' | 'minScore' | 'labelOnly'>): Verdict {
  if (limits.labelOnly || (s.kept_score > limits.minScore && limits.keep?.length !== 0)) return keep
  return drop('language')
}

/** What is written down: the best language of all, even where another one is why the document is kept. */
export function languageFields(
  document: Pick<Document, 'metadata'>,
  scores: ReadonlyMap<string, number>,
  limits: Pick<Limits, 'keep' | 'keepTopPairsThreshold'>,
): Pick<Document, 'language' | 'languageScore' | 'metadata'> {
  let best: string | undefined
  let bestScore = 0
  for (const [code, score] of scores) {
    if (best !== undefined && score <= bestScore) continue
    best = code
    bestScore = score
  }
  const fields = { language: best, languageScore: bestScore }
  if (limits.keepTopPairsThreshold === -1) return { ...fields, metadata: document.metadata }
  const listed = limits.keep?.length ? limits.keep : [...scores.keys()]
  const pairs = listed.map((code) => [`top_language_${code}_score`, scores.get(code) ?? 0] as const)
  return {
    ...fields,
    metadata: { ...document.metadata, ...Object.fromEntries(pairs.filter(([, score]) => score > limits.keepTopPairsThreshold)) },
  }
}

// ---- paragraphs ----

export const paragraphLanguageOptions = z.strictObject({
  keep: codes.default(null).describe('codes of the languages whose lines stay; null: all lines stay'),
  minScore: z.number().default(0.65).describe('a line is in its best language where that scores higher than this, 0 to 1; else in none'),
  minCharacters: z
    .int()
    .min(1)
    .default(40)
    .describe(
      'shorter lines, in code points, cannot be judged by themselves: they count with the longer one before, at the start with the one behind',
    ),
})
export type ParagraphLanguageOptions = z.input<typeof paragraphLanguageOptions>
type ParagraphLimits = z.output<typeof paragraphLanguageOptions>

/** Of the characters on lines, by language; `und` where none is sure enough. They sum to 1. */
export type LanguageShares = {
  readonly language_shares: { readonly [code: string]: number }
}

export interface Paragraph {
  /** The line with its break, and the blank lines behind it with theirs. */
  readonly text: string
  readonly characters: number
  readonly language: string
  readonly score: number
}

const UNDETERMINED = 'und'

/**
 * Takes out lines, and sets `language` and `languageScore` to the language of most of what is left. Reason: `language`, where
 * nothing is left.
 */
export function paragraphLanguage<T extends Document>(options: ParagraphLanguageOptions = {}): Stage<T, Annotated<T, LanguageShares>> {
  const limits = paragraphLanguageOptions.parse(options)
  return mapStage('paragraphLanguage', {
    options: limits,
    prepare: async () => {
      const identify = await loadLanguageIdentifier()
      return (document, report) => {
        const paragraphs = labelParagraphs(document.text, identify, limits)
        const kept = limits.keep === null ? paragraphs : paragraphs.filter(({ language }) => limits.keep?.includes(language))
        report({ paragraphs: paragraphs.length, paragraphs_kept: kept.length, kept_share: charactersOf(kept) / charactersOf(paragraphs) })
        if (kept.length === 0) return drop('language')
        const text = kept.length === paragraphs.length ? document.text : stripEnd(kept.map((paragraph) => paragraph.text).join(''))
        return keepAnalysis(document, {
          ...document,
          text,
          ...mainLanguage(kept),
          annotations: { ...document.annotations, language_shares: languageShares(paragraphs) },
        })
      }
    },
  })
}

/** The lines of a text that are not blank, each in its language. */
export function labelParagraphs(
  text: string,
  identify: Identify,
  { minScore, minCharacters }: Pick<ParagraphLimits, 'minScore' | 'minCharacters'>,
): Paragraph[] {
  const pieces = splitParagraphs(text)
  const judge = (part: string) => {
    const [best] = identify(part, Math.min(SMALLEST_SCORE, minScore))
    return best !== undefined && best[1] > minScore
      ? { language: best[0], score: best[1] }
      : { language: UNDETERMINED, score: best?.[1] ?? 0 }
  }
  const lengths = pieces.map((piece) => codePointLength(strip(piece)))
  const firstLong = lengths.findIndex((length) => length >= minCharacters)
  let verdict = judge(firstLong < 0 ? text : pieces[firstLong])
  return pieces.map((piece, i) => {
    if (lengths[i] >= minCharacters && i > firstLong) verdict = judge(piece)
    return { text: piece, characters: lengths[i], ...verdict }
  })
}

export function languageShares(paragraphs: readonly Paragraph[]): LanguageShares['language_shares'] {
  const all = charactersOf(paragraphs)
  const counts = new Map<string, number>()
  for (const { language, characters } of paragraphs) counts.set(language, (counts.get(language) ?? 0) + characters)
  return Object.fromEntries([...counts].map(([language, characters]) => [language, characters / all]))
}

function charactersOf(paragraphs: readonly Paragraph[]): number {
  return paragraphs.reduce((sum, { characters }) => sum + characters, 0)
}

/** The language of most characters, and its mean score over them. */
function mainLanguage(paragraphs: readonly Paragraph[]): Pick<Document, 'language' | 'languageScore'> {
  const [best] = Object.entries(languageShares(paragraphs)).sort(([, a], [, b]) => b - a)
  const inIt = paragraphs.filter(({ language }) => language === best[0])
  const score = inIt.reduce((sum, paragraph) => sum + paragraph.score * paragraph.characters, 0) / charactersOf(inIt)
  return { language: best[0] === UNDETERMINED ? undefined : best[0], languageScore: score }
}

/** Lines with their breaks; blank lines with the line before them, those at the start with none. */
function splitParagraphs(text: string): string[] {
  const pieces: string[] = []
  for (let start = 0; start < text.length; ) {
    const end = text.indexOf('\n', start) + 1 || text.length
    const line = text.slice(start, end)
    if (strip(line) !== '') pieces.push(line)
    else if (pieces.length > 0) pieces[pieces.length - 1] += line
    start = end
  }
  return pieces
}
