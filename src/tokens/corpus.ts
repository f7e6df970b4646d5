// The trainer's view of a folder of token shards (schemas/tokens.ts): which shards there are, that they mean the same by
// their ids, and their rows, a row group at a time.

import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { open, readdir, readFile, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { parseTokensMetadata, TOKENIZER_FILE, type TokensMetadata } from '../../schemas/tokens.ts'
import { SluiceError } from '../core/errors.ts'
import { type ByteSource, readBytes } from '../io/byte-source.ts'
import { columnOf, listValues, numberValues, utf8Values } from '../io/columns.ts'
import { expandInputs, isRemote } from '../io/inputs.ts'
import { openBytes } from '../io/open-bytes.ts'
import { type ParquetFacts, readParquet, readParquetFacts } from '../io/parquet.ts'
import { writeWhole } from '../io/write-whole.ts'

export interface RowGroup {
  /** Ordinal of its shard in the corpus. */
  readonly shard: number
  /** Ordinal in its shard. */
  readonly group: number
  /** Row of the shard that it begins with. */
  readonly firstRow: number
  readonly rows: number
  /** An estimate: the shard's tokens in proportion to rows. */
  readonly tokens: number
}

/** The documents of a row group, in file order. */
export interface TokenRows {
  readonly ids: readonly string[]
  readonly tokens: readonly (Uint16Array | Uint32Array)[]
  /** Undefined where the loss counts on every token. */
  readonly masks: readonly (Uint8Array | undefined)[]
}

export interface Corpus {
  readonly folder: string
  /** File names, sorted: a training log names shards by their ordinal here. */
  readonly shards: readonly string[]
  /** Tokens of each shard, as it says itself. */
  readonly shardTokens: readonly number[]
  readonly vocabulary: { readonly hash: string; readonly size: number; readonly endOfText: number }
  /** The copy of the tokenizer beside the shards, where there is one. */
  readonly tokenizerFile: string | undefined
  readonly tokens: number
  readonly documents: number
  readonly rowGroups: readonly RowGroup[]
  /** Of the shards' names, rows, tokens and plans: two corpora of one hash hold the same rows. */
  readonly hash: string
  /** @throws SluiceError `SLUICE_PARQUET_INVALID`, `SLUICE_TRAIN_SHARD_INVALID` */
  readonly readRows: (group: RowGroup) => Promise<TokenRows>
  /** Where the rows of a group come from, in file order. */
  readonly readOrigins: (group: RowGroup) => Promise<Origin[]>
}

/** What a row says of its document besides the tokens. */
export interface Origin {
  readonly id: string
  readonly url?: string
  readonly subset?: string
  readonly source: string
  readonly offset: number
}

interface OpenShard {
  readonly name: string
  /** A path, or the opened bytes of a URL. */
  readonly input: string | ByteSource
  readonly facts: ParquetFacts
  readonly metadata: TokensMetadata
}

/**
 * Opens the `.parquet` files of a folder, or one file; over a network one file, or all below `s3://bucket/prefix/`.
 *
 * @throws SluiceError `SLUICE_TRAIN_CORPUS_MISSING`, `SLUICE_TRAIN_CORPUS_EMPTY`, `SLUICE_TRAIN_SHARD_INVALID`,
 *   `SLUICE_TRAIN_VOCABULARIES`, `SLUICE_PARQUET_INVALID`
 */
export async function openCorpus(path: string): Promise<Corpus> {
  const { folder, inputs } = isRemote(path) ? await remoteShards(path) : await localShards(path)
  const shards: OpenShard[] = []
  for (const { name, input } of inputs) shards.push(await openShard(name, typeof input === 'string' ? input : await openBytes(input.url)))
  const vocabulary = commonVocabulary(folder, shards)
  return {
    folder,
    shards: shards.map(({ name }) => name),
    shardTokens: shards.map(({ metadata }) => metadata.tokens),
    vocabulary,
    tokenizerFile: isRemote(path) ? await remoteTokenizer(folder, vocabulary.hash) : await tokenizerBeside(folder, vocabulary.hash),
    tokens: shards.reduce((sum, { metadata }) => sum + metadata.tokens, 0),
    documents: shards.reduce((sum, { facts }) => sum + facts.rows, 0),
    rowGroups: shards.flatMap(rowGroupsOf),
    hash: hashOf(shards),
    readRows: (group) => readRows(shards[group.shard].input, group, vocabulary.size),
    readOrigins: (group) => readOrigins(shards[group.shard].input, group),
  }
}

/** Where the shards of a corpus are, each a corpus by itself. */
export async function listShards(path: string): Promise<{ folder: string; shards: { name: string; path: string }[] }> {
  const { folder, inputs } = isRemote(path) ? await remoteShards(path) : await localShards(path)
  return { folder, shards: inputs.map(({ name, input }) => ({ name, path: typeof input === 'string' ? input : input.url })) }
}

interface ShardInputs {
  readonly folder: string
  readonly inputs: readonly { readonly name: string; readonly input: string | { readonly url: string } }[]
}

/** What to do about something that is no corpus. */
const GIVE_SHARDS =
  "give the folder of token shards that sluice run wrote, by a pipeline that ends in .pipe(tokenize()).to(parquetShards({ path: 'corpora/mine' }))"

async function localShards(path: string): Promise<ShardInputs> {
  if (!existsSync(path))
    throw new SluiceError('SLUICE_TRAIN_CORPUS_MISSING', 'there is no such corpus', { where: { folder: path }, fix: GIVE_SHARDS })
  const isFolder = (await stat(path)).isDirectory()
  const folder = isFolder ? path : join(path, '..')
  const names = isFolder
    ? (await readdir(path)).filter((name) => name.endsWith('.parquet') && !name.startsWith('.')).sort()
    : [basename(path)]
  if (names.length === 0)
    throw new SluiceError('SLUICE_TRAIN_CORPUS_EMPTY', 'no .parquet file in this folder', { where: { folder }, fix: GIVE_SHARDS })
  if (!isFolder && !path.endsWith('.parquet') && !(await beginsAsParquet(path)))
    throw new SluiceError('SLUICE_TRAIN_SHARD_INVALID', `${names[0]} is no Parquet file: token shards are`, {
      where: { file: path },
      fix: GIVE_SHARDS,
    })
  return { folder, inputs: names.map((name) => ({ name, input: join(folder, name) })) }
}

async function beginsAsParquet(path: string): Promise<boolean> {
  await using file = await open(path, 'r')
  const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0)
  return buffer.toString('latin1', 0, bytesRead) === 'PAR1'
}

