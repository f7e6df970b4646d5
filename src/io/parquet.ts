// Parquet files, a row group at a time in both directions, so that memory is bounded by the largest row group. Encoding and
// decoding is parquet-wasm's (loaded on first use: it compiles 5 MB of WASM); the file around the row groups is ours.

import { close, open, write } from 'node:fs'
import { promisify } from 'node:util'
import { type RecordBatch, RecordBatchReader, type Schema, Table, tableToIPC } from 'apache-arrow'
import type { WriterProperties } from 'parquet-wasm'
import { SluiceError } from '../core/errors.ts'
import { type ByteSource, readBytes } from './byte-source.ts'
import { diskError } from './disk-errors.ts'
import { openBytes } from './open-bytes.ts'
import {
  columnNames,
  factsOf,
  joinFooters,
  type ParquetFacts,
  parquetMagic,
  parseFooter,
  singleGroup,
  stringChunk,
  type ThriftStruct,
  takeApart,
} from './parquet-footer.ts'
import { isReadable, stringPages } from './parquet-strings.ts'

// By number: a FileHandle that a cancelled task leaves open ends the process when it is collected.
const openFile = promisify(open)
const writeFile = promisify(write)
const closeFile = promisify(close)

export type { ParquetFacts }

export interface ParquetWriterOptions {
  /** Rows of every row group but the last, whatever the sizes of the batches. `flush` cuts earlier. */
  readonly rowGroupRows?: number
  /** A row group also ends with the batch that brings it to this many bytes in memory: the bound of what is held. */
  readonly rowGroupBytes?: number
  /** Keys and values in the footer. */
  readonly metadata?: Readonly<Record<string, string>>
  readonly compression?: 'zstd' | 'none'
}

/**
 * Writes record batches of one schema. The bytes depend on the rows and on the cuts of the row groups only.
 *
 * The file is whole once `close` has resolved; write under a temporary name where someone may look earlier.
 */
export class ParquetWriter {
  readonly #path: string
  readonly #file: number
  readonly #schema: Schema
  readonly #rowGroupRows: number
  readonly #rowGroupBytes: number
  readonly #metadata: Readonly<Record<string, string>>
  readonly #compression: 'zstd' | 'none'
  readonly #groups: { footer: ThriftStruct; start: number; at: number }[] = []
  #pending: RecordBatch[] = []
  #pendingRows = 0
  #pendingBytes = 0
  #rows = 0
  #bytes = 0

  private constructor(path: string, file: number, schema: Schema, options: ParquetWriterOptions) {
    this.#path = path
    this.#file = file
    this.#schema = schema
    this.#rowGroupRows = options.rowGroupRows ?? 16_384
    this.#rowGroupBytes = options.rowGroupBytes ?? 32 * 2 ** 20
    this.#metadata = options.metadata ?? {}
    this.#compression = options.compression ?? 'zstd'
  }

  /** @throws SluiceError `SLUICE_PERMISSION`, `SLUICE_DISK_FULL`, `SLUICE_FILE_MISSING` (the folder); so do `write` and `close` */
  static async open(path: string, schema: Schema, options: ParquetWriterOptions = {}): Promise<ParquetWriter> {
    try {
      const writer = new ParquetWriter(path, await openFile(path, 'w'), schema, options)
      await writer.#append(parquetMagic)
      return writer
    } catch (error) {
      throw diskError(error, path)
    }
  }

  /** Bytes written so far; what waits for its row group is not among them. */
  get bytes(): number {
    return this.#bytes
  }

