// Runs one tape on two devices: the reference in f64 and the CPU device, with the same inputs.

import assert from 'node:assert/strict'
import { cpuArenaStart, createCpuDevice } from '../../src/tensor/cpu/cpu-device.ts'
import type { CpuTier } from '../../src/tensor/cpu/native/tier.ts'
import type { Device } from '../../src/tensor/device.ts'
import { differentiate } from '../../src/tensor/differentiate.ts'
import type { Graph, OpRecord } from '../../src/tensor/graph.ts'
import { add } from '../../src/tensor/ops.ts'
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

/** What one tape leaves in every tensor; the CPU device is of the best tier where none is named. */
export async function runOn(
  kind: 'cpu' | 'reference',
  graph: Graph,
  laid: Laid,
  inputs: Inputs,
  threads = 1,
  tier?: CpuTier,
): Promise<Run> {
  const device: Device =
    kind === 'cpu'
      ? await createCpuDevice({ arenaBytes: laid.bytes, threads, records: laid.records, tier })
      : createReferenceDevice(laid.bytes)
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

/** Appends a loss of y·r with random r, so that every element of y has a gradient of its own, and returns the training records. */
export function withLoss(graph: Graph, y: Tensor): ReturnType<typeof differentiate> {
  if (graph.records.at(-1)?.kernel === 'head_loss') return differentiate(graph)
  const C = y.shape[y.shape.length - 1]
  const w = graph.tensor('loss weights', [3, C], 'constant')
  const scale = graph.tensor('loss scale', [1], 'constant')
  const targets = graph.tensor('loss targets', [elements(y.shape) / C], 'constant', 'i32')
  graph.apply('head_loss', { x: y, w, targets, scale }, { chunk: 5, softcap: 0, zLoss: 0, smoothing: 0 })
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

/** Operations that end in y, and inputs that noise would not do for. */
export interface Case {
  readonly graph: Graph
  readonly y: Tensor
  readonly inputs: Inputs
}

/** An activation, as an operation in the middle of a model sees it: x = source + 0. */
export function activationOf(graph: Graph, shape: readonly number[], name = 'source'): Tensor {
  return add(graph, graph.tensor(name, shape, 'parameter'), graph.tensor(`${name} offset`, shape, 'parameter'))
}

/** Compares everything that the two devices leave, forward and backward. */
export async function assertSameOnCpu({ graph, y, inputs }: Case): Promise<void> {
  const { records } = withLoss(graph, y)
  const laid = layOut(graph, records)
  const scratch = new Set(records.flatMap((record) => Object.values(record.scratch)))
  const touched = new Set(records.flatMap(({ reads, writes }) => [...Object.values(reads), ...Object.values(writes)]))
  const [cpu, reference] = [await runOn('cpu', graph, laid, inputs), await runOn('reference', graph, laid, inputs)]
  for (const tensor of graph.tensors) {
    if (tensor.dtype === 'i32' || scratch.has(tensor) || (tensor.role === 'activation' && !touched.has(tensor))) continue
    const error = distance(cpu.values(tensor), reference.values(tensor))
    assert.ok(error < 2e-5, `${tensor.name} is off by ${error}`)
  }
}

/** Compares the reference's gradients with differences of its loss, at a few elements of every parameter. */
export function assertSlopes({ graph, y, inputs }: Case): void {
  const { records, gradients } = withLoss(graph, y)
  const laid = layOut(graph, records)
  const device = createReferenceDevice(laid.bytes)
  const program = device.compile(records, laid.at)
  const losses = records.find((record) => record.kernel === 'head_loss_backward')?.writes.y
  assert.ok(losses)
  fill(device, graph, laid.at, inputs)
  const scale = graph.tensors.find((tensor) => tensor.name === 'loss scale')
  assert.ok(scale)
  device.upload(laid.at(scale), Float32Array.of(1))
  const lossOf = () => {
    device.run(program)
    return device.values(laid.at(losses), elements(losses.shape)).reduce((a, b) => a + b, 0)
  }
  lossOf()
  const copies = [...gradients].map(([parameter, gradient]) => ({
    parameter,
    values: device.values(laid.at(parameter), elements(parameter.shape)),
    gradient: device.values(laid.at(gradient), elements(gradient.shape)).slice(),
  }))
  for (const { parameter, values, gradient } of copies) {
    const samples = values.length > 10_000 ? 2 : 7
    const stride = Math.max(1, Math.floor(values.length / samples))
    for (let i = 0; i < values.length; i += stride) {
      const middle = values[i]
      const step = 1e-5
      values[i] = middle + step
      const above = lossOf()
      values[i] = middle - step
      const below = lossOf()
      values[i] = middle
      const slope = (above - below) / (2 * step)
      assert.ok(Math.abs(slope - gradient[i]) < 1e-7 * (1 + Math.abs(slope)), `${parameter.name}[${i}]: ${gradient[i]}, measured ${slope}`)
    }
  }
}
