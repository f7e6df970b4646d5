// The file between two phases of a run: items of any kind as blocks of Arrow IPC, compressed with zstd as a whole. The only
// place in src/io that knows what an item is, since it must give back exactly what it got.
//
//   after zstd: "sluice items 1\n", then blocks: u32 length, an Arrow IPC stream of one batch; at the end u32 0 and u32 items

import { createReadStream } from 'node:fs'
import { createZstdDecompress } from 'node:zlib'
import {
  Binary,
  Field,
  Float64,
  List,
  type RecordBatch,
  RecordBatchReader,
  Schema,
  Table,
  tableToIPC,
  Uint8,
  Uint16,
  Uint32,
  Utf8,
} from 'apache-arrow'
import {
  type Annotations,
  type Document,
  type Item,
  itemBytes,
  type TokenizedDocument,
  type Vocabulary,
  type WebPage,
} from '../core/document.ts'
import { SluiceError } from '../core/errors.ts'
import {
  binaryColumn,
  binaryValues,
  columnOf,
  float64Column,
  listValues,
  numberValues,
  recordBatch,
  uint8ListColumn,
  uint16ListColumn,
  uint32ListColumn,
  utf8Column,
  utf8Values,
} from './columns.ts'
import { CompressedFile } from './compressed-file.ts'
import { diskError } from './disk-errors.ts'

const list = (type: Uint8 | Uint16 | Uint32) => new List<Uint8 | Uint16 | Uint32>(new Field('item', type, false))
const schema = new Schema([
  new Field('id', new Utf8(), false),
  new Field('source', new Utf8(), false),
  new Field('offset', new Float64(), false),
  new Field('length', new Float64(), false),
  new Field('url', new Utf8(), true),
  new Field('date', new Utf8(), true),
  new Field('subset', new Utf8(), true),
  new Field('metadata', new Utf8(), false),
  new Field('html', new Binary(), true),
  new Field('contentType', new Utf8(), true),
  new Field('text', new Utf8(), true),
  new Field('language', new Utf8(), true),
  new Field('languageScore', new Float64(), true),
  new Field('annotations', new Utf8(), true),
  new Field('tokens16', list(new Uint16()), true),
  new Field('tokens32', list(new Uint32()), true),
  new Field('mask', list(new Uint8()), true),
  new Field('vocabulary', new Utf8(), true),
])

const MAGIC = Buffer.from('sluice items 1\n')
/** Content of a block: large enough for zstd and for few calls, small enough to hold several. */
const BLOCK_BYTES = 2 ** 21

type AnyItem = Item & Partial<Omit<WebPage, keyof Item> & Omit<Document, keyof Item> & Omit<TokenizedDocument, keyof Item>>

/**
 * Writes items. The file is whole once `close` has resolved.
 *
 * @throws SluiceError `SLUICE_DISK_FULL`, `SLUICE_PERMISSION`, `SLUICE_FILE_MISSING` (the folder), from any method
 */
export class ItemFileWriter {
  readonly #file: CompressedFile
  #pending: AnyItem[] = []
  #pendingBytes = 0
  #rows = 0

  private constructor(file: CompressedFile) {
    this.#file = file
  }

  static async create(path: string): Promise<ItemFileWriter> {
    const file = await CompressedFile.create(path, 'zst', 1) // level 1: the file is read once, soon
    await file.write(MAGIC)
    return new ItemFileWriter(file)
  }