  /** Borrows the batch until its row group is written. */
  async write(batch: RecordBatch): Promise<void> {
    const bytesPerRow = batch.data.byteLength / batch.numRows
    for (let start = 0; start < batch.numRows; ) {
      const rows = Math.min(batch.numRows - start, this.#rowGroupRows - this.#pendingRows)
      this.#pending.push(rows === batch.numRows ? batch : batch.slice(start, start + rows))
      this.#pendingRows += rows
      this.#pendingBytes += rows * bytesPerRow
      start += rows
      if (this.#pendingRows === this.#rowGroupRows || this.#pendingBytes >= this.#rowGroupBytes) await this.flush()
    }
  }

  /** Ends the row group here. */
  async flush(): Promise<void> {
    if (this.#pendingRows > 0) await this.#writeGroup()
  }

  /** @param metadata more keys and values for the footer, known only now */
  async close(metadata: Readonly<Record<string, string>> = {}): Promise<{ rows: number; bytes: number }> {
    try {
      await this.flush()
      if (this.#groups.length === 0) await this.#writeGroup() // the schema of an empty file
      await this.#append(joinFooters(this.#groups, { ...this.#metadata, ...metadata }))
    } catch (error) {
      throw diskError(error, this.#path)
    } finally {
      await closeFile(this.#file)
    }
    return { rows: this.#rows, bytes: this.#bytes }
  }

  async #writeGroup(): Promise<void> {
    const { Table: WasmTable, writeParquet } = await import('parquet-wasm')
    const table = new Table(this.#schema, this.#pending)
    const file = writeParquet(WasmTable.fromIPCStream(tableToIPC(table, 'stream')), await writerProperties(this.#compression)) // both are freed by the call
    const { bytes, start, footer } = takeApart(file)
    this.#groups.push({ footer, start, at: this.#bytes })
    this.#rows += this.#pendingRows
    this.#pending = []
    this.#pendingRows = 0
    this.#pendingBytes = 0
    await this.#append(bytes)
  }

  async #append(bytes: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < bytes.length; ) at += (await writeFile(this.#file, bytes, at)).bytesWritten
      this.#bytes += bytes.length
    } catch (error) {
      throw diskError(error, this.#path)
    }
  }
}

/** One row group a call, so no other limit on it; dictionaries are left to the encoder, which gives them up where they grow. */
async function writerProperties(compression: 'zstd' | 'none'): Promise<WriterProperties> {
  const { Compression, EnabledStatistics, WriterPropertiesBuilder } = await import('parquet-wasm')
  return new WriterPropertiesBuilder()
    .setCompression(compression === 'zstd' ? Compression.ZSTD : Compression.UNCOMPRESSED)
    .setStatisticsEnabled(EnabledStatistics.Chunk)
    .setMaxRowGroupSize(2 ** 31 - 1)
    .setCreatedBy('sluice')
    .build()
}

// ---- reading ----

/**
 * @param input a path, a URL, or opened bytes
 * @throws SluiceError `SLUICE_PARQUET_INVALID`, and what opening and reading the input throws
 */
export async function readParquetFacts(input: string | ByteSource): Promise<ParquetFacts> {
  return (await openParquet(input)).facts
}

/** The Arrow schema alone. */
export async function readParquetSchema(input: string | ByteSource): Promise<Schema> {
  const { source, footer } = await openParquet(input)
  const { readSchema } = await import('parquet-wasm')
  return decoded(source.url, () => RecordBatchReader.from(readSchema(Buffer.concat([parquetMagic, footer])).intoIPCStream()).open().schema)
}

export interface ReadParquetOptions {
  /** All where not given. Names that the file lacks are left out. */
  readonly columns?: readonly string[]
  /** Range [start, end) of row groups; all where not given. */
  readonly rowGroups?: readonly [start: number, end: number]
  /** Rows of a batch; a row group at once where not given. */
  readonly batchRows?: number
}

export interface ParquetBatch {
  readonly batch: RecordBatch
  readonly rowGroup: number
  /** Ordinal in the file of the batch's first row. */
  readonly firstRow: number
}

/**
 * Batches in file order; only the row groups and columns asked for are read, one row group at a time.
 *
 * @param input a path, a URL, or opened bytes
 * @throws SluiceError `SLUICE_PARQUET_INVALID`, and what opening and reading the input throws
 */
export async function* readParquet(input: string | ByteSource, options: ReadParquetOptions = {}): AsyncGenerator<ParquetBatch> {
  const file = await openParquet(input)
  const { rowGroups } = file.facts
  const [first, end] = options.rowGroups ?? [0, rowGroups.length]
  let firstRow = rowGroups.slice(0, first).reduce((sum, { rows }) => sum + rows, 0)
  for (let rowGroup = first; rowGroup < Math.min(end, rowGroups.length); rowGroup++) {
    for (const batch of await readGroup(file, rowGroup, options)) {
      yield { batch, rowGroup, firstRow }
      firstRow += batch.numRows
    }
  }
}

/** Some rows of a row group. */
export interface ParquetRows {
  readonly rows: number
  /** Ordinal in the file of the first row. */
  readonly firstRow: number
  /** Columns of strings, undefined where null. */
  readonly strings: ReadonlyMap<string, readonly (string | undefined)[]>
  /** The other columns; absent where there are none. */
  readonly batch?: RecordBatch
}

/**
 * As `readParquet` for one row group, `batchRows` at a time, with columns of strings as such: these do not go through Arrow.
 *
 * @throws SluiceError `SLUICE_PARQUET_INVALID`, and what reading the input throws
 */
export async function* readRows(
  file: OpenParquet,
  rowGroup: number,
  columns: readonly string[] | undefined,
  batchRows: number,
): AsyncGenerator<ParquetRows> {
  const { source, tree, facts } = file
  const names = columnNames(tree).filter((name) => columns?.includes(name) ?? true)
  const found = names.map((name) => ({ name, chunk: stringChunk(tree, rowGroup, name) }))
  const readers = new Map<string, StringReader>()
  for (const { name, chunk } of found) {
    if (!chunk || !isReadable(chunk)) continue
    readers.set(name, new StringReader(stringPages(chunk, await readBytes(source, chunk.start, chunk.end))))
  }
  const others = names.filter((name) => !readers.has(name))
  const batches = others.length > 0 ? await readGroup(file, rowGroup, { columns: others, batchRows }) : undefined
  const { rows } = facts.rowGroups[rowGroup]
  const first = facts.rowGroups.slice(0, rowGroup).reduce((sum, group) => sum + group.rows, 0)
  for (let row = 0, next = 0; row < rows; next++) {
    const batch = batches?.[next]
    const count = batch?.numRows ?? Math.min(batchRows, rows - row)
    const strings = decoded(source.url, () => new Map([...readers].map(([name, reader]) => [name, reader.take(count)])), { rowGroup })
    yield { rows: count, firstRow: first + row, strings, batch }
    row += count
  }
}

/** Gives the values of pages in pieces of any length. */
class StringReader {
  readonly #pages: Generator<(string | undefined)[]>
  #page: (string | undefined)[] = []
  #at = 0

  constructor(pages: Generator<(string | undefined)[]>) {
    this.#pages = pages
  }

  take(count: number): (string | undefined)[] {
    const taken: (string | undefined)[] = []
    while (taken.length < count) {
      if (this.#at === this.#page.length) this.#turn()
      const end = Math.min(this.#page.length, this.#at + count - taken.length)
      while (this.#at < end) taken.push(this.#page[this.#at++])
    }
    return taken
  }

  #turn(): void {
    const next = this.#pages.next()
    if (next.done) throw new RangeError('a column has fewer values than its row group has rows')
    this.#page = next.value
    this.#at = 0
  }
}

export interface OpenParquet {
  readonly source: ByteSource
  /** From the Thrift struct to the end of the file. */
  readonly footer: Buffer
  readonly tree: ThriftStruct
  readonly facts: ParquetFacts
}

/**
 * Decodes a row group as a file of its own, with the bytes of the columns asked for. The library reads files too, but a
 * damaged page then ends the process: in its asynchronous code nobody can catch it.
 */
async function readGroup({ source, tree, facts }: OpenParquet, rowGroup: number, options: ReadParquetOptions): Promise<RecordBatch[]> {
  const { rows } = facts.rowGroups[rowGroup]
  const columns = options.columns && columnNames(tree).filter((name) => options.columns?.includes(name))
  if (rows === 0 || columns?.length === 0) return []
  const { ranges, footer } = decoded(source.url, () => singleGroup(tree, rowGroup, columns), { rowGroup })
  const parts: Uint8Array[] = [parquetMagic]
  for (const [start, end] of adjoining(ranges)) parts.push(await readBytes(source, start, end))
  const { readParquet: decode } = await import('parquet-wasm')
  return decoded(
    source.url,
    () => {
      const table = decode(Buffer.concat([...parts, footer]), { batchSize: options.batchRows ?? rows })
      return [...RecordBatchReader.from(table.intoIPCStream())] // frees the table
    },
    { rowGroup },
  )
}

/**
 * One row group with some of its columns, as a Parquet file of its own: the bytes of the columns as they are.
 *
 * @throws SluiceError `SLUICE_PARQUET_INVALID`, and what reading the input throws
 */
export async function* rowGroupFile(
  { source, tree }: OpenParquet,
  rowGroup: number,
  columns: readonly string[],
): AsyncGenerator<Uint8Array> {
  const { ranges, footer } = decoded(source.url, () => singleGroup(tree, rowGroup, columns), { rowGroup })
  yield parquetMagic
  for (const [start, end] of adjoining(ranges)) yield* source.read(start, end)
  yield footer
}

/** Ranges of which one begins where another ends, as one: a request each. */
function adjoining(ranges: readonly (readonly [start: number, end: number])[]): [start: number, end: number][] {
  const joined: [number, number][] = []
  for (const [start, end] of ranges) {
    const last = joined.at(-1)
    if (last?.[1] === start) last[1] = end
    else joined.push([start, end])
  }
  return joined
}

const TAIL_BYTES = 8

/** Reads the end of a file. */
export async function openParquet(input: string | ByteSource): Promise<OpenParquet> {
  const source = typeof input === 'string' ? await openBytes(input) : input
  if (source.size < TAIL_BYTES + parquetMagic.length) throw invalid(source.url, `it has only ${source.size} bytes`)
  const tail = await readBytes(source, source.size - TAIL_BYTES)
  const start = source.size - TAIL_BYTES - tail.readUInt32LE()
  if (!tail.subarray(4).equals(parquetMagic) || start < parquetMagic.length)
    throw invalid(source.url, 'it does not end as such a file does')
  const footer = await readBytes(source, start)
  return decoded(source.url, () => {
    const tree = parseFooter(footer)
    return { source, footer, tree, facts: factsOf(tree) }
  })
}

function decoded<T>(file: string, decode: () => T, where: Record<string, number> = {}): T {
  try {
    return decode()
  } catch (cause) {
    const [reason] = String(cause instanceof Error ? cause.message : cause).split('\n')
    const isPages = cause instanceof WebAssembly.RuntimeError || reason.includes('Error strings stripped') // libzstd, built small
    throw invalid(file, isPages ? 'its pages are damaged' : reason, where, cause)
  }
}

function invalid(file: string, reason: string, where: Record<string, number> = {}, cause?: unknown): SluiceError {
  return new SluiceError('SLUICE_PARQUET_INVALID', `the file cannot be read as Parquet: ${reason}`, {
    where: { file, ...where },
    fix: 'it is damaged, cut short or of another format: fetch or make it again',
    cause,
  })
}
