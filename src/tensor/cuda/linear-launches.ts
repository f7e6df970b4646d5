// Matrix products and what lies around them: linear layers, and the head whose logits and loss are computed a part at a time.

import type { OpRecord } from '../graph.ts'
import { rowCount, rowLength } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import type { Launch, Operand } from './launch.ts'
import { act, adds, type Context, float, int, kernel, type Lowerings, matrix, optional, product, target, whole } from './operands.ts'
import { columnSums } from './row-sums.ts'

function linear({ reads: { x, w, b }, writes: { y }, attributes: { inOut } }: OpRecord, context: Context): Launch[] {
  const [M, N, K] = [rowCount(x.shape), rowLength(y.shape), rowLength(x.shape)]
  const weights = matrix(w, inOut ? N : K, context, { isTransposed: !inOut })
  const bias = b && matrix(b, N, context).operand
  return [product({ M, N, K }, matrix(x, K, context), weights, target(y, N, context), false, bias)]
}

function linearBackward(record: OpRecord, context: Context): Launch[] {
  const { x, w, dy } = record.reads
  const { dx, dw, db } = record.writes
  const { inOut } = record.attributes
  const [rows, inputs, outputs] = [rowCount(x.shape), rowLength(x.shape), rowLength(dy.shape)]
  const launches: Launch[] = []
  if (dw) {
    const [left, right] = inOut ? [x, dy] : [dy, x]
    const [M, N] = inOut ? [inputs, outputs] : [outputs, inputs]
    const a = matrix(left, M, context, { isTransposed: true })
    launches.push(product({ M, N, K: rows }, a, matrix(right, N, context), target(dw, N, context), record.adds.includes('dw')))
  }
  if (db) launches.push(...columnSums(act(dy, context), rows, outputs, db, adds(record, 'db')))
  if (dx) {
    const weights = matrix(w, inOut ? outputs : inputs, context, { isTransposed: inOut === 1 })
    const shape = { M: rows, N: inputs, K: outputs }
    launches.push(product(shape, matrix(dy, outputs, context), weights, target(dx, inputs, context), record.adds.includes('dx')))
  }
  return launches
}

/** `chunk` tokens at a time: logits, losses and the logits' gradient in place, and from that the gradients of x, w and b. */
function headLoss(record: OpRecord, isTraining: boolean, context: Context): Launch[] {
  const { x, w, b, targets, scale } = record.reads
  const { y, dx, dw, db } = record.writes
  const { logits } = record.scratch
  const { softcap, zLoss, smoothing } = record.attributes
  const N = rowCount(x.shape)
  const [V, C] = w.shape
  const [chunk] = logits.shape
  const launches: Launch[] = []
  for (let from = 0; from < N; from += chunk) {
    const rows = Math.min(chunk, N - from)
    const part = (tensor: Tensor): Operand => ({ kind: 'tensor', tensor, offsetBytes: from * 4 })
    const own = matrix(x, C, context, { offsetElements: from * C })
    const weights = matrix(w, C, context, { isTransposed: true })
    const kind = [int(V), int(Number(isTraining)), float(softcap), float(zLoss), float(smoothing)]
    launches.push(
      product({ M: rows, N: V, K: C }, own, weights, target(logits, V, context), false),
      kernel('loss', 'cross_entropy', rows, [act(logits, context), optional(b), part(targets), part(y), whole(scale), ...kind]),
    )
    if (dw) {
      const a = matrix(logits, V, context, { isTransposed: true })
      launches.push(product({ M: V, N: C, K: rows }, a, own, target(dw, C, context), record.adds.includes('dw') || from > 0))
    }
    if (dx) {
      const to = target(dx, C, context, from * C)
      launches.push(product({ M: rows, N: C, K: V }, matrix(logits, V, context), matrix(w, C, context), to, record.adds.includes('dx')))
    }
    if (db) launches.push(...columnSums(act(logits, context), rows, V, db, int(Number(record.adds.includes('db') || from > 0))))
  }
  return launches
}

export const linearLaunches = {
  linear,
  linear_backward: linearBackward,
  head_loss: (record, context) => headLoss(record, false, context),
  head_loss_backward: (record, context) => headLoss(record, true, context),
} satisfies Lowerings
