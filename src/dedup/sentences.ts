// Spans of sentences: what is compared, and what is left of a document when repeated spans are taken out.
// Every rule is that of datatrove 0.10's sentence dedup, oddities included; they are marked as such.

import { type Drop, drop, type Keep, keep } from '../core/stage.ts'
import { isBlank, strip, stripStart } from '../text/characters.ts'
import { splitSentences } from '../text/sentences.ts'
import { simplify } from '../text/simplify.ts'
import { splitWords } from '../text/words.ts'

export interface SpanRules {
  /** Sentences a span. */
  readonly sentences: number
  readonly split: 'sentences' | 'lines'
  readonly minSentences: number
  readonly minWords: number
  readonly minSpanWords: number
}

const lineBreak = /\r\n|[\n-\r\x1c-\x1e\x85\u2028\u2029]/

/** As Python's `str.splitlines`: no empty last line behind a final break. */
function splitLines(text: string): string[] {
  const lines = text.split(lineBreak)
  if (lines.at(-1) === '') lines.pop()
  return lines
}

/** What spans are made of. Joined with nothing (sentences) or a line feed (lines) they give the text, but for its end. */
export function splitSpans(text: string, { split }: SpanRules): string[] {
  if (split === 'lines') return splitLines(text)
  const slices = splitSentences(text)
  const last = slices.pop() ?? ''
  // A single blank behind the last word belongs to no sentence.
  const hasLooseBlank = last.length > 1 && last.endsWith(' ') && !isBlank(last.charCodeAt(last.length - 2))
  slices.push(hasLooseBlank ? last.slice(0, -1) : last)
  return slices
}

/** Each window of sentences, simplified and joined by a blank; `windows[i]` begins with sentence i. */
export function windowTexts(text: string, { sentences, split }: SpanRules): string[] {
  const all = split === 'lines' ? splitLines(text) : splitSentences(text).filter((sentence) => strip(sentence) !== '')
  const simplified = all.map(simplify)
  const count = Math.max(0, simplified.length - sentences + 1)
  return Array.from({ length: count }, (_, i) => simplified.slice(i, i + sentences).join(' '))
}

/**
 * The text without its repeated spans.
 *
 * @param spans from `splitSpans`
 * @param repeats first sentence of each repeated span, ascending
 * @returns what is left, and how many sentences are gone
 */
export function removeSpans(spans: readonly string[], repeats: readonly number[], rules: SpanRules): { text: string; removed: number } {
  const kept: string[] = []
  let next = 0
  let removedUntil = 0
  let firstRemoved: string | undefined
  // The reference looks at, and puts back, the first sentence of removed text only.
  const restoreShort = () => {
    if (firstRemoved !== undefined && rules.minSpanWords > 0 && splitWords(firstRemoved).length < rules.minSpanWords)
      kept.push(firstRemoved)
    firstRemoved = undefined
  }
  for (const [i, span] of spans.entries()) {
    if (repeats[next] === i) {
      removedUntil = i + rules.sentences
      next++
    }
    if (i >= removedUntil) {
      restoreShort()
      kept.push(span)
    } else firstRemoved ??= span
  }
  restoreShort()
  return { text: stripStart(kept.join(rules.split === 'lines' ? '\n' : '')), removed: spans.length - kept.length }
}

/** Whether what is left is worth keeping. An unchanged document is, unless it is empty. */
export function decideRest(before: string, after: string, { minWords, minSentences }: SpanRules): Keep | Drop {
  if (after === '') return drop('sentence_dedup_empty')
  if (after === before) return keep
  if (minWords > 0 && splitWords(after).length < minWords) return drop('sentence_dedup_too_few_words')
  if (minSentences > 0 && splitSentences(after).length < minSentences) return drop('sentence_dedup_too_few_sentences')
  return keep
}
