// fastText's binary models, .bin and .ftz, of the versions 11 and 12: github.com/facebookresearch/fastText, where
// FastText::saveModel writes them. Little-endian: header, arguments, dictionary, input matrix, output matrix.
// fasttext-file.ts writes them.

import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { SluiceError } from '../core/errors.ts'
import { allBuckets, type BucketRows, someBuckets } from './bucket-rows.ts'
import { allocateShared, createModelMemory, describeModel, MOST_MEMORY_BYTES } from './fasttext-memory.ts'
import { CENTROIDS, DenseMatrix, type Matrix, QuantizedMatrix, type QuantizedNorms, type Quantizer } from './matrix.ts'
import type { Loss } from './training-options.ts'
import { type Allocate, allocatePlain, hashBytes, WordTable } from './word-table.ts'

/** A supervised model, checked: every row that a text can name exists. */
export interface FastTextModel {
  readonly settings: ModelSettings
  /** Tokens of the training text. */
  readonly tokens: number
  /** Words, numbered from 0, then labels. */
  readonly dictionary: WordTable
  /** How often each entry was seen in training. The tree of the hierarchical softmax follows from those of the labels. */
  readonly counts: Float64Array
  readonly wordCount: number
  readonly labels: readonly string[]
  readonly ngramRows: BucketRows
  /** Rows of the words, then of the n-grams. */
  readonly input: Matrix
  readonly output: Matrix
  /** Where all of it lies, if threads can share it and kernels/wasm/fasttext.ts can work on it: then both matrices are dense. */
  readonly memory: WebAssembly.Memory | null
}

/** What a file says of how its model was trained and of how it reads text. */
export interface ModelSettings {
  readonly dim: number
  readonly window: number
  readonly epoch: number
  readonly minCount: number
  readonly neg: number
  /** Longest n-gram of words; 1: none. */
  readonly wordNgrams: number
  readonly loss: Loss
  readonly bucket: number
  /** Characters of the shortest and the longest n-gram of a word, its borders included; maxn 0: words only. */
  readonly minn: number
  readonly maxn: number
  readonly lrUpdateRate: number
  /** Sampling threshold of word vectors: without effect on labels. */
  readonly threshold: number
}

export const MAGIC = 793712314
export const NEWEST_VERSION = 12
export const SUPERVISED = 3
export const LABEL_ENTRY = 1
/** By their numbers in the file. */
export const LOSSES: readonly (Loss | undefined)[] = [undefined, 'hs', 'ns', 'softmax', 'ova']
/** Quantized matrices up to this size are decoded: rows are added several times as fast. */
const DECODED_BYTES = 64e6
/** Longer n-grams say that these are other numbers. */
const MOST_NGRAMS = 255

/**
 * @param bytes the whole file
 * @param file its name, for messages
 * @throws SluiceError SLUICE_LANG_NOT_FASTTEXT, SLUICE_LANG_MODEL_TRUNCATED, SLUICE_LANG_MODEL_DAMAGED,
 * SLUICE_LANG_MODEL_UNSUPPORTED
 */
export function parseFastTextModel(bytes: Uint8Array, file: string): FastTextModel {
  const readInto = (target: Uint8Array, position: number) => target.set(bytes.subarray(position, position + target.length))
  return readModel(new ModelReader({ file, length: bytes.length, readInto }), null)
}

/**
 * Reads a file of any size into a memory that threads share, or, where even that is too small, into arrays of its own.
 *
 * @throws SluiceError as parseFastTextModel, and SLUICE_FILE_MISSING
 */
export function loadFastTextModel(file: string): FastTextModel {
  const handle = openModel(file)
  try {
    const { size } = fstatSync(handle)
    const readInto = (target: Uint8Array, position: number) => readWhole(handle, target, position)
    const reader = new ModelReader({ file, length: size, readInto })
    // Slots of the dictionary and decoded matrices take up to this much more than the file.
    const model = readModel(reader, size < MOST_MEMORY_BYTES - 5 * DECODED_BYTES ? createModelMemory() : null)
    const { memory, input, output } = model
    if (memory !== null && input instanceof DenseMatrix && output instanceof DenseMatrix) describeModel(memory, { ...model, input, output })
    return model
  } finally {
    closeSync(handle)
  }
}

