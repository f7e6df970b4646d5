// Products of matrices as launches: C = A·B (+ bias), operands in either order of memory, cut into blocks of whole tiles.

import { blocksOf, type Launch } from './launch.ts'
import type { Tile } from './native/gemm-code.ts'

/** The WASM kernel's, see kernels/wasm/tensor/gemm.ts. */
export const wasmTile: Tile = { rows: 6, columns: 8 }

interface Matrix {
  address: number
  row: number
  column: number
}

interface Product {
  M: number
  N: number
  K: number
  a: Matrix
  b: Matrix
  c: number
  adds: number
  bias?: number
}

export function gemm({ M, N, K, a, b, c, adds, bias = 0 }: Product): Launch {
  return { kernel: 'gemm', blocks: 1, words: [M, N, K, a.address, a.row, a.column, b.address, b.row, b.column, c, N, adds, bias] }
}

/** The product in blocks that suit the tile of whatever computes it. Bits do not depend on them. */
export function inBlocks(launch: Launch, tile: Tile, threads: number): Launch {
  const [M, N] = launch.words
  const { rows, columns } = gemmBlock(M, N, tile, threads)
  return { ...launch, blocks: blocksOf(M, rows) * blocksOf(N, columns), words: [...launch.words, rows, columns] }
}

/** Splitting C further than this costs more packing than a few more threads would gain. */
const SMALLEST_BLOCK = 64 * 64
/** How much longer the last round of blocks, in which threads are idle, may make a product. */
const MOST_IDLE = 1.1

/**
 * Rows and columns of C, in whole tiles, that one thread computes at a time: as much as its scratch holds, since every block
 * packs its operands anew, but in a number that all threads share evenly where blocks do not become too small.
 */
function gemmBlock(M: number, N: number, tile: Tile, threads: number): Tile {
  let rowBlocks = Math.ceil(M / 384)
  let columnBlocks = Math.ceil(N / 512)
  for (;;) {
    const rows = M / rowBlocks
    const columns = N / columnBlocks
    const rounds = (rowBlocks * columnBlocks) / threads
    if (Math.ceil(rounds) <= MOST_IDLE * rounds || (rows * columns) / 2 < SMALLEST_BLOCK) break
    // each row of blocks packs B again, the larger operand, and each column of them A
    if (rows >= 4 * columns) rowBlocks++
    else columnBlocks++
  }
  return {
    rows: Math.ceil(M / rowBlocks / tile.rows) * tile.rows,
    columns: Math.ceil(N / columnBlocks / tile.columns) * tile.columns,
  }
}

export const rowMajor = (address: number, columns: number): Matrix => ({ address, row: columns, column: 1 })
export const transposed = (address: number, columns: number): Matrix => ({ address, row: 1, column: columns })
