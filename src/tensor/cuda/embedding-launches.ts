// Embeddings of tokens. Their gradient sorts tokens by id, so that rows are added in a fixed order and without atomics.

import type { OpRecord } from '../graph.ts'
import { elements, rowCount, rowLength } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import type { Argument, FillLaunch, Launch } from './launch.ts'
import {
  act,
  blocksOf,
  type Context,
  elementBytes,
  int,
  kernel,
  type Lowerings,
  none,
  rowwise,
  THREADS,
  whole,
  workspace,
} from './operands.ts'

function embedding({ reads: { ids, w }, writes: { y } }: OpRecord, context: Context): Launch[] {
  const N = elements(ids.shape)
  const name = context.typeOf(w) === 'f32' ? 'embedding' : 'embedding_rows'
  return [rowwise(name, N, [whole(ids), whole(w), act(y, context), int(N), int(rowLength(w.shape))])]
}

/** Tokens by id, below `rows`, in the workspace: three kernels for each 8 bits of an id. */
function sortedTokens(ids: Tensor, rows: number): { launches: Launch[]; order: Argument } {
  const N = elements(ids.shape)
  const blocks = blocksOf(N, THREADS)
  const [even, odd, counts] = workspace(N, N, blocks * 256)
  const launches: Launch[] = []
  let order: Argument = none
  for (let shift = 0; shift === 0 || rows > 2 ** shift; shift += 8) {
    const sorted = order === even ? odd : even
    launches.push(
      kernel('rows', 'digit_counts', blocks, [whole(ids), order, counts, int(N), int(shift)]),
      kernel('rows', 'digit_starts', 1, [counts, int(blocks)]),
      kernel('rows', 'digit_sort', blocks, [whole(ids), order, counts, sorted, int(N), int(shift)]),
    )
    order = sorted
  }
  return { launches, order }
}

function embeddingBackward(record: OpRecord, context: Context): Launch[] {
  const { ids, dy } = record.reads
  const { dw } = record.writes
  const N = elements(ids.shape)
  const type = context.typeOf(dw)
  const { launches, order } = sortedTokens(ids, rowCount(dw.shape))
  const clear: FillLaunch = { kind: 'fill', operand: whole(dw), bytes: elements(dw.shape) * elementBytes(type) }
  return [
    ...(record.adds.includes('dw') ? [] : [clear]),
    ...launches,
    kernel('rows', type === 'f32' ? 'embedding_backward' : 'embedding_rows_backward', N, [
      ...[whole(ids), order, act(dy, context), whole(dw)],
      ...[int(N), int(rowLength(dw.shape))],
    ]),
  ]
}

export const embeddingLaunches = {
  embedding,
  embedding_backward: embeddingBackward,
} satisfies Lowerings
