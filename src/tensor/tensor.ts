// A symbolic tensor: a name, a shape and a part to play, no values. The memory plan (plan.ts) gives it an address.

import type { DType, Shape } from './shape.ts'

/**
 * What a tensor is to the memory plan: an `activation` lives from its first writer to its last reader, everything else as
 * long as the device.
 */
export type Role = 'parameter' | 'gradient' | 'moment' | 'input' | 'constant' | 'state' | 'activation'

export interface Tensor {
  readonly id: number
  readonly name: string
  readonly shape: Shape
  readonly dtype: DType
  readonly role: Role
  /** The tensor whose memory this one is, where an operation works in place. */
  readonly storage?: Tensor
}

export type Operands = Readonly<Record<string, Tensor>>
export type Attributes = Readonly<Record<string, number>>

/** The tensor that owns the memory. */
export function storageOf(tensor: Tensor): Tensor {
  return tensor.storage ? storageOf(tensor.storage) : tensor
}
