// Sink: Parquet shards of documents or of tokens. Where shards and row groups are cut depends on the items alone.

import { copyFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Data, Schema } from 'apache-arrow'
import { z } from 'zod'
import { type AnnotationType, documentSchema } from '../schemas/document.ts'
import { LARGEST_U16_VOCABULARY, serializeTokensMetadata, TOKENIZER_FILE, tokensSchema } from '../schemas/tokens.ts'
import { type Annotations, type Document, itemBytes, type TokenizedDocument, type Vocabulary } from '../src/core/document.ts'
import { SluiceError } from '../src/core/errors.ts'
import type { Shard, Sink, SinkContext, SinkRun } from '../src/core/stage.ts'
import {
  float64Column,
  int64Column,
  recordBatch,
  uint8ListColumn,
  uint16ListColumn,
  uint32ListColumn,
  utf8Column,
} from '../src/io/columns.ts'
import { diskError } from '../src/io/disk-errors.ts'
import { documentColumns } from '../src/io/document-columns.ts'
import { ParquetWriter } from '../src/io/parquet.ts'

export const parquetShardsOptions = z.strictObject({
  path: z.string().min(1).describe('folder for the shards'),
  shardBytes: z
    .int()
    .min(1)
    .default(256 * 2 ** 20)
    .describe('a shard is closed with the row group that reaches this many bytes, compressed'),
  rowGroupTokens: z
    .int()
    .min(1)
    .default(2 ** 20)
    .describe('token shards: tokens of a row group, which is what a reader decodes at once'),
  rowGroupBytes: z
    .int()
    .min(1)
    .default(32 * 2 ** 20)
    .describe('document shards: bytes of text of a row group, before compression'),
  annotations: z
    .record(z.string(), z.enum(['number', 'string']))
    .default({})
    .describe('annotations that get a column of their own, with its type; the others go into the column annotations as JSON'),
})
export type ParquetShardsOptions = z.input<typeof parquetShardsOptions>
type Limits = Omit<z.output<typeof parquetShardsOptions>, 'path'>

/**
 * Writes `<partition>-<part>.parquet`. Documents get the columns of `schemas/document`, tokenized documents those of
 * `schemas/tokens`, with the tokenizer's file beside the shards as `tokenizer.json`.
 */
export function parquetShards(options: ParquetShardsOptions): Sink<Document | TokenizedDocument> {
  const { path, ...limits } = parquetShardsOptions.parse(options)
  return { kind: 'sink', name: 'parquetShards', version: 2, options: limits, path, open: async (context) => openShards(limits, context) }
}

/** What the items are shows with the first one; all of a sink must be the same. */
function openShards(limits: Limits, context: SinkContext): SinkRun<Document | TokenizedDocument> {
  let documents: ShardSequence<Document> | undefined
  let tokens: ShardSequence<TokenizedDocument> | undefined
  let vocabulary: Vocabulary | undefined
  return {
    write: async (batch) => {
      for (const item of batch) {
        if (!('tokens' in item)) {
          if (tokens) throw mixed('documents that are tokenized and documents that are not')
          documents ??= new ShardSequence(documentLayout(limits), limits.shardBytes, context)
          if (documents.add(item)) await documents.endRowGroup()
        } else {
          if (documents) throw mixed('documents that are tokenized and documents that are not')
          vocabulary ??= item.vocabulary
          if (item.vocabulary.hash !== vocabulary.hash) throw mixed('tokens of two tokenizers')
          tokens ??= new ShardSequence(tokensLayout(limits, vocabulary, context.planHash), limits.shardBytes, context)
          if (tokens.add(item)) await tokens.endRowGroup()
        }
      }
    },
    close: async () => {
      const shards = (await (documents ?? tokens)?.close()) ?? []
      return vocabulary ? [...shards, await copyTokenizer(vocabulary.file, context.folder)] : shards
    },
  }
}

// ---- shards of one kind ----

interface Layout<T> {
  readonly schema: Schema
  /** A row group ends with the item that brings the sum of sizes here. */
  readonly rowGroupSize: number
  readonly sizeOf: (item: T) => number
  /** In the schema's order. */
  readonly columns: (items: readonly T[]) => Data[]
  /** @param size sum of the sizes of a shard's items */
  readonly describe: (size: number) => { readonly metadata: Readonly<Record<string, string>>; readonly tokens?: number }
}

class ShardSequence<T> {
  readonly #layout: Layout<T>
  readonly #shardBytes: number
  readonly #context: SinkContext
  readonly #shards: Shard[] = []
  #writer: ParquetWriter | undefined
  #items: T[] = []
  #groupSize = 0
  #shardSize = 0

