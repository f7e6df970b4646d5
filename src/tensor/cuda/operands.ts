// How operands and arguments of launches are made of a record's tensors: what is read in the precision, what in f32, and where
// the copies and the workspace come in. The lowerings of each family of operations are written in these words.

import { SluiceError } from '../../core/errors.ts'
import type { KernelName, OpRecord } from '../graph.ts'
import type { Precision } from '../precision.ts'
import type { Tensor } from '../tensor.ts'
import type { Argument, Dimensions, ElementType, KernelLaunch, Launch, Matrix, Operand, ProductLaunch } from './launch.ts'

export const THREADS = 256
/** Rows of a block where a warp has a row. */
export const WARPS = 8
export const ELEMENTS_PER_GRID_BLOCK = 4 * THREADS

/** What lowering a record asks of all the others. */
export interface Context {
  readonly precision: Precision
  typeOf(tensor: Tensor): ElementType
  readonly copies: ReadonlySet<Tensor>
}

/** What runs a record. */
export type Lower = (record: OpRecord, context: Context) => Launch[]
/** Of a family of operations. */
export type Lowerings = Readonly<Partial<Record<KernelName, Lower>>>

export const elementBytes = (type: ElementType) => (type === 'f32' ? 4 : 2)

export const blocksOf = (n: number, size: number) => Math.max(1, Math.ceil(n / size))
export const adds = (record: OpRecord, name: string) => int(Number(record.adds.includes(name)))

export const int = (value: number): Argument => ({ kind: 'i32', value })
export const float = (value: number): Argument => ({ kind: 'f32', value })
export const none: Argument = { kind: 'null' }

export function kernel(module: string, name: string, grid: number | Dimensions, args: readonly Argument[], sharedBytes = 0): KernelLaunch {
  const dimensions: Dimensions = typeof grid === 'number' ? [grid, 1, 1] : grid
  return { kind: 'kernel', module, name, grid: dimensions, block: [THREADS, 1, 1], sharedBytes, arguments: args }
}

export const whole = (tensor: Tensor): Operand => ({ kind: 'tensor', tensor, offsetBytes: 0 })
export const optional = (tensor: Tensor | undefined): Argument => (tensor ? whole(tensor) : none)
export const copyOf = (tensor: Tensor): Operand => ({ kind: 'copy', tensor, offsetBytes: 0 })

/** Floats of the workspace, one after another, each at a multiple of 256 bytes. */
export function workspace(...counts: readonly number[]): Operand[] {
  let offsetBytes = 0
  return counts.map((count) => {
    const operand: Operand = { kind: 'workspace', offsetBytes, bytes: count * 4 }
    offsetBytes += Math.ceil((count * 4) / 256) * 256
    return operand
  })
}

/** An activation, or whatever else a kernel reads as one. */
export function act(tensor: Tensor, context: Context, offsetElements = 0): Operand {
  const type = context.typeOf(tensor)
  if (type !== context.precision)
    throw new SluiceError('SLUICE_CUDA_PRECISION', `${tensor.name} is kept in f32, and is read or written as an activation in ${type}`, {
      fix: 'train this model in f32',
    })
  return { kind: 'tensor', tensor, offsetBytes: offsetElements * elementBytes(type) }
}

export const optionalAct = (tensor: Tensor | undefined, context: Context): Argument => (tensor ? act(tensor, context) : none)

export function matrix(
  tensor: Tensor,
  stride: number,
  { precision, typeOf }: Context,
  { isTransposed = false, offsetElements = 0 } = {},
): Matrix {
  return {
    operand: { kind: typeOf(tensor) === precision ? 'tensor' : 'copy', tensor, offsetBytes: offsetElements * elementBytes(precision) },
    type: precision,
    stride,
    isTransposed,
  }
}

/** What a product writes has the tensor's own type. */
export function target(tensor: Tensor, stride: number, { typeOf }: Context, offsetElements = 0): Matrix {
  const type = typeOf(tensor)
  return { operand: { kind: 'tensor', tensor, offsetBytes: offsetElements * elementBytes(type) }, type, stride, isTransposed: false }
}

export function product(
  shape: { M: number; N: number; K: number },
  a: Matrix,
  b: Matrix,
  c: Matrix,
  beta: boolean,
  bias?: Operand,
): ProductLaunch {
  return { kind: 'product', ...shape, a, b, c, beta: beta ? 1 : 0, ...(bias ? { bias } : {}) }
}

export const elementwise = (name: string, n: number, args: readonly Argument[]) =>
  kernel('elements', name, blocksOf(n, ELEMENTS_PER_GRID_BLOCK), args)
/** A warp has a row. */
export const rowwise = (name: string, rows: number, args: readonly Argument[]) => kernel('rows', name, blocksOf(rows, WARPS), args)
