// Token corpora in the files that other trainers read: llm.c's and nanoGPT-style streams, Megatron-LM's indexed datasets.
// datatrove's own files: datatrove-files.ts. Everything is written front to back; a file appears whole, by rename.

import { randomBytes } from 'node:crypto'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { diskError } from '../io/disk-errors.ts'
import { makeFolder } from '../io/make-folder.ts'
import type { Corpus } from './corpus.ts'

export const exportFormats = ['llmc', 'megatron', 'datatrove'] as const
export type ExportFormat = (typeof exportFormats)[number]

export interface ExportOptions {
  readonly folder: string
  /** First part of the file names. */
  readonly name: string
  readonly signal: AbortSignal
  readonly progress: (documents: number) => void
}

/** Bytes that are collected before they are written. */
const BUFFER_BYTES = 1 << 20

/** A file that is written under another name until it is whole. */
export class OutputFile {
  readonly path: string
  readonly #temporary: string
  readonly #file: FileHandle
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES)
  #buffered = 0

  private constructor(path: string, temporary: string, file: FileHandle) {
    this.path = path
    this.#temporary = temporary
    this.#file = file
  }

  static async create(path: string): Promise<OutputFile> {
    const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`
    try {
      return new OutputFile(path, temporary, await open(temporary, 'wx'))
    } catch (error) {
      throw diskError(error, path)
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#buffered + bytes.length > BUFFER_BYTES) await this.#flush()
    if (bytes.length > BUFFER_BYTES) return await this.#append(bytes)
    this.#buffer.set(bytes, this.#buffered)
    this.#buffered += bytes.length
  }

  /** Writes over the beginning: a header whose numbers are known at the end. */
  async writeHead(bytes: Uint8Array): Promise<void> {
    await this.#flush()
    await this.#guarded(this.#file.write(bytes, 0, bytes.length, 0))
  }

  async close(): Promise<void> {
    await this.#flush()
    await this.#guarded(this.#file.sync())
    await this.#guarded(this.#file.close())
    await this.#guarded(rename(this.#temporary, this.path))
  }

  async discard(): Promise<void> {
    await this.#file.close().catch(() => undefined) // the error before is the one to tell
    await rm(this.#temporary, { force: true })
  }

  async #flush(): Promise<void> {
    const buffered = this.#buffered
    this.#buffered = 0
    if (buffered > 0) await this.#append(this.#buffer.subarray(0, buffered))
  }

  async #append(bytes: Uint8Array): Promise<void> {
    await this.#guarded(this.#file.appendFile(bytes))
  }

  async #guarded(step: Promise<unknown>): Promise<void> {
    try {
      await step
    } catch (error) {
      throw diskError(error, this.path)
    }
  }
}

/** Ids, little-endian, in as many bytes as the vocabulary needs. */
export function idBytes(ids: ArrayLike<number>, wide: boolean): Uint8Array {
  const values = wide ? new Uint32Array(ids.length) : new Uint16Array(ids.length)
  values.set(ids)
  return new Uint8Array(values.buffer)
}

const isWide = ({ vocabulary }: Corpus) => vocabulary.size > 65_536

/** Each document's ids in the order of the corpus, without an end of text that it may have. */
export async function* bareDocuments(
  corpus: Corpus,
  { signal, progress }: Pick<ExportOptions, 'signal' | 'progress'>,
): AsyncGenerator<Uint16Array | Uint32Array> {
  let documents = 0
  for (const group of corpus.rowGroups) {
    signal.throwIfAborted()
    for (const ids of (await corpus.readRows(group)).tokens) {
      yield ids.at(-1) === corpus.vocabulary.endOfText ? ids.subarray(0, -1) : ids
      documents++
    }
    progress(documents)
  }
}

// ---- llm.c ----

/** The head of a file: 256 words of 32 bits, of which three say something. karpathy/llm.c, dev/data/data_common.py. */
const LLMC_HEAD_BYTES = 1024
const llmcKinds = { narrow: { magic: 20240520, version: 1 }, wide: { magic: 20240801, version: 7 } } as const

/**
 * `<name>_train_000000.bin`, …: the end of text in front of each document, ids of 16 bits (GPT-2's vocabulary) or 32.
 *
 * @param shardTokens a file is closed with the document that reaches this many; llm.c's own have 100 million
 */
export async function exportLlmc(corpus: Corpus, options: ExportOptions & { readonly shardTokens: number }): Promise<string[]> {
  const wide = isWide(corpus)
  const separator = idBytes([corpus.vocabulary.endOfText], wide)
  await makeFolder(options.folder)
  const paths: string[] = []
  let file: OutputFile | undefined
  let tokens = 0
  const end = async () => {
    if (!file) return
    const { magic, version } = wide ? llmcKinds.wide : llmcKinds.narrow
    const head = new Int32Array(LLMC_HEAD_BYTES / 4)
    head.set([magic, version, tokens])
    await file.writeHead(new Uint8Array(head.buffer))
    await file.close()
    file = undefined
    tokens = 0
  }
  try {
    for await (const ids of bareDocuments(corpus, options)) {
      if (!file) {
        paths.push(join(options.folder, `${options.name}_train_${String(paths.length).padStart(6, '0')}.bin`))
        file = await OutputFile.create(paths[paths.length - 1])
        await file.write(new Uint8Array(LLMC_HEAD_BYTES))
      }
      await file.write(separator)
      await file.write(idBytes(ids, wide))
      tokens += ids.length + 1
      if (tokens >= options.shardTokens) await end()
    }
    await end()
  } finally {
    await file?.discard()
  }
  return paths
}

// ---- Megatron-LM ----

/** Codes of numpy types in the index. NVIDIA/Megatron-LM, megatron/core/datasets/indexed_dataset.py. */
const megatronTypes = { narrow: 8, wide: 4 } as const // uint16, int32

/** `<name>.bin` and `<name>.idx`: ids with their end of text, a sequence a document. */
export async function exportMegatron(corpus: Corpus, options: ExportOptions): Promise<string[]> {
  const wide = isWide(corpus)
  const idSize = wide ? 4 : 2
  await makeFolder(options.folder)
  const separator = idBytes([corpus.vocabulary.endOfText], wide)
  const lengths: number[] = []
  const data = await OutputFile.create(join(options.folder, `${options.name}.bin`))
  try {
    for await (const ids of bareDocuments(corpus, options)) {
      await data.write(idBytes(ids, wide))
      await data.write(separator)
      lengths.push(ids.length + 1)
    }
    await data.close()
  } catch (error) {
    await data.discard()
    throw error
  }
  const count = lengths.length
  const index = Buffer.alloc(9 + 8 + 1 + 8 + 8 + 4 * count + 8 * count + 8 * (count + 1))
  index.write('MMIDIDX\0\0', 'latin1')
  index.writeBigUInt64LE(1n, 9)
  index.writeUInt8(wide ? megatronTypes.wide : megatronTypes.narrow, 17)
  index.writeBigUInt64LE(BigInt(count), 18)
  index.writeBigUInt64LE(BigInt(count + 1), 26)
  let byte = 0
  for (const [i, length] of lengths.entries()) {
    index.writeInt32LE(length, 34 + 4 * i)
    index.writeBigInt64LE(BigInt(byte), 34 + 4 * count + 8 * i)
    byte += length * idSize
  }
  for (let i = 0; i <= count; i++) index.writeBigInt64LE(BigInt(i), 34 + 12 * count + 8 * i)
  const file = await OutputFile.create(join(options.folder, `${options.name}.idx`))
  await file.write(index)
  await file.close()
  return [data.path, file.path]
}
