// What AMX needs before its first tile: the leave of the system, and a product of our own to see that it counts right.

import { loadKoffi, loadLibc } from '../../../core/native.ts'
import { makeExecutable, unmoved } from './executable.ts'
import { gemmParameterCount, gemmParameters } from './gemm-code.ts'
import { tileCode, tileConfiguration } from './tile-code.ts'

/** arch_prctl(ARCH_REQ_XCOMP_PERM, XTILE_DATA), Linux from 5.16 on; it holds for the whole process. */
const [ARCH_PRCTL, REQUEST_PERMISSION, TILE_DATA] = [158, 0x1023, 18]

export function allowTiles(): boolean {
  const syscall = loadLibc()?.func('long syscall(long, long, long)')
  return Number(syscall?.(ARCH_PRCTL, REQUEST_PERMISSION, TILE_DATA)) === 0
}

const SIDE = 32
const floatBits = new DataView(new ArrayBuffer(4))

/** Small integers, which bf16 holds exactly: a panel of A in rows, one of B in pairs, see pack-code.ts. */
export function tileProbe() {
  const a = Array.from({ length: SIDE * SIDE }, (_, i) => ((i * 7) % 15) - 7)
  const b = Array.from({ length: SIDE * SIDE }, (_, i) => ((i * 5) % 13) - 6)
  const rows = Uint16Array.from(a, bf16)
  const pairs = new Uint16Array(SIDE * SIDE)
  const c = new Float32Array(SIDE * SIDE)
  for (let k = 0; k < SIDE; k++)
    for (let column = 0; column < SIDE; column++) {
      pairs[(k >> 1) * 2 * SIDE + 2 * column + (k & 1)] = bf16(b[k * SIDE + column])
      for (let row = 0; row < SIDE; row++) c[row * SIDE + column] += a[row * SIDE + k] * b[k * SIDE + column]
    }
  return { rows, pairs, c }
}

function bf16(value: number): number {
  floatBits.setFloat32(0, value)
  return floatBits.getUint16(0)
}

export function tilesMultiply(): boolean {
  const koffi = loadKoffi()
  const multiply = makeExecutable(tileCode())
  if (!koffi || !multiply) return false
  const expected = tileProbe()
  const operands = [expected.rows, expected.pairs].map((words) => unmoved(new Uint8Array(words.buffer)))
  const c = new Float32Array(SIDE * SIDE)
  const parameters = new BigInt64Array(gemmParameterCount)
  const addresses = { panelsOfA: operands[0], panelsOfB: operands[1], c, tiles: unmoved(tileConfiguration) }
  for (const name of ['panelsOfA', 'panelsOfB', 'c', 'tiles'] as const) parameters[gemmParameters[name]] = koffi.address(addresses[name])
  parameters[gemmParameters.depth] = BigInt(SIDE)
  parameters[gemmParameters.rowBytes] = BigInt(4 * SIDE)
  parameters[gemmParameters.aPanels] = 1n
  parameters[gemmParameters.bPanels] = 1n
  multiply(parameters)
  return c.every((value, i) => value === expected.c[i])
}
