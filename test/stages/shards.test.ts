// The sinks for shards, and the source that reads Parquet: what was written is read back by ourselves and by DuckDB.

import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { DuckDBInstance } from '@duckdb/node-api'
import fc from 'fast-check'
import { parseTokensMetadata } from '../../schemas/tokens.ts'
import type { Document, TokenizedDocument } from '../../src/core/document.ts'
import { SluiceError } from '../../src/core/errors.ts'
import type { Shard, Sink } from '../../src/core/stage.ts'
import { columnOf, listValues, utf8Values } from '../../src/io/columns.ts'
import { readParquet, readParquetFacts } from '../../src/io/parquet.ts'
import { jsonlShards } from '../../stages/jsonl-shards.ts'
import { parquet } from '../../stages/parquet.ts'
import { parquetShards } from '../../stages/parquet-shards.ts'
import { documentsOf } from '../dedup/documents.ts'

const folder = await mkdtemp(join(tmpdir(), 'sluice-shards-'))
after(() => rm(folder, { recursive: true }))
const signal = new AbortController().signal
const duck = await (await DuckDBInstance.create()).connect()
const rowsOf = async (sql: string) => (await duck.runAndReadAll(sql)).getRowObjectsJson()

let runs = 0
async function sinkAll<T>(sink: Sink<T>, items: readonly T[], cuts: readonly number[] = []): Promise<{ folder: string; shards: Shard[] }> {
  const target = join(folder, `run-${runs++}`)
  await mkdir(target)
  const artifact = () => ''
  const run = await sink.open({ signal, folder: target, partition: 'p0', planHash: 'plan', artifact })
  for (let start = 0, i = 0; i <= cuts.length; i++) {
    const end = cuts[i] ?? items.length
    await run.write(items.slice(start, end))
    start = end
  }
  return { folder: target, shards: await run.close() }
}

async function bytesOf(path: string): Promise<Record<string, string>> {
  const names = (await readdir(path)).sort()
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await readFile(join(path, name), 'base64')])))
}

const documents: Document[] = documentsOf(Array.from({ length: 300 }, (_, i) => `Document ${i}: ${'é'.repeat(i % 40)}`)).map(
  (document, i) => ({
    ...document,
    url: i % 3 === 0 ? undefined : `https://example.org/${i}`,
    metadata: { n: i },
    language: i % 2 ? 'en' : undefined,
    languageScore: i % 2 ? 0.5 : undefined,
    annotations: i % 5 ? { cluster: i, note: `n${i}` } : undefined,
  }),
)

const tokenizerFile = join(folder, 'some-tokenizer.json')
await writeFile(tokenizerFile, '{"a tokenizer": true}')
const narrow = (size: number, ids: number[]) => (size <= 65_536 ? Uint16Array.from(ids) : Uint32Array.from(ids))
const tokenized = (size: number): TokenizedDocument[] =>
  documents.map(({ text, annotations, ...item }, i) => ({
    ...item,
    vocabulary: { hash: 'abc', size, endOfText: 7, file: tokenizerFile },
    tokens: narrow(
      size,
      Array.from({ length: i % 50 }, (_, k) => (i * 977 + k) % size),
    ),
    ...(i % 4 === 0 ? { mask: new Uint8Array(i % 50).fill(1) } : {}),
  }))

test('shards are the same bytes wherever the batches are cut', async () => {
  const cuts = fc.array(fc.nat(300), { maxLength: 4 }).map((list) => list.sort((a, b) => a - b))
  await fc.assert(
    fc.asyncProperty(cuts, async (at) => {
      const sinks = [
        parquetShards({ path: 'x', shardBytes: 3000, rowGroupBytes: 10_000 }),
        jsonlShards({ path: 'x', shardBytes: 9000 }),
        jsonlShards({ path: 'x', shardBytes: 9000, compression: 'gz' }),
      ]
      for (const sink of sinks) {
        const whole = await sinkAll<Document>(sink, documents)
        const cut = await sinkAll<Document>(sink, documents, at)
        assert.ok(whole.shards.length > 2)
        assert.deepEqual(cut.shards, whole.shards)
        assert.deepEqual(await bytesOf(cut.folder), await bytesOf(whole.folder))
      }
      const tokens = parquetShards({ path: 'x', shardBytes: 3000, rowGroupTokens: 700 })
      assert.deepEqual(
        await bytesOf((await sinkAll<TokenizedDocument>(tokens, tokenized(50_000), at)).folder),
        await bytesOf((await sinkAll<TokenizedDocument>(tokens, tokenized(50_000))).folder),
      )
    }),
    { numRuns: 8 },
  )
})

