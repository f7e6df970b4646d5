// What attention's machine code (AVX-512) is made of, forward and backward: rows copied to where they lie evenly, products in
// registers, powers of two. The code is made for one head size, so that all distances inside of a head are numbers in it.
//
// Sixteen queries at a time are the lanes of a vector, a panel. Scores come out as [key][16 queries]: the softmax goes down the
// vectors, and a query's weight of a key is one float in memory that can be spread over a vector of v.

import { type Assembler, LANES, r9, r10, rax, rbx, rcx, rdi, rdx, rsi, VECTOR_BYTES } from './assembler.ts'
import { transpose16 } from './transpose-code.ts'

/** Bytes of what a panel of queries sees, see `attentionSights` in kernels/wasm/tensor/attention.ts. */
export const SIGHT_BYTES = 192
/** Places in it. */
const sightLo = 0
const sightCount = 64
const sightTile = 128
export const sightTiles = 136
const sightRows = 144

/**
 * Words of 64 bits that the code is given the address of. Those of queries, outputs and their slopes, of sights and sums move
 * from panel to panel.
 */
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
  /** ln Σ e^score, 16 floats a panel: out, and backward in. */
  sums: 11,
  /** Scratch: keys and values as packed rows, up to a multiple of 16. */
  packedKeys: 12,
  packedValues: 13,
  /** Bytes of them without the last sixteen rows. */
  lastRows: 14,
  /** 16 floats a key, backward 32. */
  scores: 15,
  /** Sixteen packed rows of queries, the same turned, and one vector, backward two. */
  panel: 16,
  turned: 17,
  state: 18,
  // backward only
  outputSlopes: 19,
  querySlopes: 20,
  keySlopes: 21,
  valueSlopes: 22,
  /** A float. */
  scale: 23,
  /** As the packed keys and values. */
  packedKeySlopes: 24,
  packedValueSlopes: 25,
  keyTiles: 26,
  outputPanel: 27,
  slopePanel: 28,
  turnedSlopes: 29,
  /** Not 0 for the first head of those that share keys, and for the last one. */
  begins: 30,
  ends: 31,
} as const
export const attentionParameterCount = 32
export type AttentionParameter = keyof typeof attentionParameters

export const parameter = (name: AttentionParameter) => 8 * attentionParameters[name]

const vectorsOf = (headSize: number) => Math.ceil(headSize / LANES)
/** Bytes from row to row of what was copied: whole vectors, filled up with zeros. */
export const pitchOf = (headSize: number) => vectorsOf(headSize) * VECTOR_BYTES

/** Masks: lanes of a row's last vector; queries that see a key. */
const tail = 1
export const seen = 2

/** Lanes left over: first key of a tile − lo; keys seen; ones. They hold while a panel's tiles go by. */
const [distance, count, ones] = [29, 30, 31]
/** Of `powerOfTwo`. Held by whoever calls it. */
const coefficients = [20, 21, 22, 23, 24, 25, 26, 27]

interface Rows {
  readonly from: number
  readonly to: number
  /** Register with their number; 0 afterwards. */
  readonly rows: number
  nextFrom(): void
  nextTo(): void
  /** Whether floats behind the row belong to somebody else. */
  readonly keepsTail: boolean
}

/** a[r][s] spread, times vectors b[s][v]: distances in bytes. */
interface Product {
  readonly rows: number
  readonly vectors: number
  /** Registers with the addresses; they are left as they are. */
  readonly a: number
  readonly b: number
  readonly aRow: number
  readonly aStep: number
  readonly bStep: number
  /** How many steps, or the register with the number of tiles of 16 steps, at least one. It is left as it is. */
  readonly steps: { readonly count: number } | { readonly tiles: number }
}

/** Registers with the addresses of weights[key][query], of a row a key, and of a row a query; with the number of tiles of keys. */
interface Weighing {
  readonly weights: number
  /** Bytes from key to key of the weights. */
  readonly step: number
  readonly matrix: number
  readonly tiles: number
  readonly out: number
}

