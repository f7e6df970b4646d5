// The matrices of a fastText model: plain float rows, or rows of a product quantizer (Jégou et al. 2011; for fastText Joulin
// et al. 2016, arxiv.org/abs/1612.03651): each row is cut into pieces, each piece one of 256 centroids.

/** Rows of floats. Indices are checked where the model is read, not here. */
export interface Matrix {
  readonly rows: number
  readonly columns: number
  /** @param into f64[columns]; the first `count` of the `rows` are added to it */
  addRows(rows: Int32Array, count: number, into: Float64Array): void
  /** @param vector f64[columns] */
  dot(row: number, vector: Float64Array): number
}

export class DenseMatrix implements Matrix {
  readonly rows: number
  readonly columns: number
  /** f32[rows × columns] */
  readonly data: Float32Array

  /** @param data f32[rows × columns], kept */
  constructor(data: Float32Array, rows: number, columns: number) {
    this.data = data
    this.rows = rows
    this.columns = columns
  }

  /** Four rows at a time: a quarter of the loads and stores of `into`. */
  addRows(rows: Int32Array, count: number, into: Float64Array): void {
    const data = this.data
    const columns = this.columns
    let at = 0
    for (; at + 4 <= count; at += 4) {
      const a = rows[at] * columns
      const b = rows[at + 1] * columns
      const c = rows[at + 2] * columns
      const d = rows[at + 3] * columns
      for (let i = 0; i < columns; i++) into[i] += data[a + i] + data[b + i] + (data[c + i] + data[d + i])
    }
    for (; at < count; at++) {
      const a = rows[at] * columns
      for (let i = 0; i < columns; i++) into[i] += data[a + i]
    }
  }

  dot(row: number, vector: Float64Array): number {
    const data = this.data
    const columns = this.columns
    const base = row * columns
    let sum = 0
    for (let i = 0; i < columns; i++) sum += data[base + i] * vector[i]
    return sum
  }
}

/** Centroids by piece and code. All pieces are `pieceColumns` wide but the last, which is what is left of the columns. */
export interface Quantizer {
  readonly columns: number
  readonly pieces: number
  readonly pieceColumns: number
  /** f32[columns × 256]: of each piece its 256 centroids, one after another */
  readonly centroids: Float32Array
}

export const CENTROIDS = 256

/** Each row's length as one of 256. */
export interface QuantizedNorms {
  /** u8[rows] */
  readonly codes: Uint8Array
  /** f32[256] */
  readonly centroids: Float32Array
}

export class QuantizedMatrix implements Matrix {
  readonly rows: number
  readonly columns: number
  readonly codes: Uint8Array
  readonly quantizer: Quantizer
  readonly norms: QuantizedNorms | null
  /** f32[rows] */
  readonly #scales: Float32Array

  /**
   * @param codes u8[rows × pieces], kept
   * @param norms by which the rows are scaled; null: by 1
   */
  constructor(codes: Uint8Array, quantizer: Quantizer, rows: number, norms: QuantizedNorms | null) {
    this.codes = codes
    this.quantizer = quantizer
    this.norms = norms
    this.rows = rows
    this.columns = quantizer.columns
    this.#scales = norms === null ? new Float32Array(rows).fill(1) : Float32Array.from(norms.codes, (code) => norms.centroids[code])
  }

  addRows(rows: Int32Array, count: number, into: Float64Array): void {
    for (let i = 0; i < count; i++) this.addRow(rows[i], into)
  }

  addRow(row: number, into: Float64Array): void {
    const { columns, pieces, pieceColumns, centroids } = this.quantizer
    const norm = this.#scales[row]
    for (let piece = 0, column = 0; piece < pieces; piece++) {
      const width = Math.min(pieceColumns, columns - column)
      const from = piece * CENTROIDS * pieceColumns + this.codes[row * pieces + piece] * width
      for (let i = 0; i < width; i++) into[column++] += norm * centroids[from + i]
    }
  }

  dot(row: number, vector: Float64Array): number {
    const { columns, pieces, pieceColumns, centroids } = this.quantizer
    let sum = 0
    for (let piece = 0, column = 0; piece < pieces; piece++) {
      const width = Math.min(pieceColumns, columns - column)
      const from = piece * CENTROIDS * pieceColumns + this.codes[row * pieces + piece] * width
      for (let i = 0; i < width; i++) sum += vector[column++] * centroids[from + i]
    }
    return sum * this.#scales[row]
  }

  /** The same rows as floats: 4 bytes a number instead of about half a byte, and several times as fast to add. @param data where to */
  decode(data: Float32Array = new Float32Array(this.rows * this.columns)): DenseMatrix {
    const row = new Float64Array(this.columns)
    for (let i = 0; i < this.rows; i++) {
      row.fill(0)
      this.addRow(i, row)
      data.set(row, i * this.columns)
    }
    return new DenseMatrix(data, this.rows, this.columns)
  }
}

/** The same bytes as numbers; they begin at a multiple of four. */
export function floatsOf(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
}
