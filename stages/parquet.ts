// Documents from Parquet files: a row a document. A partition is a range of row groups.

import { type Data, DataType, type Field, type Schema, Vector } from 'apache-arrow'
import { z } from 'zod'
import type { Document, Json } from '../src/core/document.ts'
import { SluiceError } from '../src/core/errors.ts'
import { documentId } from '../src/core/identity.ts'
import type { Damage, Partition, PlanContext, Source, SourceContext } from '../src/core/stage.ts'
import { utf8Values } from '../src/io/columns.ts'
import { expandInputs } from '../src/io/inputs.ts'
import { openBytes } from '../src/io/open-bytes.ts'
import {
  openParquet,
  type ParquetFacts,
  type ParquetRows as RowsOfGroup,
  readParquetFacts,
  readParquetSchema,
  readRows,
} from '../src/io/parquet.ts'
import { Batches, inputPaths, listOf, planEach } from '../src/sources/batches.ts'
import {
  fieldOptions,
  type JsonObject,
  type Mapped,
  missingField,
  neededFields,
  type RecordFields,
  recordFields,
  recordMapper,
  requiredFields,
} from '../src/sources/record-fields.ts'

/** Rows that become strings at once: the row group itself lies in memory as it was decoded. */
const BATCH_ROWS = 1024

export const parquetOptions = z.strictObject({ path: inputPaths, ...recordFields })
export type ParquetOptions = z.input<typeof parquetOptions>

/** A document a row of Parquet files. Offsets are ordinals of rows. A row group that cannot be decoded is damage, as a whole. */
export function parquet(options: ParquetOptions): Source<Document> {
  const { path, ...fields } = parquetOptions.parse(options)
  return parquetRows({ name: 'parquet', paths: listOf(path), fields, options: fieldOptions(fields) })
}

export interface ParquetRows {
  readonly name: string
  readonly paths: readonly string[]
  readonly fields: RecordFields
  /** What enters the plan hash. */
  readonly options: Json
  /** Makes more of what the columns gave. */
  readonly restore?: (mapped: Mapped) => Mapped
}

export function parquetRows({ name, paths, fields, options, restore = (mapped) => mapped }: ParquetRows): Source<Document> {
  return {
    kind: 'source',
    name,
    version: 2,
    options,
    partitions: async (context) => {
      const urls = (await expandInputs(paths, ['.parquet'])).map(({ url }) => url)
      return await planEach(urls, context, (url, context) => partitionsOf(url, fields, context))
    },
    read: (partition, context) => readDocuments(partition, context, fields, restore),
  }
}

async function partitionsOf(url: string, fields: RecordFields, context: PlanContext): Promise<Partition[]> {
  const source = await openBytes(url, { signal: context.signal })
  assertColumns(await readParquetSchema(source), fields, url)
  const { rowGroups } = await readParquetFacts(source)
  const whole = { source: url, bytes: source.size, version: source.version }
  return rowGroupRanges(rowGroups, context.partitionBytes).map((range) => {
    const rangeBytes = rowGroups.slice(...range).reduce((sum, { bytes }) => sum + bytes, 0)
    return { ...whole, range, rangeBytes }
  })
}

/** @throws SluiceError `SLUICE_PARQUET_COLUMN` where a column that was named is not there, or the text is none */
function assertColumns(schema: Schema, fields: RecordFields, file: string): void {
  const refuse = (problem: string) => {
    throw new SluiceError('SLUICE_PARQUET_COLUMN', problem, {
      where: { file },
      fix: 'name columns that the file has: parquet({ path, text: … })',
    })
  }
  const texts = [fields.text].flat()
  for (const path of requiredFields(fields)) {
    const { type, missing } = typeAt(schema.fields, path)
    if (missing) refuse(missingField([path], missing))
    if (type && texts.includes(path) && !holdsText(type)) refuse(`the column ${path} holds ${type}, no text`)
  }
}

/** The type that a path leads to; where it leads nowhere, what there is instead. */
function typeAt(fields: readonly Field[], path: string): { type?: DataType; missing?: string[] } {
  const exact = fields.find(({ name }) => name === path)
  if (exact) return { type: exact.type }
  const dot = path.indexOf('.')
  const first = dot === -1 ? undefined : fields.find(({ name }) => name === path.slice(0, dot))
  if (!first) return { missing: fields.map(({ name }) => name) }
  const inner = elementType(first.type)
  if (!DataType.isStruct(inner)) return { type: inner } // a map, or an ordinal: the records will show
  const { type, missing } = typeAt(inner.children, path.slice(dot + 1))
  return { type, missing: missing?.map((name) => `${first.name}.${name}`) }
}

