// Which records the GPU runs as one: a linear layer and the GELU of its result; backward, the gradient that reaches a GELU's result
// and the GELU's own. cuBLASLt ends a product with either, in its tanh form alone. Records are joined before the memory plan is
// made, which then keeps no place for what lies between them.

import type { OpRecord } from '../graph.ts'
import { ACTIVATIONS } from '../operations.ts'
import { storageOf, type Tensor } from '../tensor.ts'

export const GELU_TANH = ACTIVATIONS.indexOf('gelu_tanh')

/** The same program with its pairs joined. */
export function fuse(records: readonly OpRecord[]): readonly OpRecord[] {
  const uses = countUses(records)
  const isBetween = (tensor: Tensor) => uses.get(storageOf(tensor)) === 2
  const fused: OpRecord[] = []
  for (const record of records) {
    const before = fused.at(-1)
    const both = before && (joinForward(before, record, isBetween) ?? joinBackward(before, record, isBetween))
    if (both) fused[fused.length - 1] = both
    else fused.push(record)
  }
  return fused
}

/** y = gelu(x·w + b); the GELU's input is written, as `pre`, where somebody reads it later. */
function joinForward(linear: OpRecord, gelu: OpRecord, isBetween: (tensor: Tensor) => boolean): OpRecord | undefined {
  const { y: pre } = linear.writes
  if (linear.kernel !== 'linear' || gelu.kernel !== 'activation') return undefined
  if (gelu.attributes.kind !== GELU_TANH || gelu.reads.x !== pre) return undefined
  const { y } = gelu.writes
  return { ...linear, kernel: 'linear_gelu', writes: isBetween(pre) ? { y } : { y, pre } }
}

/** The backward pass of a linear layer that read a GELU; dx is the gradient of the GELU's input, `pre`. */
function joinBackward(linear: OpRecord, gelu: OpRecord, isBetween: (tensor: Tensor) => boolean): OpRecord | undefined {
  const { dx } = linear.writes
  if (linear.kernel !== 'linear_backward' || gelu.kernel !== 'activation_backward') return undefined
  if (gelu.attributes.kind !== GELU_TANH || gelu.reads.dy !== dx || !isBetween(dx)) return undefined
  if (linear.adds.includes('dx') || gelu.adds.includes('dx')) return undefined
  return {
    ...linear,
    kernel: 'gelu_linear_backward',
    reads: { ...linear.reads, pre: gelu.reads.x },
    writes: { ...linear.writes, dx: gelu.writes.dx },
  }
}

/** How often records touch the memory of each tensor. */
function countUses(records: readonly OpRecord[]): ReadonlyMap<Tensor, number> {
  const uses = new Map<Tensor, number>()
  for (const { reads, writes } of records)
    for (const tensor of [...Object.values(reads), ...Object.values(writes)]) {
      const owner = storageOf(tensor)
      uses.set(owner, (uses.get(owner) ?? 0) + 1)
    }
  return uses
}
