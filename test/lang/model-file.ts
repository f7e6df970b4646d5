// Writes fastText models with random weights, for the tests: every variant of the format without training one.

export interface ModelShape {
  readonly dimensions: number
  readonly words: readonly string[]
  readonly labels: readonly string[]
  /** 1 hierarchical softmax, 2 negative sampling, 3 softmax, 4 one-vs-all */
  readonly loss: number
  readonly wordNgrams: number
  readonly buckets: number
  readonly ngrams: readonly [minimum: number, maximum: number]
  /** Buckets that keep a row; null: all do. */
  readonly kept: readonly number[] | null
  readonly isQuantized: boolean
  readonly isOutputQuantized: boolean
  readonly hasNorms: boolean
  readonly pieceColumns: number
  readonly version: number
  readonly seed: number
}

export const plainShape: ModelShape = {
  dimensions: 10,
  words: ['</s>', 'the', 'und', 'слово', '語', 'aaaaaaaa'],
  labels: ['__label__a', '__label__b', '__label__c', '__label__d', '__label__ö'],
  loss: 3,
  wordNgrams: 1,
  buckets: 50,
  ngrams: [2, 4],
  kept: null,
  isQuantized: false,
  isOutputQuantized: false,
  hasNorms: false,
  pieceColumns: 2,
  version: 12,
  seed: 1,
}

export function writeModel(changes: Partial<ModelShape> = {}): Uint8Array {
  const shape = { ...plainShape, ...changes }
  const random = randomFrom(shape.seed)
  const rows = shape.words.length + (shape.kept?.length ?? shape.buckets)
  return Buffer.concat([
    int32(793712314, shape.version),
    int32(shape.dimensions, 5, 5, 1, 5, shape.wordNgrams, shape.loss, 3, shape.buckets, ...shape.ngrams, 100),
    Buffer.alloc(8),
    writeDictionary(shape),
    Buffer.from([Number(shape.isQuantized)]),
    writeMatrix(shape, rows, shape.isQuantized, random),
    Buffer.from([Number(shape.isOutputQuantized)]),
    writeMatrix(shape, shape.labels.length, shape.isQuantized && shape.isOutputQuantized, random),
  ])
}

function writeDictionary({ words, labels, kept }: ModelShape): Buffer {
  const entries = [...words.map((word) => ({ word, type: 0 })), ...labels.map((word) => ({ word, type: 1 }))]
  return Buffer.concat([
    int32(entries.length, words.length, labels.length),
    int64(1000, kept === null ? -1 : kept.length),
    ...entries.map(({ word, type }, i) => Buffer.concat([Buffer.from(`${word}\0`), int64(3 * (entries.length - i)), Buffer.from([type])])),
    ...(kept ?? []).map((bucket, row) => int32(bucket, row)),
  ])
}

function writeMatrix(shape: ModelShape, rows: number, isQuantized: boolean, random: () => number): Buffer {
  const { dimensions, hasNorms, pieceColumns } = shape
  if (!isQuantized) return Buffer.concat([int64(rows, dimensions), floats(rows * dimensions, random)])
  const pieces = Math.ceil(dimensions / pieceColumns)
  return Buffer.concat([
    Buffer.from([Number(hasNorms)]),
    int64(rows, dimensions),
    int32(rows * pieces),
    codes(rows * pieces, random),
    int32(dimensions, pieces, pieceColumns, dimensions - (pieces - 1) * pieceColumns),
    floats(dimensions * 256, random),
    ...(hasNorms ? [codes(rows, random), int32(1, 1, 1, 1), floats(256, random)] : []),
  ])
}

function int32(...values: number[]): Buffer {
  return Buffer.from(Int32Array.from(values).buffer)
}

function int64(...values: number[]): Buffer {
  return Buffer.from(BigInt64Array.from(values, BigInt).buffer)
}

function floats(count: number, random: () => number): Buffer {
  return Buffer.from(Float32Array.from({ length: count }, () => 4 * random() - 2).buffer)
}

function codes(count: number, random: () => number): Buffer {
  return Buffer.from(Uint8Array.from({ length: count }, () => 256 * random()))
}

/** 0 ≤ x < 1, by a linear congruential generator. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}
