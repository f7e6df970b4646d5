// Activation checkpointing (Chen et al. 2016, arxiv.org/abs/1604.06174): where a training program does not fit its memory, the
// activations of early pieces of the forward pass are not kept for the backward pass but computed again before it, from the
// same operands by the same kernels, so that every bit stays. As few pieces as the budget asks for.

import type { Graph, OpRecord } from './graph.ts'
import { type BytesOf, type Placement, placeActivations } from './plan.ts'
import { paddedBytes } from './shape.ts'
import { type Operands, storageOf, type Tensor } from './tensor.ts'

export interface Budget {
  /** Tensors that are read after the program's end. */
  readonly kept: ReadonlySet<Tensor>
  readonly startBytes: number
  /** What the placement should end at; it ends later where even that does not suffice. */
  readonly endBytes: number
  /** What activations of a program occupy, where the device keeps some in other types than the tape's. */
  bytesOf?(records: readonly OpRecord[]): BytesOf
}

export interface Fitted {
  readonly records: readonly OpRecord[]
  readonly placement: Placement
  /** Records that run twice. */
  readonly repeated: number
}

/** The program and its memory plan within the budget, or, where nothing fits, with every piece computed again. */
export function fitActivations(graph: Graph, records: readonly OpRecord[], budget: Budget): Fitted {
  const { kept, startBytes, endBytes } = budget
  const fit = (program: readonly OpRecord[]): Fitted => ({
    records: program,
    placement: placeActivations(program, kept, startBytes, budget.bytesOf?.(program)),
    repeated: program.length - records.length,
  })
  const whole = fit(records)
  if (whole.placement.endBytes <= endBytes) return whole
  const cuts = cutsOf(records, kept)
  const withPieces = (count: number) => fit(recomputing(graph, records, cuts.slice(0, count + 1), kept))
  let [enough, best] = [cuts.length - 1, withPieces(cuts.length - 1)]
  if (startBytes > endBytes) return best // what must be there before any activation does not fit
  for (let tooFew = 0; enough - tooFew > 1; ) {
    const count = (tooFew + enough) >> 1
    const fitted = withPieces(count)
    if (fitted.placement.endBytes <= endBytes) [enough, best] = [count, fitted]
    else tooFew = count
  }
  return best
}

/** The program with the pieces between neighbouring cuts computed again. Each tensor's values are those of the program given. */
export function recomputing(
  graph: Graph,
  records: readonly OpRecord[],
  cuts: readonly number[],
  kept: ReadonlySet<Tensor>,
): readonly OpRecord[] {
  const begin = backwardBegin(records)
  const uses = usesOf(records)
  const clones = new Map<Tensor, Tensor>()
  const repeats = new Map<number, OpRecord[]>() // by the record of the backward pass that they stand before
  const cloneOf = (tensor: Tensor): Tensor => {
    const known = clones.get(tensor)
    if (known) return known
    const storage = tensor.storage && cloneOf(tensor.storage)
    const clone = graph.tensor(tensor.name, tensor.shape, 'activation', tensor.dtype, storage)
    clones.set(tensor, clone)
    return clone
  }
  const inside = new Set<Tensor>()
  const again = (operands: Operands) => mapOperands(operands, (tensor) => (inside.has(storageOf(tensor)) ? cloneOf(tensor) : tensor))

  for (let piece = 0; piece + 1 < cuts.length; piece++) {
    const [from, to] = [cuts[piece], cuts[piece + 1]]
    const own = new Set<Tensor>()
    for (const [owner, { writes, forwardReads }] of uses) {
      const isInside = writes.every((index) => index >= begin || (index >= from && index < to)) && writes[0] < to
      if (isInside && !kept.has(owner) && (forwardReads.at(-1) ?? 0) < to) own.add(owner)
    }
    const needed = new Set([...own].filter((owner) => (uses.get(owner)?.backwardReads.length ?? 0) > 0))
    const before = Math.min(...[...needed].map((owner) => uses.get(owner)?.backwardReads[0] ?? records.length))
    const chosen: OpRecord[] = []
    for (let index = to - 1; index >= from; index--) {
      const record = records[index]
      if (!Object.values(record.writes).some((tensor) => needed.has(storageOf(tensor)))) continue
      for (const tensor of Object.values(record.reads)) if (own.has(storageOf(tensor))) needed.add(storageOf(tensor))
      chosen.unshift(record)
    }
    for (const owner of needed) inside.add(owner)
    // What else they write, somebody has kept: it goes where nobody reads it.
    const repeated = chosen.map((record) => ({
      ...record,
      reads: again(record.reads),
      writes: mapOperands(record.writes, cloneOf),
      scratch: mapOperands(record.scratch, (tensor) => graph.tensor(tensor.name, tensor.shape, 'activation')),
    }))
    if (repeated.length > 0) repeats.set(before, [...repeated, ...(repeats.get(before) ?? [])])
  }
  return records.flatMap((record, index) => {
    if (index < begin) return [record]
    return [...(repeats.get(index) ?? []), { ...record, reads: again(record.reads) }]
  })
}

