// What attention's machine code (AVX-512) is made of, forward and backward: rows copied to where they lie evenly, products in
// registers, powers of two. The code is made for one head size, so that all distances inside of a head are numbers in it.
//
// Sixteen queries at a time are the lanes of a vector, a panel. Scores come out as [key][16 queries]: the softmax goes down the
// vectors, and a query's weight of a key is one float in memory that can be spread over a vector of v.

import { type Assembler, rax, rdi, rdx, rsi } from './assembler.ts'
import { transpose16 } from './transpose-code.ts'

export const LANES = 16
export const VECTOR_BYTES = 64

/** Bytes of what a panel of queries sees, see `attentionSights` in kernels/wasm/tensor/attention.ts. */
export const SIGHT_BYTES = 192
/** Places in it. */
export const sightLo = 0
export const sightCount = 64
export const sightTile = 128
export const sightTiles = 136
export const sightRows = 144

export const vectorsOf = (headSize: number) => Math.ceil(headSize / LANES)
/** Bytes from row to row of what was copied: whole vectors, filled up with zeros. */
export const pitchOf = (headSize: number) => vectorsOf(headSize) * VECTOR_BYTES

/** Masks: lanes of a row's last vector; queries that see a key. */
const tail = 1
export const seen = 2

/** Lanes left over: first key of a tile − lo; keys seen; ones. They hold while a panel's tiles go by. */
const [distance, count, ones] = [29, 30, 31]
/** Of `powerOfTwo`. Held by whoever calls it. */
const coefficients = [20, 21, 22, 23, 24, 25, 26, 27]

export interface Rows {
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
export interface Product {
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

export type Parts = ReturnType<typeof attentionParts>

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
  function weigh(
    weights: number,
    matrix: number,
    tiles: number,
    out: number,
    scaleRow?: (accumulators: number[], query: number) => void,
  ): void {
    const rows = 8
    for (const chunk of chunks()) {
      if (chunk.at > 0) code.addNumber(matrix, chunk.at)
      for (let half = 0; half < 2; half++) {
        if (half > 0) code.addNumber(weights, 4 * rows)
        product({ rows, vectors: chunk.vectors, a: weights, aRow: 4, aStep: VECTOR_BYTES, b: matrix, bStep: pitch, steps: { tiles } })
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

  /** The packed panel of `rows` queries at `from`, which moves on behind them; the rest of the sixteen is 0. */
  function copyQueries(from: number, strideParameter: number, to: number, rows: number): void {
    clearRows(to)
    copyRows({
      from,
      to,
      rows,
      nextFrom: () => code.addLoaded(from, rdi, strideParameter),
      nextTo: () => code.addNumber(to, pitch),
      keepsTail: false,
    })
  }

  return {
    pitch,
    vectors,
    label,
    begin,
    constant,
    clearRows,
    copyRows,
    copyQueries,
    turnRows,
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
