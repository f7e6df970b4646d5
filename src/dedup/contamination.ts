// What a document holds of evaluation sets, and what is left of it when that is cut out. Cutting as Brown et al. 2020
// (GPT-3), appendix C: the n-gram goes with its surroundings, what lies between is kept in pieces.

import { documentTokens, type HasText } from '../text/analysis.ts'
import type { Tokens } from '../text/words.ts'
import type { EvaluationIndex } from './evaluation-sets.ts'
import { PlainNumbering } from './plain-words.ts'

/** An n-gram of an evaluation set in a document. */
export interface Hit {
  readonly ngram: number
  /** First and last of the document's words that belong to it. */
  readonly firstToken: number
  readonly lastToken: number
}

/** What a document has of one example's text. */
export interface ExampleHit {
  readonly example: number
  readonly text: number
  /** Distinct n-grams of the text in the document. */
  readonly ngrams: number
  /** Of how many. */
  readonly share: number
}

export class ContaminationFinder {
  readonly #index: EvaluationIndex
  readonly #numbering: PlainNumbering

  constructor(index: EvaluationIndex) {
    this.#index = index
    this.#numbering = new PlainNumbering(index.wordIds)
  }

  /** In order, per length of n-grams. */
  find(document: HasText): Hit[] {
    const { ids, tokens, count } = this.#numbering.of(documentTokens(document))
    const hits: Hit[] = []
    for (const table of this.#index.tables.values())
      table.search(ids, count, (ngram, start) =>
        hits.push({ ngram, firstToken: tokens[start], lastToken: tokens[start + table.words - 1] }),
      )
    return hits
  }

  /** Examples' texts of which at least this share is there, the largest share first; of equals the first. */
  examplesOf(hits: readonly Hit[], minShare: number): ExampleHit[] {
    const { ngramTexts, textNgrams, textExamples } = this.#index
    const counts = new Map<number, number>()
    for (const ngram of new Set(hits.map((hit) => hit.ngram)))
      for (const text of ngramTexts[ngram]) counts.set(text, (counts.get(text) ?? 0) + 1)
    return [...counts]
      .map(([text, ngrams]) => ({ example: textExamples[text], text, ngrams, share: ngrams / textNgrams[text] }))
      .filter(({ share }) => share >= minShare)
      .sort((a, b) => b.share - a.share || a.text - b.text)
  }
}

export interface CutRules {
  /** Characters that go on either side of an n-gram. */
  readonly windowChars: number
  /** A shorter piece is not kept. */
  readonly minPieceChars: number
}

/** The pieces of a document's text that lie between its hits; lengths are in UTF-16 units, cuts never split a character. */
export function cutHits(document: HasText, hits: readonly Hit[], { windowChars, minPieceChars }: CutRules): string[] {
  const { text } = document
  const bounds = tokenBounds(text, documentTokens(document))
  const holes = hits
    .map(({ firstToken, lastToken }) => [bounds[2 * firstToken] - windowChars, bounds[2 * lastToken + 1] + windowChars] as const)
    .sort((a, b) => a[0] - b[0])
  const pieces: string[] = []
  let start = 0
  const keepPiece = (end: number) => {
    const piece = text.slice(atCharacter(text, start), atCharacter(text, end)).trim()
    if (end > start && piece.length >= minPieceChars) pieces.push(piece)
  }
  for (const [from, to] of holes) {
    keepPiece(from)
    start = Math.max(start, to)
  }
  keepPiece(text.length)
  return pieces
}

/** Start and end of each word in UTF-16 units. The words stand in the text one after another, blanks between some. */
function tokenBounds(text: string, { lexicon, ids }: Tokens): Int32Array {
  const bounds = new Int32Array(2 * ids.length)
  let at = 0
  for (const [token, id] of ids.entries()) {
    const word = lexicon.words[id]
    at = text.indexOf(word, at)
    bounds[2 * token] = at
    at += word.length
    bounds[2 * token + 1] = at
  }
  return bounds
}

/** The same place, or the one before where it lies within a surrogate pair. */
function atCharacter(text: string, at: number): number {
  const unit = text.charCodeAt(at)
  return at > 0 && unit >= 0xdc00 && unit <= 0xdfff ? at - 1 : at
}
