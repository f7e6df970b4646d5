// The trainer's loader: tokens/s from Parquet shards to batches, a whole epoch with reading, shuffling and packing, on one core;
// what a run's thread delivers while this one waits, by objective; and what the smallest preset consumes on all cores beside it.
// Documents of web-page length from a seed, vocabulary of 4,096. Run: node --conditions=source bench/loader.ts [--tokens 20000000]

import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { hash128 } from '../src/core/identity.ts'
import { preset } from '../src/model/presets.ts'
import { createTrainable } from '../src/model/trainable.ts'
import { type Corpus, openCorpus } from '../src/tokens/corpus.ts'
import type { BatchSource, TokenObjective } from '../src/train/batch-source.ts'
import { type LoaderOptions, TokenLoader } from '../src/train/loader.ts'
import { type Packing, packings } from '../src/train/pack.ts'
import { prefetched } from '../src/train/prefetch.ts'
import { randomUint32 } from '../src/train/shuffle.ts'
import { SENTINELS, targetRoom } from '../src/train/spans.ts'
import { median, saveResult } from './lib/harness.ts'
import { writeTokenShard } from './lib/token-shards.ts'

const { values } = parseArgs({ options: { tokens: { type: 'string', default: '10000000' }, repeats: { type: 'string', default: '3' } } })
const VOCABULARY = 4096
const SHARDS = 4
/** Tokens of a document: 40 to 1,400, as pages have. */
const MEAN_LENGTH = 720
const shape = { rows: 16, length: 1024, seed: 1, validationShare: 0.02, windowTokens: 2 ** 22, split: 'train' } as const

const folder = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
try {
  const tokens = await writeCorpus(Number(values.tokens) / SHARDS)
  const corpus = await openCorpus(folder)
  const { documents, rowGroups } = corpus
  const oneThread = new Map<Packing, number>()
  for (const packing of packings) oneThread.set(packing, await epochRate(packing, corpus))
  const thread = await threadRates()
  const consumed = await trainingRate()
  const slowest = Math.min(...Object.values(thread))
  saveResult('loader', {
    input: { tokens, documents, rowGroups: rowGroups.length },
    oneThreadTokensPerSecond: Object.fromEntries(oneThread),
    prefetchThreadTokensPerSecond: thread,
    consumed: { model: 'nano', threads: availableParallelism(), tokensPerSecond: consumed },
    headroom: slowest / consumed,
  })
} finally {
  await rm(folder, { recursive: true })
}

/** Targets a second over a whole epoch. */
async function epochRate(packing: Packing, corpus: Corpus): Promise<number> {
  const rates: number[] = []
  let sink = 0 // printed, so that nothing can be optimized away
  for (let round = -1; round < Number(values.repeats); round++) {
    const loader = new TokenLoader(corpus, { ...shape, seed: round + 1, packing, epochs: 1 })
    const start = performance.now()
    let delivered = 0
    for (let batch = await loader.next(); batch; batch = await loader.next()) {
      sink = (sink + batch.ids[0] + batch.targets[1]) | 0
      delivered += batch.targetCount
    }
    if (round >= 0) rates.push((1e3 * delivered) / (performance.now() - start)) // the first round warms up
  }
  console.error(`${packing}: ${(median(rates) / 1e6).toFixed(1)} M tokens/s (sink ${sink})`)
  return Math.round(median(rates))
}

/** Positions a second that a run's loader thread delivers to a thread that takes them at once: the first eighth of the time warms up. */
async function threadRates(): Promise<Record<string, number>> {
  const common = { endOfText: 0, seed: 1 }
  const targetLength = targetRoom(shape.length, { share: 0.15, meanSpan: 3 })
  const spans = { share: 0.15, meanSpan: 3, sentinel: VOCABULARY + SENTINELS - 1, sentinels: SENTINELS, startToken: 0, targetLength }
  const objectives: readonly TokenObjective[] = [
    { kind: 'causal' },
    { kind: 'masked', share: 0.15, maskToken: VOCABULARY, vocabularySize: VOCABULARY, ...common },
    { kind: 'spans', ...spans, ...common },
  ]
  const rates: Record<string, number> = {}
  for (const objective of objectives) {
    const options: LoaderOptions = { ...shape, packing: 'documents' }
    const corpora = [{ path: folder, weight: 1 }]
    await using source = prefetched({ corpora, options, objective, cursors: undefined, ahead: 4 })
    const batches = Math.ceil(Number(values.tokens) / (shape.rows * shape.length))
    await take(source, Math.ceil(batches / 8))
    const start = performance.now()
    await take(source, batches)
    rates[objective.kind] = Math.round((1e3 * batches * shape.rows * shape.length) / (performance.now() - start))
  }
  return rates
}

async function take(source: BatchSource, batches: number): Promise<void> {
  for (let i = 0; i < batches; i++) await source.next()
}

/** Tokens a second of the smallest preset, which asks the most of a loader. */
async function trainingRate(): Promise<number> {
  const { rows, length } = { rows: 16, length: 256 }
  const model = await createTrainable(preset('nano'), { rows, length, threads: availableParallelism(), seed: 1 })
  const random = randomUint32(1)
  const ids = Int32Array.from({ length: rows * length }, () => random() % VOCABULARY)
  const batch = { kind: 'tokens', rows, length, ids, targets: ids, lo: new Int32Array(rows * length) } as const
  const update = { learningRate: 1e-3, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, maxNorm: 1 }
  let fastest = Number.POSITIVE_INFINITY
  for (let step = 1; step <= 12; step++) {
    const start = performance.now()
    model.accumulate(batch, rows * length)
    model.step({ ...update, step })
    fastest = Math.min(fastest, performance.now() - start)
  }
  await model.dispose()
  return Math.round((1e3 * rows * length) / fastest)
}

/** Shards with row groups of about a million tokens. */
async function writeCorpus(shardTokens: number): Promise<number> {
  const random = randomUint32(1)
  let total = 0
  for (let shard = 0; shard < SHARDS; shard++) {
    const documents = function* () {
      let tokens = 0
      for (let row = 0; tokens < shardTokens; row++) {
        const document = Uint16Array.from({ length: 40 + (random() % 1361) }, () => 1 + (random() % (VOCABULARY - 1)))
        tokens += document.length
        yield { id: hash128(`${shard} ${row}`), tokens: document }
      }
    }
    const vocabulary = { vocabularyHash: 'bench', vocabularySize: VOCABULARY, endOfText: 0 }
    total += await writeTokenShard(join(folder, `${shard}.parquet`), {
      ...vocabulary,
      rowGroupRows: Math.round(1e6 / MEAN_LENGTH),
      documents: documents(),
    })
  }
  return total
}
