// Positions: rotations of heads, and the bias that attention learns for distances.

import type { OpRecord } from '../graph.ts'
import { elements, rowCount, rowLength } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import type { Argument } from './launch.ts'
import { act, adds, blocksOf, type Context, float, int, kernel, type Lowerings, rowwise, THREADS, whole } from './operands.ts'

function rope(
  x: Tensor,
  { reads: { positions, cosines, sines }, attributes: { heads, headSize } }: OpRecord,
  turn: number,
  context: Context,
) {
  const N = rowCount(x.shape)
  const tables = [whole(positions), whole(cosines), whole(sines)]
  return [rowwise('rope', N, [act(x, context), int(rowLength(x.shape)), ...tables, int(N), int(heads), int(headSize), float(turn)])]
}

/** What says which bucket a distance falls into. */
function bucketArguments(w: Tensor, { attributes: { length, keyLength, maxDistance, bidirectional } }: OpRecord): Argument[] {
  const [buckets, heads] = w.shape
  const exact = Math.floor((bidirectional ? buckets / 2 : buckets) / 2)
  return [...[int(length), int(length + keyLength - 1), int(buckets), int(heads), int(bidirectional)], float(Math.log(maxDistance / exact))]
}

export const positionLaunches = {
  rope: (record, context) => rope(record.writes.y, record, 1, context),
  rope_backward: (record, context) => rope(record.writes.dx, record, -1, context),

  relative_bias: (record) => {
    const { w } = record.reads
    const { y } = record.writes
    return [kernel('rows', 'relative_bias', blocksOf(elements(y.shape), THREADS), [whole(w), whole(y), ...bucketArguments(w, record)])]
  },
  relative_bias_backward: (record) => {
    const { dw } = record.writes
    const args = [whole(dw), whole(record.reads.dy), ...bucketArguments(dw, record), adds(record, 'dw')]
    return [rowwise('relative_bias_backward', elements(dw.shape), args)]
  },
} satisfies Lowerings