  /** Items in order. They may be kept until the call after this one. */
  async write(items: readonly Item[]): Promise<void> {
    for (const item of items) {
      this.#pending.push(item)
      this.#pendingBytes += itemBytes(item)
      if (this.#pendingBytes >= BLOCK_BYTES) await this.#writeBlock()
    }
  }

  /** `bytes` is the size of the file. */
  async close(): Promise<{ rows: number; bytes: number }> {
    if (this.#pending.length > 0) await this.#writeBlock()
    await this.#file.write(u32(0, this.#rows))
    return { rows: this.#rows, bytes: await this.#file.close() }
  }

  async #writeBlock(): Promise<void> {
    const ipc = tableToIPC(new Table([batchOf(this.#pending)]), 'stream')
    this.#rows += this.#pending.length
    this.#pending = []
    this.#pendingBytes = 0
    await this.#file.write(u32(ipc.length))
    await this.#file.write(ipc)
  }
}

/**
 * Items in order, with the ordinal of the first of them.
 *
 * @param batchBytes batches are cut at about this many bytes of content
 * @throws SluiceError `SLUICE_ITEMS_CORRUPT`, `SLUICE_FILE_MISSING`, `SLUICE_PERMISSION`
 */
export async function* readItemFile(path: string, batchBytes: number): AsyncGenerator<{ items: Item[]; firstRow: number }> {
  let firstRow = 0
  try {
    for await (const items of blocks(path)) {
      for (let start = 0; start < items.length; ) {
        const end = cut(items, start, batchBytes)
        yield { items: items.slice(start, end), firstRow: firstRow + start }
        start = end
      }
      firstRow += items.length
    }
  } catch (error) {
    throw readError(error, path)
  }
}

function cut(items: readonly Item[], start: number, batchBytes: number): number {
  let end = start
  for (let bytes = 0; end < items.length && bytes < batchBytes; end++) bytes += itemBytes(items[end])
  return end
}

async function* blocks(path: string): AsyncGenerator<Item[]> {
  const file = createReadStream(path, { highWaterMark: 2 ** 18 })
  const stream = file.pipe(createZstdDecompress({ chunkSize: 2 ** 18 }))
  file.on('error', (error) => stream.destroy(error))
  const input = new ByteInput(stream)
  try {
    if (!MAGIC.equals(await input.take(MAGIC.length))) throw corrupt('it does not begin as such a file does')
    for (let rows = 0; ; ) {
      const length = (await input.take(4)).readUInt32LE()
      if (length === 0) {
        const told = (await input.take(4)).readUInt32LE()
        if (told !== rows) throw corrupt(`it holds ${rows} items and says ${told}`)
        await input.end() // zstd checks its sum here
        return
      }
      const items = itemsOf(await input.take(length)) // of memory of its own: byte and token arrays point into it
      rows += items.length
      yield items
    }
  } finally {
    file.destroy()
    stream.destroy()
  }
}

/** Takes exact numbers of bytes from a stream. */
class ByteInput {
  readonly #chunks: AsyncIterator<Buffer>
  #chunk: Buffer = Buffer.alloc(0)
  constructor(stream: AsyncIterable<Buffer>) {
    this.#chunks = stream[Symbol.asyncIterator]()
  }

  /** A copy, aligned to 8 bytes. */
  async take(length: number): Promise<Buffer> {
    const out = Buffer.from(new ArrayBuffer(length))
    for (let at = 0; at < length; ) {
      if (this.#chunk.length === 0 && !(await this.#next())) throw corrupt('it ends too early')
      const copied = this.#chunk.copy(out, at)
      this.#chunk = this.#chunk.subarray(copied)
      at += copied
    }
    return out
  }

  async end(): Promise<void> {
    if (this.#chunk.length > 0 || (await this.#next())) throw corrupt('it goes on behind its end')
  }

  async #next(): Promise<boolean> {
    const { value, done } = await this.#chunks.next()
    if (done) return false
    this.#chunk = value
    return true
  }
}

function u32(...values: number[]): Buffer {
  const out = Buffer.alloc(values.length * 4)
  values.forEach((value, index) => {
    out.writeUInt32LE(value, index * 4)
  })
  return out
}

function corrupt(reason: string, details: { where?: Record<string, string>; cause?: unknown } = {}): SluiceError {
  return new SluiceError('SLUICE_ITEMS_CORRUPT', `a file between two phases is damaged: ${reason}`, {
    ...details,
    fix: 'remove the file and its marker under tasks/ in the run folder: that task is done again',
  })
}

function readError(error: unknown, file: string): unknown {
  const known = diskError(error, file)
  if (known !== error) return known
  if (error instanceof SluiceError) return corrupt(error.message.replace(/^.*?: /, ''), { where: { file }, cause: error.cause })
  return corrupt(error instanceof Error ? error.message : String(error), { where: { file }, cause: error })
}

// ---- items to columns and back ----

function batchOf(items: readonly AnyItem[]): RecordBatch {
  const json = (value: unknown) => (value === undefined ? undefined : JSON.stringify(value))
  return recordBatch(schema, [
    utf8Column(items.map((item) => item.id)),
    utf8Column(items.map((item) => item.source)),
    float64Column(items.map((item) => item.offset)),
    float64Column(items.map((item) => item.length)),
    utf8Column(items.map((item) => item.url)),
    utf8Column(items.map((item) => item.date)),
    utf8Column(items.map((item) => item.subset)),
    utf8Column(items.map((item) => JSON.stringify(item.metadata))),
    binaryColumn(items.map((item) => item.html)),
    utf8Column(items.map((item) => item.contentType)),
    utf8Column(items.map((item) => item.text)),
    utf8Column(items.map((item) => item.language)),
    float64Column(items.map((item) => item.languageScore)),
    utf8Column(items.map((item) => json(item.annotations))),
    uint16ListColumn(items.map(({ tokens }) => (tokens instanceof Uint16Array ? tokens : undefined))),
    uint32ListColumn(items.map(({ tokens }) => (tokens instanceof Uint32Array ? tokens : undefined))),
    uint8ListColumn(items.map((item) => item.mask)),
    utf8Column(items.map((item) => json(item.vocabulary))),
  ])
}

function itemsOf(block: Uint8Array): Item[] {
  const batch: RecordBatch | undefined = RecordBatchReader.from(block).next().value
  if (!batch) return []
  const strings = (name: string) => utf8Values(columnOf(batch, name))
  const ids = strings('id')
  const sources = strings('source')
  const offsets = numberValues(columnOf(batch, 'offset'))
  const lengths = numberValues(columnOf(batch, 'length'))
  const urls = strings('url')
  const dates = strings('date')
  const subsets = strings('subset')
  const metadata = strings('metadata')
  const html = binaryValues(columnOf(batch, 'html'))
  const contentTypes = strings('contentType')
  const texts = strings('text')
  const languages = strings('language')
  const languageScores = numberValues(columnOf(batch, 'languageScore'))
  const annotations = strings('annotations')
  const tokens16 = listValues(columnOf(batch, 'tokens16'), Uint16Array)
  const tokens32 = listValues(columnOf(batch, 'tokens32'), Uint32Array)
  const masks = listValues(columnOf(batch, 'mask'), Uint8Array)
  const vocabularies = strings('vocabulary')
  const vocabularyOf = remembered<Vocabulary>()
  return ids.map((id = '', i) => {
    const item: { -readonly [key in keyof AnyItem]: AnyItem[key] } = {
      id,
      source: sources[i] ?? '',
      offset: offsets[i] ?? 0,
      length: lengths[i] ?? 0,
      metadata: JSON.parse(metadata[i] ?? '{}'),
    }
    if (urls[i] !== undefined) item.url = urls[i]
    if (dates[i] !== undefined) item.date = dates[i]
    if (subsets[i] !== undefined) item.subset = subsets[i]
    if (html[i] !== undefined) item.html = html[i]
    if (contentTypes[i] !== undefined) item.contentType = contentTypes[i]
    if (texts[i] !== undefined) item.text = texts[i]
    if (languages[i] !== undefined) item.language = languages[i]
    if (languageScores[i] !== undefined) item.languageScore = languageScores[i]
    if (annotations[i] !== undefined) item.annotations = parseAnnotations(annotations[i] ?? '')
    const tokens = tokens16[i] ?? tokens32[i]
    if (tokens !== undefined) item.tokens = tokens
    if (masks[i] !== undefined) item.mask = masks[i]
    if (vocabularies[i] !== undefined) item.vocabulary = vocabularyOf(vocabularies[i] ?? '')
    return item
  })
}

/** NaN, which JSON writes as null, is NaN again: a comparison with null would be true. */
function parseAnnotations(json: string): Annotations {
  const annotations = JSON.parse(json)
  if (json.includes('null')) for (const name in annotations) annotations[name] ??= Number.NaN
  return annotations
}

/** Parses JSON that is mostly the same as the last time. */
function remembered<T>(): (json: string) => T {
  let last = ''
  let value: T
  return (json) => {
    if (json !== last) value = JSON.parse((last = json))
    return value
  }
}
