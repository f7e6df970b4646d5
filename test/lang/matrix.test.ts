import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CENTROIDS, type Matrix, QuantizedMatrix } from '../../src/lang/matrix.ts'

const shape = fc.record({ columns: fc.integer({ min: 1, max: 20 }), pieceColumns: fc.integer({ min: 1, max: 6 }), seed: fc.nat() })

test('a quantized matrix adds and multiplies like its decoded rows', () => {
  fc.assert(
    fc.property(shape, ({ columns, pieceColumns, seed }) => {
      const pieces = Math.ceil(columns / pieceColumns)
      const number = (i: number) => Math.sin(seed + i)
      const codes = Uint8Array.from({ length: 9 * pieces }, (_, i) => 1000 * number(i))
      const centroids = Float32Array.from({ length: columns * CENTROIDS }, (_, i) => number(i))
      const norms = {
        codes: Uint8Array.from({ length: 9 }, (_, i) => i),
        centroids: Float32Array.from({ length: CENTROIDS }, (_, i) => number(i)),
      }
      const quantized = new QuantizedMatrix(codes, { columns, pieces, pieceColumns, centroids }, 9, norms)
      const decoded = quantized.decode()
      const rows = Int32Array.of(8, 0, 3, 3, 1, 7, 2)
      const vector = Float64Array.from({ length: columns }, (_, i) => number(-i))
      for (let count = 0; count <= rows.length; count++) close(sumOf(quantized, rows, count), sumOf(decoded, rows, count))
      for (let row = 0; row < 9; row++) close([quantized.dot(row, vector)], [decoded.dot(row, vector)])
    }),
  )
})

function sumOf(matrix: Matrix, rows: Int32Array, count: number): Float64Array {
  const sum = new Float64Array(matrix.columns)
  matrix.addRows(rows, count, sum)
  return sum
}

function close(found: ArrayLike<number>, expected: ArrayLike<number>): void {
  for (let i = 0; i < expected.length; i++) assert.ok(Math.abs(found[i] - expected[i]) < 1e-5, `${found[i]} for ${expected[i]}`)
}