function openModel(file: string): number {
  try {
    return openSync(file, 'r')
  } catch (cause) {
    throw new SluiceError('SLUICE_FILE_MISSING', `the model cannot be read: ${file}`, { where: { file }, fix: 'check the path', cause })
  }
}

/** In pieces: one call reads at most 2 GiB. */
function readWhole(handle: number, target: Uint8Array, position: number): void {
  for (let done = 0; done < target.length; ) {
    const size = readSync(handle, target, done, Math.min(target.length - done, 1 << 30), position + done)
    if (size === 0) return
    done += size
  }
}

function readModel(reader: ModelReader, shared: WebAssembly.Memory | null): FastTextModel {
  const allocate: Allocate = shared === null ? allocatePlain : allocateShared(shared)
  const version = readVersion(reader)
  const settings = readSettings(reader, version)
  const { prunedPairs, ...words } = readDictionary(reader, allocate)
  const isQuantized = reader.flag()
  const input = readMatrix(reader, isQuantized, allocate)
  if (!isQuantized && prunedPairs !== null) throw reader.damaged('the model is pruned but not quantized, which fastText itself refuses')
  const output = readMatrix(reader, reader.flag() && isQuantized, allocate)
  checkShapes(reader, settings, words, prunedPairs, input, output)
  const ngramRows = prunedPairs === null ? allBuckets(settings.bucket) : someBuckets(settings.bucket, prunedPairs, allocate)
  const memory = input instanceof DenseMatrix && output instanceof DenseMatrix ? shared : null
  return { settings, ...words, ngramRows, input, output, memory }
}

function readVersion(reader: ModelReader): number {
  if (reader.length < 8 || reader.int32() !== MAGIC)
    throw new SluiceError('SLUICE_LANG_NOT_FASTTEXT', 'this is not a fastText model', {
      where: { file: reader.file },
      fix: 'name a .bin or .ftz file that fastText wrote',
    })
  const version = reader.int32()
  if (version < 11 || version > NEWEST_VERSION) throw reader.unsupported(`version ${version} of the format; 11 and 12 are known`)
  return version
}

function readSettings(reader: ModelReader, version: number): ModelSettings {
  const dim = reader.int32()
  const window = reader.int32()
  const epoch = reader.int32()
  const minCount = reader.int32()
  const neg = reader.int32()
  const wordNgrams = Math.max(1, reader.int32())
  const loss = LOSSES[reader.int32()]
  const kind = reader.int32()
  const bucket = reader.int32()
  const minn = Math.max(0, reader.int32())
  const longest = reader.int32()
  const lrUpdateRate = reader.int32()
  const threshold = reader.float64()
  if (kind !== SUPERVISED) throw reader.unsupported('word vectors without labels; a supervised model is needed')
  if (loss === undefined) throw reader.damaged('the loss function is none of fastText’s')
  if (wordNgrams > MOST_NGRAMS || longest > MOST_NGRAMS) throw reader.damaged(`n-grams of ${wordNgrams} words and ${longest} characters`)
  if (dim < 1) throw reader.damaged(`vectors of ${dim} dimensions`)
  // Version 11 knew no n-grams of characters in supervised models, whatever it wrote here.
  const maxn = version === 11 ? 0 : Math.max(0, longest)
  if (bucket < 1 && (maxn > 0 || wordNgrams > 1)) throw reader.damaged(`n-grams in ${bucket} buckets`)
  return { dim, window, epoch, minCount, neg, wordNgrams, loss, bucket, minn, maxn, lrUpdateRate, threshold }
}

