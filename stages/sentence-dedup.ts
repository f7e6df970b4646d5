// Removes spans of sentences that occur more than once in the data set, and documents of which little is left.
// Raffel et al. 2020 (C4), section 2.2, jmlr.org/papers/v21/20-074.html; as datatrove 0.10 does it.

import { join } from 'node:path'
import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import {
  type ApplyContext,
  type ApplyRun,
  type Barrier,
  type CollectContext,
  type CollectRun,
  type MergeContext,
  named,
} from '../src/core/stage.ts'
import { collectRecords } from '../src/dedup/collect.ts'
import { createTextHasher } from '../src/dedup/kernel.ts'
import { collectedRuns, mergeRuns, previousRuns } from '../src/dedup/merge.ts'
import { RecordWriter, RunFile } from '../src/dedup/records.ts'
import { decideRest, removeSpans, splitSpans, windowTexts } from '../src/dedup/sentences.ts'
import { partitionOf, partitionStarts, readSection } from '../src/dedup/verdicts.ts'
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

/** Ranges of hashes that are merged at once. */
const ranges = 16
/** hash high, hash low, row, first sentence. */
const recordWords = 4

/**
 * Removes repeated spans. Reasons, for changed documents: `sentence_dedup_empty`, `sentence_dedup_too_few_words`,
 * `sentence_dedup_too_few_sentences`. An empty document is dropped as the first of them. Statistic: `removed_sentences`.
 */
export function sentenceDedup(options: SentenceDedupOptions = {}): Barrier<Document> {
  const resolved = sentenceDedupOptions.parse(options)
  return {
    kind: 'barrier',
    ...named('sentenceDedup', { options: resolved }),
    collect: async (context) => collect(context, resolved),
    merges: [
      { name: 'repeats', tasks: ranges, run: (context, range) => findRepeats(context, range, resolved) },
      { name: 'spans', tasks: 1, run: gatherSpans },
    ],
    apply: (context) => apply(context, resolved),
  }
}

function collect(context: CollectContext, options: Resolved): CollectRun<Document> {
  const writer = new RecordWriter(context.path, recordWords, ranges, context.memoryBytes)
  const hash = createTextHasher()
  const record = new Uint32Array(recordWords)
  const collectOne = (document: Document, row: number) => {
    for (const [first, text] of windowTexts(document.text, options).entries()) {
      // Windows of nothing but blanks and punctuation are no repeats.
      if (strip(text) === '') continue
      record.set(hash(text))
      record[2] = row
      record[3] = first
      writer.add(record[0] >>> 28, record)
    }
  }
  return collectRecords(context, writer, collectOne)
}

/** One range of hashes over all partitions: ordinal and sentence of each copy but the first, sorted. */
async function findRepeats(context: MergeContext, range: number, options: Resolved): Promise<void> {
  const starts = partitionStarts(context.collected)
  const { memoryBytes, signal } = context
  const writer = new RecordWriter(join(context.folder, repeatsName(range)), 2, 1, memoryBytes / 2)
  const repeat = new Uint32Array(2)
  let high = -1
  let low = -1
  const merge = { words: recordWords, orderWords: options.ties === 'input' ? 2 : 3, memoryBytes: memoryBytes / 2, signal }
  await mergeRuns(collectedRuns(context, range), merge, (records, at, partition) => {
    const isFirst = records[at] !== high || records[at + 1] !== low
    high = records[at]
    low = records[at + 1]
    if (isFirst) return
    repeat[0] = starts[partition] + records[at + 2]
    repeat[1] = records[at + 3]
    writer.add(0, repeat)
    if (writer.isFull) writer.flush()
  })
  writer.close()
}

const repeatsName = (range: number) => `repeats-${range}`

/** Row and sentence of each repeat, a section a partition. */
async function gatherSpans(context: MergeContext): Promise<void> {
  const starts = partitionStarts(context.collected)
  const file = new RunFile(join(context.folder, 'spans'), 2)
  const sources = previousRuns(
    context,
    Array.from({ length: ranges }, (_, range) => repeatsName(range)),
  )
  const record = new Uint32Array(2)
  const { memoryBytes, signal } = context
  await mergeRuns(sources, { words: 2, orderWords: 2, memoryBytes, signal }, (records, at) => {
    const partition = partitionOf(starts, records[at])
    record[0] = records[at] - starts[partition]
    record[1] = records[at + 1]
    file.append(partition, record)
  })
  file.close()
}

async function apply(context: ApplyContext, options: Resolved): Promise<ApplyRun<Document>> {
  const spans = readSection(join(context.merged, 'spans'), context.partition)
  let at = 0
  const firstSentences = (row: number): number[] => {
    const sentences: number[] = []
    while (at < spans.length && spans[at] < row) at += 2
    for (; at < spans.length && spans[at] === row; at += 2) sentences.push(spans[at + 1])
    return sentences
  }
  return {
    process: (batch, rows) => {
      const kept: Document[] = []
      for (const [i, document] of batch.entries()) {
        const repeats = firstSentences(rows[i])
        const result = context.examine(document, () => {
          const isUnchanged = repeats.length === 0
          const { text, removed } = isUnchanged
            ? { text: document.text, removed: 0 }
            : removeSpans(splitSpans(document.text, options), repeats, options)
          context.record(document, { removed_sentences: removed })
          return { text, verdict: decideRest(document.text, text, options) }
        })
        if (!result) continue
        if (!result.verdict.keep) {
          if (context.drop(document, result.verdict.reason)) kept.push(document)
        } else kept.push(result.text === document.text ? document : { ...document, text: result.text })
      }
      return kept
    },
  }
}
