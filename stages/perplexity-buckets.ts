// Head, middle and tail of a corpus by perplexity: Wenzek et al. 2020, "CCNet", section 4.2, where the cut-offs are the terciles
// of what there is, for each language by itself. Stands behind the stage perplexity, whose annotation it reads; CCNet's own
// cut-offs, the same for every crawl, go into that stage instead (headBelow, tailFrom).

import { readFile, writeFile } from 'node:fs/promises'
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
import { collectedRuns } from '../src/dedup/collected-runs.ts'
import { mergeRuns } from '../src/io/merge-runs.ts'
import { RecordWriter, readBlocks } from '../src/io/sorted-runs.ts'
import { hashBytes } from '../src/lang/word-table.ts'
import { annotate } from '../src/text/analysis.ts'
import { bucketOf, buckets } from './perplexity.ts'

export const perplexityBucketsOptions = z
  .strictObject({
    head: z
      .number()
      .min(0)
      .max(1)
      .default(1 / 3)
      .describe('share of a language’s documents that is its head'),
    tail: z
      .number()
      .min(0)
      .max(1)
      .default(1 / 3)
      .describe('share that is its tail; the rest is the middle'),
    keep: z.array(z.enum(buckets)).nullable().default(null).describe('buckets to keep; null: all. A document without a perplexity stays'),
  })
  .refine((o) => o.head + o.tail <= 1, { path: ['tail'], error: 'head and tail together are more than everything' })
export type PerplexityBucketsOptions = z.input<typeof perplexityBucketsOptions>
type Resolved = z.output<typeof perplexityBucketsOptions>

/** Hash of the language, perplexity (high half of the double first: positive doubles sort as their bits do). */
const WORDS = 3
const CUTOFFS_FILE = 'cutoffs.json'
const cutoffsSchema = z.record(z.string(), z.object({ headBelow: z.number(), tailFrom: z.number() }))

/** Annotates `perplexity_bucket`: head, middle, tail, or `all` where there is no perplexity. Reason: `perplexity_bucket`. */
export function perplexityBuckets(options: PerplexityBucketsOptions = {}): Barrier<Document> {
  const resolved = perplexityBucketsOptions.parse(options)
  return {
    kind: 'barrier',
    ...named('perplexityBuckets', { options: resolved }),
    collect: async (context) => collect(context),
    merges: [{ name: 'cutoffs', tasks: 1, run: (context) => findCutoffs(context, resolved) }],
    apply: (context) => apply(context, resolved),
  }
}

const double = new Float64Array(1)
const halves = new Uint32Array(double.buffer)

function collect(context: CollectContext): CollectRun<Document> {
  const writer = new RecordWriter(context.path, WORDS, 1, context.memoryBytes)
  return {
    process: (batch) => {
      for (const document of batch) {
        const perplexity = perplexityOf(document)
        if (perplexity === undefined) continue
        double[0] = Math.min(perplexity, Number.MAX_VALUE)
        writer.add(0, [languageHash(document), halves[1], halves[0]])
      }
      if (writer.isFull) writer.flush()
    },
    close: async () => writer.close(),
  }
}

function perplexityOf({ annotations }: Document): number | undefined {
  const value = annotations?.perplexity
  return typeof value === 'number' && value >= 0 ? value : undefined
}

function languageHash({ language = '' }: Document): number {
  const bytes = Buffer.from(language)
  return hashBytes(bytes, 0, bytes.length) >>> 0
}

/** The documents of a language in order of their perplexity: the first behind the head's share, the first of the tail's. */
async function findCutoffs(context: MergeContext, { head, tail }: Resolved): Promise<void> {
  const counts = new Map<number, number>()
  for (const { run } of collectedRuns(context, 0))
    for (const records of readBlocks(run))
      for (let at = 0; at < records.length; at += WORDS) counts.set(records[at], (counts.get(records[at]) ?? 0) + 1)
  const cutoffs: z.input<typeof cutoffsSchema> = {}
  let language = -1
  let rank = 0
  const { memoryBytes, signal } = context
  await mergeRuns(collectedRuns(context, 0), { words: WORDS, orderWords: WORDS, memoryBytes, signal }, (records, at) => {
    if (records[at] !== language) {
      language = records[at]
      rank = 0
      cutoffs[language] = { headBelow: Number.MAX_VALUE, tailFrom: Number.MAX_VALUE }
    }
    const count = counts.get(language) ?? 0
    halves[1] = records[at + 1]
    halves[0] = records[at + 2]
    if (rank === Math.round(count * head)) cutoffs[language].headBelow = double[0]
    if (rank === Math.round(count * (1 - tail))) cutoffs[language].tailFrom = double[0]
    rank++
  })
  await writeFile(join(context.folder, CUTOFFS_FILE), JSON.stringify(cutoffs))
}

async function apply(context: ApplyContext, { keep }: Resolved): Promise<ApplyRun<Document>> {
  const cutoffs = cutoffsSchema.parse(JSON.parse(await readFile(join(context.merged, CUTOFFS_FILE), 'utf8')))
  return {
    process: (batch) => {
      const kept: Document[] = []
      for (const document of batch) {
        const perplexity = perplexityOf(document)
        const bucket = perplexity === undefined ? undefined : bucketOf(perplexity, cutoffs[languageHash(document)])
        if (bucket && keep && !keep.includes(bucket) && !context.drop(document, 'perplexity_bucket')) continue
        kept.push(annotate(document, { perplexity_bucket: bucket ?? 'all' }))
      }
      return kept
    },
  }
}