test('document shards hold every field, and DuckDB reads them', async () => {
  const sink = parquetShards({ path: 'x', shardBytes: 3000, rowGroupBytes: 10_000, annotations: { cluster: 'number' } })
  const { folder: at, shards } = await sinkAll<Document>(sink, documents)
  const rows = await rowsOf(
    `select * from '${at}/*.parquet' order by filename, file_row_number`
      .replace("*.parquet'", "*.parquet', filename = true, file_row_number = true)")
      .replace("from '", "from read_parquet('"),
  )
  assert.equal(rows.length, documents.length)
  assert.equal(
    shards.reduce((sum, shard) => sum + shard.rows, 0),
    documents.length,
  )
  const byId = new Map(rows.map((row) => [row.id, row]))
  for (const document of documents) {
    const row = byId.get(document.id)
    assert.equal(row?.text, document.text)
    assert.equal(row?.url ?? undefined, document.url)
    assert.equal(Number(row?.offset), document.offset)
    assert.equal(row?.metadata, JSON.stringify(document.metadata))
    assert.equal(row?.language ?? undefined, document.language)
    assert.equal(row?.cluster ?? undefined, document.annotations?.cluster)
    assert.equal(row?.annotations ?? undefined, document.annotations && JSON.stringify({ note: document.annotations.note }))
  }
})

test('annotations that are lists go into a column of text as JSON; a number that could not be measured is null', async () => {
  const annotations = { mean: Number.NaN, lines: [1, 0.5], note: 'n' }
  const sink = parquetShards({ path: 'x', annotations: { mean: 'number', lines: 'string', note: 'string' } })
  const { folder: at } = await sinkAll<Document>(sink, [{ ...documents[0], annotations }])
  const [row] = await rowsOf(`select * from '${at}/*.parquet'`)
  assert.deepEqual([row.mean, row.lines, row.note], [null, '[1,0.5]', 'n'])
})

test('token shards say whose tokens they are, in u16 or u32 by the size of the vocabulary', async () => {
  for (const size of [65_536, 65_537]) {
    const items = tokenized(size)
    const { folder: at, shards } = await sinkAll<TokenizedDocument>(
      parquetShards({ path: 'x', shardBytes: 4000, rowGroupTokens: 500 }),
      items,
    )
    const copy = shards.at(-1)
    assert.deepEqual([copy?.name, copy?.rows], ['tokenizer.json', 0])
    assert.equal(await readFile(join(at, 'tokenizer.json'), 'utf8'), '{"a tokenizer": true}')
    const back: { id?: string; tokens?: ArrayLike<number>; mask?: Uint8Array }[] = []
    for (const shard of shards.slice(0, -1)) {
      const { metadata, rowGroups } = await readParquetFacts(join(at, shard.name))
      assert.ok(rowGroups.length >= 1)
      assert.deepEqual(parseTokensMetadata(metadata), {
        vocabularyHash: 'abc',
        vocabularySize: size,
        endOfText: 7,
        tokens: shard.tokens,
        planHash: 'plan',
      })
      for await (const { batch } of readParquet(join(at, shard.name), { columns: ['id', 'tokens', 'mask'] })) {
        const ids = utf8Values(columnOf(batch, 'id'))
        const column = columnOf(batch, 'tokens')
        const lists = size === 65_536 ? listValues(column, Uint16Array) : listValues(column, Uint32Array)
        const masks = listValues(columnOf(batch, 'mask'), Uint8Array)
        back.push(...ids.map((id, i) => ({ id, tokens: lists[i], mask: masks[i] })))
      }
    }
    assert.deepEqual(
      back,
      items.map(({ id, tokens, mask }) => ({ id, tokens, mask })),
    )
    const [{ n }] = await rowsOf(`select sum(len(tokens))::int as n from '${at}/*.parquet'`)
    assert.equal(
      n,
      items.reduce((sum, { tokens }) => sum + tokens.length, 0),
    )
  }
})

test('a partition without documents leaves no shard', async () => {
  for (const sink of [parquetShards({ path: 'x' }), jsonlShards({ path: 'x' })])
    assert.deepEqual((await sinkAll<Document>(sink, [])).shards, [])
})

test('plain and tokenized documents in one sink, or two tokenizers, are refused', async () => {
  const sink = parquetShards({ path: 'x' })
  const [a, b] = tokenized(100)
  const other = { ...b, vocabulary: { ...b.vocabulary, hash: 'other' } }
  for (const items of [
    [documents[0], a],
    [a, documents[0]],
    [a, other],
  ])
    await assert.rejects(sinkAll(sink, items), (error) => error instanceof SluiceError && error.code === 'SLUICE_SHARDS_MIXED')
})

