// Machine code (AVX-512) of a few rows times a matrix that is read where it lies, and once: what rowTimesMatrix of
// kernels/wasm/tensor/gemm.ts does, with the same order of sums, so that results have the same bits.

import { Assembler, LANES, r8, r9, r10, r11, rax, rcx, rdi, rdx, rsi, VECTOR_BYTES } from './assembler.ts'

/** Words of 64 bits that the code is given the address of. */
export const rowsParameters = {
  x: 0,
  w: 1,
  y: 2,
  /** Of the outputs, added to them; 0: none. */
  bias: 3,
  /** Bytes from row to row of y. */
  rowBytes: 4,
  /** Groups of outputs, of `dotsCode`. */
  tiles: 5,
  /** Rows of w that are added up, of `sumsCode`, and bytes from one to the next. */
  depth: 6,
  matrixRowBytes: 7,
} as const
export const rowsParameterCount = 8

const parameter = (name: keyof typeof rowsParameters) => 8 * rowsParameters[name]

/** Rows that the code takes at a time. */
export const MOST_ROWS = 8

/** Outputs of a tile of `dotsCode`: with each of the rows a vector of sums, sixteen of them at most. */
export const dotsTile = (rows: number) => Math.floor(LANES / rows)

/** Vectors of outputs that `sumsCode` has registers for: their sums for each row, and beside these what they are made of. */
export const mostVectors = (rows: number) => (rows === 1 ? 16 : Math.floor(30 / (rows + 1)))

/**
 * Of a matrix [M, K]: each output is a dot product, whose sixteen lanes are added up last. How far rows of x (K) and of w lie
 * apart is part of the code.
 *
 * @param matrixStride floats from row to row of w
 */
export function dotsCode(rows: number, depth: number, matrixStride: number): Uint8Array {
  const code = new Assembler('avx512')
  const [x, w, y, count, bias, tiles, tile, target] = [rsi, rdx, rcx, rax, r8, r9, r10, r11]
  const outputs = dotsTile(rows)
  const sum = (row: number, output: number) => row * outputs + output
  const ofX = (row: number) => LANES + row
  const [ofW, mask] = [LANES + MOST_ROWS, 1]
  const stride = 4 * matrixStride
  const rest = depth % LANES

  code.load(tile, rdi, parameter('w'))
  code.load(y, rdi, parameter('y'))
  code.load(bias, rdi, parameter('bias'))
  code.load(tiles, rdi, parameter('tiles'))
  code.label('tile')
  code.load(x, rdi, parameter('x'))
  code.copy(w, tile)
  for (let i = 0; i < LANES; i++) code.zero(i)
  if (depth >= LANES) {
    code.number(count, Math.floor(depth / LANES))
    code.label('k')
    products(false)
    code.addNumber(x, VECTOR_BYTES)
    code.addNumber(w, VECTOR_BYTES)
    code.subtractNumber(count, 1)
    code.jumpIfNotZero('k')
  }
  if (rest > 0) {
    selectLanes((1 << rest) - 1)
    products(true)
  }
  addUp()
  code.copy(target, y)
  for (let row = 0; row < rows; row++) storeRow(row)
  code.addNumber(tile, outputs * stride)
  code.addNumber(y, 4 * outputs)
  code.addNumber(bias, 4 * outputs)
  code.subtractNumber(tiles, 1)
  code.jumpIfNotZero('tile')
  code.zeroUpper()
  code.return()
  return code.finish()

  function selectLanes(lanes: number): void {
    code.number(rax, lanes)
    code.maskFrom(mask, rax)
  }

  /** Sixteen values of k, or the lanes of the mask, of all rows and outputs. The next tile is on its way meanwhile. */
  function products(isMasked: boolean): void {
    const load = (to: number, base: number, displacement: number) =>
      isMasked ? code.loadMasked(to, mask, base, displacement) : code.loadVector(to, base, displacement)
    for (let row = 0; row < rows; row++) load(ofX(row), x, row * 4 * depth)
    for (let output = 0; output < outputs; output++) {
      load(ofW + (output % 2), w, output * stride)
      code.prefetchLater(w, (outputs + output) * stride)
      for (let row = 0; row < rows; row++) code.multiplyAdd(sum(row, output), ofX(row), ofW + (output % 2))
    }
  }

  /** Lane i of vector 0 becomes the sum of the lanes of vector i. */
  function addUp(): void {
    for (let i = 0; i < LANES; i += 2) {
      code.interleave('lower', LANES + i, i, i + 1)
      code.interleave('upper', LANES + i + 1, i, i + 1)
      code.addVectors(LANES + i, LANES + i, LANES + i + 1)
    }
    for (let i = 0; i < LANES; i += 4) {
      code.interleavePairs('lower', i, LANES + i, LANES + i + 2)
      code.interleavePairs('upper', i + 1, LANES + i, LANES + i + 2)
      code.addVectors(i, i, i + 1)
    }
    for (const [to, a, b] of [
      [16, 0, 4],
      [18, 8, 12],
      [0, 16, 18],
    ]) {
      code.quarters('even', to, a, b)
      code.quarters('odd', to + 1, a, b)
      code.addVectors(to, to, to + 1)
    }
  }

  /** The lanes of a row, which lie behind those of the rows before it. */
  function storeRow(row: number): void {
    const displacement = -4 * row * outputs
    selectLanes(((1 << outputs) - 1) << (row * outputs))
    code.compareWithZero(rdi, parameter('bias'))
    code.jumpIfZero(`sum ${row}`)
    code.loadMasked(1, mask, bias, displacement)
    code.addVectors(0, 0, 1)
    code.label(`sum ${row}`)
    code.storeMasked(0, mask, target, displacement)
    code.addLoaded(target, rdi, parameter('rowBytes'))
  }
}

