// Reads fastText's binary models, .bin and .ftz, of the versions 11 and 12: github.com/facebookresearch/fastText, where
// FastText::saveModel writes them. Little-endian: header, arguments, dictionary, input matrix, output matrix.

import { SluiceError } from '../core/errors.ts'
import { allBuckets, type BucketRows, someBuckets } from './bucket-rows.ts'
import { CENTROIDS, DenseMatrix, type Matrix, QuantizedMatrix, type Quantizer } from './matrix.ts'
import { hashBytes, WordTable } from './word-table.ts'

/** A supervised model, checked: every row that a text can name exists. */
export interface FastTextModel {
  readonly dimensions: number
  /** Characters of the shortest and the longest n-gram of a word, its borders included; maximum 0: words only. */
  readonly characterNgrams: { readonly minimum: number; readonly maximum: number }
  /** Longest n-gram of words; 1: none. */
  readonly wordNgrams: number
  readonly loss: Loss
  /** Words, numbered from 0, then labels. */
  readonly dictionary: WordTable
  readonly wordCount: number
  readonly labels: readonly string[]
  /** How often each label was seen in training: the tree of the hierarchical softmax follows from it. */
  readonly labelCounts: Float64Array
  readonly ngramRows: BucketRows
  /** Rows of the words, then of the n-grams. */
  readonly input: Matrix
  readonly output: Matrix
}

/** Where the scores come from. Negative sampling predicts like one-vs-all. */
export type Loss = 'hierarchicalSoftmax' | 'softmax' | 'oneVsAll'

const MAGIC = 793712314
const NEWEST_VERSION = 12
const SUPERVISED = 3
const LOSSES: Readonly<Record<number, Loss>> = { 1: 'hierarchicalSoftmax', 2: 'oneVsAll', 3: 'softmax', 4: 'oneVsAll' }
const LABEL_ENTRY = 1
/** Quantized matrices up to this size are decoded: rows are added several times as fast. */
const DECODED_BYTES = 64e6

/**
 * @param bytes the whole file; large matrices keep parts of it
 * @param file its name, for messages
 * @throws SluiceError SLUICE_LANG_NOT_FASTTEXT, SLUICE_LANG_MODEL_TRUNCATED, SLUICE_LANG_MODEL_DAMAGED,
 * SLUICE_LANG_MODEL_UNSUPPORTED
 */
