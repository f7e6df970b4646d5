// Few rows times a matrix by machine code, in the memory of the kernels of WASM: their kernel rowTimesMatrix, whose bits it
// gives, and what attention of single queries is made of. Code is made when a depth and a number of rows are first met.

import { loadKoffi } from '../../../core/native.ts'
import { LANES } from './assembler.ts'
import { makeExecutable, type NativeFunction } from './executable.ts'
import { dotsCode, dotsTile, MOST_ROWS, mostVectors, rowsParameterCount, rowsParameters, sumsCode } from './rows-code.ts'

type Kernel = (words: number, block: number, scratch: number) => void

/** y = x·w (+ bias), addresses in words of 4 bytes, strides in floats. */
export interface RowsProduct {
  readonly rows: number
  readonly depth: number
  /** LANES or more. */
  readonly outputs: number
  readonly x: number
  readonly xStride: number
  readonly w: number
  readonly wStride: number
  readonly y: number
  readonly yStride: number
  /** 0: none. */
  readonly bias: number
}

export interface RowsProducts {
  /** Of w [outputs, depth]; xStride is depth. */
  dots(product: RowsProduct): void
  /** Of w [depth, outputs]. */
  sums(product: RowsProduct): void
}

/** Undefined where the code may not run. */
export function rowsProducts(memory: WebAssembly.Memory): RowsProducts | undefined {
  const koffi = loadKoffi()
  if (!koffi || !makeExecutable(dotsCode(1, LANES, LANES))) return undefined
  const base = koffi.address(new Uint8Array(memory.buffer))
  const parameters = new BigInt64Array(rowsParameterCount)
  const codes = new Map<string, NativeFunction>()

  function codeOf(key: string, make: () => Uint8Array): NativeFunction {
    const known = codes.get(key)
    if (known) return known
    const made = makeExecutable(make())
    if (!made) throw new TypeError('the system made code executable, and no longer does')
    codes.set(key, made)
    return made
  }

  function set(name: keyof typeof rowsParameters, floats: number): void {
    parameters[rowsParameters[name]] = BigInt(4 * floats)
  }

  function place({ x, xStride, y, yStride, bias }: RowsProduct, w: number, row: number, output: number): void {
    parameters[rowsParameters.x] = base + BigInt(4 * (x + row * xStride))
    parameters[rowsParameters.w] = base + BigInt(4 * w)
    parameters[rowsParameters.y] = base + BigInt(4 * (y + row * yStride + output))
    parameters[rowsParameters.bias] = bias === 0 ? 0n : base + BigInt(4 * (bias + output))
    set('rowBytes', yStride)
  }

  /** The last tile goes back over outputs of the one before, where there are not enough. */
  function dotsOf(product: RowsProduct, row: number, rows: number): void {
    const { depth, outputs, w, wStride } = product
    const tile = dotsTile(rows)
    const tiles = Math.floor(outputs / tile)
    const run = codeOf(`dots ${rows} ${depth} ${wStride}`, () => dotsCode(rows, depth, wStride))
    place(product, w, row, 0)
    parameters[rowsParameters.tiles] = BigInt(tiles)
    run(parameters)
    if (tiles * tile === outputs) return
    place(product, w + (outputs - tile) * wStride, row, outputs - tile)
    parameters[rowsParameters.tiles] = 1n
    run(parameters)
  }

  function sumsOf(product: RowsProduct, row: number, rows: number): void {
    const { depth, outputs, w, wStride, xStride } = product
    const whole = Math.floor(outputs / LANES)
    const vectors = Math.ceil(whole / Math.ceil(whole / mostVectors(rows)))
    parameters[rowsParameters.depth] = BigInt(depth)
    set('matrixRowBytes', wStride)
    for (let output = 0; output < outputs; output += vectors * LANES) {
      const count = Math.min(vectors, Math.ceil((outputs - output) / LANES))
      const first = Math.min(output, outputs - count * LANES)
      place(product, w + first, row, first)
      codeOf(`sums ${rows} ${count} ${xStride}`, () => sumsCode(rows, count, xStride))(parameters)
    }
  }

  function inGroups(product: RowsProduct, of: (product: RowsProduct, row: number, rows: number) => void): void {
    const groups = Math.ceil(product.rows / MOST_ROWS)
    for (let group = 0, row = 0; group < groups; group++) {
      const rows = Math.ceil((product.rows - row) / (groups - group))
      of(product, row, rows)
      row += rows
    }
  }

  return { dots: (product) => inGroups(product, dotsOf), sums: (product) => inGroups(product, sumsOf) }
}

/** The kernel rowTimesMatrix of a thread, called like that of kernels/wasm/tensor/gemm.ts. */
export function nativeRows(memory: WebAssembly.Memory, { dots, sums }: RowsProducts, wasm: Kernel): Kernel {
  const words = new Int32Array(memory.buffer)
  return (at, block, scratch) => {
    const [N, M, K] = words.subarray(at, at + 3)
    const [inOut, size] = words.subarray(at + 7, at + 9)
    const [x, w, y, bias] = Array.from(words.subarray(at + 3, at + 7), (address) => address >>> 0)
    const from = block * size
    const outputs = Math.min(M - from, size)
    if (outputs < LANES) return wasm(at, block, scratch)
    const product = { rows: N, depth: K, outputs, x, xStride: K, y: y + from, yStride: M, bias: bias === 0 ? 0 : bias + from }
    if (inOut) sums({ ...product, w: w + from, wStride: M })
    else dots({ ...product, w: w + from * K, wStride: K })
  }
}