async function remoteShards(url: string): Promise<ShardInputs> {
  const inputs = await expandInputs([url], ['.parquet'])
  // what one name stands for lies below one folder
  const [first] = inputs
  const folder = first.url.slice(0, inputs.length > 1 ? first.url.length - first.path.length : first.url.lastIndexOf('/') + 1)
  return { folder, inputs: inputs.map(({ url, path }) => ({ name: inputs.length > 1 ? path : basename(path), input: { url } })) }
}

async function openShard(name: string, input: string | ByteSource): Promise<OpenShard> {
  const facts = await readParquetFacts(input)
  const metadata = parseTokensMetadata(facts.metadata)
  if (!metadata) throw invalid(nameOf(input), 'it is Parquet, but not a shard of tokens', GIVE_SHARDS)
  return { name, input, facts, metadata }
}

const nameOf = (input: string | ByteSource) => (typeof input === 'string' ? input : input.url)

function commonVocabulary(folder: string, shards: readonly OpenShard[]): Corpus['vocabulary'] {
  const [first] = shards
  const other = shards.find(({ metadata }) => metadata.vocabularyHash !== first.metadata.vocabularyHash)
  if (other)
    throw new SluiceError(
      'SLUICE_TRAIN_VOCABULARIES',
      'the shards were made with different tokenizers: equal ids would not mean the same',
      {
        where: {
          folder,
          [first.name]: first.metadata.vocabularyHash.slice(0, 12),
          [other.name]: other.metadata.vocabularyHash.slice(0, 12),
        },
        fix: 'tokenize all of them with one tokenizer, or train on one folder of them',
      },
    )
  return { hash: first.metadata.vocabularyHash, size: first.metadata.vocabularySize, endOfText: first.metadata.endOfText }
}

/** Another tokenizer's file would make nonsense of what the model writes. */
async function tokenizerBeside(folder: string, hash: string): Promise<string | undefined> {
  const file = join(folder, TOKENIZER_FILE)
  if (!existsSync(file)) return undefined
  if (
    createHash('sha256')
      .update(await readFile(file))
      .digest('hex') === hash
  )
    return file
  throw new SluiceError('SLUICE_TRAIN_VOCABULARIES', 'the tokenizer beside the shards is not the one that made them', {
    where: { file, expected: hash.slice(0, 12) },
    fix: 'put back the tokenizer.json that was written with them, or remove this one',
  })
}

