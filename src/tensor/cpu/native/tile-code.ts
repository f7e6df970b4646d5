// Machine code of a product of bf16 operands with AMX: two by two tiles of 16 × 16 sums, 32 steps of k at a time. A lies as rows
// of steps, B in pairs (pack-code.ts). It is called like the code of gemm-code.ts.

import { Assembler, r8, r9, r10, r11, r12, rax, rbp, rbx, rcx, rdi, rdx, rsi } from './assembler.ts'
import { gemmParameters, type Tile } from './gemm-code.ts'

export const amxTile: Tile = { rows: 32, columns: 32 }

const TILE_ROWS = 16
const ROW_BYTES = 64
const TILE_BYTES = TILE_ROWS * ROW_BYTES

/** What tells the processor about eight tiles of 16 rows of 64 bytes (palette 1). */
export const tileConfiguration = new Uint8Array(64)
tileConfiguration[0] = 1
for (let tile = 0; tile < 8; tile++) {
  tileConfiguration[16 + 2 * tile] = ROW_BYTES
  tileConfiguration[48 + tile] = TILE_ROWS
}

/** C (+)= A·B for whole tiles: for each panel of B, for each panel of A, for each 32 steps. A bias is not added. */
export function tileCode(): Uint8Array {
  const code = new Assembler('avx512')
  const parameter = (name: keyof typeof gemmParameters) => 8 * gemmParameters[name]
  const [depth, column, row, a, b, panelOfB] = [rax, rbx, rcx, rsi, rdx, r11]
  const [rowBytes, aPanels, bPanels, aStride, bStride] = [r8, r9, r10, rbp, r12]

  code.push(rbx)
  code.push(rbp)
  code.push(r12)
  code.load(rax, rdi, parameter('tiles'))
  code.configureTiles(rax)
  code.number(aStride, ROW_BYTES)
  code.number(bStride, 2 * ROW_BYTES)
  code.load(rowBytes, rdi, parameter('rowBytes'))
  code.load(bPanels, rdi, parameter('bPanels'))
  code.load(panelOfB, rdi, parameter('panelsOfB'))
  code.load(column, rdi, parameter('c'))

  code.label('panel of B')
  code.load(a, rdi, parameter('panelsOfA'))
  code.load(aPanels, rdi, parameter('aPanels'))
  code.copy(row, column)

  code.label('panel of A')
  code.compareWithZero(rdi, parameter('adds'))
  code.jumpIfZero('zeros')
  quarters((tile, base, displacement) => code.loadTile(tile, base, rowBytes, displacement))
  code.jump('sums')
  code.label('zeros')
  for (let tile = 0; tile < 4; tile++) code.zeroTile(tile)

  code.label('sums')
  code.load(depth, rdi, parameter('depth'))
  code.copy(b, panelOfB)
  code.label('k')
  code.loadTile(4, a, aStride, 0)
  code.loadTile(6, b, bStride, 0)
  code.loadTile(7, b, bStride, ROW_BYTES)
  code.multiplyAddTiles(0, 4, 6)
  code.multiplyAddTiles(1, 4, 7)
  code.loadTile(5, a, aStride, TILE_BYTES)
  code.multiplyAddTiles(2, 5, 6)
  code.multiplyAddTiles(3, 5, 7)
  code.addNumber(a, 2 * TILE_BYTES)
  code.addNumber(b, 2 * TILE_BYTES)
  code.subtractNumber(depth, 32)
  code.jumpIfNotZero('k')

  quarters((tile, base, displacement) => code.storeTile(tile, base, rowBytes, displacement))
  for (let i = 0; i < 2 * TILE_ROWS; i++) code.add(row, rowBytes)
  code.subtractNumber(aPanels, 1)
  code.jumpIfNotZero('panel of A')
  code.copy(panelOfB, b)
  code.addNumber(column, 2 * ROW_BYTES)
  code.subtractNumber(bPanels, 1)
  code.jumpIfNotZero('panel of B')

  code.releaseTiles()
  code.pop(r12)
  code.pop(rbp)
  code.pop(rbx)
  code.return()
  return code.finish()

  /** Tiles 0–3 where they lie in C. */
  function quarters(each: (tile: number, base: number, displacement: number) => void): void {
    each(0, row, 0)
    each(1, row, ROW_BYTES)
    code.copy(rax, row)
    for (let i = 0; i < TILE_ROWS; i++) code.add(rax, rowBytes)
    each(2, rax, 0)
    each(3, rax, ROW_BYTES)
  }
}