function readDictionary(reader: ModelReader, allocate: Allocate) {
  const size = reader.count(reader.int32())
  const wordCount = reader.count(reader.int32())
  const labelCount = reader.count(reader.int32())
  const tokens = reader.int64()
  const pruned = reader.int64()
  if (size !== wordCount + labelCount || labelCount === 0)
    throw reader.damaged(`a dictionary of ${size} entries with ${wordCount} words and ${labelCount} labels`)
  const start = reader.position
  const dictionary = new WordTable(size, reader.entryBytes(size), allocate)
  reader.position = start
  const labels: string[] = []
  const counts = new Float64Array(size)
  for (let i = 0; i < size; i++) {
    const word = reader.word()
    dictionary.add(word, 0, word.length, hashBytes(word, 0, word.length))
    if (i >= wordCount) labels.push(Buffer.from(word).toString())
    counts[i] = reader.int64()
    if ((reader.byte() === LABEL_ENTRY) !== i >= wordCount) throw reader.damaged(`entry ${i} of the dictionary is out of order`)
  }
  const prunedPairs = pruned < 0 ? null : reader.int32s(2 * reader.count(pruned))
  return { tokens, dictionary, counts, wordCount, labels, prunedPairs }
}

function readMatrix(reader: ModelReader, isQuantized: boolean, allocate: Allocate): Matrix {
  if (isQuantized) return readQuantizedMatrix(reader, allocate)
  const rows = reader.count(reader.int64())
  const columns = reader.count(reader.int64())
  return new DenseMatrix(reader.float32s(rows * columns, allocate), rows, columns)
}

function readQuantizedMatrix(reader: ModelReader, allocate: Allocate): Matrix {
  const hasNorms = reader.flag()
  const rows = reader.count(reader.int64())
  const columns = reader.count(reader.int64())
  const codes = reader.bytes(reader.count(reader.int32()))
  const quantizer = readQuantizer(reader)
  if (quantizer.columns !== columns || codes.length !== rows * quantizer.pieces)
    throw reader.damaged(`${codes.length} codes for ${rows} rows of ${columns} columns`)
  const matrix = new QuantizedMatrix(codes, quantizer, rows, hasNorms ? readNorms(reader, rows) : null)
  if (rows * columns * 4 > DECODED_BYTES) return matrix
  return matrix.decode(floatsOf(allocate(rows * columns * 4)))
}

function readNorms(reader: ModelReader, rows: number): QuantizedNorms {
  const codes = reader.bytes(rows)
  const { columns: width, centroids } = readQuantizer(reader)
  if (width !== 1) throw reader.damaged(`norms of ${width} numbers`)
  return { codes, centroids }
}

function readQuantizer(reader: ModelReader): Quantizer {
  const columns = reader.count(reader.int32())
  const pieces = reader.int32()
  const pieceColumns = reader.int32()
  const lastColumns = reader.int32()
  if (pieces < 1 || pieceColumns < 1 || lastColumns < 1 || (pieces - 1) * pieceColumns + lastColumns !== columns)
    throw reader.damaged(`a quantizer of ${columns} columns in ${pieces} pieces of ${pieceColumns}`)
  if (lastColumns > pieceColumns) throw reader.damaged(`a last piece of ${lastColumns} columns where others have ${pieceColumns}`)
  return { columns, pieces, pieceColumns, centroids: reader.float32s(columns * CENTROIDS, allocatePlain) }
}

/** What lookups rely on afterwards. */
function checkShapes(
  reader: ModelReader,
  { dim, bucket, maxn, wordNgrams }: ModelSettings,
  { wordCount, labels }: { wordCount: number; labels: readonly string[] },
  prunedPairs: Int32Array | null,
  input: Matrix,
  output: Matrix,
): void {
  if (input.columns !== dim || output.columns !== dim)
    throw reader.damaged(`matrices of ${input.columns} and ${output.columns} columns for ${dim} dimensions`)
  if (output.rows < labels.length) throw reader.damaged(`${output.rows} rows of output for ${labels.length} labels`)
  const ngramRows = input.rows - wordCount
  const usesNgrams = maxn > 0 || wordNgrams > 1
  if (ngramRows < 0 || (prunedPairs === null && usesNgrams && ngramRows < bucket))
    throw reader.damaged(`${input.rows} rows of input for ${wordCount} words and ${bucket} buckets`)
  for (let i = 0; prunedPairs !== null && i < prunedPairs.length; i += 2) {
    const [pruned, row] = [prunedPairs[i], prunedPairs[i + 1]]
    if (pruned < 0 || pruned >= bucket || row < 0 || row >= ngramRows) throw reader.damaged(`bucket ${pruned} has row ${row}`)
  }
}

