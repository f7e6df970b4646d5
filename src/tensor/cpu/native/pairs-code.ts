// Machine code that rounds packed panels of f32 to bf16, in place: each lane's values of k and k + 1 come to lie side by side,
// as vdpbf16ps (AVX-512 BF16) multiplies them. What was depth · width floats is half as many words of two.

import { Assembler, rax, rcx, rdi, rdx, rsi } from './assembler.ts'

/** Words of 64 bits that the code is given the address of. */
export const pairsParameters = { panels: 0, /** Of `pairsGroupFloats` each. */ groups: 1, indexes: 2 } as const
export const pairsParameterCount = 3

const LANES = 16
const VECTOR_BYTES = 64

/** Floats that one turn of the loop rounds: two rows of a wide panel, four of one of 8 lanes. */
export const pairsGroupFloats = (width: number) => (width === 8 ? 4 * width : 2 * width)

/** Where each of 32 words comes from, of 16 rounded floats and the 16 that lie behind them. */
export function pairsIndexes(width: number): Uint16Array {
  const rows = width === 8 ? 2 : 1 // rows in 16 floats
  return Uint16Array.from({ length: 2 * LANES }, (_, word) => {
    const [pair, half] = [word >> 1, word & 1]
    return rows === 1 ? half * LANES + pair : (pair >> 3) * LANES + half * 8 + (pair & 7)
  })
}

/** @param width lanes of a panel: 8, or a multiple of 16 */
export function pairsCode(width: number): Uint8Array {
  const code = new Assembler('avx512')
  const parameter = (name: keyof typeof pairsParameters) => 8 * pairsParameters[name]
  const [from, to, groups, indexes] = [rsi, rdx, rax, 31]
  const vectors = width === 8 ? 1 : width / LANES
  code.load(from, rdi, parameter('panels'))
  code.copy(to, from)
  code.load(groups, rdi, parameter('groups'))
  code.load(rcx, rdi, parameter('indexes'))
  code.loadVector(indexes, rcx, 0)
  code.label('group')
  for (let v = 0; v < vectors; v++) {
    code.loadVector(2 * v, from, v * VECTOR_BYTES)
    code.loadVector(2 * v + 1, from, (vectors + v) * VECTOR_BYTES)
  }
  for (let v = 0; v < vectors; v++) {
    code.roundPairs(2 * v, 2 * v + 1, 2 * v)
    code.permuteWords(2 * v, indexes, 2 * v)
    code.storeVector(2 * v, to, v * VECTOR_BYTES)
  }
  code.addNumber(from, 2 * vectors * VECTOR_BYTES)
  code.addNumber(to, vectors * VECTOR_BYTES)
  code.subtractNumber(groups, 1)
  code.jumpIfNotZero('group')
  code.zeroUpper()
  code.return()
  return code.finish()
}
