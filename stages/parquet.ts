// Documents from Parquet files, in the layout that most corpora on Hugging Face have: a row a document, its text in one
// column. A partition is a range of row groups.

import { type Data, DataType, Vector } from 'apache-arrow'
import { z } from 'zod'
import type { Document, Json, Metadata } from '../src/core/document.ts'
import { SluiceError } from '../src/core/errors.ts'
import { documentId } from '../src/core/identity.ts'
import type { Partition, PlanContext, Source, SourceContext } from '../src/core/stage.ts'
import { columnOf, utf8Values } from '../src/io/columns.ts'
import { expandInputs } from '../src/io/inputs.ts'
import { openBytes } from '../src/io/open-bytes.ts'
import { type ParquetBatch, type ParquetFacts, readParquet, readParquetFacts, readParquetSchema } from '../src/io/parquet.ts'
import { Batches, inputPaths, listOf } from './batches.ts'

export const parquetOptions = z.strictObject({
  path: inputPaths,
  text: z.string().min(1).default('text').describe('column that holds the text'),
  id: z.string().min(1).optional().describe("column with the record's own id, kept as metadata"),
  url: z.string().min(1).default('url').describe('column with the address it was published at, where the file has it'),
  date: z.string().min(1).default('date').describe('column with its date, where the file has it'),
  columns: z.array(z.string().min(1)).optional().describe('columns kept as metadata; all others without it'),
})
export type ParquetOptions = z.input<typeof parquetOptions>
type Fields = Omit<z.output<typeof parquetOptions>, 'path'>

/** A document a row of Parquet files. Offsets are ordinals of rows. A row group that cannot be decoded is damage, as a whole. */
export function parquet(options: ParquetOptions): Source<Document> {
  const { path, ...fields } = parquetOptions.parse(options)
  return {
    kind: 'source',
    name: 'parquet',
    version: 1,
    options: { ...fields, id: fields.id ?? null, columns: fields.columns ?? null },
    partitions: async (context) => {
      const partitions: Partition[] = []
      for (const { url } of await expandInputs(listOf(path), ['.parquet'])) partitions.push(...(await partitionsOf(url, fields, context)))
      return partitions
    },
    read: (partition, context) => readDocuments(partition, context, fields),
  }
}

async function partitionsOf(url: string, fields: Fields, context: PlanContext): Promise<Partition[]> {
  const source = await openBytes(url, { signal: context.signal })
  const { fields: columns } = await readParquetSchema(source)
  const column = columns.find(({ name }) => name === fields.text)
  if (!column || !isText(column.type)) {
    const problem = column
      ? `the column ${fields.text} holds ${column.type}, no text`
      : `the file has no column ${fields.text}: it has ${columns.map(({ name }) => name).join(', ')}`
    throw new SluiceError('SLUICE_PARQUET_COLUMN', problem, {
      where: { file: url },
      fix: 'name the column that holds the text: parquet({ path, text: … })',
    })
  }
  const { rowGroups } = await readParquetFacts(source)
  const whole = { source: url, bytes: source.size, version: source.version }
  return rowGroupRanges(rowGroups, context.partitionBytes).map((range) => ({ ...whole, range }))
}

/** Ranges of row groups, each of about so many compressed bytes. */
function rowGroupRanges(groups: ParquetFacts['rowGroups'], partitionBytes: number): [start: number, end: number][] {
  const ranges: [number, number][] = []
  let start = 0
  let bytes = 0
  groups.forEach((group, index) => {
    bytes += group.bytes
    if (bytes < partitionBytes && index < groups.length - 1) return
    ranges.push([start, index + 1])
    start = index + 1
    bytes = 0
  })
  return ranges
}

