// Product quantization (Jégou et al. 2011) as fastText has it: rows are cut into pieces, and k-means finds 256 centroids for
// each piece. The inner loop is kernels/wasm/quantizer.ts.

import { SluiceError } from '../core/errors.ts'
import { loadKernel } from '../core/kernels.ts'
import { CENTROIDS, type DenseMatrix, QuantizedMatrix } from './matrix.ts'

const ITERATIONS = 25
const MOST_POINTS = 256 * CENTROIDS
const SEED = 1234
/** By so much the two halves of a split cluster differ. */
const SPLIT = 1e-7
const BATCH_POINTS = 1 << 16
export const MOST_PIECE_COLUMNS = 64

export interface QuantizeOptions {
  /** Columns of a piece. */
  readonly dsub: number
  /** Whether the lengths of the rows are quantized by themselves. */
  readonly qnorm: boolean
}

/** @throws SluiceError SLUICE_LANG_TOO_FEW_ROWS */
export function quantizeMatrix(matrix: DenseMatrix, { dsub, qnorm }: QuantizeOptions): QuantizedMatrix {
  const { rows, columns } = matrix
  if (rows < CENTROIDS)
    throw new SluiceError('SLUICE_LANG_TOO_FEW_ROWS', `quantization needs ${CENTROIDS} rows, the matrix has ${rows}`, {
      fix: 'keep more words (cutoff), or leave the matrix as it is',
    })
  const scales = qnorm ? rowNorms(matrix) : null
  const pieces = Math.ceil(columns / dsub)
  const codes = new Uint8Array(rows * pieces)
  const centroids = new Float32Array(columns * CENTROIDS)
  const kernel = instantiateQuantizer()
  for (let piece = 0, from = 0; piece < pieces; piece++, from += dsub) {
    const width = Math.min(dsub, columns - from)
    const own = centroids.subarray(from * CENTROIDS, (from + width) * CENTROIDS)
    const pointsOf = (row: number, into: Float32Array, at: number) => {
      const scale = scales === null || scales[row] === 0 ? 1 : scales[row]
      for (let i = 0; i < width; i++) into[at + i] = matrix.data[row * columns + from + i] / scale
    }
    quantizePiece(kernel, { rows, width, seed: SEED + piece, pointsOf }, own, (row, code) => {
      codes[row * pieces + piece] = code
    })
  }
  return new QuantizedMatrix(codes, { columns, pieces, pieceColumns: dsub, centroids }, rows, scales && quantizeNorms(kernel, scales))
}

export function rowNorms({ data, rows, columns }: DenseMatrix): Float32Array {
  const norms = new Float32Array(rows)
  for (let row = 0, at = 0; row < rows; row++) {
    let sum = 0
    for (const end = at + columns; at < end; at++) sum += data[at] * data[at]
    norms[row] = Math.sqrt(sum)
  }
  return norms
}

function quantizeNorms(kernel: Kernel, norms: Float32Array) {
  const codes = new Uint8Array(norms.length)
  const centroids = new Float32Array(CENTROIDS)
  const pointsOf = (row: number, into: Float32Array, at: number) => {
    into[at] = norms[row]
  }
  quantizePiece(kernel, { rows: norms.length, width: 1, seed: SEED, pointsOf }, centroids, (row, code) => {
    codes[row] = code
  })
  return { codes, centroids }
}

interface Points {
  readonly rows: number
  readonly width: number
  readonly seed: number
  /** Writes a row's point. */
  readonly pointsOf: (row: number, into: Float32Array, at: number) => void
}

/** Finds the centroids on a sample of the rows, then the code of every row. @param centroids f32[256, width], written */
function quantizePiece(kernel: Kernel, points: Points, centroids: Float32Array, write: (row: number, code: number) => void): void {
  const { rows, width, seed, pointsOf } = points
  const random = minstd(seed)
  const count = Math.min(rows, MOST_POINTS)
  const sample = choose(rows, count, random)
  const { coordinates, codes } = kernel.points(width)
  for (let i = 0; i < count; i++) pointsOf(sample[i], coordinates, i * width)
  const first = choose(count, CENTROIDS, random)
  for (let k = 0; k < CENTROIDS; k++) {
    for (let j = 0; j < width; j++) centroids[k * width + j] = coordinates[first[k] * width + j]
  }
  for (let i = 0; i < ITERATIONS; i++) {
    kernel.assign(centroids, width, count)
    moveCentroids(coordinates, codes, count, centroids, width, random)
  }
  for (let from = 0; from < rows; from += BATCH_POINTS) {
    const batch = Math.min(BATCH_POINTS, rows - from)
    for (let i = 0; i < batch; i++) pointsOf(from + i, coordinates, i * width)
    kernel.assign(centroids, width, batch)
    for (let i = 0; i < batch; i++) write(from + i, codes[i])
  }
}

