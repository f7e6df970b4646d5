// Shuffling and mixing token corpora, and the files of other trainers, read back as those trainers read them.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import type { TokenizedDocument } from '../../src/core/document.ts'
import { openCorpus } from '../../src/tokens/corpus.ts'
import { exportLlmc, exportMegatron } from '../../src/tokens/export.ts'
import { type Part, shuffled } from '../../src/tokens/shuffle.ts'
import { measureCorpus, verifyCorpus } from '../../src/tokens/statistics.ts'
import { idOf, markovDocuments, type TestDocument, temporaryFolder, writeShard } from '../train/corpora.ts'

const tokenizerFile = '{}'
const vocabularyHash = createHash('sha256').update(tokenizerFile).digest('hex')

/** A corpus in shards of the given sizes. */
async function corpusOf(folder: string, documents: readonly TestDocument[], shardRows: number, firstOrdinal = 0) {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'tokenizer.json'), tokenizerFile)
  for (let first = 0, shard = 0; first < documents.length; first += shardRows, shard++)
    await writeShard(join(folder, `${String(shard).padStart(3, '0')}.parquet`), documents.slice(first, first + shardRows), {
      firstOrdinal: firstOrdinal + first,
      rowGroupRows: 16,
      vocabularyHash,
    })
  return await openCorpus(folder)
}

async function order(parts: readonly Part[], folder: string, seed = 1, memoryBytes = 64e6): Promise<TokenizedDocument[]> {
  const { signal } = new AbortController()
  const all: TokenizedDocument[] = []
  for await (const batch of shuffled(parts, { seed, memoryBytes, signal, workFolder: join(folder, 'work'), progress: () => undefined }))
    all.push(...batch)
  return all
}

test('the order depends on the documents and the seed, not on the shards or the memory', async () => {
  await using folder = await temporaryFolder()
  const documents = markovDocuments(100, 64, 1)
  const few = await corpusOf(join(folder.path, 'few'), documents, 100)
  const many = await corpusOf(join(folder.path, 'many'), documents, 7)
  const ids = async (...from: Parameters<typeof order>) => (await order(...from)).map(({ id }) => id)
  const first = await ids([{ corpus: few, weight: 1 }], folder.path)
  assert.deepEqual(first.toSorted(), documents.map((_, i) => idOf(i)).sort())
  assert.notDeepEqual(
    first,
    documents.map((_, i) => idOf(i)),
  )
  assert.deepEqual(await ids([{ corpus: many, weight: 1 }], folder.path), first)
  assert.deepEqual(await ids([{ corpus: many, weight: 1 }], folder.path, 1, 5_000), first)
  assert.notDeepEqual(await ids([{ corpus: many, weight: 1 }], folder.path, 2), first)
})

test('weights are epochs: parts of one, several, each copy under an id of its own, tokens and origins as they were', async () => {
  await using folder = await temporaryFolder()
  const web = await corpusOf(join(folder.path, 'web'), markovDocuments(400, 64, 1), 100)
  const code = await corpusOf(join(folder.path, 'code'), markovDocuments(50, 64, 2), 50, 1000)
  const mixed = await order(
    [
      { corpus: web, weight: 0.25 },
      { corpus: code, weight: 2 },
    ],
    folder.path,
  )
  assert.equal(new Set(mixed.map(({ id }) => id)).size, mixed.length)
  const fromCode = mixed.filter(({ id, offset }) => id === idOf(1000 + offset) || !webIds.has(id))
  assert.ok(Math.abs(mixed.length - 200) < 40, `${mixed.length}`)
  assert.ok(fromCode.length >= 100)
  const taken = mixed.find(({ id }) => id === idOf(1007))
  assert.deepEqual([...(taken?.tokens ?? [])], markovDocuments(50, 64, 2)[7].tokens)
  assert.deepEqual([taken?.source, taken?.offset], ['file:///test.jsonl', 7])
})
const webIds = new Set(Array.from({ length: 400 }, (_, i) => idOf(i)))

test('corpora of two tokenizers are not mixed', async () => {
  await using folder = await temporaryFolder()
  const one = await corpusOf(join(folder.path, 'one'), markovDocuments(3, 64, 1), 3)
  mkdirSync(join(folder.path, 'other'))
  await writeShard(join(folder.path, 'other', 'a.parquet'), markovDocuments(3, 64, 1))
  const other = await openCorpus(join(folder.path, 'other'))
  await assert.rejects(
    order(
      [
        { corpus: one, weight: 1 },
        { corpus: other, weight: 1 },
      ],
      folder.path,
    ),
    { code: 'SLUICE_TRAIN_VOCABULARIES' },
  )
})