/** How far around a cut no other is thinner. */
const WINDOW = 3

/**
 * Where the forward pass is thin: the fewest bytes of activations that records on both sides share, as between the layers.
 * The first is the program's begin. What follows the last cut is needed at once, so that keeping it costs nothing.
 */
export function cutsOf(records: readonly OpRecord[], kept: ReadonlySet<Tensor>): number[] {
  const begin = backwardBegin(records)
  const bytes = new Float64Array(begin + 1)
  for (const [owner, { writes, forwardReads }] of usesOf(records)) {
    const [first, last] = [writes[0], forwardReads.at(-1) ?? writes[0]]
    // Overwritten in place behind the cut, it could not be read again: no cut is there.
    const lastWrite = writes.findLast((index) => index < begin) ?? first
    const end = kept.has(owner) ? begin : last
    for (let cut = first + 1; cut <= end; cut++) bytes[cut] += cut <= lastWrite ? Number.POSITIVE_INFINITY : paddedBytes(owner.shape)
  }
  const cuts = [0]
  for (let cut = 1; cut < begin; cut++) {
    const left = bytes.subarray(Math.max(1, cut - WINDOW), cut)
    const right = bytes.subarray(cut + 1, Math.min(begin, cut + WINDOW + 1))
    if (Number.isFinite(bytes[cut]) && left.every((other) => bytes[cut] < other) && right.every((other) => bytes[cut] <= other))
      cuts.push(cut)
  }
  return cuts
}

interface Uses {
  readonly writes: number[]
  readonly forwardReads: number[]
  readonly backwardReads: number[]
}

/** Of every activation that owns memory, the records that touch it, in order. */
function usesOf(records: readonly OpRecord[]): Map<Tensor, Uses> {
  const begin = backwardBegin(records)
  const uses = new Map<Tensor, Uses>()
  const of = (tensor: Tensor) => {
    const owner = storageOf(tensor)
    const found = uses.get(owner) ?? { writes: [], forwardReads: [], backwardReads: [] }
    uses.set(owner, found)
    return found
  }
  records.forEach(({ reads, writes }, index) => {
    for (const tensor of Object.values(reads))
      if (storageOf(tensor).role === 'activation') of(tensor)[index < begin ? 'forwardReads' : 'backwardReads'].push(index)
    for (const tensor of Object.values(writes)) if (storageOf(tensor).role === 'activation') of(tensor).writes.push(index)
  })
  return uses
}

function backwardBegin(records: readonly OpRecord[]): number {
  const begin = records.findIndex(({ kernel }) => kernel.endsWith('_backward'))
  return begin < 0 ? records.length : begin
}

function mapOperands(operands: Operands, to: (tensor: Tensor) => Tensor): Operands {
  return Object.fromEntries(Object.entries(operands).map(([name, tensor]) => [name, to(tensor)]))
}
