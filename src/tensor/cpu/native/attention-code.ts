// Machine code (AVX-512) of attention: one head of one row, as kernels/wasm/tensor/attention.ts describes it, without a cap on
// scores or a bias. All scores of sixteen queries exist at one time: 64 bytes a key.

import { Assembler, r8, r9, r10, r11, rax, rbx, rcx, rdi, rsi } from './assembler.ts'
import { attentionParts, LANES, pitchOf, SIGHT_BYTES, seen, sightRows, sightTile, sightTiles, VECTOR_BYTES } from './attention-parts.ts'

/** Words of 64 bits that the code is given the address of. Those of queries, outputs, sights, sums and panels move. */
export const attentionParameters = {
  queries: 0,
  keys: 1,
  values: 2,
  outputs: 3,
  /** Bytes from row to row. */
  queryStride: 4,
  keyStride: 5,
  outputStride: 6,
  /** Keys, at least one. */
  keyCount: 7,
  /** Of sixteen queries, at least one. */
  panels: 8,
  /** A float: what products are multiplied with, so that a power of two of them is what the softmax wants. */
  factor: 9,
  sights: 10,
  /** Out, of 16 floats a panel: ln Σ e^score. */
  sums: 11,
  /** Scratch: keys and values as packed rows, up to a multiple of 16. */
  packedKeys: 12,
  packedValues: 13,
  /** Bytes of them without the last sixteen rows. */
  lastRows: 14,
  scores: 15,
  /** Sixteen packed rows, the same turned, and one vector. */
  panel: 16,
  turned: 17,
  state: 18,
} as const
export const attentionParameterCount = 19

/** Below any score, and still above what takes the place of an unseen one. */
const LEAST = -1e30
const UNSEEN = -3e38