/**
 * Of a matrix [K, M]: a row of it at a time is added to all outputs of a tile, which stay in registers.
 *
 * @param inputStride floats from row to row of x
 */
export function sumsCode(rows: number, vectors: number, inputStride: number): Uint8Array {
  const code = new Assembler('avx512')
  const [x, w, y, count, bias, matrixRowBytes, ahead] = [rsi, rdx, rcx, rax, r8, r9, r10]
  const sum = (row: number, vector: number) => row * vectors + vector
  const ofX = (row: number) => 30 + (row % 2)
  const ofW = (vector: number) => rows * vectors + vector

  code.load(x, rdi, parameter('x'))
  code.load(w, rdi, parameter('w'))
  code.load(y, rdi, parameter('y'))
  code.load(bias, rdi, parameter('bias'))
  code.load(matrixRowBytes, rdi, parameter('matrixRowBytes'))
  code.copy(ahead, matrixRowBytes)
  code.multiplyNumber(ahead, ROWS_AHEAD)
  for (let i = 0; i < rows * vectors; i++) code.zero(i)
  code.compareWithZero(rdi, parameter('bias'))
  code.jumpIfZero('sums')
  for (let row = 0; row < rows; row++)
    for (let vector = 0; vector < vectors; vector++) code.loadVector(sum(row, vector), bias, vector * VECTOR_BYTES)
  code.label('sums')
  code.load(count, rdi, parameter('depth'))
  code.label('k')
  for (let vector = 0; vector < vectors; vector++) code.prefetch(w, ahead, vector * VECTOR_BYTES)
  if (rows > 1) for (let vector = 0; vector < vectors; vector++) code.loadVector(ofW(vector), w, vector * VECTOR_BYTES)
  for (let row = 0; row < rows; row++) {
    code.broadcast(ofX(row), x, row * 4 * inputStride)
    for (let vector = 0; vector < vectors; vector++)
      if (rows > 1) code.multiplyAdd(sum(row, vector), ofX(row), ofW(vector))
      else code.multiplyAddMemory(vector, ofX(row), w, vector * VECTOR_BYTES)
  }
  code.add(w, matrixRowBytes)
  code.addNumber(x, 4)
  code.subtractNumber(count, 1)
  code.jumpIfNotZero('k')
  for (let row = 0; row < rows; row++) {
    for (let vector = 0; vector < vectors; vector++) code.storeVector(sum(row, vector), y, vector * VECTOR_BYTES)
    code.addLoaded(y, rdi, parameter('rowBytes'))
  }
  code.zeroUpper()
  code.return()
  return code.finish()
}

/** How far the rows of the matrix that are fetched lie ahead. */
const ROWS_AHEAD = 16
