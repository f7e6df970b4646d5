// Machine code (AVX-512) of attention's gradients: one head of one row, as kernels/wasm/tensor/attention-backward.ts describes
// them, without a cap on scores or a bias. Probabilities P and slopes of scores dS exist for sixteen queries at a time, side by
// side: [key][P of 16 queries, dS of 16 queries].

import { Assembler, LANES, r8, r9, r10, r11, rax, rbx, rcx, rdi, VECTOR_BYTES } from './assembler.ts'
import { type AttentionParameter, attentionParts, parameter, pitchOf, seen, sightTiles } from './attention-parts.ts'
import { transpose16 } from './transpose-code.ts'

/** Bytes from key to key of P and dS. */
const STEP = 2 * VECTOR_BYTES

export function attentionBackwardCode(headSize: number): Uint8Array {
  const code = new Assembler('avx512')
  const parts = attentionParts(code, headSize)
  const { load } = parts
  const pitch = pitchOf(headSize)
  const [sight, value, key, scores, tiles, panel] = [r8, rbx, r9, r10, r11, rcx]

  code.push(rbx)
  parts.begin()
  code.compareWithZero(rdi, parameter('begins'))
  code.jumpIfZero('panel')
  parts.packKeys('keys', 'packedKeys')
  parts.packKeys('values', 'packedValues')
  clearSums('packedKeySlopes')
  clearSums('packedValueSlopes')

  code.label('panel')
  load(sight, 'sights')
  parts.packPanel(sight, 'queries', 'queryStride', 'panel')
  parts.turnPanel('panel', 'turned', 'factor')
  parts.packPanel(sight, 'outputSlopes', 'outputStride', 'slopePanel')
  parts.turnPanel('slopePanel', 'turnedSlopes')
  parts.packPanel(sight, 'outputs', 'outputStride', 'outputPanel')
  beginState()
  code.compareWithZero(sight, sightTiles)
  code.jumpIfNotZero('sees')
  load(panel, 'outputPanel')
  parts.clearRows(panel)
  code.jump('store')
  code.label('sees')
  scoreKeys()
  weighKeys()
  gather(0, 'slopePanel', 'packedValueSlopes')
  gather(VECTOR_BYTES, 'panel', 'packedKeySlopes')
  code.label('store')
  parts.storePanel(sight, 'outputPanel', 'querySlopes', 'queryStride')
  parts.nextPanel('panel')

  code.compareWithZero(rdi, parameter('ends'))
  code.jumpIfZero('end')
  parts.storeKeys('packedKeySlopes', 'keySlopes')
  parts.storeKeys('packedValueSlopes', 'valueSlopes')
  code.label('end')
  code.zeroUpper()
  code.pop(rbx)
  code.return()
  return code.finish()

  function clearSums(sums: AttentionParameter): void {
    const clear = parts.label('clear')
    load(key, sums)
    load(tiles, 'keyTiles')
    code.label(clear)
    parts.clearRows(key)
    code.addNumber(key, LANES * pitch)
    code.subtractNumber(tiles, 1)
    code.jumpIfNotZero(clear)
  }

  /** state: lse as a power of two, then delta = y·dy of each query. */
  function beginState(): void {
    const [y, dy, state] = [key, value, scores]
    load(y, 'outputPanel')
    load(dy, 'slopePanel')
    load(state, 'state')
    for (let row = 0; row < LANES; row++) {
      code.zero(row)
      for (let at = row * pitch; at < (row + 1) * pitch; at += VECTOR_BYTES) {
        code.loadVector(16, y, at)
        code.loadVector(17, dy, at)
        code.multiplyAdd(row, 16, 17)
      }
    }
    transpose16(code)
    for (let half = LANES / 2; half >= 1; half /= 2) for (let r = 0; r < half; r++) code.addVectors(r, r, r + half)
    code.storeVector(0, state, VECTOR_BYTES)
    load(rax, 'sums')
    code.loadVector(0, rax, 0)
    code.addNumber(rax, VECTOR_BYTES)
    code.store(rax, rdi, parameter('sums'))
    parts.constant(1, Math.LOG2E)
    code.multiplyVectors(0, 0, 1)
    code.storeVector(0, state, 0)
  }

  /** P = 2^(score − lse) and dS = P·(dP − delta)·scale of all tiles that any query sees. */
  function scoreKeys(): void {
    const lse = 28
    const product = { rows: LANES, vectors: 1, aRow: pitch, aStep: 4, b: panel, bStep: VECTOR_BYTES, steps: { count: headSize } }
    parts.beginPowers()
    parts.beginSight(sight)
    parts.firstSeen(key, sight, 'packedKeys')
    parts.firstSeen(value, sight, 'packedValues')
    load(scores, 'scores')
    code.load(tiles, sight, sightTiles)
    load(rax, 'state')
    code.loadVector(lse, rax, 0)

    code.label('tile')
    load(panel, 'turned')
    parts.product({ ...product, a: key })
    for (let r = 0; r < LANES; r++) {
      parts.see()
      code.subtractVectors(r, r, lse)
      parts.powerOfTwo(r, 16 + 2 * (r & 1), 17 + 2 * (r & 1), seen)
      code.storeVector(r, scores, r * STEP)
    }
    load(panel, 'turnedSlopes')
    parts.product({ ...product, a: value })
    const [delta, scale] = [16, 17]
    load(rax, 'state')
    code.loadVector(delta, rax, VECTOR_BYTES)
    code.broadcast(scale, rdi, parameter('scale'))
    for (let r = 0; r < LANES; r++) {
      code.subtractVectors(r, r, delta)
      code.multiplyMemory(r, r, scores, r * STEP)
      code.multiplyVectors(r, r, scale)
      code.storeVector(r, scores, r * STEP + VECTOR_BYTES)
    }
    code.addNumber(key, LANES * pitch)
    code.addNumber(value, LANES * pitch)
    code.addNumber(scores, LANES * STEP)
    code.subtractNumber(tiles, 1)
    code.jumpIfNotZero('tile')
  }

  /** dq = Σ over keys of dS·k, where the panel of outputs was. */
  function weighKeys(): void {
    parts.firstSeen(key, sight, 'packedKeys')
    code.load(tiles, sight, sightTiles)
    load(scores, 'scores')
    code.addNumber(scores, VECTOR_BYTES)
    load(panel, 'outputPanel')
    parts.weigh({ weights: scores, step: STEP, matrix: key, tiles, out: panel })
  }

  /** sums[key][d] += Σ over the panel of P or dS[key][query]·rows[query][d]. */
  function gather(weightsAt: number, rowsOf: AttentionParameter, sums: AttentionParameter): void {
    const rows = 8
    for (const chunk of parts.chunks()) {
      const next = parts.label('keys')
      parts.firstSeen(key, sight, sums)
      code.addNumber(key, chunk.at)
      load(scores, 'scores')
      code.addNumber(scores, weightsAt)
      load(panel, rowsOf)
      code.addNumber(panel, chunk.at)
      code.load(tiles, sight, sightTiles)
      code.add(tiles, tiles)
      code.label(next)
      parts.product({ rows, vectors: chunk.vectors, a: scores, aRow: STEP, aStep: 4, b: panel, bStep: pitch, steps: { count: LANES } })
      for (let r = 0; r < rows; r++)
        for (let v = 0; v < chunk.vectors; v++) {
          const accumulator = r * chunk.vectors + v
          code.addMemory(accumulator, key, r * pitch + v * VECTOR_BYTES)
          code.storeVector(accumulator, key, r * pitch + v * VECTOR_BYTES)
        }
      code.addNumber(key, rows * pitch)
      code.addNumber(scores, rows * STEP)
      code.subtractNumber(tiles, 1)
      code.jumpIfNotZero(next)
    }
  }
}
