// Removes spans of sentences that occur more than once in the data set, and documents of which little is left.
// Raffel et al. 2020 (C4), section 2.2, jmlr.org/papers/v21/20-074.html; as datatrove 0.10 does it.

import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import { type ApplyContext, type ApplyRun, type Barrier, type CollectContext, type CollectRun, named } from '../src/core/stage.ts'
import { applyEach } from '../src/dedup/apply.ts'
import { createTextHasher } from '../src/dedup/kernel.ts'
import { collectParts, openRepeats, repeatMerges } from '../src/dedup/repeats.ts'
import { decideRest, removeSpans, splitSpans, windowTexts } from '../src/dedup/sentences.ts'
import { strip } from '../src/text/characters.ts'

export const sentenceDedupOptions = z.strictObject({
  sentences: z.int().min(1).default(3).describe('sentences per span'),
  split: z.enum(['sentences', 'lines']).default('sentences').describe('what a span is made of'),
  minSentences: z.int().min(0).default(3).describe('a changed document with fewer is dropped'),
  minWords: z.int().min(0).default(50).describe('a changed document with fewer, punctuation counted, is dropped'),
  minSpanWords: z
    .int()
    .min(0)
    .default(0)
    .describe('where the first sentence of removed text has fewer words, that sentence stays (as the reference)'),
  ties: z
    .enum(['input', 'row'])
    .default('input')
    .describe('the copy that stays is the first in the input, or, as the reference, of the lowest row in its partition'),
})
export type SentenceDedupOptions = z.input<typeof sentenceDedupOptions>
type Resolved = z.output<typeof sentenceDedupOptions>

/**
 * Removes repeated spans. Reasons, for changed documents: `sentence_dedup_empty`, `sentence_dedup_too_few_words`,
 * `sentence_dedup_too_few_sentences`. An empty document is dropped as the first of them. Statistic: `removed_sentences`.
 */
export function sentenceDedup(options: SentenceDedupOptions = {}): Barrier<Document> {
  const resolved = sentenceDedupOptions.parse(options)
  return {
    kind: 'barrier',
    dropsDuplicates: true,
    ...named('sentenceDedup', { options: resolved }),
    collect: async (context) => collect(context, resolved),
    merges: repeatMerges({ ...resolved, keep: 'first' }),
    apply: (context) => apply(context, resolved),
  }
}

function collect(context: CollectContext, options: Resolved): CollectRun<Document> {
  const hash = createTextHasher()
  return collectParts(context, (document, add) => {
    for (const [first, text] of windowTexts(document.text, options).entries()) {
      // Windows of nothing but blanks and punctuation are no repeats.
      if (strip(text) === '') continue
      const [high, low] = hash(text)
      add(high, low, first)
    }
  })
}

async function apply(context: ApplyContext, options: Resolved): Promise<ApplyRun<Document>> {
  const repeatsOf = openRepeats(context)
  return applyEach(context, (document, row) => {
    const repeats = repeatsOf(row)
    const isUnchanged = repeats.length === 0
    const { text, removed } = isUnchanged
      ? { text: document.text, removed: 0 }
      : removeSpans(splitSpans(document.text, options), repeats, options)
    context.record(document, { removed_sentences: removed })
    const verdict = decideRest(document.text, text, options)
    if (!verdict.keep) return verdict
    return text === document.text ? document : { ...document, text }
  })
}
