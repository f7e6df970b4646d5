// Runs one tape on two devices: the reference in f64 and the CPU device, with the same inputs.

import { cpuArenaStart, createCpuDevice } from '../../src/tensor/cpu/cpu-device.ts'
import type { Device } from '../../src/tensor/device.ts'
import { differentiate } from '../../src/tensor/differentiate.ts'
import type { Graph, OpRecord } from '../../src/tensor/graph.ts'
import { addresses, placeActivations, placePersistent } from '../../src/tensor/plan.ts'
import { createReferenceDevice } from '../../src/tensor/reference.ts'
import { uniform } from '../../src/tensor/rng.ts'
import { elements } from '../../src/tensor/shape.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'

/** Numbers in [−1, 1) that depend on the seed. */
export function noise(count: number, seed: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => 2 * uniform(seed, 0, 0, i) - 1)
}

export interface Run {
  values(tensor: Tensor): Float32Array
}

/** Inputs by tensor; what is absent is noise for f32 and 0 for i32. */
export type Inputs = ReadonlyMap<Tensor, Float32Array | Int32Array>

export interface Laid {
  readonly records: readonly OpRecord[]
  readonly bytes: number
  readonly at: (tensor: Tensor) => number
}

/** Plans records so that every tensor may be read afterwards. */
export function layOut(graph: Graph, records: readonly OpRecord[]): Laid {
  const persistent = placePersistent(graph.tensors, cpuArenaStart)
  const activations = placeActivations(records, new Set(graph.tensors), persistent.endBytes)
  return { records, bytes: activations.endBytes, at: addresses(persistent, activations) }
}

export function fill(device: Device, graph: Graph, at: (tensor: Tensor) => number, inputs: Inputs): void {
  for (const tensor of graph.tensors) {
    if (tensor.role === 'activation' || tensor.storage) continue
    const count = elements(tensor.shape)
    const given = inputs.get(tensor) ?? (tensor.dtype === 'i32' ? new Int32Array(count) : noise(count, tensor.id + 1))
    device.upload(at(tensor), tensor.role === 'gradient' && !inputs.has(tensor) ? new Float32Array(count) : given)
  }
}

/** What one tape leaves in every tensor, on the device that `make` makes. */
export async function runOn(kind: 'cpu' | 'reference', graph: Graph, laid: Laid, inputs: Inputs, threads = 1): Promise<Run> {
  const device: Device =
    kind === 'cpu' ? await createCpuDevice({ arenaBytes: laid.bytes, threads, records: laid.records }) : createReferenceDevice(laid.bytes)
  fill(device, graph, laid.at, inputs)
  device.run(device.compile(laid.records, laid.at))
  await device.dispose()
  return {
    values(tensor) {
      const out = new Float32Array(elements(tensor.shape))
      device.download(laid.at(tensor), out)
      return out
    },
  }
}

/** Appends a loss Σ y·r with random r, so that every element of y has a gradient of its own, and returns the training records. */
export function withLoss(graph: Graph, y: Tensor): ReturnType<typeof differentiate> {
  const C = y.shape[y.shape.length - 1]
  const w = graph.tensor('loss weights', [3, C], 'constant')
  const scale = graph.tensor('loss scale', [1], 'constant')
  const targets = graph.tensor('loss targets', [elements(y.shape) / C], 'constant', 'i32')
  graph.apply('head_loss', { x: y, w, targets, scale }, { chunk: 5 })
  return differentiate(graph)
}

/** Largest |a − b| / (1 + |b|), infinite where one is not a number. */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let largest = 0
  for (let i = 0; i < b.length; i++) {
    const difference = Math.abs(a[i] - b[i]) / (1 + Math.abs(b[i]))
    if (Number.isNaN(difference)) return Infinity
    largest = Math.max(largest, difference)
  }
  return largest
}
