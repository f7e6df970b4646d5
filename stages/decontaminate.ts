// Takes evaluation sets out of training text: documents that hold their examples are dropped, or the examples cut out.
// n-gram overlap as Brown et al. 2020 (GPT-3), appendix C, arxiv.org/abs/2005.14165, and, by the share of an example's
// n-grams, as Chowdhery et al. 2022 (PaLM), section 8, arxiv.org/abs/2204.02311. The sets are the user's: none is shipped.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { CONTAMINATION_FILE, type ContaminationReport } from '../schemas/contamination.ts'
import type { Document } from '../src/core/document.ts'
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
import { collectRecords } from '../src/dedup/collect.ts'
import { collectedRuns } from '../src/dedup/collected-runs.ts'
import { ContaminationFinder, cutHits } from '../src/dedup/contamination.ts'
import { EvaluationIndex, evaluationFiles, evaluationSetOption, readExamples } from '../src/dedup/evaluation-sets.ts'
import { mergeRuns } from '../src/io/merge-runs.ts'
import { RecordWriter, RunFile, readRun, readRuns } from '../src/io/sorted-runs.ts'

export const decontaminateOptions = z
  .strictObject({
    against: z
      .record(z.string().regex(/^[\w-]+$/), z.union([z.string(), evaluationSetOption]))
      .refine((sets) => Object.keys(sets).length > 0, 'name at least one evaluation set')
      .describe('evaluation sets by name: { gsm8k: "eval/gsm8k.jsonl.gz" } or { gsm8k: { files, fields } }'),
    ngramWords: z.int().min(2).max(64).default(13).describe('words an n-gram; 13 as GPT-3, 8 as PaLM'),
    minNgramWords: z
      .int()
      .min(1)
      .default(8)
      .describe('a set whose examples are short gets shorter n-grams, down to this: the 5th percentile of their lengths'),
    minShare: z
      .number()
      .min(0)
      .max(1)
      .default(0)
      .describe('share of the n-grams of an example’s text that a document must hold to count; 0: one n-gram is enough, 0.7 as PaLM'),
    commonDocuments: z
      .int()
      .min(1)
      .optional()
      .describe('n-grams in more documents than this are common phrases and count for nothing; 10 as GPT-3; none where left out'),
    action: z.enum(['drop', 'cut']).default('drop').describe('what happens to a document that holds an example'),
    windowChars: z.int().min(0).default(200).describe('cut: characters that go on either side of an n-gram'),
    minPieceChars: z.int().min(0).default(200).describe('cut: a shorter piece between two cuts goes as well'),
    maxPieces: z.int().min(1).default(10).describe('cut: a document that falls into more pieces is dropped'),
  })
  .refine((o) => o.minNgramWords <= o.ngramWords, { path: ['minNgramWords'], error: 'minNgramWords exceeds ngramWords' })
export type DecontaminateOptions = z.input<typeof decontaminateOptions>
type Resolved = z.output<typeof decontaminateOptions>

/** Sections of a collected file. */
const NGRAMS = 0
const EXAMPLES = 1

/**
 * Drops or cuts documents that hold examples of evaluation sets. Reasons: `contaminated_<set>`, of the example of which
 * most is there; `contaminated_pieces` where a document falls into too many pieces, `contaminated_rest` where none is left.
 * Statistics: `texts` of examples found, and of that example its `set`, `example` (ordinals as in the report), `ngrams` and `share`.
 * A report of what was found lies in the barrier's folder: `sluice audit --contamination` shows it.
 */
export function decontaminate(options: DecontaminateOptions): Barrier<Document> {
  const resolved = decontaminateOptions.parse(options)
  const files = setsOf(resolved).map(([name, set]) => evaluationFiles(name, set))
  return {
    kind: 'barrier',
    ...named('decontaminate', { options: { ...resolved, versions: files.flat().map(({ version }) => version) } }),
    collect: async (context) => collect(context, resolved),
    merges: [{ name: 'report', tasks: 1, run: (context) => report(context, resolved) }],
    apply: (context) => apply(context, resolved),
  }
}

function setsOf({ against }: Resolved) {
  return Object.entries(against).map(([name, set]) => [name, typeof set === 'string' ? { files: set } : set] as const)
}

/** The index of the last options asked for: a thread works on one pipeline. */
let latest: { readonly key: string; readonly index: Promise<EvaluationIndex> } | undefined

function evaluationIndex(options: Resolved): Promise<EvaluationIndex> {
  const key = JSON.stringify(options)
  if (latest?.key !== key) latest = { key, index: buildIndex(options) }
  return latest.index
}

