// The memory plan: shapes are known before the first step, so every tensor has a fixed place in one arena and nothing is
// allocated in the loop. An activation lives from its first to its last record; two may share bytes if their lives do not meet.

import type { OpRecord } from './graph.ts'
import { paddedBytes } from './shape.ts'
import type { Tensor } from './tensor.ts'
import { storageOf } from './tensor.ts'

export interface Placement {
  /** Byte offset of each tensor that owns memory. */
  readonly offsets: ReadonlyMap<Tensor, number>
  /** Where the next free byte is. */
  readonly endBytes: number
}

export interface Life {
  readonly tensor: Tensor
  /** Indexes of records, both inclusive. */
  readonly first: number
  readonly last: number
}

/** Bytes that a tensor occupies, padding included. */
export type BytesOf = (tensor: Tensor) => number

const fourBytesEach: BytesOf = (tensor) => paddedBytes(tensor.shape)

/** Everything that outlives a step, one after another in the order of the tape. */
export function placePersistent(tensors: readonly Tensor[], startBytes: number): Placement {
  const offsets = new Map<Tensor, number>()
  let endBytes = startBytes
  for (const tensor of tensors) {
    if (tensor.role === 'activation' || tensor.storage) continue
    offsets.set(tensor, endBytes)
    endBytes += paddedBytes(tensor.shape)
  }
  return { offsets, endBytes }
}

/**
 * Activations of one program: the largest first, each at the lowest offset where no tensor with a crossing life lies.
 *
 * @param kept tensors that are read after the program's end
 * @param bytesOf what each occupies, where devices keep activations in other types than the tape's
 */
export function placeActivations(
  records: readonly OpRecord[],
  kept: ReadonlySet<Tensor>,
  startBytes: number,
  bytesOf: BytesOf = fourBytesEach,
): Placement {
  const placed: Placed[] = [] // by start
  let endBytes = startBytes
  const bySize = lives(records, kept).sort((a, b) => bytesOf(b.tensor) - bytesOf(a.tensor) || a.tensor.id - b.tensor.id)
  for (const life of bySize) {
    const size = bytesOf(life.tensor)
    let start = startBytes
    for (const other of placed) {
      if (start + size <= other.start) break
      if (other.life.first <= life.last && life.first <= other.life.last) start = Math.max(start, other.end)
    }
    placed.splice(placeOf(placed, start), 0, { life, start, end: start + size })
    endBytes = Math.max(endBytes, start + size)
  }
  return { offsets: new Map(placed.map(({ life, start }) => [life.tensor, start])), endBytes }
}

interface Placed {
  readonly life: Life
  readonly start: number
  readonly end: number
}

/** Where the next one that starts there goes: behind those that do not start later. */
function placeOf(placed: readonly Placed[], start: number): number {
  let low = 0
  let high = placed.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (placed[middle].start <= start) low = middle + 1
    else high = middle
  }
  return low
}

/** From the first record that touches the memory of an activation to the last. */
export function lives(records: readonly OpRecord[], kept: ReadonlySet<Tensor>): Life[] {
  const found = new Map<Tensor, { first: number; last: number }>()
  records.forEach((record, index) => {
    for (const operand of [...Object.values(record.reads), ...Object.values(record.writes), ...Object.values(record.scratch)]) {
      const tensor = storageOf(operand)
      if (tensor.role !== 'activation') continue
      const life = found.get(tensor) ?? { first: index, last: index }
      life.last = kept.has(operand) ? records.length : Math.max(life.last, index)
      found.set(tensor, life)
    }
  })
  return [...found].map(([tensor, life]) => ({ tensor, ...life }))
}

/** The address of any operand, of a placement or of several. */
export function addresses(...placements: readonly Placement[]): (tensor: Tensor) => number {
  return (tensor) => {
    const owner = storageOf(tensor)
    for (const { offsets } of placements) {
      const offset = offsets.get(owner)
      if (offset !== undefined) return offset
    }
    throw new RangeError(`no memory is planned for ${tensor.name} (${tensor.role})`)
  }
}
