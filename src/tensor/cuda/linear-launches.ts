// Matrix products and what lies around them: linear layers, alone or with a GELU, and the head whose logits and loss are computed
// a part at a time.

import type { OpRecord } from '../graph.ts'
import { elements, rowCount, rowLength } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import { GELU_TANH } from './fusion.ts'
import type { Gelu, KernelLaunch, Launch, Matrix, Operand, ProductLaunch } from './launch.ts'
import {
  act,
  adds,
  type Context,
  elementwise,
  float,
  int,
  kernel,
  type Lowerings,
  matrix,
  optional,
  product,
  target,
  whole,
} from './operands.ts'
import { columnSums } from './row-sums.ts'

/** cuBLASLt asks that rows of GELU's input be a multiple of it. */
const GELU_COLUMNS = 8

function linear({ reads: { x, w, b }, writes: { y }, attributes: { inOut } }: OpRecord, context: Context): ProductLaunch {
  const [M, N, K] = [rowCount(x.shape), rowLength(y.shape), rowLength(x.shape)]
  const weights = matrix(w, inOut ? N : K, context, { isTransposed: !inOut })
  const bias = b && matrix(b, N, context).operand
  return product({ M, N, K }, matrix(x, K, context), weights, target(y, N, context), false, bias)
}

function weightGradients(record: OpRecord, context: Context): Launch[] {
  const { x, dy } = record.reads
  const { dw, db } = record.writes
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
  return launches
}

function inputGradient({ reads: { w, dy }, writes: { dx }, adds, attributes: { inOut } }: OpRecord, context: Context): ProductLaunch {
  const [inputs, outputs] = [rowLength(dx.shape), rowLength(dy.shape)]
  const weights = matrix(w, inOut ? outputs : inputs, context, { isTransposed: inOut === 1 })
  const shape = { M: rowCount(dx.shape), N: inputs, K: outputs }
  return product(shape, matrix(dy, outputs, context), weights, target(dx, inputs, context), adds.includes('dx'))
}

/** A product that ends with GELU or its slope, or, where cuBLASLt has none, a product and the kernel after it. */
function ended(apart: readonly [ProductLaunch, KernelLaunch], c: Matrix, gelu: Gelu, { precision }: Context): Launch[] {
  const [plain] = apart
  return precision === 'f32' || plain.N % GELU_COLUMNS !== 0 ? [...apart] : [{ ...plain, c, gelu, apart }]
}

function linearGelu(record: OpRecord, context: Context): Launch[] {
  const { y, pre } = record.writes
  const plain = linear({ ...record, writes: { y: pre ?? y } }, context)
  const n = elements(y.shape)
  const after = elementwise('activation', n, [act(pre ?? y, context), act(y, context), int(n), int(GELU_TANH)])
  return ended([plain, after], target(y, plain.N, context), { pass: 'forward', ...(pre ? { pre: act(pre, context) } : {}) }, context)
}

function geluLinearBackward(record: OpRecord, context: Context): Launch[] {
  const { pre } = record.reads
  const plain = inputGradient(record, context)
  const n = elements(pre.shape)
  const dx = act(record.writes.dx, context)
  const after = elementwise('activation_backward', n, [act(pre, context), dx, dx, int(0), int(n), int(GELU_TANH)])
  const gelu: Gelu = { pass: 'backward', pre: act(pre, context) }
  return [...weightGradients(record, context), ...ended([plain, after], plain.c, gelu, context)]
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
  linear: (record, context) => [linear(record, context)],
  linear_backward: (record, context) => [
    ...weightGradients(record, context),
    ...(record.writes.dx ? [inputGradient(record, context)] : []),
  ],
  linear_gelu: linearGelu,
  gelu_linear_backward: geluLinearBackward,
  head_loss: (record, context) => headLoss(record, false, context),
  head_loss_backward: (record, context) => headLoss(record, true, context),
} satisfies Lowerings
