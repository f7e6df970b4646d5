// Few rows times a matrix by machine code: the kernel rowTimesMatrix of a thread, called like that of
// kernels/wasm/tensor/gemm.ts, whose bits it gives. The code is made when a depth and a number of rows are first met.

import { loadKoffi } from '../../../core/native.ts'
import { makeExecutable, type NativeFunction } from './executable.ts'
import { dotsCode, dotsTile, MOST_ROWS, mostVectors, rowsParameterCount, rowsParameters, sumsCode } from './rows-code.ts'

type Kernel = (words: number, block: number, scratch: number) => void

const LANES = 16

/** Undefined where the code may not run. */
export function nativeRows(memory: WebAssembly.Memory, wasm: Kernel): Kernel | undefined {
  const koffi = loadKoffi()
  if (!koffi || !makeExecutable(dotsCode(1, LANES))) return undefined
  const base = koffi.address(new Uint8Array(memory.buffer))
  const words = new Int32Array(memory.buffer)
  const parameters = new BigInt64Array(rowsParameterCount)
  const codes = new Map<number, NativeFunction>()

  /** @param vectors of outputs, where the matrix is [K, M]; else 0 */
  function codeOf(rows: number, vectors: number, depth: number): NativeFunction {
    const key = (depth * MOST_ROWS + rows - 1) * 32 + vectors
    const known = codes.get(key)
    if (known) return known
    const made = makeExecutable(vectors > 0 ? sumsCode(rows, vectors, depth) : dotsCode(rows, depth))
    if (!made) throw new TypeError('the system made code executable, and no longer does')
    codes.set(key, made)
    return made
  }

  return (at, block, scratch) => {
    const [N, M, K, x, w, y, bias, inOut, size] = words.subarray(at, at + 9)
    const from = block * size
    const to = Math.min(M, from + size)
    if (to - from < LANES) return wasm(at, block, scratch)
    const native = (address: number, floats: number) => base + BigInt(4 * ((address >>> 0) + floats))
    parameters[rowsParameters.rowBytes] = BigInt(4 * M)

    function place(row: number, output: number): void {
      parameters[rowsParameters.x] = native(x, row * K)
      parameters[rowsParameters.w] = native(w, inOut ? output : output * K)
      parameters[rowsParameters.y] = native(y, row * M + output)
      parameters[rowsParameters.bias] = bias === 0 ? 0n : native(bias, output)
    }

    /** The last tile goes back over outputs of the one before, where there are not enough. */
    function dots(row: number, rows: number): void {
      const tile = dotsTile(rows)
      const tiles = Math.floor((to - from) / tile)
      const run = codeOf(rows, 0, K)
      place(row, from)
      parameters[rowsParameters.tiles] = BigInt(tiles)
      run(parameters)
      if (from + tiles * tile === to) return
      place(row, to - tile)
      parameters[rowsParameters.tiles] = 1n
      run(parameters)
    }

    function sums(row: number, rows: number): void {
      const whole = Math.floor((to - from) / LANES)
      const vectors = Math.ceil(whole / Math.ceil(whole / mostVectors(rows)))
      for (let output = from; output < to; output += vectors * LANES) {
        const count = Math.min(vectors, Math.ceil((to - output) / LANES))
        place(row, Math.min(output, to - count * LANES))
        codeOf(rows, count, K)(parameters)
      }
    }

    const groups = Math.ceil(N / MOST_ROWS)
    for (let group = 0, row = 0; group < groups; group++) {
      const rows = Math.ceil((N - row) / (groups - group))
      if (inOut) sums(row, rows)
      else dots(row, rows)
      row += rows
    }
  }
}
