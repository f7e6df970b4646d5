// What the classifiers have in common that a run trains for itself: collect a sample of the documents, learn from a part of
// it and of the user's examples, judge the result on the part held out, set the threshold by the share to keep or drop, and
// score every document. The report stands in the barrier's report.json, the model in model.bin, which fastText reads too.

import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Document, Json } from '../src/core/document.ts'
import { SluiceError } from '../src/core/errors.ts'
import { hash128, sampleFraction, sourceName } from '../src/core/identity.ts'
import {
  type ApplyContext,
  type Barrier,
  type CollectContext,
  type CollectRun,
  drop,
  type MergeContext,
  type MergeStep,
  named,
  type PlanContext,
  type Source,
} from '../src/core/stage.ts'
import { applyEach } from '../src/dedup/apply.ts'
import { areaUnderCurve, confusionAt, shareFrom, thresholdFor, type Weighted } from '../src/lang/calibrate.ts'
import { createScore, loadClassifier, type Score } from '../src/lang/classifier.ts'
import { type Example, exampleLine, mergeSamples, Sampler, writeSamples } from '../src/lang/examples.ts'
import { trainFastText } from '../src/lang/fasttext-train.ts'
import { checked, trainingFields } from '../src/lang/training-options.ts'
import { saveFastTextModel } from '../src/lang/write-fasttext.ts'

const { lr, dim, epoch, minCount, wordNgrams, bucket, minn, maxn, seed } = trainingFields

/** Options of the training, with DCLM's word bigrams. */
const training = checked(
  z.strictObject({ ...trainingFields, lr, dim, epoch, minCount, wordNgrams: wordNgrams.unwrap().default(2), bucket, minn, maxn, seed }),
)

export const learningFields = {
  examples: z.int().min(10).default(200_000).describe('of each kind at most so many, chosen by id'),
  sample: z
    .int()
    .min(100)
    .default(20_000)
    .describe('documents kept per input partition to learn from and to set the threshold on; more: a more exact threshold'),
  heldOut: z.number().min(0.01).max(0.9).default(0.2).describe('share of all examples, chosen by id, that is never trained on'),
  threads: z.int().min(1).max(64).default(1).describe('of the training; with more than one, two runs give slightly different models'),
  training: training.prefault({}).describe('options of fastText; see sluice classifier train --help'),
}
type Learning = { readonly [Key in keyof typeof learningFields]: z.output<(typeof learningFields)[Key]> }

export const exampleSource = z.custom<Source<Document>>(
  (value) => typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'source',
  'not a source, such as jsonl({ path })',
)

export const describeSource = ({ name, version, options }: Source<Document>): Json => ({ name, version, options })

/** What one classifier is. */
export interface Recipe extends Learning {
  readonly name: string
  readonly options: Json
  /** Examples from elsewhere. Missing positives come from `isPositive`, missing negatives from the documents at hand. */
  readonly positives?: Source<Document>
  readonly negatives?: Source<Document>
  /** What the documents at hand are themselves; undefined: nothing is known. */
  readonly isPositive?: (document: Document) => boolean | undefined
  /** Takes out of an example what gave it its label, so that something else is learnt. */
  readonly mask?: (text: string) => string
  readonly annotation: string
  /** Of the documents at hand, the share that is to score as high as the threshold; else the threshold itself; or neither. */
  readonly topShare?: number
  readonly threshold?: number
  /** Which side of the threshold is dropped, and why. */
  readonly drops: 'below' | 'from'
  readonly reason: string
}

/** Annotates each document with its score, and drops what is on the wrong side. Statistics: `score`, `threshold`. */
export function trainedClassifier(recipe: Recipe): Barrier<Document> {
  return {
    kind: 'barrier',
    ...named(recipe.name, { options: recipe.options }),
    reads: async (context) => [await versionsOf(recipe.positives, context), await versionsOf(recipe.negatives, context)],
    collect: async (context) => collect(context, recipe),
    merges: [{ name: 'train', tasks: 1, run: (context) => learn(context, recipe) }] satisfies [MergeStep],
    apply: async (context) => apply(context, recipe),
  }
}

/** Of the examples' inputs. */
async function versionsOf(source: Source<Document> | undefined, context: PlanContext): Promise<Json> {
  if (source === undefined) return null
  return (await source.partitions(context)).map(({ source, version, range = null }) => [sourceName(source), version, range])
}

