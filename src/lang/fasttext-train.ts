// Trains supervised fastText models: Joulin et al. 2016, arxiv.org/abs/1607.01759. Dictionary, random numbers, learning rate
// and order of the text as in the C++ program: one thread gives its model up to rounding, several race as its threads do.

import { once } from 'node:events'
import { statSync } from 'node:fs'
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { SluiceError } from '../core/errors.ts'
import { allBuckets } from './bucket-rows.ts'
import {
  allocateShared,
  createModelMemory,
  createScratch,
  describeModel,
  doneTokens,
  type InMemory,
  type LineBounds,
  readScratch,
  releaseModelMemory,
  seedScratch,
  setCourse,
  stopTraining,
} from './fasttext-memory.ts'
import type { FastTextModel, ModelSettings } from './fasttext-model.ts'
import type { ThreadSetup } from './fasttext-train-worker.ts'
import { DenseMatrix, floatsOf } from './matrix.ts'
import { type TrainingOptions, usedBuckets } from './training-options.ts'
import { countVocabulary, type Vocabulary } from './vocabulary.ts'

export interface TrainingProgress {
  /** 0 to 1. */
  readonly done: number
  readonly tokensPerSecond: number
}

export interface TrainingContext {
  readonly threads: number
  readonly signal?: AbortSignal
  readonly report?: (progress: TrainingProgress) => void
}

export interface TrainedModel {
  readonly model: FastTextModel
  /** Mean over all examples of all epochs. */
  readonly loss: number
}

/**
 * @param file one example a line, its labels anywhere in it
 * @throws SluiceError SLUICE_LANG_NO_WORDS, SLUICE_LANG_NO_LABELS, SLUICE_LANG_ONE_LABEL, SLUICE_LANG_DIVERGED,
 * SLUICE_LANG_MODEL_MEMORY, SLUICE_FILE_MISSING
 */
export async function trainFastText(file: string, options: TrainingOptions, context: TrainingContext): Promise<TrainedModel> {
  checkText(file)
  const memory = createModelMemory()
  try {
    return await trainIn(memory, file, options, context)
  } catch (error) {
    releaseModelMemory(memory)
    throw error
  }
}

async function trainIn(
  memory: WebAssembly.Memory,
  file: string,
  options: TrainingOptions,
  context: TrainingContext,
): Promise<TrainedModel> {
  const vocabulary = countVocabulary(file, options, allocateShared(memory))
  const model = emptyModel(memory, vocabulary, options)
  if (options.loss === 'ns' && model.labels.length < 2)
    throw new SluiceError('SLUICE_LANG_ONE_LABEL', 'negative sampling draws wrong labels, and there is only one label', {
      where: { file },
      fix: 'give a second label, or take the loss softmax or ova',
    })
  describeModel(memory, model, options.label)
  const blocks = initialBlocks(model.input, options.seed, context.threads)
  const loss = await train(memory, model, file, vocabulary, options, context, blocks)
  return { model: { ...model, tokens: vocabulary.tokens, memory }, loss }
}

function checkText(file: string): void {
  const stats = statSync(file, { throwIfNoEntry: false })
  if (stats?.isFile()) return
  throw new SluiceError('SLUICE_FILE_MISSING', `there is no such training text: ${file}`, { where: { file }, fix: 'check the path' })
}

function emptyModel(memory: WebAssembly.Memory, { dictionary, counts, wordCount }: Vocabulary, options: TrainingOptions): InMemory {
  const allocate = allocateShared(memory)
  const matrix = (rows: number) => new DenseMatrix(floatsOf(allocate(4 * rows * options.dim)), rows, options.dim)
  const labels = Array.from({ length: counts.length - wordCount }, (_, i) => Buffer.from(dictionary.wordAt(wordCount + i)).toString())
  const bucket = usedBuckets(options)
  return {
    settings: { ...settingsOf(options), bucket },
    dictionary,
    counts,
    wordCount,
    labels,
    ngramRows: allBuckets(bucket),
    input: matrix(wordCount + bucket),
    output: matrix(labels.length),
  }
}

