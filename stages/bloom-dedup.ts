// Removes paragraphs, and documents, most of whose n-grams came before: Li et al. 2024 (DCLM), appendix L.2 (BFF),
// arxiv.org/abs/2406.11794, and Soldaini et al. 2024 (Dolma), arxiv.org/abs/2402.00159. One Bloom filter over all documents in
// the order of the input; its size follows from the n-grams that there are. Words are those of the filters, not of Unicode's UAX 29.

import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import { SluiceError } from '../src/core/errors.ts'
import {
  type ApplyContext,
  type ApplyRun,
  type Barrier,
  type CollectContext,
  type CollectRun,
  drop,
  type MergeContext,
  named,
} from '../src/core/stage.ts'
import { applyEach } from '../src/dedup/apply.ts'
import { BloomFilter, bloomRate, bloomSize } from '../src/dedup/bloom.ts'
import { openRepeats, RepeatWriter } from '../src/dedup/repeats.ts'
import { eachWindow } from '../src/dedup/token-windows.ts'
import { countUnits, readUnits, UnitWriter } from '../src/dedup/units.ts'
import { partitionStarts } from '../src/dedup/verdicts.ts'
import { codePointLength } from '../src/text/characters.ts'
import { tokenize } from '../src/text/words.ts'

export const bloomDedupOptions = z
  .strictObject({
    remove: z
      .enum(['paragraph', 'document', 'both'])
      .default('both')
      .describe('paragraphs (lines), documents judged as a whole, or paragraphs and, where most of a document came before, all of it'),
    ngramWords: z.int().min(1).max(64).default(13).describe('words an n-gram'),
    minNgramWords: z
      .int()
      .min(1)
      .default(13)
      .describe('a shorter paragraph with at least so many words counts as one n-gram; one with fewer always stays'),
    threshold: z.number().min(0).max(1).default(0.8).describe('largest share of n-grams that may have come before'),
    falsePositiveRate: z.number().gt(0).lt(0.5).default(0.01).describe('share of new n-grams that the filter takes for old, at the end'),
  })
  .refine((o) => o.minNgramWords <= o.ngramWords, { path: ['minNgramWords'], error: 'minNgramWords exceeds ngramWords' })
export type BloomDedupOptions = z.input<typeof bloomDedupOptions>
type Resolved = z.output<typeof bloomDedupOptions>

/** In the place of a paragraph: the whole document. */
const WHOLE = 0xffffffff

/**
 * Reasons: `bloom_duplicate` for a document most of which came before, `bloom_dedup_empty` where no paragraph is left.
 * Statistics: `removed_paragraphs`, `removed_chars` (code points). Disk: 8 bytes a word.
 */
export function bloomDedup(options: BloomDedupOptions = {}): Barrier<Document> {
  const resolved = bloomDedupOptions.parse(options)
  return {
    kind: 'barrier',
    dropsDuplicates: true,
    ...named('bloomDedup', { options: resolved }),
    collect: async (context) => collect(context, resolved),
    merges: [{ name: 'filter', tasks: 1, run: (context) => findOld(context, resolved) }],
    apply: async (context) => apply(context),
  }
}

function collect(context: CollectContext, { remove, ngramWords, minNgramWords }: Resolved): CollectRun<Document> {
  const writer = new UnitWriter(context.path)
  const collectOne = ({ text, language }: Document, row: number) => {
    for (const [position, content] of (remove === 'document' ? [text] : text.split('\n')).entries()) {
      const { lexicon, ids } = tokenize(content, language)
      if (ids.length < minNgramWords) continue
      const words = ids.map((id) => lexicon.hashes[id])
      writer.begin(row, remove === 'document' ? WHOLE : position)
      eachWindow(words, Math.min(ngramWords, words.length), (high, low) => writer.add(high, low))
      writer.end()
    }
  }
  return {
    process: (batch, rows) => {
      for (const [i, document] of batch.entries()) context.examine(document, () => collectOne(document, rows[i]))
    },
    close: async () => writer.close(),
  }
}

/** Walks all paragraphs in the order of the input: what is mostly old goes, the n-grams of the rest become old. */
async function findOld(context: MergeContext, { remove, threshold, falsePositiveRate }: Resolved): Promise<void> {
  const filter = new BloomFilter(sizeWithin(context, falsePositiveRate))
  const starts = partitionStarts(context.collected)
  const writer = new RepeatWriter(context)
  let document = -1
  let documentNgrams = 0
  let documentOld = 0
  const endDocument = () => {
    if (remove === 'both' && documentOld > threshold * documentNgrams) writer.add(document, WHOLE)
    documentNgrams = documentOld = 0
  }
  for (const [partition, { path }] of context.collected.entries()) {
    for await (const { row, position, hashes } of readUnits(path, context.signal)) {
      if (starts[partition] + row !== document) endDocument()
      document = starts[partition] + row
      const ngrams = hashes.length / 2
      let old = 0
      for (let i = 0; i < hashes.length; i += 2) if (filter.has(hashes[i], hashes[i + 1])) old++
      documentNgrams += ngrams
      documentOld += old
      if (old > threshold * ngrams) writer.add(document, position)
      else for (let i = 0; i < hashes.length; i += 2) filter.add(hashes[i], hashes[i + 1])
    }
  }
  endDocument()
  writer.close()
}

function sizeWithin({ collected, memoryBytes }: MergeContext, falsePositiveRate: number) {
  const ngrams = collected.reduce((sum, { path }) => sum + countUnits(path).ngrams, 0)
  const size = bloomSize(ngrams, falsePositiveRate)
  if (size.bits / 8 <= memoryBytes) return size
  const rate = bloomRate(ngrams, memoryBytes * 8)
  throw new SluiceError('SLUICE_DEDUP_MEMORY', `a Bloom filter of ${ngrams} n-grams needs ${size.bits / 8} bytes`, {
    where: { memoryBytes, falsePositiveRate },
    fix: `give more memory${rate < 0.5 ? `, or set falsePositiveRate to ${rate.toPrecision(2)}` : ''}, or deduplicate smaller parts first`,
  })
}

function apply(context: ApplyContext): ApplyRun<Document> {
  const repeatsOf = openRepeats(context)
  return applyEach(context, (document, row) => {
    const repeats = new Set(repeatsOf(row))
    const kept = document.text.split('\n').filter((_, position) => !repeats.has(position))
    const text = kept.join('\n')
    const chars = repeats.size === 0 ? 0 : codePointLength(document.text) - codePointLength(text)
    context.record(document, { removed_paragraphs: repeats.size - Number(repeats.has(WHOLE)), removed_chars: chars })
    if (repeats.has(WHOLE)) return drop('bloom_duplicate')
    if (repeats.size === 0) return document
    return text.trim() === '' ? drop('bloom_dedup_empty') : { ...document, text }
  })
}
