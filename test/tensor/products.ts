// Linear layers of all sizes, run on devices of different tiers with the same inputs.

import fc from 'fast-check'
import type { Device } from '../../src/tensor/device.ts'
import type { OpRecord } from '../../src/tensor/graph.ts'
import { elements } from '../../src/tensor/shape.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { noise } from './harness.ts'

export const size = fc.oneof(fc.integer({ min: 4, max: 70 }), fc.integer({ min: 4, max: 700 }))

/** A linear layer of N rows, forward and backward. */
export function productsOf(N: number, K: number, M: number, adds: boolean, isInOut: boolean) {
  const shapes = { x: [N, K], w: isInOut ? [K, M] : [M, K], b: [M], y: [N, M], dx: [N, K], dw: isInOut ? [K, M] : [M, K], db: [M] }
  const tensor = (name: keyof typeof shapes, id: number): Tensor => ({ id, name, shape: shapes[name], dtype: 'f32', role: 'state' })
  const tensors = {
    x: tensor('x', 0),
    w: tensor('w', 1),
    b: tensor('b', 2),
    y: tensor('y', 3),
    dx: tensor('dx', 4),
    dw: tensor('dw', 5),
    db: tensor('db', 6),
  }
  const { x, w, b, y, dx, dw, db } = tensors
  const common = { adds: adds ? ['dx', 'dw'] : [], scratch: {}, attributes: { inOut: Number(isInOut) } }
  const records: OpRecord[] = [
    { kernel: 'linear', reads: { x, w, b }, writes: { y }, ...common },
    { kernel: 'linear_backward', reads: { x, w, dy: y }, writes: { dx, dw, db }, ...common },
  ]
  return { tensors, records }
}

export const noiseOf = (tensor: Tensor) => noise(elements(tensor.shape), tensor.id + 1)

/** What the records leave in all tensors, which held something before, by default noise. */
export function resultsOn(
  device: Device | undefined,
  tensors: readonly Tensor[],
  records: readonly OpRecord[],
  inputOf: (tensor: Tensor) => Float32Array = noiseOf,
): Float32Array[] {
  if (!device) throw new RangeError('no such device')
  let next = device.arenaStart
  const places = new Map(
    tensors.map((tensor) => {
      const place = next
      next += Math.ceil((4 * elements(tensor.shape)) / 64) * 64
      return [tensor, place]
    }),
  )
  const at = (tensor: Tensor) => places.get(tensor) ?? 0
  for (const tensor of tensors) device.upload(at(tensor), inputOf(tensor))
  device.run(device.compile(records, at))
  return tensors.map((tensor) => {
    const out = new Float32Array(elements(tensor.shape))
    device.download(at(tensor), out)
    return out
  })
}