export function attentionParts(code: Assembler, headSize: number) {
  const vectors = vectorsOf(headSize)
  const pitch = pitchOf(headSize)
  const hasTail = headSize % LANES > 0
  let labels = 0
  const label = (name: string) => `${name} ${labels++}`

  function begin(): void {
    code.number(rax, 2 ** (headSize % LANES) - 1)
    code.maskFrom(tail, rax)
  }

  /** A number in all lanes. */
  function constant(register: number, value: number): void {
    integer(register, bitsOf(value))
  }

  function integer(register: number, value: number): void {
    code.number(rax, value)
    code.spread(register, rax)
  }

  /** Sixteen packed rows become zeros. */
  function clearRows(to: number): void {
    code.zero(0)
    for (let at = 0; at < LANES * pitch; at += VECTOR_BYTES) code.storeVector(0, to, at)
  }

  /** Copies at least one row. Where they are read from strided memory, what is missing of the last vector becomes 0. */
  function copyRows({ from, to, rows, nextFrom, nextTo, keepsTail }: Rows): void {
    const row = label('row')
    code.label(row)
    for (let v = 0; v < vectors; v++) {
      const isRagged = hasTail && v === vectors - 1
      if (isRagged) code.loadMasked(v & 15, tail, from, v * VECTOR_BYTES)
      else code.loadVector(v & 15, from, v * VECTOR_BYTES)
      if (isRagged && keepsTail) code.storeMasked(v & 15, tail, to, v * VECTOR_BYTES)
      else code.storeVector(v & 15, to, v * VECTOR_BYTES)
    }
    nextFrom()
    nextTo()
    code.subtractNumber(rows, 1)
    code.jumpIfNotZero(row)
  }

  /** Sixteen packed rows become [headSize][16], times a factor in memory. */
  function turnRows(from: number, to: number, factor?: { readonly base: number; readonly displacement: number }): void {
    for (let v = 0; v < vectors; v++) {
      for (let row = 0; row < LANES; row++) code.loadVector(row, from, row * pitch + v * VECTOR_BYTES)
      transpose16(code)
      if (factor) code.broadcast(LANES, factor.base, factor.displacement)
      for (let lane = 0; lane < Math.min(LANES, headSize - v * LANES); lane++) {
        if (factor) code.multiplyVectors(lane, lane, LANES)
        code.storeVector(lane, to, (v * LANES + lane) * VECTOR_BYTES)
      }
    }
  }

  /** accumulator(r, v) = Σ over s of a[r][s]·b[s][v]. Overwrites rax, rsi, rdx and the vectors behind the accumulators. */
  function product({ rows, vectors: width, a, b, aRow, aStep, bStep, steps }: Product): void {
    const [ofA, ofB] = [rsi, rdx]
    const unroll = 4
    const first = rows * width
    const spreads = 3
    const step = (s: number) => {
      for (let v = 0; v < width; v++) code.loadVector(first + v, ofB, s * bStep + v * VECTOR_BYTES)
      for (let r = 0; r < rows; r++) {
        const factor = first + width + (r % spreads)
        code.broadcast(factor, ofA, s * aStep + r * aRow)
        for (let v = 0; v < width; v++) code.multiplyAdd(r * width + v, factor, first + v)
      }
    }
    for (let i = 0; i < first; i++) code.zero(i)
    code.copy(ofA, a)
    code.copy(ofB, b)
    const turns = 'count' in steps ? Math.floor(steps.count / unroll) : undefined
    if (turns !== undefined) code.number(rax, turns)
    else if ('tiles' in steps) {
      code.copy(rax, steps.tiles)
      code.multiplyNumber(rax, LANES / unroll)
    }
    if (turns !== 0) {
      const turn = label('steps')
      code.label(turn)
      for (let s = 0; s < unroll; s++) step(s)
      code.addNumber(ofA, unroll * aStep)
      code.addNumber(ofB, unroll * bStep)
      code.subtractNumber(rax, 1)
      code.jumpIfNotZero(turn)
    }
    if ('count' in steps) for (let s = 0; s < steps.count % unroll; s++) step(s)
  }

  /** Vectors of a row in parts that have room for 8 rows of accumulators each. */
  function chunks(): { readonly at: number; readonly vectors: number }[] {
    const parts = Math.ceil(vectors / 3)
    return Array.from({ length: parts }, (_, i) => {
      const from = Math.floor((i * vectors) / parts)
      return { at: from * VECTOR_BYTES, vectors: Math.floor(((i + 1) * vectors) / parts) - from }
    })
  }

  /** out[query][d] = Σ over the keys of the tiles of weights[key][query]·matrix[key][d]; a query's row times factor[query]. */
  function weigh({ weights, step, matrix, tiles, out }: Weighing, scaleRow?: (accumulators: number[], query: number) => void): void {
    const rows = 8
    for (const chunk of chunks()) {
      if (chunk.at > 0) code.addNumber(matrix, chunk.at)
      for (let half = 0; half < 2; half++) {
        if (half > 0) code.addNumber(weights, 4 * rows)
        product({ rows, vectors: chunk.vectors, a: weights, aRow: 4, aStep: step, b: matrix, bStep: pitch, steps: { tiles } })
        for (let r = 0; r < rows; r++) {
          const accumulators = Array.from({ length: chunk.vectors }, (_, v) => r * chunk.vectors + v)
          scaleRow?.(accumulators, half * rows + r)
          for (const [v, accumulator] of accumulators.entries())
            code.storeVector(accumulator, out, (half * rows + r) * pitch + chunk.at + v * VECTOR_BYTES)
        }
      }
      code.subtractNumber(weights, 4 * rows)
      if (chunk.at > 0) code.subtractNumber(matrix, chunk.at)
    }
  }

  /** Before a panel's tiles: how far its queries are from the first key that any sees, and how many each sees. Overwrites rax. */
  function beginSight(sight: number): void {
    integer(ones, 1)
    code.load(rax, sight, sightTile)
    code.multiplyNumber(rax, LANES)
    code.spread(distance, rax)
    code.loadVector(count, sight, sightLo)
    code.subtractIntegers(distance, distance, count)
    code.loadVector(count, sight, sightCount)
  }

  /** Sets the mask `seen` for a key, and goes on to the next one. */
  function see(): void {
    code.maskBelow(seen, distance, count)
    code.addIntegers(distance, distance, ones)
  }

  /** Constants of `powerOfTwo`, in registers 20–27. */
  function beginPowers(): void {
    let factorial = 1
    for (const [k, register] of coefficients.entries()) {
      if (k > 0) factorial *= k
      constant(register, Math.LN2 ** k / factorial)
    }
  }

  /**
   * x becomes 2^x: 2^n by the exponent, 2^r for |r| ≤ ½ by the Taylor polynomial of degree 7, whose rest is below 1e-8. What is
   * below the smallest number becomes 0. The lanes out of `mask` become 0.
   */
  function powerOfTwo(x: number, n: number, y: number, mask?: number): void {
    code.round(n, x)
    code.subtractVectors(x, x, n)
    const degree = coefficients.length - 1
    code.multiplyVectors(y, x, coefficients[degree])
    code.addVectors(y, y, coefficients[degree - 1])
    for (let k = degree - 2; k >= 0; k--) code.multiplyThenAdd(y, x, coefficients[k])
    if (mask === undefined) code.scalePower(x, y, n)
    else code.scalePowerMasked(x, mask, y, n)
  }

  function load(register: number, name: AttentionParameter): void {
    code.load(register, rdi, parameter(name))
  }

  /** All rows of keys or values to where they lie evenly. Overwrites r9, r10 and rcx. */
  function packKeys(matrix: AttentionParameter, packed: AttentionParameter): void {
    const [to, from, rows] = [r9, r10, rcx]
    load(to, packed)
    code.addLoaded(to, rdi, parameter('lastRows'))
    clearRows(to)
    load(to, packed)
    load(from, matrix)
    load(rows, 'keyCount')
    copyRows({
      from,
      to,
      rows,
      nextFrom: () => code.addLoaded(from, rdi, parameter('keyStride')),
      nextTo: () => code.addNumber(to, pitch),
      keepsTail: false,
    })
  }

  /** The reverse of packKeys. Overwrites the same. */
  function storeKeys(packed: AttentionParameter, matrix: AttentionParameter): void {
    const [from, to, rows] = [r9, r10, rcx]
    load(from, packed)
    load(to, matrix)
    load(rows, 'keyCount')
    copyRows({
      from,
      to,
      rows,
      nextFrom: () => code.addNumber(from, pitch),
      nextTo: () => code.addLoaded(to, rdi, parameter('keyStride')),
      keepsTail: true,
    })
  }

  /** The next sixteen queries' rows of a matrix, which moves on behind them; what is missing is 0. Overwrites r9, r10 and rcx. */
  function packPanel(sight: number, matrix: AttentionParameter, stride: AttentionParameter, panel: AttentionParameter): void {
    const [from, to, rows] = [r9, r10, rcx]
    load(from, matrix)
    load(to, panel)
    code.load(rows, sight, sightRows)
    clearRows(to)
    copyRows({
      from,
      to,
      rows,
      nextFrom: () => code.addLoaded(from, rdi, parameter(stride)),
      nextTo: () => code.addNumber(to, pitch),
      keepsTail: false,
    })
    code.store(from, rdi, parameter(matrix))
  }

  /** A panel turned to [headSize][16], times a parameter. Overwrites r9 and r10. */
  function turnPanel(panel: AttentionParameter, turned: AttentionParameter, factor?: AttentionParameter): void {
    load(r9, panel)
    load(r10, turned)
    turnRows(r9, r10, factor && { base: rdi, displacement: parameter(factor) })
  }

  /** The reverse of packPanel. Overwrites rbx, rsi and rcx. */
  function storePanel(sight: number, panel: AttentionParameter, matrix: AttentionParameter, stride: AttentionParameter): void {
    const [from, to, rows] = [rbx, rsi, rcx]
    load(from, panel)
    load(to, matrix)
    code.load(rows, sight, sightRows)
    copyRows({
      from,
      to,
      rows,
      nextFrom: () => code.addNumber(from, pitch),
      nextTo: () => code.addLoaded(to, rdi, parameter(stride)),
      keepsTail: true,
    })
    code.store(to, rdi, parameter(matrix))
  }

  /** Where the first tile that any query of the panel sees begins in packed rows. */
  function firstSeen(register: number, sight: number, packed: AttentionParameter): void {
    code.load(register, sight, sightTile)
    code.multiplyNumber(register, LANES * pitch)
    code.addLoaded(register, rdi, parameter(packed))
  }

  /** On to the next panel, as long as there is one. Overwrites rax. */
  function nextPanel(to: string): void {
    load(rax, 'sights')
    code.addNumber(rax, SIGHT_BYTES)
    code.store(rax, rdi, parameter('sights'))
    load(rax, 'panels')
    code.subtractNumber(rax, 1)
    code.store(rax, rdi, parameter('panels'))
    code.jumpIfNotZero(to)
  }

  return {
    label,
    begin,
    constant,
    clearRows,
    load,
    packKeys,
    storeKeys,
    packPanel,
    turnPanel,
    storePanel,
    firstSeen,
    nextPanel,
    product,
    chunks,
    weigh,
    beginSight,
    see,
    beginPowers,
    powerOfTwo,
  }
}

const floatBits = new DataView(new ArrayBuffer(4))

function bitsOf(value: number): number {
  floatBits.setFloat32(0, value)
  return floatBits.getInt32(0)
}