async function buildIndex(options: Resolved): Promise<EvaluationIndex> {
  const index = new EvaluationIndex()
  for (const [name, set] of setsOf(options)) index.addSet(name, await Array.fromAsync(readExamples(name, set)), options)
  return index
}

async function collect(context: CollectContext, options: Resolved): Promise<CollectRun<Document>> {
  const finder = new ContaminationFinder(await evaluationIndex(options))
  const writer = new RecordWriter(context.path, 2, 2, context.memoryBytes)
  return collectRecords(context, writer, (document, row) => {
    const hits = finder.find(document)
    for (const ngram of new Set(hits.map((hit) => hit.ngram))) writer.add(NGRAMS, [ngram, row])
    for (const example of new Set(finder.examplesOf(hits, options.minShare).map((hit) => hit.example))) writer.add(EXAMPLES, [example, row])
  })
}

/** Counts documents by n-gram and by example; says which n-grams are common phrases. */
async function report(context: MergeContext, options: Resolved): Promise<void> {
  const index = await evaluationIndex(options)
  const ngramDocuments = await countDocuments(context, NGRAMS, index.ngramTexts.length)
  const exampleDocuments = await countDocuments(context, EXAMPLES, index.examples)
  const common = new RunFile(join(context.folder, 'common'), 1)
  for (const [ngram, documents] of ngramDocuments.entries())
    if (options.commonDocuments !== undefined && documents > options.commonDocuments) common.append(0, [ngram])
  common.close()
  const shares = sharesFound(index, ngramDocuments)
  const written: ContaminationReport = {
    sets: index.sets.map(({ name, ngramWords, firstExample, examples, tooShort }) => ({
      name,
      ngramWords,
      examples,
      tooShort,
      found: Array.from({ length: examples }, (_, i) => firstExample + i)
        .filter((example) => shares[example] > 0)
        .map((example) => ({ example: example - firstExample, share: shares[example], documents: exampleDocuments[example] })),
    })),
  }
  await writeFile(join(context.folder, CONTAMINATION_FILE), JSON.stringify(written))
}

/** By example: of its text of which most is in the corpus, the share that is. */
function sharesFound({ ngramTexts, textNgrams, textExamples, examples }: EvaluationIndex, ngramDocuments: Uint32Array): Float64Array {
  const found = new Uint32Array(textNgrams.length)
  for (const [ngram, documents] of ngramDocuments.entries()) if (documents > 0) for (const text of ngramTexts[ngram]) found[text]++
  const shares = new Float64Array(examples)
  for (const [text, ngrams] of found.entries())
    if (ngrams > 0) shares[textExamples[text]] = Math.max(shares[textExamples[text]], ngrams / textNgrams[text])
  return shares
}

async function countDocuments(context: MergeContext, section: number, keys: number): Promise<Uint32Array> {
  const documents = new Uint32Array(keys)
  const { memoryBytes, signal } = context
  await mergeRuns(collectedRuns(context, section), { words: 2, orderWords: 1, memoryBytes, signal }, (records, at) => {
    documents[records[at]]++
  })
  return documents
}

async function apply(context: ApplyContext, options: Resolved): Promise<ApplyRun<Document>> {
  const index = await evaluationIndex(options)
  const finder = new ContaminationFinder(index)
  const common = new Set(readRuns(join(context.merged, 'common')).flatMap((run) => [...readRun(run)]))
  return applyEach(context, (document) => {
    const hits = finder.find(document).filter(({ ngram }) => !common.has(ngram))
    const examples = finder.examplesOf(hits, options.minShare)
    if (examples.length === 0) {
      context.record(document, { texts: 0, set: Number.NaN, example: Number.NaN, ngrams: 0, share: 0 })
      return document
    }
    const [{ example, ngrams, share }] = examples
    const set = index.setOf(example)
    const ordinals = { set: index.sets.indexOf(set), example: example - set.firstExample }
    context.record(document, { texts: examples.length, ...ordinals, ngrams, share })
    if (options.action === 'drop') return drop(`contaminated_${set.name}`)
    const texts = new Set(examples.map((hit) => hit.text))
    const counting = hits.filter(({ ngram }) => index.ngramTexts[ngram].some((text) => texts.has(text)))
    const pieces = cutHits(document, counting, options)
    if (pieces.length > options.maxPieces) return drop('contaminated_pieces')
    if (pieces.length === 0) return drop('contaminated_rest')
    return { ...document, text: pieces.join('\n\n') }
  })
}
