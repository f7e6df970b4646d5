// Parquet files written row group by row group, against DuckDB as another reader, and the columns they are made of.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { DuckDBInstance } from '@duckdb/node-api'
import { Field, Float32, Int64, List, Schema, Uint16, Utf8 } from 'apache-arrow'
import fc from 'fast-check'
import { SluiceError } from '../../src/core/errors.ts'
import {
  columnOf,
  float32Column,
  int64Column,
  listValues,
  numberValues,
  recordBatch,
  uint16ListColumn,
  utf8Column,
  utf8Values,
} from '../../src/io/columns.ts'
import { ParquetWriter, readParquet, readParquetFacts, readParquetSchema } from '../../src/io/parquet.ts'

const folder = await mkdtemp(join(tmpdir(), 'sluice-parquet-'))
after(() => rm(folder, { recursive: true }))

const schema = new Schema([
  new Field('name', new Utf8(), true),
  new Field('tokens', new List(new Field('item', new Uint16(), false)), true),
  new Field('score', new Float32(), true),
  new Field('offset', new Int64(), false),
])
interface Row {
  name?: string
  tokens?: Uint16Array
  score?: number
  offset: number
}
const row = (i: number): Row => ({
  name: i % 7 === 3 ? undefined : `\uFEFFname ${i} é 日本 😀`.repeat(i % 4),
  tokens: i % 5 === 1 ? undefined : Uint16Array.from({ length: i % 9 }, (_, k) => (i * 31 + k) & 0xffff),
  score: i % 3 === 0 ? undefined : i / 8,
  offset: i * 2 ** 33,
})
const batchOf = (rows: readonly Row[]) =>
  recordBatch(schema, [
    utf8Column(rows.map(({ name }) => name)),
    uint16ListColumn(rows.map(({ tokens }) => tokens)),
    float32Column(rows.map(({ score }) => score)),
    int64Column(rows.map(({ offset }) => offset)),
  ])

async function writeRows(path: string, rows: readonly Row[], cuts: readonly number[], rowGroupRows: number) {
  const writer = await ParquetWriter.open(path, schema, { rowGroupRows, metadata: { from: 'test' } })
  let start = 0
  for (const cut of [...cuts, rows.length]) {
    await writer.write(batchOf(rows.slice(start, cut)))
    start = cut
  }
  return writer.close({ late: 'yes' })
}

async function readRows(path: string, options = {}): Promise<Row[]> {
  const rows: Row[] = []
  for await (const { batch, firstRow } of readParquet(path, options)) {
    assert.equal(firstRow, rows.length)
    const names = utf8Values(columnOf(batch, 'name'))
    const tokens = listValues(columnOf(batch, 'tokens'), Uint16Array)
    const scores = numberValues(columnOf(batch, 'score'))
    const offsets = numberValues(columnOf(batch, 'offset'))
    for (let i = 0; i < batch.numRows; i++) rows.push({ name: names[i], tokens: tokens[i], score: scores[i], offset: offsets[i] ?? -1 })
  }
  return rows
}

test('what was written comes back, wherever batches and row groups are cut', async () => {
  const path = join(folder, 'round.parquet')
  await fc.assert(
    fc.asyncProperty(fc.nat(60), fc.array(fc.nat(60), { maxLength: 5 }), fc.integer({ min: 1, max: 70 }), async (length, cuts, group) => {
      const rows = Array.from({ length }, (_, i) => row(i))
      const sorted = cuts.filter((cut) => cut <= length).sort((a, b) => a - b)
      const { rows: written, bytes } = await writeRows(path, rows, sorted, group)
      const file = await readFile(path)
      assert.equal(written, length)
      assert.equal(bytes, file.length)
      assert.deepEqual(await readRows(path), rows)
      await writeRows(path, rows, [], group)
      assert.deepEqual(await readFile(path), file, 'the bytes depend on the cuts of batches')
    }),
    { numRuns: 60 },
  )
})

test('a row group is bounded by bytes too', async () => {
  const path = join(folder, 'bytes.parquet')
  const writer = await ParquetWriter.open(path, schema, { rowGroupBytes: 50_000 })
  const batch = batchOf(Array.from({ length: 100 }, (_, i) => row(i)))
  for (let i = 0; i < 20; i++) await writer.write(batch)
  await writer.close()
  const { rowGroups } = await readParquetFacts(path)
  const rowsUntilFull = Math.ceil(50_000 / batch.data.byteLength) * 100
  assert.ok(rowGroups.length > 1)
  assert.ok(rowGroups.every(({ rows }) => rows <= rowsUntilFull))
})

test('damage anywhere in a file gives its rows or a SluiceError, never anything else', async () => {
  const path = join(folder, 'fuzz.parquet')
  await writeRows(
    path,
    Array.from({ length: 120 }, (_, i) => row(i)),
    [],
    50,
  )
  const whole = await readFile(path)
  const change = fc.record({ at: fc.nat(whole.length - 1), byte: fc.nat(255), length: fc.integer({ min: 1, max: 40 }) })
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), fc.boolean(), async (changes, onlyName) => {
      const bytes = Buffer.from(whole)
      for (const { at, byte, length } of changes) bytes.fill(byte, at, Math.min(bytes.length, at + length))
      await writeFile(path, bytes)
      try {
        for await (const { batch } of readParquet(path, onlyName ? { columns: ['name'] } : {})) utf8Values(columnOf(batch, 'name'))
      } catch (error) {
        assert.ok(error instanceof SluiceError, String(error))
      }
    }),
    { numRuns: 300 },
  )
})