test('counts are those of a plain count; damage is found shard by shard', async () => {
  await using folder = await temporaryFolder()
  const documents = markovDocuments(60, 64, 3)
  const corpus = await corpusOf(join(folder.path, 'corpus'), documents, 20)
  const statistics = await measureCorpus(corpus)
  const all = documents.flatMap(({ tokens }) => tokens)
  assert.deepEqual([statistics.documents, statistics.tokens, statistics.usedIds], [60, all.length, new Set(all).size])
  assert.equal(statistics.length.max, Math.max(...documents.map(({ tokens }) => tokens.length)))
  const path = join(folder.path, 'corpus')
  const good = await Array.fromAsync(verifyCorpus(path))
  assert.deepEqual(
    good.map(({ problem }) => problem),
    [undefined, undefined, undefined],
  )
  const shards = ['000', '001', '002', '003'].map((name) => ({ name: `${name}.parquet` }))
  writeFileSync(join(path, 'manifest.json'), JSON.stringify({ shards }))
  const isBad = async () => (await Array.fromAsync(verifyCorpus(path))).map(({ problem }) => problem !== undefined)
  assert.deepEqual(await isBad(), [false, false, false, true], 'a shard that is not there')
  const file = join(path, '001.parquet')
  const bytes = readFileSync(file)
  writeFileSync(file, bytes.subarray(0, bytes.length - 9))
  assert.deepEqual(await isBad(), [false, true, false, true], 'a shard without its end')
  bytes.fill(0, 40, 400)
  writeFileSync(file, bytes)
  assert.deepEqual(await isBad(), [false, true, false, true])
  const [one] = await Array.fromAsync(verifyCorpus(join(path, '000.parquet')))
  assert.equal(one.problem, undefined)
})

const someDocuments = fc.array(fc.array(fc.integer({ min: 1, max: 63 }), { maxLength: 9 }), { minLength: 1, maxLength: 12 })

test("llm.c's files hold each document behind an end of text, in files of about a size", async () => {
  await using folder = await temporaryFolder()
  let runs = 0
  await fc.assert(
    fc.asyncProperty(someDocuments, async (lists) => {
      const name = `run-${runs++}`
      const corpus = await corpusOf(
        join(folder.path, name),
        lists.map((tokens) => ({ tokens })),
        5,
      )
      const options = {
        folder: join(folder.path, `${name}-out`),
        name: 'x',
        signal: new AbortController().signal,
        progress: () => undefined,
      }
      const paths = await exportLlmc(corpus, { ...options, shardTokens: 20 })
      const tokens = paths.flatMap((path) => {
        const file = readFileSync(path)
        assert.deepEqual([file.readInt32LE(0), file.readInt32LE(4), file.readInt32LE(8)], [20240520, 1, (file.length - 1024) / 2])
        return Array.from({ length: (file.length - 1024) / 2 }, (_, i) => file.readUInt16LE(1024 + 2 * i))
      })
      assert.deepEqual(
        tokens,
        lists.flatMap((ids) => [0, ...ids]),
      )
      if (lists.flat().length > 40) assert.ok(paths.length > 1)
    }),
    { numRuns: 15 },
  )
})

test("Megatron's index leads to each document", async () => {
  await using folder = await temporaryFolder()
  const lists = [[5, 6, 7], [], [8]]
  const corpus = await corpusOf(
    join(folder.path, 'corpus'),
    lists.map((tokens) => ({ tokens })),
    5,
  )
  const options = { folder: join(folder.path, 'out'), name: 'x', signal: new AbortController().signal, progress: () => undefined }
  const [data, index] = (await exportMegatron(corpus, options)).map((path) => readFileSync(path))
  assert.equal(index.toString('latin1', 0, 9), 'MMIDIDX\0\0')
  assert.deepEqual(
    [Number(index.readBigUInt64LE(9)), index.readUInt8(17), Number(index.readBigUInt64LE(18)), Number(index.readBigUInt64LE(26))],
    [1, 8, 3, 4],
  )
  const read = lists.map((_, i) => {
    const length = index.readInt32LE(34 + 4 * i)
    const at = Number(index.readBigInt64LE(34 + 4 * lists.length + 8 * i))
    return Array.from({ length }, (_, k) => data.readUInt16LE(at + 2 * k))
  })
  assert.deepEqual(
    read,
    lists.map((ids) => [...ids, 0]),
  )
})
