// What the CUDA device is told to do, as data: which kernel or matrix product, on what. The …-launches.ts make it of records; the
// device turns operands into addresses. Nothing here calls a driver.

import type { Precision } from '../precision.ts'
import type { Tensor } from '../tensor.ts'

/** f64 and i32 are never operands of products. */
export type ElementType = Precision

/** Where an operand begins. Offsets are in bytes of the type that lies there. */
export type Operand =
  | { readonly kind: 'tensor'; readonly tensor: Tensor; readonly offsetBytes: number }
  /** The copy in bf16 or f16 of a tensor that is kept in f32. */
  | { readonly kind: 'copy'; readonly tensor: Tensor; readonly offsetBytes: number }
  /** Memory that means nothing before and after a record; one for all of a stream. */
  | { readonly kind: 'workspace'; readonly offsetBytes: number; readonly bytes: number }

/** Each takes 8 bytes, as kernelParams of cuLaunchKernel wants them pointed at; the lower half for i32 and f32. */
export type Argument =
  | Operand
  | { readonly kind: 'null' }
  | { readonly kind: 'i32'; readonly value: number }
  | { readonly kind: 'f32'; readonly value: number }

export type Dimensions = readonly [x: number, y: number, z: number]

export interface KernelLaunch {
  readonly kind: 'kernel'
  /** Which of modules.ts has it. */
  readonly module: string
  readonly name: string
  readonly grid: Dimensions
  readonly block: Dimensions
  readonly sharedBytes: number
  readonly arguments: readonly Argument[]
}

/** Row major: element (i, j) lies at i·stride + j, or at j·stride + i where it is transposed. */
export interface Matrix {
  readonly operand: Operand
  readonly type: ElementType
  readonly stride: number
  readonly isTransposed: boolean
}

/** c[M,N] = a[M,K]·b[K,N] + beta·c (+ bias[N]), summed in f32, then GELU. c is never transposed; the bias has the type of c. */
export interface ProductLaunch {
  readonly kind: 'product'
  readonly M: number
  readonly N: number
  readonly K: number
  readonly a: Matrix
  readonly b: Matrix
  readonly c: Matrix
  readonly beta: 0 | 1
  readonly bias?: Operand
  readonly gelu?: Gelu
  /** What does the same where the library has no such product. */
  readonly apart?: readonly [ProductLaunch, KernelLaunch]
}

/** What a product ends with, in the tanh form. */
export type Gelu =
  /** GELU of the sum, which is kept in `pre` (as c) where that is asked for. */
  | { readonly pass: 'forward'; readonly pre?: Operand }
  /** The sum times GELU's slope at `pre`. */
  | { readonly pass: 'backward'; readonly pre: Operand }

/** Zeroes. */
export interface FillLaunch {
  readonly kind: 'fill'
  readonly operand: Operand
  readonly bytes: number
}

export type Launch = KernelLaunch | ProductLaunch | FillLaunch