/** A local copy, named after its hash; none where the server has none. */
async function remoteTokenizer(folder: string, hash: string): Promise<string | undefined> {
  const copy = join(tmpdir(), `sluice-tokenizer-${hash}.json`)
  if (existsSync(copy)) return copy
  let bytes: Uint8Array
  try {
    bytes = await readBytes(await openBytes(new URL(TOKENIZER_FILE, folder).href))
  } catch (error) {
    if (error instanceof SluiceError) return undefined
    throw error
  }
  if (createHash('sha256').update(bytes).digest('hex') !== hash) return undefined
  await writeWhole(copy, [bytes])
  return copy
}

function rowGroupsOf({ facts, metadata }: OpenShard, shard: number): RowGroup[] {
  let firstRow = 0
  return facts.rowGroups.map(({ rows }, group) => {
    const tokens = Math.round((metadata.tokens * rows) / Math.max(1, facts.rows))
    const rowGroup = { shard, group, firstRow, rows, tokens }
    firstRow += rows
    return rowGroup
  })
}

function hashOf(shards: readonly OpenShard[]): string {
  const hash = createHash('sha256')
  for (const { name, facts, metadata } of shards)
    hash.update(JSON.stringify([name, metadata.vocabularyHash, metadata.planHash, metadata.tokens, facts.rowGroups]))
  return hash.digest('hex')
}

async function readRows(input: string | ByteSource, group: RowGroup, vocabularySize: number): Promise<TokenRows> {
  const rows: { ids: string[]; tokens: (Uint16Array | Uint32Array)[]; masks: (Uint8Array | undefined)[] } = {
    ids: [],
    tokens: [],
    masks: [],
  }
  for await (const { batch } of readParquet(input, { columns: ['id', 'tokens', 'mask'], rowGroups: [group.group, group.group + 1] })) {
    const ids = utf8Values(columnOf(batch, 'id'))
    const column = columnOf(batch, 'tokens')
    const isU16 = column?.children[0]?.values instanceof Uint16Array
    const tokens = isU16 ? listValues(column, Uint16Array) : listValues(column, Uint32Array)
    const masks = listValues(columnOf(batch, 'mask'), Uint8Array)
    for (let i = 0; i < batch.numRows; i++) {
      const [id, ofDocument, mask] = [ids[i], tokens[i], masks[i]]
      if (id === undefined || ofDocument === undefined)
        throw invalid(nameOf(input), 'it lacks the columns id and tokens, or holds nulls in them')
      checkRow(nameOf(input), ofDocument, mask, vocabularySize, group.firstRow + rows.ids.length)
      rows.ids.push(id)
      rows.tokens.push(ofDocument)
      rows.masks.push(mask)
    }
  }
  return rows
}

async function readOrigins(input: string | ByteSource, { group }: RowGroup): Promise<Origin[]> {
  const origins: Origin[] = []
  for await (const { batch } of readParquet(input, {
    columns: ['id', 'url', 'subset', 'source', 'offset'],
    rowGroups: [group, group + 1],
  })) {
    const [ids, urls, subsets, sources] = ['id', 'url', 'subset', 'source'].map((name) => utf8Values(columnOf(batch, name)))
    const offsets = numberValues(columnOf(batch, 'offset'))
    // Shards of an earlier version have no subsets.
    for (let i = 0; i < batch.numRows; i++)
      origins.push({ id: ids[i] ?? '', url: urls[i], subset: subsets[i], source: sources[i] ?? '', offset: offsets[i] ?? 0 })
  }
  return origins
}

/** What would otherwise read outside the embedding's table. */
function checkRow(
  path: string,
  tokens: Uint16Array | Uint32Array,
  mask: Uint8Array | undefined,
  vocabularySize: number,
  row: number,
): void {
  let largest = 0
  for (let i = 0; i < tokens.length; i++) if (tokens[i] > largest) largest = tokens[i]
  if (largest >= vocabularySize) throw invalid(path, `row ${row} holds token ${largest}, the vocabulary has ${vocabularySize}`)
  if (mask && mask.length !== tokens.length) throw invalid(path, `row ${row} has ${tokens.length} tokens and a mask of ${mask.length}`)
}

function invalid(file: string, problem: string, fix = 'make the shard again'): SluiceError {
  return new SluiceError('SLUICE_TRAIN_SHARD_INVALID', `not a usable token shard: ${problem}`, { where: { file }, fix })
}
