// Token corpora for the trainer's tests: in memory, and as real Parquet shards in a temporary folder.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { serializeTokensMetadata, type TokensMetadata, tokensSchema } from '../../schemas/tokens.ts'
import { hash128 } from '../../src/core/identity.ts'
import { int64Column, recordBatch, uint8ListColumn, uint16ListColumn, utf8Column } from '../../src/io/columns.ts'
import { ParquetWriter } from '../../src/io/parquet.ts'
import type { Corpus, RowGroup } from '../../src/tokens/corpus.ts'
import { randomUint32 } from '../../src/train/shuffle.ts'

export interface TestDocument {
  readonly tokens: readonly number[]
  readonly mask?: readonly number[]
}

export const END_OF_TEXT = 0

/** Id of the n-th document of a test corpus. */
export const idOf = (ordinal: number) => hash128(`document ${ordinal}`)

/** A corpus in memory: one list of documents a row group, two row groups a shard. */
export function memoryCorpus(groups: readonly (readonly TestDocument[])[], vocabularySize = 60_000): Corpus {
  const rowGroups: RowGroup[] = groups.map((documents, index) => ({
    shard: index >> 1,
    group: index & 1,
    firstRow: index & 1 ? groups[index - 1].length : 0,
    rows: documents.length,
    tokens: documents.reduce((sum, { tokens }) => sum + tokens.length, 0),
  }))
  const before = rowGroups.map((_, index) => groups.slice(0, index).reduce((sum, documents) => sum + documents.length, 0))
  return {
    folder: 'memory',
    shards: Array.from({ length: (groups.length + 1) >> 1 }, (_, shard) => `${shard}.parquet`),
    shardTokens: [],
    vocabulary: { hash: 'test', size: vocabularySize, endOfText: END_OF_TEXT },
    tokenizerFile: undefined,
    tokens: rowGroups.reduce((sum, { tokens }) => sum + tokens, 0),
    documents: groups.flat().length,
    rowGroups,
    hash: 'test',
    readRows: async (group) => {
      const index = rowGroups.indexOf(group)
      return {
        ids: groups[index].map((_, row) => idOf(before[index] + row)),
        tokens: groups[index].map(({ tokens }) => Uint16Array.from(tokens)),
        masks: groups[index].map(({ mask }) => mask && Uint8Array.from(mask)),
      }
    },
    readOrigins: async (group) =>
      groups[rowGroups.indexOf(group)].map((_, row) => ({
        id: idOf(before[rowGroups.indexOf(group)] + row),
        source: 'memory',
        offset: row,
      })),
  }
}

/** Documents whose next token follows from the last one most of the time, so that a model has something to learn. */
export function markovDocuments(count: number, vocabularySize: number, seed: number): TestDocument[] {
  const random = randomUint32(seed)
  return Array.from({ length: count }, () => {
    const tokens = [1 + (random() % (vocabularySize - 1))]
    const length = 20 + (random() % 100)
    while (tokens.length < length) {
      const last = tokens[tokens.length - 1]
      tokens.push(random() % 5 === 0 ? 1 + (random() % (vocabularySize - 1)) : 1 + ((last * 7 + 3) % (vocabularySize - 1)))
    }
    return { tokens }
  })
}

/** Writes one shard of tokens as `parquetShards` does. */
export async function writeShard(
  path: string,
  documents: readonly TestDocument[],
  { firstOrdinal = 0, rowGroupRows = 64, ...metadata }: Partial<TokensMetadata> & { firstOrdinal?: number; rowGroupRows?: number } = {},
): Promise<void> {
  const schema = tokensSchema(metadata.vocabularySize ?? 64)
  const writer = await ParquetWriter.open(path, schema, {
    rowGroupRows,
    metadata: serializeTokensMetadata({
      vocabularyHash: 'test',
      vocabularySize: 64,
      endOfText: END_OF_TEXT,
      tokens: documents.reduce((sum, { tokens }) => sum + tokens.length, 0),
      planHash: 'plan',
      ...metadata,
    }),
  })
  await writer.write(
    recordBatch(schema, [
      utf8Column(documents.map((_, row) => idOf(firstOrdinal + row))),
      uint16ListColumn(documents.map(({ tokens }) => Uint16Array.from(tokens))),
      uint8ListColumn(documents.map(({ mask }) => mask && Uint8Array.from(mask))),
      utf8Column(documents.map(() => undefined)),
      utf8Column(documents.map(() => undefined)),
      utf8Column(documents.map(() => 'file:///test.jsonl')),
      int64Column(documents.map((_, row) => row)),
    ]),
  )
  await writer.close()
}

/** A temporary folder that goes with the test. */
export async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'sluice-train-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