test('JSON lines hold the documents, compressed or not', async () => {
  const decoders = { zst: zstdDecompressSync, gz: gunzipSync, none: (bytes: Buffer) => bytes }
  for (const compression of ['zst', 'gz', 'none'] as const) {
    const { folder: at, shards } = await sinkAll<Document>(jsonlShards({ path: 'x', compression, shardBytes: 20_000 }), documents)
    const texts = await Promise.all(shards.map(async ({ name }) => String(decoders[compression](await readFile(join(at, name))))))
    const lines = texts.flatMap((text) => text.trimEnd().split('\n'))
    assert.deepEqual(
      lines.map((line) => JSON.parse(line)),
      documents.map((document) => JSON.parse(JSON.stringify(document))),
    )
  }
})

// ---- the source ----

interface Read {
  documents: Document[]
  damages: { offset: number; code: string; message: string }[]
  ignored: Record<string, number>
  partitions: number
}

async function readAll(options: Parameters<typeof parquet>[0], partitionBytes = 1e9, batchBytes = 1e6): Promise<Read> {
  const source = parquet(options)
  const out: Read = { documents: [], damages: [], ignored: {}, partitions: 0 }
  for (const partition of await source.partitions({ signal, partitionBytes })) {
    out.partitions++
    const batches = source.read(partition, {
      signal,
      batchBytes,
      begin: () => true,
      damaged: (damage) => out.damages.push(damage),
      ignored: (reason, count = 1) => (out.ignored[reason] = (out.ignored[reason] ?? 0) + count),
      consumed: () => undefined,
    })
    for await (const batch of batches) out.documents.push(...batch)
  }
  return out
}

const corpus = join(folder, 'corpus')
await mkdir(corpus)
await duck.run(`copy (
  select 'text ' || i as text, 'https://example.org/' || i as url, timestamp '2024-05-06 07:08:09' as "timestamp", i as n,
    i::double / 3 as score, [i, i + 1] as list, {'a': i} as struct, case when i % 10 = 0 then null else 'x' end as maybe
  from range(5000) t(i)
) to '${corpus}/hf.parquet' (format parquet, row_group_size 2048, compression snappy)`)

test('rows of a file in Hugging Face layout become documents, the other columns metadata', async () => {
  const { documents: read, partitions, ignored } = await readAll({ path: corpus, date: 'timestamp' })
  assert.equal(partitions, 1)
  assert.equal(read.length, 5000)
  assert.deepEqual(ignored, {})
  assert.deepEqual(
    { ...read[3000], id: '' },
    {
      id: '',
      source: pathToFileURL(join(corpus, 'hf.parquet')).href,
      offset: 3000,
      length: 0,
      url: 'https://example.org/3000',
      date: '2024-05-06T07:08:09.000Z',
      language: undefined,
      languageScore: undefined,
      subset: undefined,
      metadata: { n: 3000, score: 1000, list: [3000, 3001], struct: { a: 3000 }, maybe: null },
      text: 'text 3000',
    },
  )
  assert.equal(new Set(read.map(({ id }) => id)).size, 5000)
})

test('ranges of row groups read the same documents as the whole', async () => {
  const whole = await readAll({ path: corpus, columns: ['n'] })
  const parts = await readAll({ path: corpus, columns: ['n'] }, 1, 2000)
  assert.equal(parts.partitions, 3)
  assert.deepEqual(parts.documents, whole.documents)
  assert.deepEqual(Object.keys(parts.documents[0].metadata), ['n'])
})

test('a row group that is damaged is set aside, the others are read', async () => {
  const path = join(folder, 'damaged.parquet')
  const bytes = await readFile(join(corpus, 'hf.parquet'))
  bytes.fill(0xee, 10, 3000)
  await writeFile(path, bytes)
  const { documents: read, damages } = await readAll({ path })
  assert.equal(read.length, 5000 - 2048)
  assert.equal(read[0].offset, 2048)
  assert.deepEqual(
    damages.map(({ offset, code }) => [offset, code]),
    [[0, 'SLUICE_PARQUET_INVALID']],
  )
})

test('a file without the column of texts is refused with the names it has; empty texts are counted', async () => {
  await assert.rejects(
    readAll({ path: corpus, text: 'content' }),
    (error) => error instanceof SluiceError && error.code === 'SLUICE_PARQUET_COLUMN' && /text, url, timestamp/.test(error.message),
  )
  assert.deepEqual((await readAll({ path: corpus, text: 'maybe' })).ignored, { empty_text: 500 })
})

test('texts stored as bytes are read as UTF-8; a column of something else is refused', async () => {
  const path = join(folder, 'bytes.parquet')
  await duck.run(`copy (select encode('Übung') as text, [1, 2] as list) to '${path}' (format parquet)`)
  assert.deepEqual(
    (await readAll({ path })).documents.map(({ text }) => text),
    ['Übung'],
  )
  await assert.rejects(
    readAll({ path, text: 'list' }),
    (error) => error instanceof SluiceError && error.code === 'SLUICE_PARQUET_COLUMN' && /the column list holds List/.test(error.message),
  )
})
