// An encoder of some million parameters, pre-trained on masked tokens of the quickstart's corpus (and the reviews to train on,
// without their labels), then fine-tuned to tell labels apart, beside our fastText classifier on the same texts; and the same
// encoder without pre-training. A text longer than a row is cut into pieces; the pieces of a held-out text vote.
// make quickstart && node --conditions=source bench/encoder.ts [--tokens 1500000] [--out models/encoder] [--sets reviews,mail]

import { existsSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openTokenizer } from '../src/cli/trainer-tokenizer.ts'
import { hash128 } from '../src/core/identity.ts'
import { evaluate, precision } from '../src/lang/evaluate.ts'
import { trainFastText } from '../src/lang/fasttext-train.ts'
import { trainingOptions } from '../src/lang/training-options.ts'
import { createClassifier } from '../src/model/classify.ts'
import { loadTokenizer } from '../src/tokenizer/tokenizer.ts'
import { openCorpus } from '../src/tokens/corpus.ts'
import { loadModel } from '../src/train/load-model.ts'
import { train } from '../src/train/train.ts'
import type { TrainOptions } from '../src/train/train-options.ts'
import { median, saveResult } from './lib/harness.ts'
import { fastTextLine, type LabelledText, mails, reviews, shared, splitTexts } from './lib/labelled-texts.ts'
import { writeTokenShard } from './lib/token-shards.ts'

const { values } = parseArgs({
  options: {
    tokens: { type: 'string', default: '1500000' },
    out: { type: 'string', default: 'models/encoder' },
    quickstart: { type: 'string', default: 'quickstart/tokens' },
    sets: { type: 'string', default: 'reviews,mail' },
    threads: { type: 'string', default: '2' },
  },
})
const LENGTH = 256
const threads = Number(values.threads)
const hooks = { openTokenizer, onNotice: console.error, onReport: reportEvaluation }

interface LabelledSet {
  readonly texts: () => LabelledText[]
  /** Tokens of a piece: a first and a last one stand around it. */
  readonly pieceTokens: number
  /** Pieces of a text that are read. */
  readonly mostPieces: number
  readonly epochs: number
  readonly seeds: readonly number[]
  /** Without pre-training too. */
  readonly hasPlain: boolean
}
const sets: Readonly<Record<string, LabelledSet>> = {
  reviews: { texts: reviews, pieceTokens: 254, mostPieces: 2, epochs: 4, seeds: [1, 2, 3], hasPlain: false },
  mail: { texts: mails, pieceTokens: 126, mostPieces: 1, epochs: 3, seeds: [1], hasPlain: false },
}

const tokenizer = await loadTokenizer(join(values.quickstart, 'tokenizer.json'))
await mkdir(values.out, { recursive: true })
const pretrained = await pretrain()
const results: Record<string, unknown> = {}
for (const [name, set] of Object.entries(sets)) {
  if (!values.sets.split(',').includes(name)) continue
  if (name === 'reviews' && !existsSync(shared)) console.error('no ../shared/data here: no film reviews')
  else results[name] = await compare(name, set)
}
const { parameterCount, seenTokens, evaluation } = pretrained.state
const masked = { nats: evaluation?.loss, restored: evaluation?.accuracy }
saveResult('encoder', { pretraining: { parameters: parameterCount, tokens: seenTokens, ...masked }, sets: results })

async function pretrain() {
  const shards = [values.quickstart]
  if (existsSync(shared)) shards.push(await writeReviews())
  const amount = { tokens: Number(values.tokens), batchTokens: 4096, length: LENGTH }
  const rates = { learningRate: 1e-3, embeddingRate: 75, headRate: 4, vectorRate: 4, weightDecay: 0.01 }
  const rule = { optimizer: 'muon', schedule: 'linear', finalShare: 0.02 } as const
  const model = join(values.out, 'model.json')
  const shape = { contextLength: LENGTH, layers: 5, width: 160, heads: 5, tiedEmbeddings: false }
  writeFileSync(model, JSON.stringify({ architecture: 'encoder', ...shape }))
  return await train({ shards, objective: 'masked', model, ...amount, ...rates, ...rule, threads, out: join(values.out, 'masked') }, hooks)
}

/** The reviews to train on as a shard of tokens. */
async function writeReviews(): Promise<string> {
  const folder = join(values.out, 'reviews')
  await mkdir(folder, { recursive: true })
  const { vocabulary } = await openCorpus(values.quickstart)
  const documents = splitTexts(reviews()).training.map(({ text }) => ({
    id: hash128(text),
    tokens: Uint16Array.from(tokenizer.encode(text)),
  }))
  const { hash: vocabularyHash, size: vocabularySize, endOfText } = vocabulary
  await writeTokenShard(join(folder, 'reviews.parquet'), { vocabularyHash, vocabularySize, endOfText, rowGroupRows: 100, documents })
  return folder
}

