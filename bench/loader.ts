// The trainer's loader, one core: tokens/s from Parquet shards to batches, a whole epoch with reading, shuffling and packing.
// Documents of web-page length from a seed, vocabulary of 4,096. Run: node --conditions=source bench/loader.ts [--tokens 20000000]

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { serializeTokensMetadata, tokensSchema } from '../schemas/tokens.ts'
import { hash128 } from '../src/core/identity.ts'
import { int64Column, recordBatch, uint8ListColumn, uint16ListColumn, utf8Column } from '../src/io/columns.ts'
import { ParquetWriter } from '../src/io/parquet.ts'
import { openCorpus } from '../src/tokens/corpus.ts'
import { TokenLoader } from '../src/train/loader.ts'
import { packings } from '../src/train/pack.ts'
import { randomUint32 } from '../src/train/shuffle.ts'

const { values } = parseArgs({ options: { tokens: { type: 'string', default: '10000000' }, repeats: { type: 'string', default: '3' } } })
const VOCABULARY = 4096
const SHARDS = 4
/** Tokens of a document: 40 to 1,400, as pages have. */
const MEAN_LENGTH = 720

const folder = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
try {
  const written = await writeCorpus(Number(values.tokens) / SHARDS)
  const corpus = await openCorpus(folder)
  console.log(
    `${written} tokens, ${corpus.documents} documents, ${corpus.rowGroups.length} row groups; Node ${process.version}, one thread`,
  )
  for (const packing of packings) await measure(packing, corpus)
} finally {
  await rm(folder, { recursive: true })
}

async function measure(packing: (typeof packings)[number], corpus: Awaited<ReturnType<typeof openCorpus>>): Promise<void> {
  const rates: number[] = []
  let sink = 0 // printed, so that nothing can be optimized away
  let padding = 0
  for (let round = -1; round < Number(values.repeats); round++) {
    const shape = { rows: 16, length: 1024, windowTokens: 2 ** 22, seed: round + 1, validationShare: 0.02, epochs: 1 }
    const loader = new TokenLoader(corpus, { ...shape, packing, split: 'train' })
    const start = performance.now()
    let delivered = 0
    let inputs = 0
    for (let batch = await loader.next(); batch; batch = await loader.next()) {
      sink = (sink + batch.ids[0] + batch.targets[1]) | 0
      delivered += batch.targetCount
      inputs += batch.ids.length
    }
    padding = 1 - delivered / inputs
    if (round >= 0) rates.push(delivered / ((performance.now() - start) / 1e3)) // the first round warms up
  }
  rates.sort((a, b) => b - a)
  const millions = (rate: number) => (rate / 1e6).toFixed(1)
  const share = (padding * 100).toFixed(1)
  console.log(
    `${packing}: best ${millions(rates[0])}, median ${millions(rates[rates.length >> 1])} M tokens/s, ${share} % of positions without a target (sink ${sink})`,
  )
}

/** Shards as `parquetShards` writes them: row groups of about a million tokens. */
async function writeCorpus(shardTokens: number): Promise<number> {
  const random = randomUint32(1)
  const schema = tokensSchema(VOCABULARY)
  let total = 0
  for (let shard = 0; shard < SHARDS; shard++) {
    const writer = await ParquetWriter.open(join(folder, `${shard}.parquet`), schema, { rowGroupRows: Math.round(1e6 / MEAN_LENGTH) })
    let tokens = 0
    for (let row = 0; tokens < shardTokens; ) {
      const documents = Array.from({ length: 500 }, () =>
        Uint16Array.from({ length: 40 + (random() % 1361) }, () => 1 + (random() % (VOCABULARY - 1))),
      )
      const ids = documents.map(() => hash128(`${shard} ${row++}`))
      const nothing = documents.map(() => undefined)
      const source = utf8Column(documents.map(() => 'file:///bench.jsonl'))
      const columns = [utf8Column(ids), uint16ListColumn(documents), uint8ListColumn(nothing), utf8Column(nothing), source]
      await writer.write(recordBatch(schema, [...columns, int64Column(documents.map((_, i) => row - documents.length + i))]))
      for (const document of documents) tokens += document.length
    }
    total += tokens
    await writer.close(
      serializeTokensMetadata({ vocabularyHash: 'bench', vocabularySize: VOCABULARY, endOfText: 0, tokens, planHash: 'bench' }),
    )
  }
  return total
}
