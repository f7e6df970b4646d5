// A block of a matrix product by the BLAS of the system, on macOS Accelerate: one call of cblas_sgemm over the same memory, what
// kernels/wasm/tensor/gemm.ts does. A BLAS sums in an order of its own, so its last digits are not those of the other tiers.

import { loadKoffi, loadLibrary } from '../../../core/native.ts'
import type { Launch } from '../launch.ts'

/** As the loader of macOS knows it; since macOS 11 there is no such file, the loader has it all the same. */
export const accelerate = ['/System/Library/Frameworks/Accelerate.framework/Accelerate']

/** WASM's `storeBlock` (kernels/wasm/tensor/panels.ts), which adds a bias in place where both blocks are one, and its `gemm`. */
export interface BlasKernels {
  readonly storeBlock: (s: number, lds: number, c: number, ldc: number, m: number, n: number, bias: number) => void
  readonly gemm: (words: number, block: number, scratch: number) => void
}

const prototype =
  'void cblas_sgemm(int order, int opA, int opB, int m, int n, int k, float alpha, uint64_t a, int lda, uint64_t b, int ldb, float beta, uint64_t c, int ldc)'
const ROW_MAJOR = 101
const AS_IS = 111
const TRANSPOSED = 112

/** Narrower blocks would keep a BLAS from its own way of cutting. */
const FEWEST_COLUMNS = 64

/** The product in blocks of columns, one a thread at most: a BLAS packs, and may use threads, on its own. */
export function inColumns(launch: Launch, threads: number): Launch {
  const [M, N, K, , rowA, columnA, , rowB, columnB] = launch.words
  if (!layoutOf(M, K, rowA, columnA) || !layoutOf(K, N, rowB, columnB)) return launch
  const columns = Math.max(FEWEST_COLUMNS, Math.ceil(N / threads / 8) * 8)
  return { ...launch, blocks: Math.ceil(N / columns), words: [...launch.words.slice(0, 13), M, columns] }
}

/** The kernel `gemm` of a thread, called like the one of WASM; undefined where none of the libraries has a BLAS. */
export function blasGemm(libraries: readonly string[], memory: WebAssembly.Memory, kernels: BlasKernels): BlasKernels['gemm'] | undefined {
  const koffi = loadKoffi()
  const multiply = loadBlas(libraries)
  if (!koffi || !multiply) return undefined
  const base = koffi.address(new Uint8Array(memory.buffer))
  const words = new Int32Array(memory.buffer)
  const native = (address: number, floats: number) => base + BigInt(4 * ((address >>> 0) + floats))

  return (argumentsAt, block, scratch) => {
    const [M, N, K, a, rowA, columnA, b, rowB, columnB, c, ldc, adds, bias, , columns] = words.subarray(argumentsAt)
    const [layoutA, layoutB] = [layoutOf(M, K, rowA, columnA), layoutOf(K, N, rowB, columnB)]
    if (!layoutA || !layoutB) return kernels.gemm(argumentsAt, block, scratch)
    const j = block * columns
    const n = Math.min(columns, N - j)
    const [from, to] = [native(b, j * columnB), native(c, j)]
    // beta 0: what C held is not read, as in BLAS's definition
    multiply(ROW_MAJOR, layoutA[0], layoutB[0], M, n, K, 1, native(a, 0), layoutA[1], from, layoutB[1], adds ? 1 : 0, to, ldc)
    const target = (c >>> 0) + j
    if (bias !== 0) kernels.storeBlock(target, ldc, target, ldc, M, n, (bias >>> 0) + j)
  }
}

/** Whether one of the libraries loads and has what is called. */
export function hasBlas(libraries: readonly string[]): boolean {
  return loadBlas(libraries) !== undefined
}

function loadBlas(libraries: readonly string[]) {
  try {
    return loadLibrary(libraries)?.func(prototype)
  } catch {
    return undefined // loads, and is something else
  }
}

/** How BLAS is told of a matrix, and its leading dimension; undefined where neither rows nor columns lie without gaps. */
function layoutOf(rows: number, columns: number, rowStride: number, columnStride: number): readonly [number, number] | undefined {
  if (columnStride === 1 && rowStride >= columns) return [AS_IS, rowStride]
  return rowStride === 1 && columnStride >= rows ? [TRANSPOSED, columnStride] : undefined
}
