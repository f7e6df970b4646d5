// A global shuffle of token corpora, and their mixture by weights. Two passes over disk: documents are scattered over buckets by
// the hash of their ids, then each bucket is sorted by it. So the order depends on the seed and the documents alone, not on how
// the shards were cut; memory holds one bucket.

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Item, TokenizedDocument } from '../core/document.ts'
import { SluiceError } from '../core/errors.ts'
import { hash128, idInEpoch, sampleFraction } from '../core/identity.ts'
import { ItemFileWriter, readItemFile } from '../io/item-file.ts'
import { makeFolder } from '../io/make-folder.ts'
import type { Corpus } from './corpus.ts'
import { readDocuments } from './documents.ts'

export interface Part {
  readonly corpus: Corpus
  /** How often each document is taken, in epochs: 0.3 takes three in ten, 2 takes all twice. */
  readonly weight: number
}

export interface ShuffleOptions {
  readonly seed: number
  /** Folder for the buckets; made, and gone afterwards. */
  readonly workFolder: string
  readonly memoryBytes: number
  readonly signal: AbortSignal
  /** Documents scattered so far, or written. */
  readonly progress: (pass: 'scatter' | 'write', documents: number) => void
}

/** A bucket in memory takes its tokens, and some hundred bytes a document. */
const MEMORY_PER_TOKEN = 4
const MEMORY_PER_DOCUMENT = 600
const MOST_BUCKETS = 512
const READ_BYTES = 1 << 22

/**
 * The documents in their new order, in batches. A document that is taken again has an id of its own (`idInEpoch`), as in
 * a mixture of sources.
 *
 * @throws SluiceError `SLUICE_TRAIN_VOCABULARIES` where the tokenizers differ, `SLUICE_TOKENS_MEMORY` where a bucket would not fit
 */
export async function* shuffled(parts: readonly Part[], options: ShuffleOptions): AsyncGenerator<TokenizedDocument[]> {
  checkVocabularies(parts)
  const buckets = bucketCount(parts, options.memoryBytes)
  await makeFolder(options.workFolder)
  try {
    await scatter(parts, buckets, options)
    let written = 0
    for (let bucket = 0; bucket < buckets; bucket++) {
      const documents = await readBucket(bucketFile(options.workFolder, bucket))
      const keys = new Map(documents.map((document) => [document, keyOf(document.id, options.seed)]))
      const key = (document: TokenizedDocument) => keys.get(document) ?? ''
      documents.sort((a, b) => (key(a) < key(b) ? -1 : 1))
      options.signal.throwIfAborted()
      yield documents
      written += documents.length
      options.progress('write', written)
    }
  } finally {
    await rm(options.workFolder, { recursive: true, force: true })
  }
}

function checkVocabularies(parts: readonly Part[]): void {
  const [first] = parts
  const other = parts.find(({ corpus }) => corpus.vocabulary.hash !== first.corpus.vocabulary.hash)
  if (other)
    throw new SluiceError(
      'SLUICE_TRAIN_VOCABULARIES',
      'the corpora were made with different tokenizers: equal ids would not mean the same',
      {
        where: {
          [first.corpus.folder]: first.corpus.vocabulary.hash.slice(0, 12),
          [other.corpus.folder]: other.corpus.vocabulary.hash.slice(0, 12),
        },
        fix: 'tokenize all of them with one tokenizer',
      },
    )
}

function bucketCount(parts: readonly Part[], memoryBytes: number): number {
  const needed = parts.reduce(
    (sum, { corpus, weight }) => sum + weight * (corpus.tokens * MEMORY_PER_TOKEN + corpus.documents * MEMORY_PER_DOCUMENT),
    0,
  )
  // Buckets differ in size: half of the memory for an average one.
  const buckets = Math.max(1, Math.ceil((2 * needed) / memoryBytes))
  if (buckets <= MOST_BUCKETS) return buckets
  throw new SluiceError('SLUICE_TOKENS_MEMORY', `shuffling ${Math.ceil(needed / 1e9)} GB of documents needs more memory`, {
    where: { memoryBytes },
    fix: `give at least ${Math.ceil((2 * needed) / MOST_BUCKETS / 1e6)} MB`,
  })
}

const bucketFile = (folder: string, bucket: number) => join(folder, `bucket-${bucket}`)

/** 32 hex digits: where a document stands in the new order. */
function keyOf(id: string, seed: number): string {
  return hash128(`shuffle ${seed}\n${id}`)
}

async function scatter(parts: readonly Part[], buckets: number, { seed, workFolder, signal, progress }: ShuffleOptions): Promise<void> {
  const writers = await Promise.all(Array.from({ length: buckets }, (_, bucket) => ItemFileWriter.create(bucketFile(workFolder, bucket))))
  let scattered = 0
  for (const { corpus, weight } of parts)
    for await (const documents of readDocuments(corpus)) {
      signal.throwIfAborted()
      const byBucket = new Map<number, Item[]>()
      for (const document of documents)
        for (const copy of copiesOf(document, weight, seed)) {
          const bucket = Math.floor((Number.parseInt(keyOf(copy.id, seed).slice(0, 8), 16) / 2 ** 32) * buckets)
          byBucket.set(bucket, [...(byBucket.get(bucket) ?? []), copy])
        }
      for (const [bucket, items] of byBucket) await writers[bucket].write(items)
      scattered += documents.length
      progress('scatter', scattered)
    }
  for (const writer of writers) await writer.close()
}

/** The document once an epoch; of the last epoch a share, chosen by ids. */
function copiesOf(document: TokenizedDocument, weight: number, seed: number): TokenizedDocument[] {
  const whole = Math.floor(weight)
  const isInLast = weight > whole && sampleFraction(document.id, `mixture ${seed}`) < weight - whole
  return Array.from({ length: whole + Number(isInLast) }, (_, epoch) => ({ ...document, id: idInEpoch(document.id, epoch) }))
}

async function readBucket(file: string): Promise<TokenizedDocument[]> {
  const documents: TokenizedDocument[] = []
  for await (const { items } of readItemFile(file, READ_BYTES)) for (const item of items) if (isTokenized(item)) documents.push(item)
  return documents
}

function isTokenized(item: Item): item is TokenizedDocument {
  return 'tokens' in item && 'vocabulary' in item
}
