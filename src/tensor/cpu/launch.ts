// What the CPU device is told to do for a record, as data: a WASM kernel, its arguments, and how many blocks it is cut into.

import type { OpRecord } from '../graph.ts'
import { ELEMENTS_PER_BLOCK } from '../shape.ts'
import type { Tensor } from '../tensor.ts'

/** Kernels of kernels/wasm/tensor.ts. A launch names one by its index here. */
export const KERNELS = [
  'gemm',
  'rowTimesMatrix',
  'columnSums',
  'norm',
  'normBackward',
  'normWeightBackward',
  'embedding',
  'embeddingBackward',
  'rope',
  'attention',
  'attentionBackward',
  'attentionRow',
  'joinCache',
  'sumRows',
  'activation',
  'activationBackward',
  'gated',
  'gatedBackward',
  'scale',
  'relativeBias',
  'relativeBiasBackward',
  'headNorm',
  'headNormBackward',
  'add',
  'crossEntropy',
  'squareSum',
  'adamw',
  'muonMomentum',
  'normalize',
  'polynomial',
  'muonUpdate',
  'average',
] as const
export type WasmKernel = (typeof KERNELS)[number]

export interface Launch {
  readonly kernel: WasmKernel
  readonly blocks: number
  /** True where it does not depend on the launch before, so that both run at once. */
  readonly joins?: boolean
  /** 32-bit words: integers, bits of floats, addresses in units of 4 bytes, which so reach 16 GiB. */
  readonly words: readonly number[]
}

export type Address = (tensor: Tensor) => number

/** As in kernels/wasm/tensor/. */
export const ROWS_PER_BLOCK = 32
export const COLUMNS_PER_BLOCK = 64

const floatBits = new DataView(new ArrayBuffer(4))

/** A float as the word that carries it. */
export function bits(value: number): number {
  floatBits.setFloat32(0, value)
  return floatBits.getInt32(0)
}

export const blocksOf = (n: number, size: number) => Math.ceil(n / size)
export const adds = (record: OpRecord, name: string) => Number(record.adds.includes(name))

export function elementwise(kernel: WasmKernel, words: readonly number[], n: number): Launch {
  return { kernel, blocks: blocksOf(n, ELEMENTS_PER_BLOCK), words }
}

export const joined = (launch: Launch): Launch => ({ ...launch, joins: true })

/** Where an operand is, as a launch is told: in units of 4 bytes. An absent one has address 0. */
export type Where = (tensor: Tensor | undefined) => number
