// The kinds of machine code that multiply matrices, and how each wants its operands.

import type { CpuPrecision } from '../../precision.ts'
import type { Vectors } from './assembler.ts'
import { depthMultiple, gemmCode, type Tile, tileOf } from './gemm-code.ts'
import type { PanelFormat } from './pack.ts'
import { amxTile, tileCode } from './tile-code.ts'

export interface Multiplier {
  /** What its operands are packed with. */
  readonly vectors: Vectors
  /** What the code computes at a time; it has no edges. */
  readonly tile: Tile
  readonly a: PanelFormat
  readonly b: PanelFormat
  readonly code: () => Uint8Array
  /** False where a bias is added afterwards. */
  readonly addsBias: boolean
}

/** AMX multiplies bf16 only. */
export type MultiplierName = `${Vectors}-f32` | 'avx512-bf16' | 'amx-bf16'

export function multiplierName(vectors: Vectors, precision: CpuPrecision, hasAmx: boolean): MultiplierName {
  if (precision === 'bf16') return hasAmx ? 'amx-bf16' : 'avx512-bf16'
  return `${vectors}-f32`
}

export const multipliers: Readonly<Record<MultiplierName, Multiplier>> = {
  'avx2-f32': byVectors('avx2', 'f32'),
  'avx512-f32': byVectors('avx512', 'f32'),
  'avx512-bf16': byVectors('avx512', 'bf16'),
  'amx-bf16': {
    vectors: 'avx512',
    tile: amxTile,
    a: { format: 'rows', width: amxTile.rows, depthMultiple: 32 },
    b: { format: 'pairs', width: amxTile.columns, depthMultiple: 32 },
    code: tileCode,
    addsBias: false,
  },
}

function byVectors(vectors: Vectors, precision: CpuPrecision): Multiplier {
  const tile = tileOf(vectors)
  const format = precision === 'f32' ? 'floats' : 'pairs'
  return {
    vectors,
    tile,
    a: { format, width: tile.rows, depthMultiple },
    b: { format, width: tile.columns, depthMultiple },
    code: () => gemmCode(vectors, precision),
    addsBias: true,
  }
}
