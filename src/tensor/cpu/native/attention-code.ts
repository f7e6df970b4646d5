// Machine code (AVX-512) of attention: one head of one row, as kernels/wasm/tensor/attention.ts describes it, without a cap on
// scores or a bias. All scores of sixteen queries exist at one time: 64 bytes a key.

import { Assembler, LANES, r8, r9, r10, r11, rax, rbx, rdi, VECTOR_BYTES } from './assembler.ts'
import { attentionParts, parameter, pitchOf, seen, sightTiles } from './attention-parts.ts'

/** Below any score, and still above what takes the place of an unseen one. */
const LEAST = -1e30
const UNSEEN = -3e38

export function attentionCode(headSize: number): Uint8Array {
  const code = new Assembler('avx512')
  const parts = attentionParts(code, headSize)
  const pitch = pitchOf(headSize)
  const { load } = parts
  const [sight, key, scores, tiles, turned] = [r8, r9, r10, r11, rbx]

  code.push(rbx)
  parts.begin()
  parts.packKeys('keys', 'packedKeys')
  parts.packKeys('values', 'packedValues')

  code.label('panel')
  load(sight, 'sights')
  parts.packPanel(sight, 'queries', 'queryStride', 'panel')
  parts.turnPanel('panel', 'turned', 'factor')
  scoreKeys()
  softmax()
  weighValues()
  parts.storePanel(sight, 'panel', 'outputs', 'outputStride')
  parts.nextPanel('panel')

  code.zeroUpper()
  code.pop(rbx)
  code.return()
  return code.finish()

  /** Scores of all tiles that any query sees; vector 28: each query's largest. */
  function scoreKeys(): void {
    const [unseen, top] = [27, 28]
    parts.constant(unseen, UNSEEN)
    parts.constant(top, LEAST)
    parts.beginSight(sight)
    load(scores, 'scores')
    load(turned, 'turned')
    parts.firstSeen(key, sight, 'packedKeys')
    code.load(tiles, sight, sightTiles)
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
    parts.firstSeen(key, sight, 'packedValues')
    code.load(tiles, sight, sightTiles)
    load(scores, 'scores')
    parts.weigh({ weights: scores, step: VECTOR_BYTES, matrix: key, tiles, out: turned }, (accumulators, query) => {
      const factor = 31
      load(rax, 'state')
      code.broadcast(factor, rax, 4 * query)
      for (const accumulator of accumulators) code.multiplyVectors(accumulator, accumulator, factor)
    })
    code.label('weighed')
  }
}
