// Norms of rows and of heads. Gradients of their weights are summed in runs of rows.

import type { OpRecord } from '../graph.ts'
import { rowCount, rowLength } from '../shape.ts'
import type { Launch } from './launch.ts'
import {
  act,
  adds,
  blocksOf,
  type Context,
  float,
  int,
  kernel,
  type Lowerings,
  none,
  optional,
  rowwise,
  whole,
  workspace,
} from './operands.ts'
import { runsOf, sumRows } from './row-sums.ts'

const MAXIMUM_HEAD_RUNS = 1024

function normBackward(record: OpRecord, context: Context): Launch[] {
  const { x, w, rstd, mean, dy } = record.reads
  const { dx, dw, db } = record.writes
  const [N, C] = [rowCount(x.shape), rowLength(x.shape)]
  const launches: Launch[] = []
  if (dw || db) {
    const { runs, rowsOfRun } = runsOf(N)
    const [dwParts, dbParts] = workspace(runs * C, runs * C)
    const args = [
      act(x, context),
      optional(mean),
      whole(rstd),
      act(dy, context),
      dwParts,
      db ? dbParts : none,
      int(N),
      int(C),
      int(rowsOfRun),
    ]
    launches.push(kernel('rows', 'norm_weight_parts', [blocksOf(C, 32), runs, 1], args))
    if (dw) launches.push(sumRows(dwParts, runs, C, dw, adds(record, 'dw')))
    if (db) launches.push(sumRows(dbParts, runs, C, db, adds(record, 'db')))
  }
  if (dx) {
    const args = [
      act(x, context),
      whole(w),
      optional(mean),
      whole(rstd),
      act(dy, context),
      act(dx, context),
      adds(record, 'dx'),
      int(N),
      int(C),
    ]
    launches.push(rowwise('norm_backward', N, args))
  }
  return launches
}

function headNormBackward(record: OpRecord, context: Context): Launch[] {
  const { qkv, wq, wk, rstd, dy } = record.reads
  const { dqkv, dwq, dwk } = record.writes
  const { heads, kvHeads, headSize: D } = record.attributes
  const N = rowCount(qkv.shape)
  const shape = [int(N), int(heads), int(kvHeads), int(D)]
  const launches: Launch[] = []
  if (dwq || dwk) {
    const { runs, rowsOfRun } = runsOf(N, MAXIMUM_HEAD_RUNS, 1)
    const [queryParts, keyParts] = workspace(runs * D, runs * D)
    const args = [act(qkv, context), whole(rstd), act(dy, context), queryParts, keyParts, ...shape, int(rowsOfRun)]
    launches.push(kernel('rows', 'head_norm_weight_parts', [runs, 2, 1], args))
    if (dwq) launches.push(sumRows(queryParts, runs, D, dwq, adds(record, 'dwq')))
    if (dwk) launches.push(sumRows(keyParts, runs, D, dwk, adds(record, 'dwk')))
  }
  if (dqkv) {
    const inputs = [act(qkv, context), whole(wq), whole(wk), whole(rstd), act(dy, context)]
    launches.push(rowwise('head_norm_backward', N * (heads + 2 * kvHeads), [...inputs, act(dqkv, context), adds(record, 'dqkv'), ...shape]))
  }
  return launches
}

export const normLaunches = {
  norm: ({ reads: { x, w, b }, writes: { y, mean, rstd }, attributes: { epsilon } }, context) => {
    const [N, C] = [rowCount(x.shape), rowLength(x.shape)]
    const outputs = [act(y, context), optional(mean), whole(rstd)]
    return [rowwise('norm_forward', N, [act(x, context), whole(w), optional(b), ...outputs, int(N), int(C), float(epsilon)])]
  },
  norm_backward: normBackward,

  head_norm: ({ reads: { qkv, wq, wk }, writes: { y, rstd }, attributes: { heads, kvHeads, headSize, epsilon } }, context) => {
    const N = rowCount(qkv.shape)
    const shape = [int(N), int(heads), int(kvHeads), int(headSize), float(epsilon)]
    const args = [act(qkv, context), whole(wq), whole(wk), act(y, context), whole(rstd), ...shape]
    return [rowwise('head_norm', N * (heads + 2 * kvHeads), args)]
  },
  head_norm_backward: headNormBackward,
} satisfies Lowerings
