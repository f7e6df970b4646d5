// What several stages ask of a document, worked out once: its words and sentence ends, lines, length. Kept as long as the
// document is; stages never write into a document, they make a new one, so nothing here can go stale.

import type { Annotated, Annotations, Document } from '../core/document.ts'
import { codePointLength } from './characters.ts'
import { lineBounds } from './lines.ts'
import { WordGrams } from './repeats.ts'
import { isUnspaced } from './unspaced.ts'
import { splitAtBlanks, type Tokens, tokenize, wordsOf } from './words.ts'

/** Anything with a text: a Document, or a case of a test. */
export interface HasText {
  readonly text: string
  /** ISO 639 code: decides how words are split where it is one of those written without spaces. */
  readonly language?: string
}

interface Analysis {
  tokens?: Tokens
  words?: readonly string[]
  blankGrams?: WordGrams
  lineBounds?: readonly number[]
  codePoints?: number
}

const analyses = new WeakMap<HasText, Analysis>()

function analysisOf(document: HasText): Analysis {
  let analysis = analyses.get(document)
  if (analysis === undefined) {
    analysis = {}
    analyses.set(document, analysis)
  }
  return analysis
}

/** Word ids and sentence ends. */
export function documentTokens(document: HasText): Tokens {
  const analysis = analysisOf(document)
  analysis.tokens ??= tokenize(document.text, document.language)
  return analysis.tokens
}

export function documentWords(document: HasText): readonly string[] {
  const analysis = analysisOf(document)
  analysis.words ??= wordsOf(documentTokens(document))
  return analysis.words
}

/** Words as blanks split them, in the order of the text, and their n-grams. */
export function documentBlankGrams(document: HasText): WordGrams {
  const analysis = analysisOf(document)
  analysis.blankGrams ??= new WordGrams(splitAtBlanks(document.text))
  return analysis.blankGrams
}

/** Start and end of each line, as `lineBounds` gives them. */
export function documentLineBounds(document: HasText): readonly number[] {
  const analysis = analysisOf(document)
  analysis.lineBounds ??= lineBounds(document.text)
  return analysis.lineBounds
}

/** Length in code points. */
export function documentCodePoints(document: HasText): number {
  const analysis = analysisOf(document)
  analysis.codePoints ??= codePointLength(document.text)
  return analysis.codePoints
}

/** For a stage that changes a document but not its text: what is known of the text stays known. */
export function keepAnalysis<T extends HasText>(from: HasText, to: T): T {
  const splitsAlike = to.language === from.language || !(isUnspaced(to.language) || isUnspaced(from.language))
  if (to.text === from.text && splitsAlike) analyses.set(to, analysisOf(from))
  return to
}

/** The document with these annotations as well: its words are not split again. */
export function annotate<T extends Document, A extends Annotations>(document: T, annotations: A): Annotated<T, A> {
  return keepAnalysis(document, { ...document, annotations: { ...document.annotations, ...annotations } })
}
