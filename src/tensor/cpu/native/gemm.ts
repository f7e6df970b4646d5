// A block of a matrix product by machine code: what kernels/wasm/tensor/gemm.ts does, with wider vectors. K is cut at the same
// places, so that products of f32 have the same bits.

import { loadKoffi } from '../../../core/native.ts'
import { makeExecutable, unmoved } from './executable.ts'
import { gemmParameterCount, gemmParameters } from './gemm-code.ts'
import { type MultiplierName, multipliers } from './multiplier.ts'
import { type PackKernels, packedDepth, packerOf } from './pack.ts'
import { stepsPerWord } from './pack-code.ts'
import { tileConfiguration } from './tile-code.ts'

/** As in kernels/wasm/tensor/gemm.ts: the sum over K is cut into pieces of about this many words. */
const KC = 256
/** Rows of A that are packed at once. */
const MC = 192
/** Largest block of a launch, see `gemmBlock`. */
const MOST_ROWS = 384 + 32
const MOST_COLUMNS = 512 + 32
/** Rows of scratch that lie a multiple of 4 KiB apart would push each other out of the cache. */
const ROW_PADDING = 16

const packedAFloats = (MC + 12) * (KC + 16)
const packedBFloats = MOST_COLUMNS * (KC + 16)
export const nativeScratchFloats = packedAFloats + packedBFloats + MOST_ROWS * (MOST_COLUMNS + ROW_PADDING)

/** What WASM does at the edges, kernels/wasm/tensor/panels.ts. */
export interface EdgeKernels extends PackKernels {
  readonly fetchBlock: (c: number, ldc: number, m: number, n: number, s: number, lds: number) => void
  readonly storeBlock: (s: number, lds: number, c: number, ldc: number, m: number, n: number, bias: number) => void
}

/** Arguments of a launch of `gemm` by position. */
const [M, N, K, A, ROW_A, COLUMN_A, B, ROW_B, COLUMN_B, C, LDC, ADDS, BIAS, BLOCK_ROWS, BLOCK_COLUMNS] = Array.from(
  { length: 15 },
  (_, i) => i,
)

/** The kernel `gemm` of a thread, called like the one of WASM; undefined where the code may not run. */
export function nativeGemm(
  name: MultiplierName,
  memory: WebAssembly.Memory,
  kernels: EdgeKernels,
): ((words: number, block: number, scratch: number) => void) | undefined {
  const koffi = loadKoffi()
  const multiplier = multipliers[name]
  const multiply = makeExecutable(multiplier.code())
  if (!koffi || !multiply) return undefined
  const { vectors, tile, addsBias } = multiplier
  const { format, depthMultiple } = multiplier.b
  const base = koffi.address(new Uint8Array(memory.buffer))
  const packA = packerOf(vectors, multiplier.a, kernels, base)
  const packB = packerOf(vectors, multiplier.b, kernels, base)
  const words = new Int32Array(memory.buffer)
  const parameters = new BigInt64Array(gemmParameterCount)
  const tiles = unmoved(tileConfiguration)
  const native = (address: number) => base + BigInt(4 * address)

  return (argumentsAt, block, scratch) => {
    const int = (name: number) => words[argumentsAt + name]
    const address = (name: number) => words[argumentsAt + name] >>> 0
    const [rowA, columnA, rowB, columnB, ldc, depth] = [int(ROW_A), int(COLUMN_A), int(ROW_B), int(COLUMN_B), int(LDC), int(K)]
    const down = Math.ceil(int(M) / int(BLOCK_ROWS))
    const [i, j] = [(block % down) * int(BLOCK_ROWS), Math.floor(block / down) * int(BLOCK_COLUMNS)]
    const [m, n] = [Math.min(int(BLOCK_ROWS), int(M) - i), Math.min(int(BLOCK_COLUMNS), int(N) - j)]
    const a = address(A) + i * rowA
    const b = address(B) + j * columnB
    const c = address(C) + i * ldc + j
    const bias = address(BIAS) === 0 ? 0 : address(BIAS) + j
    const packedA = scratch
    const packedB = packedA + packedAFloats
    const sums = packedB + packedBFloats
    const bPanels = Math.ceil(n / tile.columns)
    const piece = pieceOf(depth, stepsPerWord(format))
    const stripe = Math.ceil(m / Math.ceil(m / MC) / tile.rows) * tile.rows
    // the code stores whole tiles: where there are others, the block is made in scratch
    const isWhole = m % tile.rows === 0 && n % tile.columns === 0 && (addsBias || bias === 0)
    const [target, rowFloats] = isWhole ? [c, ldc] : [sums, bPanels * tile.columns + ROW_PADDING]

    if (int(ADDS) && !isWhole) kernels.fetchBlock(c, ldc, m, n, sums, rowFloats)
    parameters[gemmParameters.panelsOfA] = native(packedA)
    parameters[gemmParameters.panelsOfB] = native(packedB)
    parameters[gemmParameters.rowBytes] = BigInt(4 * rowFloats)
    parameters[gemmParameters.bPanels] = BigInt(bPanels)
    parameters[gemmParameters.tiles] = koffi.address(tiles)
    for (let k = 0; k < depth; k += piece) {
      const steps = Math.min(piece, depth - k)
      packB({ address: b + k * rowB, laneStride: columnB, stepStride: rowB }, n, steps, packedB)
      parameters[gemmParameters.depth] = BigInt(packedDepth(steps, depthMultiple))
      parameters[gemmParameters.adds] = int(ADDS) || k > 0 ? 1n : 0n
      parameters[gemmParameters.bias] = isWhole && bias !== 0 && k + steps === depth ? native(bias) : 0n
      for (let row = 0; row < m; row += stripe) {
        const rows = Math.min(stripe, m - row)
        packA({ address: a + row * rowA + k * columnA, laneStride: rowA, stepStride: columnA }, rows, steps, packedA)
        parameters[gemmParameters.c] = native(target + row * rowFloats)
        parameters[gemmParameters.aPanels] = BigInt(Math.ceil(rows / tile.rows))
        multiply(parameters)
      }
    }
    if (!isWhole) kernels.storeBlock(sums, rowFloats, c, ldc, m, n, bias)
  }
}

/** Values of k that are summed before C is touched: of bf16, whose cut is nobody else's, whole blocks of the packing. */
function pieceOf(depth: number, perWord: number): number {
  const pieces = Math.ceil(depth / (KC * perWord))
  return pieces === 1 ? depth : packedDepth(Math.ceil(depth / pieces), perWord === 1 ? 4 : 32)
}