function elementType(type: DataType): DataType {
  return DataType.isList(type) || DataType.isFixedSizeList(type) ? elementType(type.children[0].type) : type
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

async function* readDocuments(
  partition: Partition,
  context: SourceContext,
  fields: RecordFields,
  restore: (mapped: Mapped) => Mapped,
): AsyncGenerator<Document[]> {
  const source = await openBytes(partition.source, { version: partition.version, signal: context.signal })
  const file = await openParquet(source)
  const { rowGroups } = file.facts
  const [start, end] = partition.range ?? [0, rowGroups.length]
  const toDocument = documentMaker(fields, partition.source, restore)
  const batches = new Batches<Document>(context.batchBytes)
  for (let group = start; group < end; group++) {
    context.consumed(rowGroups[group].bytes)
    const read = readRows(file, group, neededFields(fields), BATCH_ROWS)
    for await (const part of intact(read, rowGroups, group, context)) {
      const records = recordsOf(part, fields)
      for (let row = 0; row < part.rows; row++) {
        if (!context.begin(partition.source, part.firstRow + row)) continue
        const made = toDocument(records(row), part.firstRow + row)
        if ('ignored' in made) context.ignored(made.ignored)
        else if ('code' in made) context.damaged(made)
        else batches.add(made)
        if (batches.isFull) yield batches.take()
      }
    }
  }
  if (!batches.isEmpty) yield batches.take()
}

/** The rows of a row group; where it is damaged, those before, and a note of the others. */
async function* intact(
  parts: AsyncIterable<RowsOfGroup>,
  groups: ParquetFacts['rowGroups'],
  group: number,
  context: SourceContext,
): AsyncGenerator<RowsOfGroup> {
  let read = 0
  try {
    for await (const part of parts) {
      yield part
      read += part.rows
    }
  } catch (error) {
    if (!(error instanceof SluiceError) || error.code !== 'SLUICE_PARQUET_INVALID') throw error
    const offset = groups.slice(0, group).reduce((sum, { rows }) => sum + rows, read)
    const { rows, bytes } = groups[group]
    const message = `row group ${group}, the last ${rows - read} of ${rows} rows: ${error.message}`
    context.damaged({ offset, length: Math.round((bytes * (rows - read)) / rows), code: error.code, message })
  }
}

type Made = Document | { readonly ignored: string } | Damage

function documentMaker(
  fields: RecordFields,
  source: string,
  restore: (mapped: Mapped) => Mapped,
): (record: JsonObject, offset: number) => Made {
  const map = recordMapper(fields)
  return (record, offset) => {
    const mapped = map(record, source)
    if ('ignored' in mapped) return mapped
    if ('problem' in mapped) return { offset, length: 0, code: `SLUICE_PARQUET_${mapped.problem}`, message: mapped.message }
    return { id: documentId(source, offset), source, offset, length: 0, ...restore(mapped) }
  }
}

/** Rows as records, decoded a column at a time. */
function recordsOf({ strings, batch }: RowsOfGroup, fields: RecordFields): (row: number) => JsonObject {
  const textual = new Set([fields.text, fields.url, fields.date, fields.id, fields.language, fields.subset].flat())
  const others = batch?.schema.fields.map(({ name }, index) => [name, jsonValues(batch.data.children[index], textual.has(name))] as const)
  const columns = [...strings, ...(others ?? [])]
  return (row) => {
    const record: Record<string, Json> = {}
    for (const [name, values] of columns) record[name] = values[row] ?? null
    return record
  }
}

/** @param isTextual bytes too are text: old writers leave out that theirs are UTF-8 */
function jsonValues(column: Data, isTextual: boolean): readonly (Json | undefined)[] {
  const { type } = column
  if (DataType.isUtf8(type) || DataType.isLargeUtf8(type) || (isTextual && hasTextBytes(type))) return utf8Values(column)
  return Array.from(new Vector([column]), converterOf(type))
}

/** From what Arrow gives for a value of a type to JSON. */
function converterOf(type: DataType): (value: unknown) => Json {
  if (DataType.isTimestamp(type) || DataType.isDate(type)) return isoDate
  if (DataType.isDecimal(type)) return (value) => (value instanceof Uint32Array ? decimal(value, type.scale) : null)
  if (DataType.isList(type) || DataType.isFixedSizeList(type)) {
    const convert = converterOf(type.children[0].type)
    return (value) => (value instanceof Vector ? Array.from(value, convert) : null)
  }
  if (!DataType.isStruct(type)) return toJson
  const parts = type.children.map(({ name, type }) => ({ name, convert: converterOf(type) }))
  return (value) =>
    typeof value === 'object' && value !== null
      ? Object.fromEntries(parts.map(({ name, convert }) => [name, convert(Reflect.get(value, name))]))
      : null
}

/** As a number where a double holds all its digits, else as a string. */
function decimal(words: Uint32Array, scale: number): Json {
  const bits = words.length * 32
  const value = BigInt.asIntN(
    bits,
    words.reduceRight((sum, word) => (sum << 32n) | BigInt(word), 0n),
  )
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, '0')
  const text = `${value < 0n ? '-' : ''}${digits.slice(0, digits.length - scale)}${scale > 0 ? `.${digits.slice(-scale)}` : ''}`
  return digits.length <= 15 ? Number(text) : text
}

function isoDate(value: unknown): Json {
  if (value === null || value === undefined) return null
  const date = new Date(Number(value))
  return Number.isNaN(date.getTime()) ? null : date.toISOString()
}

/** Strings, or lists of them. */
function holdsText(type: DataType): boolean {
  const inner = elementType(type)
  return hasTextBytes(inner) || DataType.isUtf8View(inner) || (DataType.isDictionary(inner) && DataType.isUtf8(inner.dictionary))
}

function hasTextBytes(type: DataType): boolean {
  return DataType.isUtf8(type) || DataType.isLargeUtf8(type) || DataType.isBinary(type) || DataType.isLargeBinary(type)
}

/** 64-bit integers as numbers where they are exact, maps as objects. */
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