async function compare(name: string, set: LabelledSet) {
  const { texts, epochs, seeds, hasPlain } = set
  const { training, heldOut } = splitTexts(texts())
  const pieces = training.flatMap(({ label, text }) => piecesOf(text, set).map((piece) => ({ label, text: piece })))
  const folder = join(values.out, name)
  await mkdir(folder, { recursive: true })
  const file = join(folder, 'train.jsonl')
  writeFileSync(file, pieces.map((piece, id) => `${JSON.stringify({ id, ...piece })}\n`).join(''))
  const start = { init: join(values.out, 'masked') }
  const none = {
    model: join(values.out, 'masked', `step-${pretrained.state.step}`, 'config.json'),
    tokenizer: `${values.quickstart}/tokenizer.json`,
  }
  const tune = async (from: Partial<TrainOptions>, out: string, seed: number) => {
    const options = {
      shards: file,
      objective: 'classify',
      epochs,
      batchTokens: 2048,
      length: LENGTH,
      validationShare: 0,
      seed,
      threads,
    } as const
    const { folder: tuned } = await train({ ...options, ...from, out: join(folder, `${out}-${seed}`) }, hooks)
    return await accuracyOf(tuned, heldOut, set)
  }
  const accuracy: { encoder: number[]; withoutPretraining: number[]; fastText: number[] } = {
    encoder: [],
    withoutPretraining: [],
    fastText: [],
  }
  for (const seed of seeds) accuracy.encoder.push(await tune(start, 'tuned', seed))
  if (hasPlain) accuracy.withoutPretraining.push(await tune({ ...none, learningRate: 1e-3 }, 'plain', seeds[0]))
  for (const seed of [1, 2, 3]) accuracy.fastText.push(await fastTextAccuracy(folder, training, heldOut, seed))
  console.error(name, accuracy)
  const largest = median(Object.values(Object.groupBy(heldOut, ({ label }) => label)).map((of) => of?.length ?? 0)) / heldOut.length
  return { trained: training.length, heldOut: heldOut.length, largestClass: Math.max(largest, 1 - largest), accuracy }
}

function piecesOf(text: string, { pieceTokens, mostPieces }: LabelledSet): string[] {
  const tokens = tokenizer.encode(text)
  const count = Math.min(mostPieces, Math.max(1, Math.ceil(tokens.length / pieceTokens)))
  const pieces = Array.from({ length: count }, (_, i) => tokenizer.decode(tokens.subarray(i * pieceTokens, (i + 1) * pieceTokens)))
  return pieces.filter((piece) => piece.trim() !== '')
}

async function accuracyOf(folder: string, heldOut: readonly LabelledText[], set: LabelledSet): Promise<number> {
  const model = await loadModel(folder)
  const classifier = await createClassifier(model, { rows: set.mostPieces, length: set.pieceTokens + 2, threads })
  const frame = (piece: string) => [tokenizer.vocabularySize, ...tokenizer.encode(piece), tokenizer.endOfText].slice(0, LENGTH)
  try {
    const right = heldOut.filter(({ label, text }) => {
      const predictions = classifier.predict(piecesOf(text, set).map(frame))
      const votes = model.state.labels.map((_, index) =>
        predictions.reduce((sum, { probabilities }) => sum + Math.log(probabilities[index]), 0),
      )
      return model.state.labels[votes.indexOf(Math.max(...votes))] === label
    })
    return right.length / heldOut.length
  } finally {
    await classifier.dispose()
  }
}

/** The options of bench/classifier.ts. */
async function fastTextAccuracy(folder: string, training: readonly LabelledText[], heldOut: readonly LabelledText[], seed: number) {
  const file = join(folder, 'train.txt')
  writeFileSync(file, `${training.map(fastTextLine).join('\n')}\n`)
  const options = trainingOptions.parse({ dim: 100, wordNgrams: 2, epoch: 25, lr: 0.5, bucket: 200_000, seed })
  const { model } = await trainFastText(file, options, { threads })
  return precision(evaluate(model, heldOut.map(fastTextLine), 1, 0).all)
}

function reportEvaluation(report: { readonly event: string; readonly step: number }): void {
  if (report.event === 'evaluation') console.error(JSON.stringify(report))
}
