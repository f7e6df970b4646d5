// Documents from files of comma-separated values (RFC 4180): a document a row. For tab-separated ones too.

import { isUtf8 } from 'node:buffer'
import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import { SluiceError } from '../src/core/errors.ts'
import { documentId } from '../src/core/identity.ts'
import type { Partition, PlanContext, Source, SourceContext } from '../src/core/stage.ts'
import { type ByteSource, readBytes } from '../src/io/byte-source.ts'
import { type CsvRecord, csvFields, csvRecords, guessDelimiter } from '../src/io/csv.ts'
import { compressionOf, decompress, type StreamDamage } from '../src/io/decompress.ts'
import { expandInputs } from '../src/io/inputs.ts'
import { openBytes } from '../src/io/open-bytes.ts'
import { Batches, inputPaths, listOf, planEach } from '../src/sources/batches.ts'
import { encodingOf } from '../src/sources/decode-text.ts'
import { fieldOptions, missingField, type RecordFields, recordFields, recordMapper, requiredFields } from '../src/sources/record-fields.ts'

const EXTENSIONS = ['.csv', '.tsv'].flatMap((extension) => [extension, `${extension}.gz`, `${extension}.zst`])
const MAX_RECORD_BYTES = 64 << 20
/** Enough to tell the encoding and the delimiter, and to hold the names of the columns. */
const HEAD_BYTES = 1 << 20

export const csvFilesOptions = z.strictObject({
  path: inputPaths,
  ...recordFields,
  delimiter: z
    .string()
    .regex(/^[\x09\x20-\x21\x23-\x7e]$/, 'one ASCII character, no quote')
    .optional()
    .describe('one character; a comma, tab, semicolon or bar without it, whichever the first line has most of'),
  header: z
    .union([z.boolean(), z.array(z.string().min(1)).min(1)])
    .default(true)
    .describe('the first row names the columns; false: they are 0, 1, 2, …; or their names, where no row has them'),
  encoding: z
    .string()
    .refine((label) => isEncoding(label), 'no encoding of that name')
    .optional()
    .describe("the file's encoding, by any name that browsers know; told by its first bytes without it"),
})
export type CsvFilesOptions = z.input<typeof csvFilesOptions>
type Dialect = Pick<z.output<typeof csvFilesOptions>, 'delimiter' | 'header' | 'encoding'>

/**
 * A document a row; the other columns are metadata, as strings. Offsets are bytes in the file where it is plain UTF-8, and
 * in the decompressed stream as UTF-8 where it is not. Local plain files are cut at rows, found by reading them once. Rows
 * with more or fewer fields than columns, and quotes that nothing closes, are damage, one by one.
 */
export function csvFiles(options: CsvFilesOptions): Source<Document> {
  const { path, delimiter, header, encoding, ...fields } = csvFilesOptions.parse(options)
  const dialect = { delimiter, header, encoding }
  return {
    kind: 'source',
    name: 'csvFiles',
    version: 1,
    options: { ...fieldOptions(fields), header, delimiter: delimiter ?? null, encoding: encoding ?? null },
    partitions: async (context) => {
      const urls = (await expandInputs(listOf(path), EXTENSIONS)).map(({ url }) => url)
      return await planEach(urls, context, (url, context) => partitionsOf(url, fields, dialect, context))
    },
    read: (partition, context) => readDocuments(partition, fields, dialect, context),
  }
}

async function partitionsOf(url: string, fields: RecordFields, dialect: Dialect, context: PlanContext): Promise<Partition[]> {
  const source = await openBytes(url, { signal: context.signal })
  const shape = await shapeOf(source, dialect)
  assertColumns(shape.columns, fields, url)
  const whole: Partition = { source: url, bytes: source.size, version: source.version }
  const isCut = shape.isPlainUtf8 && source.size >= context.partitionBytes * 2 && url.startsWith('file:')
  return isCut ? (await rowRanges(source, shape, context.partitionBytes)).map((range) => ({ ...whole, range })) : [whole]
}

/** Cuts at the first row behind every `stride` bytes. Where rows begin depends on all quotes before, so all are read. */
async function rowRanges(source: ByteSource, { delimiter, markBytes }: Shape, stride: number): Promise<[start: number, end: number][]> {
  const starts = [0]
  let reached = 0
  const options = { delimiter, start: markBytes, maxRecordBytes: MAX_RECORD_BYTES, damaged: () => {} }
  for await (const records of csvRecords(source.read(markBytes), options)) {
    for (const { offset } of records) {
      if (offset < reached + stride || source.size - offset < stride) continue
      starts.push(offset)
      reached = offset
    }
  }
  return starts.map((start, index) => [start, starts[index + 1] ?? source.size])
}

// ---- what kind of file it is ----

interface Shape {
  readonly encoding: string
  readonly delimiter: string
  readonly columns: readonly string[]
  readonly isPlainUtf8: boolean
  /** Of a byte order mark that is no part of the first field. */
  readonly markBytes: number
}

async function shapeOf(source: ByteSource, { delimiter, header, encoding }: Dialect): Promise<Shape> {
  const isPlain = compressionOf(await readBytes(source, 0, 4)) === 'none'
  const head = await headOf(source)
  const known = encoding ? new TextDecoder(encoding).encoding : (encodingOf(head) ?? 'utf-8')
  const text = new TextDecoder(known).decode(head)
  const used = delimiter ?? guessDelimiter(text)
  const columns = Array.isArray(header) ? header : await firstRow(text, used, header)
  return {
    encoding: known,
    delimiter: used,
    columns,
    isPlainUtf8: isPlain && known === 'utf-8',
    markBytes: known === 'utf-8' && hasByteOrderMark(head) ? 3 : 0,
  }
}