/** Window and threshold are the program's defaults: they are for word vectors. */
function settingsOf({ dim, epoch, minCount, neg, wordNgrams, loss, bucket, minn, maxn, lrUpdateRate }: TrainingOptions): ModelSettings {
  return { dim, window: 5, epoch, minCount, neg, wordNgrams, loss, bucket, minn, maxn, lrUpdateRate, threshold: 1e-4 }
}

/** A stretch of the input matrix that a thread fills with random numbers. */
interface Block {
  readonly at: number
  readonly floats: number
  readonly limit: number
  readonly seed: number
}

const TENTHS = 10

/** The reference cuts the matrix into tenths and lets each thread fill one: what is left over stays zero. */
function initialBlocks({ data, columns }: DenseMatrix, seed: number, threads: number): Block[] {
  const floats = Math.floor(data.length / TENTHS)
  const blocks = Array.from({ length: Math.min(threads, TENTHS + 1) }, (_, i) => {
    const size = Math.max(0, Math.min(floats, data.length - i * floats))
    return { at: data.byteOffset + 4 * i * floats, floats: size, limit: Math.fround(1 / columns), seed: i + seed }
  })
  return blocks
}

type Text = Pick<Vocabulary, 'tokens' | 'lineBytes' | 'lineTokens' | 'lineRows'>
type Course = Pick<TrainingOptions, 'lr' | 'epoch' | 'lrUpdateRate' | 'seed'>

/** Runs the threads over the text until all epochs are done, and gives the mean loss. */
export async function train(
  memory: WebAssembly.Memory,
  model: InMemory,
  file: string,
  text: Text,
  options: Course,
  context: TrainingContext,
  blocks: readonly Block[] = [],
): Promise<number> {
  setCourse(memory, { lr: options.lr, allTokens: Math.fround(options.epoch * text.tokens), lrUpdateRate: options.lrUpdateRate })
  const bounds: LineBounds = { rows: text.lineRows, tokens: text.lineTokens }
  const threads = Array.from({ length: context.threads }, (_, thread) => {
    const scratch = createScratch(memory, model, bounds).address
    seedScratch(memory, scratch, thread + options.seed)
    const buffer = allocateShared(memory)(text.lineBytes + BLOCK_BYTES + 2)
    return { scratch, textAt: buffer.byteOffset, textBytes: buffer.length, share: thread / context.threads, block: blocks[thread] }
  })
  const barrier = new Int32Array(new SharedArrayBuffer(4))
  const setups = threads.map((thread): ThreadSetup => ({ ...thread, memory, file, barrier, threads: threads.length }))
  await runThreads(memory, setups, options.epoch * text.tokens, context)
  const results = threads.map(({ scratch }) => readScratch(memory, scratch))
  if (results.some(({ hasDiverged }) => hasDiverged))
    throw new SluiceError('SLUICE_LANG_DIVERGED', 'training diverged: a score is not a number', { fix: 'lower the learning rate (lr)' })
  const sum = (key: 'loss' | 'examples') => results.reduce((total, result) => total + result[key], 0)
  return sum('loss') / sum('examples')
}

const BLOCK_BYTES = 1 << 18
const REPORT_MS = 500

async function runThreads(memory: WebAssembly.Memory, setups: ThreadSetup[], allTokens: number, context: TrainingContext): Promise<void> {
  const url = new URL(`./fasttext-train-worker${extname(import.meta.url)}`, import.meta.url)
  const workers = setups.map((workerData) => new Worker(url, { workerData }))
  const startMs = performance.now()
  const reporting = setInterval(() => {
    const tokens = doneTokens(memory)
    context.report?.({ done: Math.min(1, tokens / allTokens), tokensPerSecond: (1000 * tokens) / (performance.now() - startMs) })
  }, REPORT_MS)
  const stop = () => stopTraining(memory)
  context.signal?.addEventListener('abort', stop)
  if (context.signal?.aborted) stop()
  try {
    await Promise.all(workers.map((worker) => once(worker, 'exit')))
  } finally {
    clearInterval(reporting)
    context.signal?.removeEventListener('abort', stop)
    await Promise.all(workers.map((worker) => worker.terminate()))
  }
  context.signal?.throwIfAborted()
}
