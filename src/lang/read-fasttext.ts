// fastText's binary models, .bin and .ftz, of the versions 11 and 12, as FastText::saveModel writes them: header, arguments,
// dictionary, input matrix, output matrix.

import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { SluiceError } from '../core/errors.ts'
import { allBuckets, someBuckets } from './bucket-rows.ts'
import { allocateShared, createModelMemory, describeModel, MOST_MEMORY_BYTES } from './fasttext-memory.ts'
import { type FastTextModel, LABEL_ENTRY, LOSSES, MAGIC, type ModelSettings, NEWEST_VERSION, SUPERVISED } from './fasttext-model.ts'
import { CENTROIDS, DenseMatrix, floatsOf, type Matrix, QuantizedMatrix, type QuantizedNorms, type Quantizer } from './matrix.ts'
import { ModelReader } from './model-reader.ts'
import { type Allocate, allocatePlain, hashBytes, WordTable } from './word-table.ts'

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