export function parseFastTextModel(bytes: Uint8Array, file: string): FastTextModel {
  const reader = new ModelReader(bytes, file)
  const version = readVersion(reader)
  const parameters = readArguments(reader, version)
  const dictionary = readDictionary(reader)
  const isQuantized = reader.flag()
  const input = readMatrix(reader, isQuantized)
  if (!isQuantized && dictionary.prunedPairs !== null)
    throw reader.damaged('the model is pruned but not quantized, which fastText itself refuses')
  const output = readMatrix(reader, reader.flag() && isQuantized)
  checkShapes(reader, parameters, dictionary, input, output)
  const { buckets, ...kept } = parameters
  const { prunedPairs, ...words } = dictionary
  const ngramRows = prunedPairs === null ? allBuckets(buckets) : someBuckets(buckets, prunedPairs)
  return { ...kept, ...words, ngramRows, input, output }
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

function readArguments(reader: ModelReader, version: number) {
  const dimensions = reader.int32()
  reader.skip(16) // window, epochs, smallest count, negatives: of training only
  const wordNgrams = reader.int32()
  const loss = LOSSES[reader.int32()]
  const kind = reader.int32()
  const buckets = reader.int32()
  const minimum = reader.int32()
  const maximum = reader.int32()
  reader.skip(12) // rate of updates, sampling threshold
  if (kind !== SUPERVISED) throw reader.unsupported('word vectors without labels; a supervised model is needed')
  if (loss === undefined) throw reader.damaged('the loss function is none of fastText’s')
  if (dimensions < 1) throw reader.damaged(`vectors of ${dimensions} dimensions`)
  // Version 11 knew no n-grams of characters in supervised models, whatever it wrote here.
  const characterNgrams = { minimum, maximum: version === 11 ? 0 : maximum }
  if (buckets < 1 && (characterNgrams.maximum > 0 || wordNgrams > 1)) throw reader.damaged(`n-grams in ${buckets} buckets`)
  return { dimensions, characterNgrams, wordNgrams, loss, buckets }
}

function readDictionary(reader: ModelReader) {
  const size = reader.count(reader.int32())
  const wordCount = reader.count(reader.int32())
  const labelCount = reader.count(reader.int32())
  reader.skip(8) // tokens seen in training
  const pruned = reader.int64()
  if (size !== wordCount + labelCount || labelCount === 0)
    throw reader.damaged(`a dictionary of ${size} entries with ${wordCount} words and ${labelCount} labels`)
  const start = reader.position
  const dictionary = new WordTable(size, reader.entryBytes(size))
  reader.position = start
  const labels: string[] = []
  const labelCounts = new Float64Array(labelCount)
  for (let i = 0; i < size; i++) {
    const word = reader.word()
    const count = reader.int64()
    if ((reader.byte() === LABEL_ENTRY) !== i >= wordCount) throw reader.damaged(`entry ${i} of the dictionary is out of order`)
    dictionary.add(word, 0, word.length, hashBytes(word, 0, word.length))
    if (i < wordCount) continue
    labelCounts[labels.length] = count
    labels.push(Buffer.from(word).toString())
  }
  const prunedPairs = pruned < 0 ? null : reader.int32s(2 * reader.count(pruned))
  return { dictionary, wordCount, labels, labelCounts, prunedPairs }
}

function readMatrix(reader: ModelReader, isQuantized: boolean): Matrix {
  if (isQuantized) return readQuantizedMatrix(reader)
  const rows = reader.count(reader.int64())
  const columns = reader.count(reader.int64())
  return new DenseMatrix(reader.float32s(rows * columns), rows, columns)
}

function readQuantizedMatrix(reader: ModelReader): Matrix {
  const hasNorms = reader.flag()
  const rows = reader.count(reader.int64())
  const columns = reader.count(reader.int64())
  const codes = reader.bytes(reader.count(reader.int32()))
  const quantizer = readQuantizer(reader)
  if (quantizer.columns !== columns || codes.length !== rows * quantizer.pieces)
    throw reader.damaged(`${codes.length} codes for ${rows} rows of ${columns} columns`)
  const norms = new Float32Array(rows).fill(1)
  if (hasNorms) {
    const normCodes = reader.bytes(rows)
    const { columns: width, centroids } = readQuantizer(reader)
    if (width !== 1) throw reader.damaged(`norms of ${width} numbers`)
    for (let i = 0; i < rows; i++) norms[i] = centroids[normCodes[i]]
  }
  const matrix = new QuantizedMatrix(codes, quantizer, norms)
  return rows * columns * 4 <= DECODED_BYTES ? matrix.decode() : matrix
}

function readQuantizer(reader: ModelReader): Quantizer {
  const columns = reader.count(reader.int32())
  const pieces = reader.int32()
  const pieceColumns = reader.int32()
  const lastColumns = reader.int32()
  if (pieces < 1 || pieceColumns < 1 || lastColumns < 1 || (pieces - 1) * pieceColumns + lastColumns !== columns)
    throw reader.damaged(`a quantizer of ${columns} columns in ${pieces} pieces of ${pieceColumns}`)
  if (lastColumns > pieceColumns) throw reader.damaged(`a last piece of ${lastColumns} columns where others have ${pieceColumns}`)
  return { columns, pieces, pieceColumns, centroids: reader.float32s(columns * CENTROIDS) }
}

/** What lookups rely on afterwards. */
function checkShapes(
  reader: ModelReader,
  parameters: ReturnType<typeof readArguments>,
  { wordCount, labels, prunedPairs }: ReturnType<typeof readDictionary>,
  input: Matrix,
  output: Matrix,
): void {
  const { dimensions, buckets, characterNgrams, wordNgrams } = parameters
  if (input.columns !== dimensions || output.columns !== dimensions)
    throw reader.damaged(`matrices of ${input.columns} and ${output.columns} columns for ${dimensions} dimensions`)
  if (output.rows < labels.length) throw reader.damaged(`${output.rows} rows of output for ${labels.length} labels`)
  const ngramRows = input.rows - wordCount
  const usesNgrams = characterNgrams.maximum > 0 || wordNgrams > 1
  if (ngramRows < 0 || (prunedPairs === null && usesNgrams && ngramRows < buckets))
    throw reader.damaged(`${input.rows} rows of input for ${wordCount} words and ${buckets} buckets`)
  for (let i = 0; prunedPairs !== null && i < prunedPairs.length; i += 2) {
    const [bucket, row] = [prunedPairs[i], prunedPairs[i + 1]]
    if (bucket < 0 || bucket >= buckets || row < 0 || row >= ngramRows) throw reader.damaged(`bucket ${bucket} has row ${row}`)
  }
}

/** A cursor over the file. All it throws are SluiceErrors that say where. */
class ModelReader {
  readonly file: string
  readonly length: number
  position = 0
  readonly #bytes: Uint8Array
  readonly #view: DataView

  constructor(bytes: Uint8Array, file: string) {
    this.file = file
    this.length = bytes.length
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
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

  byte(): number {
    return this.#bytes[this.skip(1)]
  }

  flag(): boolean {
    return this.byte() !== 0
  }

  int32(): number {
    return this.#view.getInt32(this.skip(4), true)
  }

  /** Exact up to 2^53. */
  int64(): number {
    return Number(this.#view.getBigInt64(this.skip(8), true))
  }

  /** Refuses what cannot be a number of things in this file. */
  count(value: number): number {
    if (value < 0 || value > 0x7fffffff) throw this.damaged(`${value} as a number of things`)
    return value
  }

  bytes(size: number): Uint8Array {
    const start = this.skip(size)
    return this.#bytes.subarray(start, start + size)
  }

  /** The bytes before the next zero. */
  word(): Uint8Array {
    const start = this.position
    const end = this.#bytes.indexOf(0, start)
    this.skip(end < 0 ? this.length - start + 1 : end + 1 - start)
    return this.#bytes.subarray(start, end)
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
    return new Int32Array(this.#copy(4 * size))
  }

  float32s(size: number): Float32Array {
    return new Float32Array(this.#copy(4 * size))
  }

  /** Aligned, which the file is not. */
  #copy(size: number): ArrayBuffer {
    const copy = new Uint8Array(new ArrayBuffer(this.bytes(size).length))
    copy.set(this.#bytes.subarray(this.position - size, this.position))
    return copy.buffer
  }
}