  constructor(layout: Layout<T>, shardBytes: number, context: SinkContext) {
    this.#layout = layout
    this.#shardBytes = shardBytes
    this.#context = context
  }

  /** @returns true where the row group is full: end it before adding more */
  add(item: T): boolean {
    this.#items.push(item)
    this.#groupSize += this.#layout.sizeOf(item)
    return this.#groupSize >= this.#layout.rowGroupSize
  }

  async endRowGroup(): Promise<void> {
    const { schema, columns } = this.#layout
    this.#writer ??= await ParquetWriter.open(join(this.#context.folder, this.#name), schema, { rowGroupRows: Number.POSITIVE_INFINITY })
    await this.#writer.write(recordBatch(schema, columns(this.#items)))
    await this.#writer.flush()
    this.#shardSize += this.#groupSize
    this.#items = []
    this.#groupSize = 0
    if (this.#writer.bytes >= this.#shardBytes) await this.#endShard(this.#writer)
  }

  async close(): Promise<Shard[]> {
    if (this.#items.length > 0) await this.endRowGroup()
    if (this.#writer) await this.#endShard(this.#writer)
    return this.#shards
  }

  get #name(): string {
    return `${this.#context.partition}-${this.#shards.length}.parquet`
  }

  async #endShard(writer: ParquetWriter): Promise<void> {
    const { metadata, ...counts } = this.#layout.describe(this.#shardSize)
    const written = await writer.close(metadata)
    this.#shards.push({ name: this.#name, ...written, ...counts })
    this.#writer = undefined
    this.#shardSize = 0
  }
}

function documentLayout({ annotations, rowGroupBytes }: Limits): Layout<Document> {
  const columnNames = Object.keys(annotations)
  return {
    schema: documentSchema(annotations),
    rowGroupSize: rowGroupBytes,
    sizeOf: itemBytes,
    describe: () => ({ metadata: {} }),
    columns: (items) => [
      ...documentColumns(items, (all) => otherAnnotations(all, columnNames)),
      ...columnNames.map((name) => annotationColumn(items, name, annotations[name])),
    ],
  }
}

function otherAnnotations(all: Annotations, columnNames: readonly string[]): string | undefined {
  const others = Object.entries(all).filter(([name]) => !columnNames.includes(name))
  return others.length > 0 ? JSON.stringify(Object.fromEntries(others)) : undefined
}

function annotationColumn(items: readonly Document[], name: string, type: AnnotationType): Data {
  const values = items.map((item) => item.annotations?.[name])
  if (type === 'string')
    return utf8Column(values.map((value) => (value === undefined || typeof value === 'string' ? value : JSON.stringify(value))))
  return float64Column(values.map((value) => (value === undefined || Number.isNaN(value) ? undefined : Number(value))))
}

function tokensLayout({ rowGroupTokens }: Limits, vocabulary: Vocabulary, planHash: string): Layout<TokenizedDocument> {
  const { hash, size, endOfText } = vocabulary
  const listColumn = size <= LARGEST_U16_VOCABULARY ? uint16ListColumn : uint32ListColumn
  return {
    schema: tokensSchema(size),
    rowGroupSize: rowGroupTokens,
    sizeOf: ({ tokens }) => tokens.length,
    describe: (tokens) => ({
      tokens,
      metadata: serializeTokensMetadata({ vocabularyHash: hash, vocabularySize: size, endOfText, tokens, planHash }),
    }),
    columns: (items) => [
      utf8Column(items.map(({ id }) => id)),
      listColumn(items.map(({ tokens }) => tokens)),
      uint8ListColumn(items.map(({ mask }) => mask)),
      utf8Column(items.map(({ url }) => url)),
      utf8Column(items.map(({ subset }) => subset)),
      utf8Column(items.map(({ source }) => source)),
      int64Column(items.map(({ offset }) => offset)),
    ],
  }
}

async function copyTokenizer(file: string, folder: string): Promise<Shard> {
  const copy = join(folder, TOKENIZER_FILE)
  try {
    await copyFile(file, copy)
    return { name: TOKENIZER_FILE, rows: 0, bytes: (await stat(copy)).size }
  } catch (error) {
    throw diskError(error, file)
  }
}

function mixed(what: string): SluiceError {
  return new SluiceError('SLUICE_SHARDS_MIXED', `one sink gets ${what}`, { fix: 'give each kind a pipeline, or a sink, of its own' })
}