/** Each centroid to the mean of its points. One without points takes half of another's, a large one's more likely. */
function moveCentroids(
  points: Float32Array,
  codes: Uint8Array,
  count: number,
  centroids: Float32Array,
  width: number,
  random: () => number,
): void {
  const sizes = new Int32Array(CENTROIDS)
  centroids.fill(0)
  for (let i = 0; i < count; i++) {
    sizes[codes[i]]++
    for (let j = 0; j < width; j++) centroids[codes[i] * width + j] += points[i * width + j]
  }
  for (let k = 0; k < CENTROIDS; k++) {
    for (let j = 0; j < width && sizes[k] > 0; j++) centroids[k * width + j] /= sizes[k]
  }
  for (let k = 0; k < CENTROIDS; k++) {
    if (sizes[k] > 0) continue
    let other = 0
    while (random() * (count - CENTROIDS) >= sizes[other] - 1) other = (other + 1) % CENTROIDS
    for (let j = 0; j < width; j++) {
      const sign = j % 2 === 0 ? -SPLIT : SPLIT
      centroids[k * width + j] = centroids[other * width + j] + sign
      centroids[other * width + j] -= sign
    }
    sizes[k] = sizes[other] >> 1
    sizes[other] -= sizes[k]
  }
}

/** So many of the first `rows` whole numbers, without repeats, in random order. */
function choose(rows: number, count: number, random: () => number): Uint32Array {
  const all = Uint32Array.from({ length: rows }, (_, i) => i)
  for (let i = 0; i < count && i < rows - 1; i++) {
    const other = i + Math.floor(random() * (rows - i))
    const kept = all[i]
    all[i] = all[other]
    all[other] = kept
  }
  return all.subarray(0, count)
}

/** Numbers in [0, 1): the generator that fastText uses. */
export function minstd(seed: number): () => number {
  let state = seed % 0x7fffffff || 1
  return () => {
    state = (state * 48271) % 0x7fffffff
    return (state - 1) / 0x7ffffffe
  }
}

type Kernel = ReturnType<typeof instantiateQuantizer>

const PAGE_BYTES = 65536

function instantiateQuantizer() {
  const { exports } = new WebAssembly.Instance(loadKernel('quantizer'), { env: { abort: () => undefined } })
  const { memory, nearest, CENTROIDS: centroidsAt, POINTS: pointsAt } = exports
  if (
    !(memory instanceof WebAssembly.Memory && typeof nearest === 'function') ||
    !(centroidsAt instanceof WebAssembly.Global && pointsAt instanceof WebAssembly.Global)
  )
    throw new SluiceError('SLUICE_KERNEL_MISSING', 'the WASM kernel quantizer is of another version', { fix: 'run npm run build:kernels' })
  const codesAt = pointsAt.value + 4 * BATCH_POINTS * MOST_PIECE_COLUMNS
  const missing = codesAt + BATCH_POINTS - memory.buffer.byteLength
  if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES))
  return {
    /** A batch's points and their codes, in the kernel's memory. */
    points: (width: number) => ({
      coordinates: new Float32Array(memory.buffer, pointsAt.value, BATCH_POINTS * width),
      codes: new Uint8Array(memory.buffer, codesAt, BATCH_POINTS),
    }),
    /** Writes the code of the nearest centroid of each point. */
    assign: (centroids: Float32Array, width: number, count: number): void => {
      const columns = new Float32Array(memory.buffer, centroidsAt.value, CENTROIDS * width)
      for (let k = 0; k < CENTROIDS; k++) for (let j = 0; j < width; j++) columns[j * CENTROIDS + k] = centroids[k * width + j]
      nearest(pointsAt.value, count, width, codesAt)
    },
  }
}
