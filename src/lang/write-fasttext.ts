// Writes models as FastText::saveModel does, for the C++ program and all that read its files. See read-fasttext.ts.

import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { diskError } from '../io/disk-errors.ts'
import { bucketPairs } from './bucket-rows.ts'
import { type FastTextModel, LABEL_ENTRY, LOSSES, MAGIC, type ModelSettings, NEWEST_VERSION, SUPERVISED } from './fasttext-model.ts'
import { DenseMatrix, type Matrix, QuantizedMatrix, type Quantizer } from './matrix.ts'

/** Writes a model whole or not at all. @throws SluiceError SLUICE_DISK_FULL, SLUICE_PERMISSION, SLUICE_FILE_MISSING */
export function saveFastTextModel(path: string, model: FastTextModel): void {
  const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`
  try {
    const file = openSync(temporary, 'wx')
    try {
      for (const part of modelParts(model)) writeAll(file, part)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw diskError(error, path)
  }
}

/** A call writes at most 2 GiB, and may write less. */
function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done, Math.min(bytes.length - done, 1 << 30))
}

/** The file's bytes, part by part. */
export function* modelParts(model: FastTextModel): Generator<Uint8Array> {
  const isQuantized = model.input instanceof QuantizedMatrix
  yield int32s(MAGIC, NEWEST_VERSION)
  yield* settingsParts(model.settings)
  yield* dictionaryParts(model)
  yield Buffer.from([Number(isQuantized)])
  yield* matrixParts(model.input)
  yield Buffer.from([Number(model.output instanceof QuantizedMatrix)])
  yield* matrixParts(model.output)
}

function* settingsParts(s: ModelSettings): Generator<Uint8Array> {
  const loss = LOSSES.indexOf(s.loss)
  yield int32s(s.dim, s.window, s.epoch, s.minCount, s.neg, s.wordNgrams, loss, SUPERVISED, s.bucket, s.minn, s.maxn, s.lrUpdateRate)
  yield bytesOf(Float64Array.of(s.threshold))
}

const ENTRIES_A_PART = 4096

function* dictionaryParts({ dictionary, counts, wordCount, labels, tokens, ngramRows }: FastTextModel): Generator<Uint8Array> {
  const pairs = bucketPairs(ngramRows)
  yield int32s(wordCount + labels.length, wordCount, labels.length)
  yield int64s(tokens, pairs === null ? -1 : pairs.length / 2)
  for (let from = 0; from < counts.length; from += ENTRIES_A_PART) {
    const entries = Array.from({ length: Math.min(ENTRIES_A_PART, counts.length - from) }, (_, i) => from + i)
    const part = entries.map((i) => [dictionary.wordAt(i), NUL, int64s(counts[i]), i < wordCount ? NUL : LABEL])
    yield Buffer.concat(part.flat())
  }
  if (pairs !== null) yield bytesOf(pairs)
}

const NUL = Buffer.from([0])
const LABEL = Buffer.from([LABEL_ENTRY])

function* matrixParts(matrix: Matrix): Generator<Uint8Array> {
  if (matrix instanceof DenseMatrix) {
    yield int64s(matrix.rows, matrix.columns)
    yield bytesOf(matrix.data)
  }
  if (matrix instanceof QuantizedMatrix) yield* quantizedParts(matrix)
}

function* quantizedParts({ rows, columns, codes, quantizer, norms }: QuantizedMatrix): Generator<Uint8Array> {
  yield Buffer.from([Number(norms !== null)])
  yield int64s(rows, columns)
  yield int32s(codes.length)
  yield codes
  yield* quantizerParts(quantizer)
  if (norms === null) return
  yield norms.codes
  yield* quantizerParts({ columns: 1, pieces: 1, pieceColumns: 1, centroids: norms.centroids })
}

function* quantizerParts({ columns, pieces, pieceColumns, centroids }: Quantizer): Generator<Uint8Array> {
  yield int32s(columns, pieces, pieceColumns, columns - (pieces - 1) * pieceColumns)
  yield bytesOf(centroids)
}

function int32s(...values: number[]): Uint8Array {
  return bytesOf(Int32Array.from(values))
}

function int64s(...values: number[]): Uint8Array {
  return bytesOf(BigInt64Array.from(values, BigInt))
}

function bytesOf(array: Int32Array | Float32Array | Float64Array | BigInt64Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
}
