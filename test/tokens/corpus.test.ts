import assert from 'node:assert/strict'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { Field, Int64, Schema } from 'apache-arrow'
import { int64Column, recordBatch } from '../../src/io/columns.ts'
import { ParquetWriter } from '../../src/io/parquet.ts'
import { openCorpus } from '../../src/tokens/corpus.ts'
import { TokenLoader } from '../../src/train/loader.ts'
import { idOf, markovDocuments, temporaryFolder, writeShard } from '../train/corpora.ts'

test('shards are read back row group by row group, with ids, tokens and masks', async () => {
  await using folder = await temporaryFolder()
  const first = markovDocuments(150, 64, 1)
  const second = [{ tokens: [5, 6, 7], mask: [0, 1, 1] }, { tokens: [8] }, { tokens: [] }]
  await writeShard(join(folder.path, 'a.parquet'), first)
  await writeShard(join(folder.path, 'b.parquet'), second, { firstOrdinal: 150 })
  const corpus = await openCorpus(folder.path)
  assert.deepEqual(corpus.shards, ['a.parquet', 'b.parquet'])
  assert.equal(corpus.documents, 153)
  assert.equal(
    corpus.tokens,
    [...first, ...second].reduce((sum, { tokens }) => sum + tokens.length, 0),
  )
  assert.deepEqual(
    corpus.rowGroups.map(({ shard, group, firstRow, rows }) => [shard, group, firstRow, rows]),
    [
      [0, 0, 0, 64],
      [0, 1, 64, 64],
      [0, 2, 128, 22],
      [1, 0, 0, 3],
    ],
  )
  const middle = await corpus.readRows(corpus.rowGroups[1])
  assert.deepEqual(
    middle.ids,
    Array.from({ length: 64 }, (_, i) => idOf(64 + i)),
  )
  assert.deepEqual(
    middle.tokens.map((tokens) => [...tokens]),
    first.slice(64, 128).map(({ tokens }) => tokens),
  )
  const masked = await corpus.readRows(corpus.rowGroups[3])
  assert.deepEqual(
    masked.masks.map((mask) => mask && [...mask]),
    [[0, 1, 1], undefined, undefined],
  )
})

test('a loader over shards on disk gives every token once', async () => {
  await using folder = await temporaryFolder()
  const documents = markovDocuments(300, 64, 2)
  await writeShard(join(folder.path, 'a.parquet'), documents.slice(0, 170))
  await writeShard(join(folder.path, 'b.parquet'), documents.slice(170), { firstOrdinal: 170 })
  const corpus = await openCorpus(folder.path)
  const loader = new TokenLoader(corpus, {
    rows: 4,
    length: 64,
    packing: 'best-fit',
    seed: 3,
    validationShare: 0,
    split: 'train',
    windowTokens: 8000,
    epochs: 1,
  })
  const counts = new Array(64).fill(0)
  for (let batch = await loader.next(); batch; batch = await loader.next()) for (const id of batch.ids) counts[id]++
  const expected = new Array(64).fill(0)
  for (const { tokens } of documents) for (const token of tokens) expected[token]++
  assert.deepEqual(counts.slice(1), expected.slice(1))
})

test('wrong folders and shards are refused with their codes', async () => {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'a.parquet')
  await assert.rejects(openCorpus(join(folder.path, 'nowhere')), { code: 'SLUICE_TRAIN_CORPUS_MISSING' })
  await assert.rejects(openCorpus(folder.path), { code: 'SLUICE_TRAIN_CORPUS_EMPTY' })

  const schema = new Schema([new Field('n', new Int64(), false)])
  const writer = await ParquetWriter.open(file, schema)
  await writer.write(recordBatch(schema, [int64Column([1])]))
  await writer.close()
  await assert.rejects(openCorpus(folder.path), { code: 'SLUICE_TRAIN_SHARD_INVALID' })

  await writeShard(file, markovDocuments(10, 64, 1))
  await writeShard(join(folder.path, 'b.parquet'), markovDocuments(10, 64, 1), { vocabularyHash: 'other' })
  await assert.rejects(openCorpus(folder.path), { code: 'SLUICE_TRAIN_VOCABULARIES' })

  await rm(join(folder.path, 'b.parquet'))
  await writeFile(join(folder.path, 'tokenizer.json'), '{}')
  await assert.rejects(openCorpus(folder.path), { code: 'SLUICE_TRAIN_VOCABULARIES' })
})

test('a damaged shard is named, whether its footer or its pages are hit', async () => {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'a.parquet')
  await writeShard(file, markovDocuments(200, 64, 1))
  const bytes = await readFile(file)
  await writeFile(file, bytes.subarray(0, bytes.length - 100))
  await assert.rejects(openCorpus(folder.path), { code: 'SLUICE_PARQUET_INVALID' })

  await writeFile(file, bytes.fill(0xff, 20, 4000))
  const corpus = await openCorpus(folder.path)
  await assert.rejects(
    corpus.readRows(corpus.rowGroups[0]),
    (error) => error instanceof Error && 'where' in error && JSON.stringify(error.where).includes(file),
  )
})

test('a token outside the vocabulary is refused before the model reads past its table', async () => {
  await using folder = await temporaryFolder()
  await writeShard(join(folder.path, 'a.parquet'), [{ tokens: [1, 2, 64] }])
  const corpus = await openCorpus(folder.path)
  await assert.rejects(corpus.readRows(corpus.rowGroups[0]), { code: 'SLUICE_TRAIN_SHARD_INVALID' })
})
