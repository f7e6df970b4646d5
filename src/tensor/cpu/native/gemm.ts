// A block of a matrix product by machine code: what kernels/wasm/tensor/gemm.ts does, with wider vectors. Operands are packed
// and blocks stored by WASM, in the same memory; K is cut at the same places, so that the results have the same bits.

import { loadKoffi } from '../../../core/native.ts'
import type { Vectors } from './assembler.ts'
import { makeExecutable } from './executable.ts'
import { gemmCode, gemmParameterCount, gemmParameters, type Precision, tileOf } from './gemm-code.ts'
import { pairsCode, pairsGroupFloats, pairsIndexes, pairsParameterCount, pairsParameters } from './pairs-code.ts'

/** As in kernels/wasm/tensor/gemm.ts: the sum over K is cut into pieces of about this many. */
const KC = 256
/** Rows of A that are packed at once. */
const MC = 192
/** Largest block of a launch, see `gemmBlock`. */
const MOST_ROWS = 384 + 12
const MOST_COLUMNS = 512 + 32
/** Rows of scratch that lie a multiple of 4 KiB apart would push each other out of the cache. */
const ROW_PADDING = 16

const packedAFloats = (MC + 12) * (KC + 4)
const packedBFloats = MOST_COLUMNS * (KC + 4)
export const nativeScratchFloats = packedAFloats + packedBFloats + MOST_ROWS * (MOST_COLUMNS + ROW_PADDING)

/** What the machine code cannot do itself. */
export interface PanelKernels {
  readonly packPanels: (
    x: number,
    laneStride: number,
    depthStride: number,
    lanes: number,
    depth: number,
    width: number,
    out: number,
  ) => void
  readonly fetchBlock: (c: number, ldc: number, m: number, n: number, s: number, lds: number) => void
  readonly storeBlock: (s: number, lds: number, c: number, ldc: number, m: number, n: number, bias: number) => void
}

/** Larger than what the engine keeps on its heap, where it would move. */
const UNMOVED_BYTES = 4096

/** Rounds panels of this many lanes to bf16: their address, and their rows together. */
function panelRounder(width: number): ((panels: bigint, rows: number) => void) | undefined {
  const koffi = loadKoffi()
  const round = makeExecutable(pairsCode(width))
  if (!koffi || !round) return undefined
  const indexes = new Uint16Array(UNMOVED_BYTES / 2)
  indexes.set(pairsIndexes(width))
  const parameters = new BigInt64Array(pairsParameterCount)
  return (panels, rows) => {
    parameters[pairsParameters.panels] = panels
    parameters[pairsParameters.groups] = BigInt((rows * width) / pairsGroupFloats(width))
    parameters[pairsParameters.indexes] = koffi.address(indexes)
    round(parameters)
  }
}

/** Arguments of a launch of `gemm` by position. */
const [M, N, K, A, ROW_A, COLUMN_A, B, ROW_B, COLUMN_B, C, LDC, ADDS, BIAS, BLOCK_ROWS, BLOCK_COLUMNS] = Array.from(
  { length: 15 },
  (_, i) => i,
)

/** The kernel `gemm` of a thread, called like the one of WASM; undefined where the code may not run. */
export function nativeGemm(
  vectors: Vectors,
  memory: WebAssembly.Memory,
  kernels: PanelKernels,
  precision: Precision = 'f32',
): ((words: number, block: number, scratch: number) => void) | undefined {
  const koffi = loadKoffi()
  const multiply = makeExecutable(gemmCode(vectors, precision))
  if (!koffi || !multiply) return undefined
  const tile = tileOf(vectors)
  const [roundA, roundB] = [tile.rows, tile.columns].map((width) => (precision === 'f32' ? undefined : panelRounder(width)))
  const base = koffi.address(new Uint8Array(memory.buffer))
  const words = new Int32Array(memory.buffer)
  const parameters = new BigInt64Array(gemmParameterCount)
  const native = (address: number) => base + BigInt(address)

  return (argumentsAt, block, scratch) => {
    const argument = argumentsAt >>> 2
    const int = (name: number) => words[argument + name]
    const address = (name: number) => words[argument + name] >>> 0
    const [rowA, columnA, rowB, columnB, ldc, depth] = [int(ROW_A), int(COLUMN_A), int(ROW_B), int(COLUMN_B), int(LDC), int(K)]
    const down = Math.ceil(int(M) / int(BLOCK_ROWS))
    const [i, j] = [(block % down) * int(BLOCK_ROWS), Math.floor(block / down) * int(BLOCK_COLUMNS)]
    const [m, n] = [Math.min(int(BLOCK_ROWS), int(M) - i), Math.min(int(BLOCK_COLUMNS), int(N) - j)]
    const a = address(A) + 4 * i * rowA
    const b = address(B) + 4 * j * columnB
    const c = address(C) + 4 * (i * ldc + j)
    const packedA = scratch
    const packedB = packedA + 4 * packedAFloats
    const sums = packedB + 4 * packedBFloats
    const bPanels = Math.ceil(n / tile.columns)
    const rowFloats = bPanels * tile.columns + ROW_PADDING
    const pieces = Math.ceil(depth / KC)
    const piece = pieces > 1 ? (Math.ceil(depth / pieces) + 3) & ~3 : depth
    const stripes = Math.ceil(m / MC)
    const stripe = Math.ceil(m / stripes / tile.rows) * tile.rows

    if (int(ADDS)) kernels.fetchBlock(c, ldc, m, n, sums, rowFloats)
    parameters[gemmParameters.panelsOfA] = native(packedA)
    parameters[gemmParameters.panelsOfB] = native(packedB)
    parameters[gemmParameters.rowBytes] = BigInt(4 * rowFloats)
    parameters[gemmParameters.bPanels] = BigInt(bPanels)
    for (let k = 0; k < depth; k += piece) {
      const steps = Math.min(piece, depth - k)
      kernels.packPanels(b + 4 * k * rowB, columnB, rowB, n, steps, tile.columns, packedB)
      roundB?.(native(packedB), bPanels * ((steps + 3) & ~3))
      parameters[gemmParameters.depth] = BigInt((steps + 3) & ~3)
      parameters[gemmParameters.adds] = int(ADDS) || k > 0 ? 1n : 0n
      for (let row = 0; row < m; row += stripe) {
        const rows = Math.min(stripe, m - row)
        const aPanels = Math.ceil(rows / tile.rows)
        kernels.packPanels(a + 4 * (row * rowA + k * columnA), rowA, columnA, rows, steps, tile.rows, packedA)
        roundA?.(native(packedA), aPanels * ((steps + 3) & ~3))
        parameters[gemmParameters.c] = native(sums + 4 * row * rowFloats)
        parameters[gemmParameters.aPanels] = BigInt(aPanels)
        multiply(parameters)
      }
    }
    kernels.storeBlock(sums, rowFloats, c, ldc, m, n, address(BIAS) === 0 ? 0 : address(BIAS) + 4 * j)
  }
}