async function* readDocuments(partition: Partition, context: SourceContext, fields: Fields): AsyncGenerator<Document[]> {
  const source = await openBytes(partition.source, { version: partition.version, signal: context.signal })
  const { rowGroups } = await readParquetFacts(source)
  const [start, end] = partition.range ?? [0, rowGroups.length]
  const columns = fields.columns && [
    ...new Set([fields.text, fields.url, fields.date, ...(fields.id ? [fields.id] : []), ...fields.columns]),
  ]
  const batches = new Batches<Document>(context.batchBytes)
  for (let group = start; group < end; group++) {
    for await (const batch of intact(readParquet(source, { columns, rowGroups: [group, group + 1] }), rowGroups, group, context)) {
      for (const document of documentsOf(batch, partition.source, fields, context)) {
        batches.add(document)
        if (batches.isFull) yield batches.take()
      }
    }
    context.consumed(rowGroups[group].bytes)
  }
  if (!batches.isEmpty) yield batches.take()
}

/** The batches of a row group; where it is damaged, a note of that. */
async function* intact(
  batches: AsyncIterable<ParquetBatch>,
  groups: ParquetFacts['rowGroups'],
  group: number,
  context: SourceContext,
): AsyncGenerator<ParquetBatch> {
  try {
    for await (const batch of batches) yield batch
  } catch (error) {
    if (!(error instanceof SluiceError) || error.code !== 'SLUICE_PARQUET_INVALID') throw error
    const offset = groups.slice(0, group).reduce((sum, { rows }) => sum + rows, 0)
    const message = `row group ${group} with ${groups[group].rows} rows: ${error.message}`
    context.damaged({ offset, length: groups[group].bytes, code: error.code, message })
  }
}

function* documentsOf({ batch, firstRow }: ParquetBatch, source: string, fields: Fields, context: SourceContext): Generator<Document> {
  const texts = strings(columnOf(batch, fields.text))
  const urls = strings(columnOf(batch, fields.url))
  const dates = strings(columnOf(batch, fields.date))
  const used = [fields.text, fields.url, fields.date]
  const others = batch.schema.fields.flatMap(({ name }, index) =>
    used.includes(name) ? [] : [{ name, values: new Vector([batch.data.children[index]]) }],
  )
  for (let i = 0; i < batch.numRows; i++) {
    const offset = firstRow + i
    if (!context.begin(source, offset)) continue
    const text = texts[i]
    if (text === undefined || text === '') {
      context.ignored('empty_text')
      continue
    }
    const metadata: Metadata = Object.fromEntries(others.map(({ name, values }) => [name, toJson(values.get(i))]))
    yield { id: documentId(source, offset), source, offset, length: 0, url: urls[i], date: dates[i], metadata, text }
  }
}

function isText(type: DataType): boolean {
  return hasTextBytes(type) || DataType.isUtf8View(type) || (DataType.isDictionary(type) && DataType.isUtf8(type.dictionary))
}

/** Of bytes too: old writers leave out that theirs are UTF-8. */
function hasTextBytes(type: DataType): boolean {
  return DataType.isUtf8(type) || DataType.isLargeUtf8(type) || DataType.isBinary(type) || DataType.isLargeBinary(type)
}

/** Any column as strings: dates and numbers as they print. */
function strings(column: Data | undefined): (string | undefined)[] {
  if (!column) return []
  if (hasTextBytes(column.type)) return utf8Values(column)
  const isTime = DataType.isTimestamp(column.type) || DataType.isDate(column.type)
  return Array.from(new Vector([column]), (value: unknown) => {
    if (value === null || value === undefined) return undefined
    return isTime ? new Date(Number(value)).toISOString() : String(value)
  })
}

/** What Arrow gives for a value, as JSON: 64-bit integers as numbers where they are exact, lists and structs as such. */
function toJson(value: unknown): Json {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
  if (typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number') return Number.isFinite(value) ? value : null
  if (value === null || value === undefined) return null
  if (value instanceof Date) return value.toISOString()
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (value instanceof Vector || Array.isArray(value)) return Array.from(value, toJson)
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, toJson(part)]))
}