export function attentionCode(headSize: number): Uint8Array {
  const code = new Assembler('avx512')
  const parts = attentionParts(code, headSize)
  const pitch = pitchOf(headSize)
  const parameter = (name: keyof typeof attentionParameters) => 8 * attentionParameters[name]
  const load = (register: number, name: keyof typeof attentionParameters) => code.load(register, rdi, parameter(name))
  const [sight, key, scores, tiles, turned, rows] = [r8, r9, r10, r11, rbx, rcx]

  code.push(rbx)
  parts.begin()
  packRows('keys', 'packedKeys')
  packRows('values', 'packedValues')

  code.label('panel')
  load(sight, 'sights')
  load(key, 'queries')
  load(scores, 'panel')
  code.load(rows, sight, sightRows)
  parts.copyQueries(key, parameter('queryStride'), scores, rows)
  code.store(key, rdi, parameter('queries'))
  load(scores, 'panel')
  load(turned, 'turned')
  parts.turnRows(scores, turned, { base: rdi, displacement: parameter('factor') })
  scoreKeys()
  softmax()
  weighValues()
  storeRows()
  load(sight, 'sights')
  code.addNumber(sight, SIGHT_BYTES)
  code.store(sight, rdi, parameter('sights'))
  load(rax, 'panels')
  code.subtractNumber(rax, 1)
  code.store(rax, rdi, parameter('panels'))
  code.jumpIfNotZero('panel')

  code.zeroUpper()
  code.pop(rbx)
  code.return()
  return code.finish()

  function packRows(matrix: 'keys' | 'values', packed: 'packedKeys' | 'packedValues'): void {
    load(key, packed)
    code.addLoaded(key, rdi, parameter('lastRows'))
    parts.clearRows(key)
    load(key, packed)
    load(scores, matrix)
    load(rows, 'keyCount')
    parts.copyRows({
      from: scores,
      to: key,
      rows,
      nextFrom: () => code.addLoaded(scores, rdi, parameter('keyStride')),
      nextTo: () => code.addNumber(key, pitch),
      keepsTail: false,
    })
  }

  /** Scores of all tiles that any query sees; vector 28: each query's largest. */
  function scoreKeys(): void {
    const [unseen, top] = [27, 28]
    parts.constant(unseen, UNSEEN)
    parts.constant(top, LEAST)
    parts.beginSight(sight)
    load(scores, 'scores')
    beginTiles('packedKeys')
    code.compareWithZero(sight, sightTiles)
    code.jumpIfZero('scored')
    code.label('tile')
    parts.product({ rows: LANES, vectors: 1, a: key, aRow: pitch, aStep: 4, b: turned, bStep: VECTOR_BYTES, steps: { count: headSize } })
    for (let r = 0; r < LANES; r++) {
      parts.see()
      code.choose(r, seen, r, unseen)
      code.storeVector(r, scores, r * VECTOR_BYTES)
    }
    for (let half = LANES / 2; half >= 1; half /= 2) for (let r = 0; r < half; r++) code.maximum(r, r, r + half)
    code.maximum(top, top, 0)
    code.addNumber(key, LANES * pitch)
    code.addNumber(scores, LANES * VECTOR_BYTES)
    code.subtractNumber(tiles, 1)
    code.jumpIfNotZero('tile')
    code.label('scored')
  }

  /** The tiles of a panel: from which row on, and how many. */
  function beginTiles(matrix: 'packedKeys' | 'packedValues'): void {
    code.load(key, sight, sightTile)
    code.multiplyNumber(key, LANES * pitch)
    code.addLoaded(key, rdi, parameter(matrix))
    code.load(tiles, sight, sightTiles)
  }

  /** Scores become 2^(score − largest). state: 1 / their sum, 0 where there is none. */
  function softmax(): void {
    const [top, sum, total, one] = [28, 29, 0, 20]
    const together = 4
    parts.beginPowers()
    code.zero(sum)
    load(scores, 'scores')
    code.load(tiles, sight, sightTiles)
    code.multiplyNumber(tiles, LANES / together)
    code.compareWithZero(sight, sightTiles)
    code.jumpIfZero('summed')
    code.label('powers')
    for (let i = 0; i < together; i++) {
      const [x, n, y] = [3 * i, 3 * i + 1, 3 * i + 2]
      code.loadVector(x, scores, i * VECTOR_BYTES)
      code.subtractVectors(x, x, top)
      parts.powerOfTwo(x, n, y)
      code.storeVector(x, scores, i * VECTOR_BYTES)
      code.addVectors(sum, sum, x)
    }
    code.addNumber(scores, together * VECTOR_BYTES)
    code.subtractNumber(tiles, 1)
    code.jumpIfNotZero('powers')
    code.label('summed')
    code.zero(total)
    code.maskBelow(seen, total, sum)
    code.divideMasked(total, seen, one, sum)
    load(rax, 'state')
    code.storeVector(total, rax, 0)
    storeLogarithm(top, sum, one)
  }

  /**
   * ln(sum · 2^top) where there is a sum, else 0. The mantissa m lies around 1: ln m = 2·artanh s for s = (m − 1) / (m + 1),
   * |s| ≤ 0.2, whose series ends here below 1e-8.
   */
  function storeLogarithm(top: number, sum: number, one: number): void {
    const [m, s, square, series, power, t] = [0, 1, 2, 3, 4, 5]
    code.mantissa(m, sum)
    code.divideMasked(power, seen, sum, m) // the power of two that m leaves, not always that of sum
    code.exponent(power, power)
    code.addVectors(power, power, top)
    code.subtractVectors(s, m, one)
    code.addVectors(t, m, one)
    code.divideMasked(s, seen, s, t)
    code.multiplyVectors(square, s, s)
    parts.constant(series, 2 / 9)
    for (const odd of [7, 5, 3, 1]) {
      parts.constant(t, 2 / odd)
      code.multiplyThenAdd(series, square, t)
    }
    code.multiplyVectors(series, series, s)
    parts.constant(t, Math.LN2)
    code.multiplyThenAdd(power, t, series)
    load(rax, 'sums')
    code.divideMasked(power, seen, power, one)
    code.storeVector(power, rax, 0)
    code.addNumber(rax, VECTOR_BYTES)
    code.store(rax, rdi, parameter('sums'))
  }

  /** The panel of outputs, where that of the queries was. */
  function weighValues(): void {
    load(turned, 'panel')
    code.compareWithZero(sight, sightTiles)
    code.jumpIfNotZero('weigh')
    parts.clearRows(turned)
    code.jump('weighed')
    code.label('weigh')
    beginTiles('packedValues')
    load(scores, 'scores')
    parts.weigh(scores, key, tiles, turned, (accumulators, query) => {
      const factor = 31
      load(rax, 'state')
      code.broadcast(factor, rax, 4 * query)
      for (const accumulator of accumulators) code.multiplyVectors(accumulator, accumulator, factor)
    })
    code.label('weighed')
  }

  function storeRows(): void {
    load(rsi, 'outputs')
    code.load(rows, sight, sightRows)
    parts.copyRows({
      from: turned,
      to: rsi,
      rows,
      nextFrom: () => code.addNumber(turned, pitch),
      nextTo: () => code.addLoaded(rsi, rdi, parameter('outputStride')),
      keepsTail: true,
    })
    code.store(rsi, rdi, parameter('outputs'))
  }
}