// ---- collect ----

function collect(context: CollectContext, { sample, isPositive }: Recipe): CollectRun<Document> {
  const bytes = context.memoryBytes / 2
  const all = new Sampler(sample, bytes)
  const positive = new Sampler(sample, bytes)
  const add = (document: Document) => {
    const example = { id: document.id, text: document.text, isPositive: isPositive?.(document) }
    all.add(example)
    if (example.isPositive === true) positive.add(example)
  }
  return {
    process: (batch) => {
      for (const document of batch) context.examine(document, () => add(document))
    },
    close: async () => writeSamples(context.path, { all: all.take(), positive: positive.take() }),
  }
}

// ---- learn ----

const MODEL_FILE = 'model.bin'
const REPORT_FILE = 'report.json'
const POSITIVE = '__label__positive'
const NEGATIVE = '__label__negative'
/** Fewer examples of a kind teach and prove nothing. */
const FEWEST_EXAMPLES = 10

interface Parts {
  readonly trained: readonly Example[]
  readonly heldOut: readonly Example[]
}

async function learn(context: MergeContext, recipe: Recipe): Promise<void> {
  const { folder, signal } = context
  const bytes = Math.max(context.memoryBytes, LEAST_BYTES)
  const paths = context.collected.map(({ path }) => path)
  const most = Math.max(recipe.examples, recipe.sample)
  const { all, positive } = await mergeSamples(paths, most, bytes)
  const seen = new Set<string>()
  const positives = split(await examplesOf(recipe.positives, positive.examples, recipe, signal, bytes), recipe, seen)
  const unlike = all.examples.filter(({ isPositive }) => (recipe.isPositive === undefined ? true : isPositive === false))
  // As many as positives: then 0.5 means as likely as not, and most documents at hand stay unseen.
  const balanced = unlike.slice(0, positives.trained.length + positives.heldOut.length)
  const negatives = split(await examplesOf(recipe.negatives, balanced, recipe, signal, bytes), recipe, seen)
  refuseFew(recipe, { positives, negatives })
  const text = join(folder, 'train.txt')
  await writeTrainingText(text, positives.trained, negatives.trained, recipe)
  const options = { ...recipe.training, seed: context.seed % 0x7fffffff }
  const { model, loss } = await trainFastText(text, options, { threads: recipe.threads, signal })
  saveFastTextModel(join(folder, MODEL_FILE), model)
  rmSync(text)
  const score = await loadScore(folder)
  const trained = new Set([...positives.trained, ...negatives.trained].map(({ id }) => id))
  const documents = context.collected.reduce((sum, { rows }) => sum + rows, 0)
  const scoresOf = ({ heldOut }: Parts) => heldOut.map(({ text }) => score(masked(recipe, text)))
  const report = reportOf(recipe, {
    positive: scoresOf(positives),
    negative: scoresOf(negatives),
    atHand: weighted(all.examples, trained, documents).map(({ text, weight }) => ({ score: score(text), weight })),
  })
  const counts = { positive: positives.trained.length, negative: negatives.trained.length }
  const facts = { words: model.wordCount, loss, options: recipe.training }
  writeFileSync(
    join(folder, REPORT_FILE),
    `${JSON.stringify({ classifier: recipe.name, trained: counts, ...report, model: facts }, null, 2)}\n`,
  )
}

/** Texts of examples may take this much, whatever a run is given. */
const LEAST_BYTES = 256e6

/** From the source where there is one, else what is at hand. */
async function examplesOf(
  source: Source<Document> | undefined,
  atHand: readonly Example[],
  { examples, name }: Recipe,
  signal: AbortSignal,
  bytes: number,
): Promise<readonly Example[]> {
  if (source === undefined) return atHand.slice(0, examples)
  const sampler = new Sampler(examples, bytes)
  for (const partition of await source.partitions({ signal, partitionBytes: Number.MAX_SAFE_INTEGER })) {
    const damaged = ({ code, message, offset }: { code: string; message: string; offset: number }) => {
      throw new SluiceError(code, `an example of the classifier cannot be read: ${message}`, {
        where: { stage: name, source: partition.source, offset },
        fix: 'mend the file of examples',
      })
    }
    const context = { signal, batchBytes: 1 << 20, begin: () => true, damaged, ignored: () => {}, consumed: () => {} }
    for await (const batch of source.read(partition, context)) for (const { id, text } of batch) sampler.add({ id, text })
  }
  return sampler.take().examples
}