/** Decompressed, and cut behind its last line. */
async function headOf(source: ByteSource): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const { chunk } of decompress(source, () => {})) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes >= HEAD_BYTES) break
  }
  const head = Buffer.concat(chunks)
  const feed = head.lastIndexOf(0x0a)
  return bytes >= HEAD_BYTES && feed !== -1 ? head.subarray(0, feed + 1) : head
}

async function firstRow(head: string, delimiter: string, isHeader: boolean): Promise<string[]> {
  const options = { delimiter, maxRecordBytes: MAX_RECORD_BYTES, damaged: () => {} }
  for await (const [{ bytes }] of csvRecords(oneChunk(Buffer.from(head)), options)) {
    const names = csvFields(bytes.toString(), delimiter)
    return isHeader ? distinct(names.map((name, index) => name.trim() || String(index))) : names.map((_, index) => String(index))
  }
  return []
}

/** A name that came before gets its column's ordinal. */
function distinct(names: readonly string[]): string[] {
  return names.map((name, index) => (names.indexOf(name) === index ? name : `${name}.${index}`))
}

async function* oneChunk(chunk: Buffer): AsyncGenerator<Buffer> {
  yield chunk
}

/** @throws SluiceError `SLUICE_CSV_COLUMN` where a column that was named is not there */
function assertColumns(columns: readonly string[], fields: RecordFields, file: string): void {
  if (columns.length === 0) return // an empty file
  const missing = requiredFields(fields).find((name) => !columns.includes(name))
  if (missing === undefined) return
  throw new SluiceError('SLUICE_CSV_COLUMN', missingField([missing], columns), {
    where: { file },
    fix: 'name columns that the file has: csvFiles({ path, text: … }); for a file without a row of names say header: [ … ]',
  })
}

// ---- rows to documents ----

async function* readDocuments(
  partition: Partition,
  fields: RecordFields,
  dialect: Dialect,
  context: SourceContext,
): AsyncGenerator<Document[]> {
  const source = await openBytes(partition.source, { version: partition.version, signal: context.signal })
  const shape = await shapeOf(source, dialect)
  const { delimiter, markBytes } = shape
  const [first, end] = partition.range ?? [0, source.size]
  const start = first === 0 ? markBytes : first
  const toDocument = documentMaker(fields, shape, partition.source)
  const batches = new Batches<Document>(context.batchBytes)
  let damage: StreamDamage | undefined
  const chunks = partition.range ? counted(source.read(start, end), context) : decoded(source, shape, context, (found) => (damage = found))
  let isHeader = first === 0 && dialect.header === true
  let reached = start
  for await (const records of csvRecords(chunks, { delimiter, start, maxRecordBytes: MAX_RECORD_BYTES, damaged: context.damaged })) {
    for (const record of records) {
      reached = record.offset + record.bytes.length
      if (isHeader || !context.begin(partition.source, record.offset)) {
        isHeader = false
        continue
      }
      const made = toDocument(record)
      if ('ignored' in made) context.ignored(made.ignored)
      else if ('code' in made) context.damaged({ ...made, offset: record.offset, length: record.bytes.length })
      else batches.add(made)
      if (batches.isFull) yield batches.take()
    }
  }
  if (damage) context.damaged({ ...damage, offset: reached, length: Math.max(1, source.size - damage.offset) })
  if (!batches.isEmpty) yield batches.take()
}

async function* counted(chunks: AsyncIterable<Buffer>, context: SourceContext): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    context.consumed(chunk.length)
    yield chunk
  }
}

/** Decompressed, as UTF-8. */
async function* decoded(
  source: ByteSource,
  { encoding, markBytes }: Shape,
  context: SourceContext,
  damaged: (damage: StreamDamage) => void,
): AsyncGenerator<Buffer> {
  const decoder = encoding === 'utf-8' ? undefined : new TextDecoder(encoding)
  let mark = markBytes
  for await (const { chunk, consumed } of decompress(source, damaged)) {
    context.consumed(consumed)
    yield decoder ? Buffer.from(decoder.decode(chunk, { stream: true })) : chunk.subarray(mark)
    mark = Math.max(0, mark - chunk.length)
  }
  if (decoder) yield Buffer.from(decoder.decode())
}

type Made = Document | { readonly ignored: string } | { readonly code: string; readonly message: string }

function documentMaker(fields: RecordFields, { delimiter, columns }: Shape, source: string): (record: CsvRecord) => Made {
  const map = recordMapper(fields)
  return ({ bytes, offset }) => {
    if (bytes.length === 0) return { ignored: 'blank_line' }
    if (!isUtf8(bytes)) return { code: 'SLUICE_CSV_UTF8', message: 'the row is not valid UTF-8' }
    const values = csvFields(bytes.toString(), delimiter)
    if (values.length !== columns.length)
      return { code: 'SLUICE_CSV_FIELDS', message: `the row has ${values.length} fields, the file ${columns.length} columns` }
    const mapped = map(Object.fromEntries(columns.map((name, index) => [name, values[index]])), source)
    if ('ignored' in mapped) return mapped
    if ('problem' in mapped) return { code: `SLUICE_CSV_${mapped.problem}`, message: mapped.message }
    return { id: documentId(source, offset), source, offset, length: bytes.length, ...mapped }
  }
}

function hasByteOrderMark(bytes: Buffer): boolean {
  return bytes.length >= 3 && bytes.readUIntBE(0, 3) === 0xefbbbf
}

function isEncoding(label: string): boolean {
  try {
    return new TextDecoder(label).encoding !== ''
  } catch {
    return false
  }
}
