// Strings read from Parquet pages: the same as parquet-wasm gives, for every packing that writers use, and no harm from damage.

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { DuckDBInstance } from '@duckdb/node-api'
import { Field, Schema, Utf8 } from 'apache-arrow'
import fc from 'fast-check'
import { SluiceError } from '../../src/core/errors.ts'
import { columnOf, recordBatch, utf8Column, utf8Values } from '../../src/io/columns.ts'
import { openParquet, ParquetWriter, readParquet, readRows } from '../../src/io/parquet.ts'
import { memorySource } from './memory-source.ts'

const folder = await mkdtemp(join(tmpdir(), 'sluice-strings-'))
after(() => rm(folder, { recursive: true }))
const duck = await (await DuckDBInstance.create()).connect()

/** By column: through the pages (what is packed by differences is left to the library there too), and through the library. */
async function both(file: Buffer, batchRows: number) {
  const opened = await openParquet(memorySource(file, 1 << 20))
  const pages: Record<string, (string | undefined)[]> = {}
  const library: Record<string, (string | undefined)[]> = {}
  for (const group of opened.facts.rowGroups.keys())
    for await (const { strings, batch } of readRows(opened, group, undefined, batchRows)) {
      for (const [name, values] of strings) (pages[name] ??= []).push(...values)
      for (const { name } of batch?.schema.fields ?? []) (pages[name] ??= []).push(...(batch ? utf8Values(columnOf(batch, name)) : []))
    }
  for await (const { batch } of readParquet(opened.source))
    for (const { name } of batch.schema.fields) (library[name] ??= []).push(...utf8Values(columnOf(batch, name)))
  return { pages, library }
}

const kinds = ['uncompressed', 'snappy', 'gzip', 'zstd', 'brotli'].flatMap((codec) => ['v1', 'v2'].map((version) => ({ codec, version })))

test('strings of every codec, page version, dictionary and null pattern are those that the library reads', async () => {
  for (const { codec, version } of kinds) {
    const path = join(folder, `${codec}-${version}.parquet`)
    await duck.run(`copy (select
      'text ' || i || repeat(' some words of it', (i % 50)::int) as long,
      ['en', 'de', 'fr', 'ünïcödé 𝄞'][1 + i % 4] as dictionary,
      case when i % 7 < 3 then null else 'x' || (i % 1000) end as nulls,
      case when i < 3000 then null else '' end as late,
      'same' as same
      from range(5000) t(i)) to '${path}' (format parquet, compression ${codec}, row_group_size 2048, parquet_version ${version})`)
    const { pages, library } = await both(await readFile(path), 1000)
    for (const [name, values] of Object.entries(library)) {
      const different = values.findIndex((value, row) => value !== pages[name][row])
      assert.deepEqual([values.length, pages[name].length, different], [5000, 5000, -1], `${name} of ${path}`)
    }
  }
})

test('data pages of the second version too', async () => {
  const { pages, library } = await both(await readFile(new URL('../../fixtures/parquet/pages-v2.parquet', import.meta.url)), 700)
  assert.deepEqual(
    [pages.plain[10], pages.nulls.slice(0, 5), pages.none[2999]],
    ['text 10 words ', [undefined, undefined, undefined, 'x3', 'x4'], undefined],
  )
  assert.deepEqual(pages, library)
})

test('any strings that are written come back, in pieces of any length', async () => {
  const values = fc.array(fc.option(fc.string({ unit: 'binary', maxLength: 30 }), { nil: undefined, freq: 3 }), {
    minLength: 1,
    maxLength: 200,
  })
  let files = 0
  await fc.assert(
    fc.asyncProperty(values, fc.integer({ min: 1, max: 70 }), fc.integer({ min: 1, max: 90 }), async (strings, rowGroupRows, batchRows) => {
      const path = join(folder, `${files++}.parquet`)
      const schema = new Schema([new Field('s', new Utf8(), true)])
      const writer = await ParquetWriter.open(path, schema, { rowGroupRows })
      await writer.write(recordBatch(schema, [utf8Column(strings)]))
      await writer.close()
      const { pages } = await both(await readFile(path), batchRows)
      assert.deepEqual(
        pages.s,
        strings.map((one) => one?.toWellFormed()),
      )
    }),
    { numRuns: 40 },
  )
})

test('damaged pages end in values or in a named error, and nothing hangs', async () => {
  for (const codec of ['uncompressed', 'snappy', 'zstd']) {
    const intact = await readFile(join(folder, `${codec}-v1.parquet`))
    const body = intact.length - 8 - intact.readUInt32LE(intact.length - 8)
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(body - 5), fc.nat(255)), { minLength: 1, maxLength: 20 }), async (changes) => {
        const file = Buffer.from(intact)
        for (const [at, byte] of changes) file[4 + at] = byte
        const opened = await openParquet(memorySource(file, 1 << 20))
        try {
          for (const group of opened.facts.rowGroups.keys())
            for await (const { rows } of readRows(opened, group, ['long', 'nulls', 'dictionary'], 500)) assert.ok(rows > 0)
        } catch (error) {
          assert.ok(error instanceof SluiceError && error.code === 'SLUICE_PARQUET_INVALID', String(error))
        }
      }),
      { numRuns: 60 },
    )
  }
})
