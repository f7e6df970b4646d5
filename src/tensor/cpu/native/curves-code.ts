// Machine code (AVX-512) of activations and gates whose curve is x·σ(x·(L + C·x²)): GELU by tanh (Hendrycks & Gimpel 2016) and
// SiLU, for which C is 0. What kernels/wasm/tensor/curves.ts does with four lanes, with sixteen.

import { Assembler, r8, r9, r10, r11, rax, rcx, rdi, rdx, rsi, VECTOR_BYTES } from './assembler.ts'

/** Words of 64 bits that the code is given the address of. */
export const curveParameters = {
  x: 0,
  /** What gates let through; gated curves only. */
  up: 1,
  /** Forward what is written, backward its gradient. */
  y: 2,
  dx: 3,
  dUp: 4,
  rows: 5,
  /** Of 16 floats, in a row. */
  vectors: 6,
  /** Bytes from the end of a row of x to the next one. */
  skip: 7,
  /** Where `curveConstants` lie. */
  constants: 8,
} as const
export const curveParameterCount = 9

export interface Curve {
  readonly linear: number
  readonly cubic: number
}

/** √(2/π)(x + 0.044715 x³) twice, for (1 + tanh u)/2 = σ(2u); see kernels/wasm/tensor/curves.ts. */
export const geluCurve: Curve = { linear: 2 * Math.sqrt(2 / Math.PI), cubic: 2 * Math.sqrt(2 / Math.PI) * 0.044715 }
export const siluCurve: Curve = { linear: 1, cubic: 0 }

/** Registers of the constants, in their order. */
const [powerLinear, powerCubic, slopeLinear, slopeCubic, one] = [16, 17, 18, 19, 20]
/** 2^r = Σ coefficient·r^k for |r| ≤ ½: Taylor's polynomial of degree 7, whose rest is below 1e-8. */
const coefficients = [21, 22, 23, 24, 25, 26, 27, 28]
/** 2 to the one is infinite, to the other 0. */
const [highest, lowest] = [29, 30]

export function curveConstants({ linear, cubic }: Curve): Float32Array {
  let power = 1
  const series = coefficients.map((_, k) => {
    if (k > 0) power *= Math.LN2 / k
    return power
  })
  return Float32Array.of(-linear * Math.LOG2E, -cubic * Math.LOG2E, linear, 3 * cubic, 1, ...series, 128, -160)
}

export interface CurveKind {
  readonly isGated: boolean
  readonly isBackward: boolean
  /** Backward: whether gradients are added. */
  readonly adds: boolean
}

export function curveCode({ isGated, isBackward, adds }: CurveKind): Uint8Array {
  const code = new Assembler('avx512')
  const parameter = (name: keyof typeof curveParameters) => 8 * curveParameters[name]
  const [x, up, y, dx, dUp, rows, vectors, skip] = [rsi, rdx, rcx, r8, r9, r10, rax, r11]
  const moving = [x, y, ...(isGated ? [up] : []), ...(isBackward ? [dx] : []), ...(isGated && isBackward ? [dUp] : [])]

  code.load(rax, rdi, parameter('constants'))
  for (const [i, register] of [powerLinear, powerCubic, slopeLinear, slopeCubic, one, ...coefficients, highest, lowest].entries())
    code.broadcast(register, rax, 4 * i)
  for (const [name, register] of Object.entries({ x, up, y, dx, dUp, rows, skip }) as [keyof typeof curveParameters, number][])
    code.load(register, rdi, parameter(name))
  code.label('row')
  code.load(vectors, rdi, parameter('vectors'))
  code.label('vector')
  // 0: x, 1: x², 2: σ
  code.loadVector(0, x, 0)
  code.multiplyVectors(1, 0, 0)
  sigmoid()
  if (isBackward) slopes()
  else {
    code.multiplyVectors(3, 0, 2)
    if (isGated) code.multiplyMemory(3, 3, up, 0)
    code.storeVector(3, y, 0)
  }
  for (const register of moving) code.addNumber(register, VECTOR_BYTES)
  code.subtractNumber(vectors, 1)
  code.jumpIfNotZero('vector')
  for (const register of moving) if (register !== y) code.add(register, skip)
  code.subtractNumber(rows, 1)
  code.jumpIfNotZero('row')
  code.zeroUpper()
  code.return()
  return code.finish()

  /** σ(u) = 1 / (1 + 2^(−u·log₂e)) */
  function sigmoid(): void {
    code.multiplyVectors(2, 1, powerCubic)
    code.addVectors(2, 2, powerLinear)
    code.multiplyVectors(2, 2, 0)
    // the second operand is what comes out where that is no number
    code.minimum(2, highest, 2)
    code.maximum(2, lowest, 2)
    code.round(3, 2)
    code.subtractVectors(2, 2, 3)
    const [last, ...lower] = coefficients.toReversed()
    code.multiplyVectors(4, 2, last)
    code.addVectors(4, 4, lower[0])
    for (const coefficient of lower.slice(1)) code.multiplyThenAdd(4, 2, coefficient)
    code.scalePower(2, 4, 3)
    code.addVectors(2, 2, one)
    code.divideVectors(2, one, 2)
  }

  /** σ·(1 + x·(1 − σ)·(L + 3C·x²)) times what comes from above. */
  function slopes(): void {
    code.subtractVectors(3, one, 2)
    code.multiplyVectors(3, 3, 0)
    code.multiplyVectors(4, 1, slopeCubic)
    code.addVectors(4, 4, slopeLinear)
    code.multiplyThenAdd(3, 4, one)
    code.multiplyVectors(3, 3, 2)
    code.loadVector(5, y, 0)
    code.multiplyVectors(3, 3, 5)
    if (isGated) code.multiplyMemory(3, 3, up, 0)
    if (adds) code.addMemory(3, dx, 0)
    code.storeVector(3, dx, 0)
    if (!isGated) return
    code.multiplyVectors(6, 0, 2)
    code.multiplyVectors(6, 6, 5)
    if (adds) code.addMemory(6, dUp, 0)
    code.storeVector(6, dUp, 0)
  }
}