test('facts name rows, row groups and both early and late metadata', async () => {
  const path = join(folder, 'facts.parquet')
  await writeRows(
    path,
    Array.from({ length: 25 }, (_, i) => row(i)),
    [],
    10,
  )
  const facts = await readParquetFacts(path)
  assert.equal(facts.rows, 25)
  assert.deepEqual(
    facts.rowGroups.map(({ rows }) => rows),
    [10, 10, 5],
  )
  assert.equal(facts.metadata.from, 'test')
  assert.equal(facts.metadata.late, 'yes')
  assert.deepEqual(
    (await readParquetSchema(path)).fields.map(({ name }) => name),
    ['name', 'tokens', 'score', 'offset'],
  )
})

test('a range of row groups and a choice of columns are read alone', async () => {
  const path = join(folder, 'range.parquet')
  await writeRows(
    path,
    Array.from({ length: 25 }, (_, i) => row(i)),
    [],
    10,
  )
  const batches = await Array.fromAsync(readParquet(path, { rowGroups: [1, 3], columns: ['offset'], batchRows: 4 }))
  assert.deepEqual(
    batches.map(({ firstRow, rowGroup, batch }) => [firstRow, rowGroup, batch.numRows, batch.numCols]),
    [
      [10, 1, 4, 1],
      [14, 1, 4, 1],
      [18, 1, 2, 1],
      [20, 2, 4, 1],
      [24, 2, 1, 1],
    ],
  )
})

test('DuckDB reads the same rows from the joined row groups', async () => {
  const path = join(folder, 'duck.parquet')
  const rows = Array.from({ length: 1000 }, (_, i) => row(i))
  await writeRows(path, rows, [100, 333], 128)
  const connection = await (await DuckDBInstance.create()).connect()
  const reader = await connection.runAndReadAll(
    `select count(*)::int, count(name)::int, sum("offset")::double, sum(len(tokens))::int, sum(list_sum(tokens))::int, sum(score)::double, max(length(name))::int from '${path}'`,
  )
  const sum = (values: (number | undefined)[]) => values.reduce<number>((total, value) => total + (value ?? 0), 0)
  assert.deepEqual(reader.getRows()[0], [
    1000,
    rows.filter(({ name }) => name !== undefined).length,
    sum(rows.map(({ offset }) => offset)),
    sum(rows.map(({ tokens }) => tokens?.length)),
    sum(rows.flatMap(({ tokens }) => [...(tokens ?? [])])),
    sum(rows.map(({ score }) => score)),
    Math.max(...rows.map(({ name }) => [...(name ?? '')].length)),
  ])
  const groups = await connection.runAndReadAll(`select max(row_group_id)::int from parquet_metadata('${path}')`)
  assert.deepEqual(groups.getRows(), [[7]])
})

test('a file that is missing, cut short, damaged or no Parquet is refused by name', async () => {
  const path = join(folder, 'bad.parquet')
  const refusal = (code: string) => (error: unknown) =>
    error instanceof SluiceError && error.code === code && error.where?.file !== undefined
  await assert.rejects(readRows(join(folder, 'none.parquet')), refusal('SLUICE_FILE_MISSING'))
  await writeFile(path, 'not a Parquet file at all')
  await assert.rejects(readRows(path), refusal('SLUICE_PARQUET_INVALID'))
  await writeFile(path, '')
  await assert.rejects(readRows(path), refusal('SLUICE_PARQUET_INVALID'))
  const { bytes } = await writeRows(
    path,
    Array.from({ length: 500 }, (_, i) => row(i)),
    [],
    100,
  )
  const whole = await readFile(path)
  await truncate(path, bytes - 20)
  await assert.rejects(readRows(path), refusal('SLUICE_PARQUET_INVALID'))
  whole.fill(0x55, 10, 200)
  await writeFile(path, whole)
  await assert.rejects(readRows(path), refusal('SLUICE_PARQUET_INVALID'))
})

test('a folder that does not exist and a full disk are errors that say what to do', async () => {
  const refusal = (code: string) => (error: unknown) => error instanceof SluiceError && error.code === code && error.fix !== undefined
  await assert.rejects(ParquetWriter.open(join(folder, 'no', 'where.parquet'), schema), refusal('SLUICE_FILE_MISSING'))
  await assert.rejects(ParquetWriter.open('/dev/full', schema), refusal('SLUICE_DISK_FULL'))
})

test('writers that a cancelled task leaves open do not end the process', () => {
  const at = (file: string) => JSON.stringify(new URL(`../../${file}`, import.meta.url).href)
  const script = `
    const { ParquetWriter } = await import(${at('src/io/parquet.ts')})
    const { CompressedFile } = await import(${at('src/io/compressed-file.ts')})
    const { documentSchema } = await import(${at('schemas/document.ts')})
    await ParquetWriter.open(process.argv[1] + '/left.parquet', documentSchema())
    await CompressedFile.create(process.argv[1] + '/left.gz', 'gz')
    for (let round = 0; round < 10; round++) { gc(); await new Promise(setImmediate) }`
  const args = ['--conditions=source', '--expose-gc', '--input-type=module', '--eval', script, folder]
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
})
