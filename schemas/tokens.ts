// The contract between the data half and the trainer: one row a document in Parquet shards, readable by DuckDB, Polars,
// PyArrow and Hugging Face `datasets` too. The file's own metadata says what the ids mean and which plan made them.

import { Field, Int64, List, Schema, Uint8, Uint16, Uint32, Utf8 } from 'apache-arrow'
import { z } from 'zod'

/** Vocabularies up to this size are stored as u16. */
export const LARGEST_U16_VOCABULARY = 65_536

/** Name of the copy of the tokenizer that lies beside the shards. */
export const TOKENIZER_FILE = 'tokenizer.json'

/** `tokens` is list<u16> or list<u32> by the size of the vocabulary; `mask` (same lengths, 1 where the loss counts) is null where it counts everywhere. */
export function tokensSchema(vocabularySize: number): Schema {
  const id = vocabularySize <= LARGEST_U16_VOCABULARY ? new Uint16() : new Uint32()
  return new Schema([
    new Field('id', new Utf8(), false),
    new Field('tokens', new List(new Field('item', id, false)), false),
    new Field('mask', new List(new Field('item', new Uint8(), false)), true),
    new Field('url', new Utf8(), true),
    new Field('subset', new Utf8(), true),
    new Field('source', new Utf8(), false),
    new Field('offset', new Int64(), false),
  ])
}

/** What a token shard says about itself, in the key-value metadata of the Parquet file. */
export interface TokensMetadata {
  /** Hash of the tokenizer's file: ids of equal hashes mean the same. */
  readonly vocabularyHash: string
  readonly vocabularySize: number
  /** Id of the token that ends a document. Rows may or may not end in it: readers add it where it lacks. */
  readonly endOfText: number
  /** Tokens in this file. */
  readonly tokens: number
  readonly planHash: string
}

const count = z.string().regex(/^\d+$/).transform(Number)
const fileKeys = z.object({
  'sluice.vocabularyHash': z.string(),
  'sluice.vocabularySize': count,
  'sluice.endOfText': count,
  'sluice.tokens': count,
  'sluice.planHash': z.string(),
})

/** As Parquet keys and values. */
export function serializeTokensMetadata(metadata: TokensMetadata): Record<string, string> {
  return Object.fromEntries(Object.entries(metadata).map(([key, value]) => [`sluice.${key}`, String(value)]))
}

/** From a Parquet file's keys and values; undefined where they are not those of a token shard. */
export function parseTokensMetadata(keys: Readonly<Record<string, string>>): TokensMetadata | undefined {
  const parsed = fileKeys.safeParse(keys)
  if (!parsed.success) return undefined
  const { data } = parsed
  return {
    vocabularyHash: data['sluice.vocabularyHash'],
    vocabularySize: data['sluice.vocabularySize'],
    endOfText: data['sluice.endOfText'],
    tokens: data['sluice.tokens'],
    planHash: data['sluice.planHash'],
  }
}