interface ModelSource {
  readonly file: string
  /** Bytes. */
  readonly length: number
  readonly readInto: (target: Uint8Array, position: number) => void
}

const WINDOW_BYTES = 1 << 18

/** A cursor over the file, which it sees through a window. All it throws are SluiceErrors that say where. */
class ModelReader {
  position = 0
  readonly #source: ModelSource
  #window = new Uint8Array(0)
  #windowStart = 0

  constructor(source: ModelSource) {
    this.#source = source
  }

  get length(): number {
    return this.#source.length
  }

  get file(): string {
    return this.#source.file
  }

  damaged(what: string): SluiceError {
    return this.#error('SLUICE_LANG_MODEL_DAMAGED', `the fastText model is damaged: ${what}`, 'fetch the file again')
  }

  unsupported(what: string): SluiceError {
    return this.#error('SLUICE_LANG_MODEL_UNSUPPORTED', `the fastText model is not usable here: ${what}`, 'use another model')
  }

  #error(code: string, message: string, fix: string): SluiceError {
    return new SluiceError(code, message, { where: { file: this.file, byte: this.position }, fix })
  }

  /** Where the next `size` bytes begin; steps over them. */
  skip(size: number): number {
    const start = this.position
    if (size > this.length - start)
      throw this.#error(
        'SLUICE_LANG_MODEL_TRUNCATED',
        `the fastText model is truncated: ${size} bytes should follow, the file has ${this.length - start}`,
        'fetch the file again',
      )
    this.position += size
    return start
  }

  /** A view of the next `size` bytes, good until the next call; steps over them. */
  #take(size: number): DataView {
    const start = this.skip(size)
    this.#see(start, size)
    return new DataView(this.#window.buffer, this.#window.byteOffset + start - this.#windowStart, size)
  }

  /** Moves the window, where it does not show all of that. */
  #see(start: number, size: number): void {
    if (start >= this.#windowStart && start + size <= this.#windowStart + this.#window.length) return
    this.#window = new Uint8Array(Math.min(Math.max(size, WINDOW_BYTES), this.length - start))
    this.#windowStart = start
    this.#source.readInto(this.#window, start)
  }

  byte(): number {
    return this.#take(1).getUint8(0)
  }

  flag(): boolean {
    return this.byte() !== 0
  }

  int32(): number {
    return this.#take(4).getInt32(0, true)
  }

  float64(): number {
    return this.#take(8).getFloat64(0, true)
  }

  /** Exact up to 2^53. */
  int64(): number {
    return Number(this.#take(8).getBigInt64(0, true))
  }

  /** Refuses what cannot be a number of things in this file. */
  count(value: number): number {
    if (value < 0 || value > 0x7fffffff) throw this.damaged(`${value} as a number of things`)
    return value
  }

  bytes(size: number, allocate: Allocate = allocatePlain): Uint8Array {
    const start = this.skip(size)
    const bytes = allocate(size)
    this.#source.readInto(bytes, start)
    return bytes
  }

  /** The bytes before the next zero, good until the next call. */
  word(): Uint8Array {
    const start = this.position
    for (let size = 64; ; size *= 4) {
      const seen = Math.min(size, this.length - start)
      this.#see(start, seen)
      const from = start - this.#windowStart
      const end = this.#window.indexOf(0, from)
      if (end >= 0) {
        this.skip(end - from + 1)
        return this.#window.subarray(from, end)
      }
      if (seen === this.length - start) this.skip(seen + 1)
    }
  }

  /** Steps over so many entries of the dictionary and gives the size of their words. */
  entryBytes(entries: number): number {
    let size = 0
    for (let i = 0; i < entries; i++) {
      size += this.word().length
      this.skip(9)
    }
    return size
  }

  int32s(size: number): Int32Array {
    return new Int32Array(this.bytes(4 * size).buffer)
  }

  float32s(size: number, allocate: Allocate): Float32Array {
    return floatsOf(this.bytes(4 * size, allocate))
  }
}

export function floatsOf(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
}
