// What a model runs on, before its memory plan is made: what tensors occupy there, and how much there is.

import { cpuArenaStart, createCpuDevice, largestArenaBytes } from '../tensor/cpu/cpu-device.ts'
import { type CudaOptions, openCuda } from '../tensor/cuda/cuda-device.ts'
import { fuse } from '../tensor/cuda/fusion.ts'
import type { Device } from '../tensor/device.ts'
import type { OpRecord } from '../tensor/graph.ts'
import type { BytesOf } from '../tensor/plan.ts'
import type { CpuPrecision } from '../tensor/precision.ts'
import { paddedBytes } from '../tensor/shape.ts'

export interface Backend {
  readonly arenaStart: number
  /** Whether the device has kernels that decide on an update. */
  readonly decidesOnUpdates: boolean
  /** The records as the device runs them, some of them joined. */
  fuse(records: readonly OpRecord[]): readonly OpRecord[]
  /**
   * What a plan may count on.
   *
   * @param records all that the device will run
   * @param askedBytes given as far as they are there; where left out, what may be taken without asking
   */
  largestArenaBytes(records: readonly OpRecord[], askedBytes?: number): number
  bytesOf(records: readonly OpRecord[]): BytesOf
  createDevice(arenaBytes: number, records: readonly OpRecord[]): Promise<Device>
}

export interface BackendOptions {
  readonly threads: number
  /** Of the CPU; that of a GPU is among its options. */
  readonly precision?: CpuPrecision
  readonly device?: 'cpu' | CudaOptions
}

export function openBackend({ threads, precision, device = 'cpu' }: BackendOptions): Backend {
  if (device === 'cpu')
    return {
      arenaStart: cpuArenaStart,
      decidesOnUpdates: false,
      fuse: (records) => records,
      largestArenaBytes: (_records, askedBytes) => largestArenaBytes(threads, askedBytes),
      bytesOf: () => (tensor) => paddedBytes(tensor.shape),
      createDevice: (arenaBytes, records) => createCpuDevice({ arenaBytes, threads, records, precision }),
    }
  const cuda = openCuda(device)
  return {
    arenaStart: 0,
    decidesOnUpdates: true,
    fuse,
    largestArenaBytes: (records, askedBytes = Number.POSITIVE_INFINITY) => Math.min(askedBytes, cuda.largestArenaBytes(records)),
    bytesOf: cuda.bytesOf,
    createDevice: async (arenaBytes, records) => cuda.createDevice(arenaBytes, records),
  }
}
