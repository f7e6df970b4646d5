// Makes a trained model small: keeps the rows that are longest, trains what is left again if asked, and quantizes the
// matrices. Joulin et al. 2016, "FastText.zip", arxiv.org/abs/1612.03651; as FastText::quantize.

import { z } from 'zod'
import { SluiceError } from '../core/errors.ts'
import { bucketPairs, someBuckets } from './bucket-rows.ts'
import { allocateShared, createModelMemory, describeModel } from './fasttext-memory.ts'
import type { FastTextModel } from './fasttext-model.ts'
import { type TrainingContext, train } from './fasttext-train.ts'
import { CENTROIDS, DenseMatrix, floatsOf } from './matrix.ts'
import { MOST_PIECE_COLUMNS, quantizeMatrix, rowNorms } from './product-quantizer.ts'
import { END_OF_LINE, END_OF_LINE_HASH } from './tokens.ts'
import { measureText, tableOf } from './vocabulary.ts'

export const quantizeOptions = z.strictObject({
  cutoff: z.int().min(0).default(0).describe('words and n-grams to keep: those with the longest rows; 0: all'),
  qnorm: z.boolean().default(false).describe('quantizes the lengths of rows by themselves'),
  qout: z.boolean().default(false).describe('quantizes the output matrix too: for very many labels'),
  dsub: z.int().min(1).max(MOST_PIECE_COLUMNS).default(2).describe('numbers per piece'),
})
export type QuantizeOptions = z.output<typeof quantizeOptions>

/** The text to train again on, after rows were left out. */
export interface Retraining {
  readonly file: string
  readonly lr: number
  readonly epoch: number
  readonly seed: number
  readonly label: string
  readonly context: TrainingContext
}

/** @throws SluiceError SLUICE_LANG_MODEL_QUANTIZED, SLUICE_LANG_TOO_FEW_ROWS, and those of training */
export async function quantizeModel(model: FastTextModel, options: QuantizeOptions, retraining?: Retraining): Promise<FastTextModel> {
  const { input, output } = model
  if (!(input instanceof DenseMatrix && output instanceof DenseMatrix) || bucketPairs(model.ngramRows) !== null)
    throw new SluiceError('SLUICE_LANG_MODEL_QUANTIZED', 'the model is quantized already', {
      fix: 'quantize the .bin file it was made from',
    })
  const dense = { ...model, input, output }
  const isCut = options.cutoff > 0 && options.cutoff < input.rows
  const kept = isCut ? await prune(dense, options.cutoff, retraining) : dense
  const quantized = (matrix: DenseMatrix, dsub: number) => quantizeMatrix(matrix, { dsub, qnorm: options.qnorm })
  return {
    ...kept,
    input: quantized(kept.input, options.dsub),
    output: options.qout ? quantized(kept.output, 2) : kept.output,
    memory: null,
  }
}

type DenseModel = FastTextModel & { readonly input: DenseMatrix; readonly output: DenseMatrix }

async function prune(model: DenseModel, cutoff: number, retraining: Retraining | undefined): Promise<DenseModel> {
  const memory = createModelMemory()
  const allocate = allocateShared(memory)
  const { wordCount, labels, counts, settings, input, output } = model
  const rows = longestRows(model, cutoff)
  const words = rows.filter((row) => row < wordCount).sort()
  const ngrams = rows.filter((row) => row >= wordCount)
  const entries = Uint32Array.from([...words, ...labels.map((_, i) => wordCount + i)])
  const bytes = entries.reduce((sum, entry) => sum + model.dictionary.wordAt(entry).length, 0)
  const pruned = {
    ...model,
    dictionary: tableOf(model.dictionary, entries, entries.length, bytes, allocate),
    counts: Float64Array.from(entries, (entry) => counts[entry]),
    wordCount: words.length,
    ngramRows: someBuckets(settings.bucket, Int32Array.from([...ngrams].flatMap((row, i) => [row - wordCount, i])), allocate),
    input: someRows(input, [...words, ...ngrams], floatsOf(allocate(4 * cutoff * input.columns))),
    output: new DenseMatrix(floatsOf(allocate(4 * output.data.length)), output.rows, output.columns),
    memory,
  }
  pruned.output.data.set(output.data)
  if (retraining === undefined) return pruned
  const { file, label, context } = retraining
  describeModel(memory, pruned, label)
  await train(
    memory,
    pruned,
    file,
    { ...measureText(file, { ...settings, label }), tokens: model.tokens },
    { ...settings, ...retraining },
    context,
  )
  return pruned
}

/** Of an entry besides its word: zero, count, kind. Of a bucket: it and its row. */
const ENTRY_BYTES = 10
const BUCKET_BYTES = 8
const HEAD_BYTES = 94
const QUANTIZER_BYTES = 16

/**
 * How to make the largest model that fits a size, its norms quantized: so many of the longest rows. Exact.
 *
 * @throws SluiceError SLUICE_LANG_AUTOTUNE_SIZE
 */
export function quantizationFor(model: FastTextModel, dsub: number, modelBytes: number): QuantizeOptions {
  const { wordCount, labels, dictionary, input, output } = model
  const { dim } = model.settings
  const qout = output.rows >= CENTROIDS
  const matrixBytes = 21 + (QUANTIZER_BYTES + 4 * CENTROIDS * dim) + (QUANTIZER_BYTES + 4 * CENTROIDS)
  const outputBytes = qout ? matrixBytes + output.rows * (Math.ceil(dim / 2) + 1) : 16 + 4 * output.rows * dim
  const labelBytes = labels.reduce((sum, label) => sum + Buffer.byteLength(label) + ENTRY_BYTES, 0)
  let free = modelBytes - HEAD_BYTES - labelBytes - matrixBytes - outputBytes
  let cutoff = 0
  for (const row of input instanceof DenseMatrix ? longestRows({ dictionary, input }, input.rows) : []) {
    free -= Math.ceil(dim / dsub) + 1 + (row < wordCount ? dictionary.wordAt(row).length + ENTRY_BYTES : BUCKET_BYTES)
    if (free < 0) break
    cutoff++
  }
  if (cutoff >= Math.min(CENTROIDS, input.rows)) return { cutoff, qout, qnorm: true, dsub }
  throw new SluiceError('SLUICE_LANG_AUTOTUNE_SIZE', `no model of ${dim} dimensions fits ${modelBytes} bytes`, {
    fix: 'allow a larger one',
  })
}

/** Of the longest rows as many as asked for, the end of the line, if it is a word, first. */
function longestRows({ dictionary, input }: Pick<DenseModel, 'dictionary' | 'input'>, count: number): Uint32Array {
  const norms = rowNorms(input)
  const endOfLine = dictionary.find(END_OF_LINE, 0, END_OF_LINE.length, END_OF_LINE_HASH)
  if (endOfLine >= 0) norms[endOfLine] = Number.POSITIVE_INFINITY
  const rows = Uint32Array.from(norms, (_, row) => row)
  return rows.sort((a, b) => norms[b] - norms[a] || a - b).subarray(0, count)
}

function someRows({ data, columns }: DenseMatrix, rows: readonly number[], into: Float32Array): DenseMatrix {
  for (const [i, row] of rows.entries()) into.set(data.subarray(row * columns, (row + 1) * columns), i * columns)
  return new DenseMatrix(into, rows.length, columns)
}