/** By id. A text that came before, of either kind, counts once: else the held-out part would hold what was trained on. */
function split(examples: readonly Example[], { heldOut: share }: Recipe, seen: Set<string>): Parts {
  const trained: Example[] = []
  const heldOut: Example[] = []
  for (const example of examples) {
    const hash = hash128(example.text)
    if (seen.has(hash)) continue
    seen.add(hash)
    if (sampleFraction(example.id, 'held out') < share) heldOut.push(example)
    else trained.push(example)
  }
  return { trained, heldOut }
}

function refuseFew({ name }: Recipe, kinds: Record<string, Parts>): void {
  for (const [kind, { trained, heldOut }] of Object.entries(kinds)) {
    if (trained.length >= FEWEST_EXAMPLES && heldOut.length > 0) continue
    throw new SluiceError(
      'SLUICE_CLASSIFIER_FEW_EXAMPLES',
      `there are ${trained.length} different ${kind} to train on and ${heldOut.length} to hold out; ${FEWEST_EXAMPLES} and 1 are needed`,
      { where: { stage: name }, fix: 'give more examples, or raise sample' },
    )
  }
}

const masked = ({ mask }: Recipe, text: string) => (mask === undefined ? text : mask(text))

/** Both kinds mixed, in an order that the ids decide: a model forgets what it saw first. */
async function writeTrainingText(
  path: string,
  positives: readonly Example[],
  negatives: readonly Example[],
  recipe: Recipe,
): Promise<void> {
  const examples = [
    ...positives.map((example) => ({ ...example, label: POSITIVE })),
    ...negatives.map((example) => ({ ...example, label: NEGATIVE })),
  ]
  const order = new Map(examples.map(({ id }) => [id, sampleFraction(id, 'order')]))
  examples.sort((a, b) => (order.get(a.id) ?? 0) - (order.get(b.id) ?? 0))
  const file = await open(path, 'w')
  try {
    for (const { label, text } of examples) await file.writeFile(exampleLine(label, masked(recipe, text)))
  } finally {
    await file.close()
  }
}

/**
 * What each of a sample stands for. A model scores what it was trained on lower or higher than the like of it: these stand
 * for themselves, the others for all the rest.
 */
function weighted(sample: readonly Example[], trained: ReadonlySet<string>, documents: number) {
  const known = sample.filter(({ id }) => trained.has(id)).length
  const weight = (documents - known) / Math.max(1, sample.length - known)
  return sample.map((example) => ({ ...example, weight: trained.has(example.id) ? 1 : weight }))
}

interface Scores {
  readonly positive: readonly number[]
  readonly negative: readonly number[]
  readonly atHand: readonly Weighted[]
}

function reportOf({ topShare, threshold: fixed }: Recipe, { positive, negative, atHand }: Scores) {
  const threshold = topShare === undefined || atHand.length === 0 ? fixed : thresholdFor(atHand, topShare)
  const at = (bound: number) => ({ threshold: bound, ...confusionAt(positive, negative, bound) })
  return {
    threshold: threshold ?? null,
    calibration: threshold === undefined ? null : { documents: atHand.length, shareFrom: shareFrom(atHand, threshold) },
    heldOut: {
      positive: positive.length,
      negative: negative.length,
      areaUnderCurve: areaUnderCurve(positive, negative),
      atHalf: at(0.5),
      atThreshold: threshold === undefined ? null : at(threshold),
    },
  }
}

// ---- apply ----

async function loadScore(folder: string): Promise<Score> {
  const file = join(folder, MODEL_FILE)
  return createScore(await loadClassifier(file), { [POSITIVE]: 1 }, file)
}

const reportFile = z.object({ threshold: z.number().nullable() })

async function apply(context: ApplyContext, { annotation, drops, reason }: Recipe) {
  const { threshold } = reportFile.parse(JSON.parse(readFileSync(join(context.merged, REPORT_FILE), 'utf8')))
  const scoreText = await loadScore(context.merged)
  return applyEach(context, (document) => {
    const score = scoreText(document.text)
    context.record(document, threshold === null ? { score } : { score, threshold })
    if (threshold !== null && (drops === 'below' ? score < threshold : score >= threshold)) return drop(reason)
    return { ...document, annotations: { ...document.annotations, [annotation]: score } }
  })
}
