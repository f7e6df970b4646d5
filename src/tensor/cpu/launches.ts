// How the CPU device runs each record: which WASM kernels, with which arguments, cut into how many blocks. No two
// blocks write the same float, and sums are cut by shapes alone, so the results have the same bits for any number of threads.

import { type KernelName, noKernel, type OpRecord } from '../graph.ts'
import { NEWTON_SCHULZ, NEWTON_SCHULZ_STEPS } from '../muon.ts'
import { elements, rowCount, rowLength } from '../shape.ts'
import type { Attributes, Tensor } from '../tensor.ts'
import { attention, attentionBackward, attentionCached, crossHeads, selfHeads } from './attention-launches.ts'
import {
  type Address,
  adds,
  bits,
  blocksOf,
  COLUMNS_PER_BLOCK,
  elementwise,
  joined,
  type Launch,
  ROWS_PER_BLOCK,
  type Where,
} from './launch.ts'
import type { Tile } from './native/gemm-code.ts'
import { gemm, inBlocks, rowMajor, transposed } from './product.ts'

const ROWS_PER_LOSS_BLOCK = 8
/** Up to this many rows a product reads the weights in place instead of packing them. */
const FEW_ROWS = 8

/** The launches of one record, in order; each begins when the one before is complete, unless it joins it. */
export function launchesOf(record: OpRecord, at: Address, tile: Tile, threads: number): Launch[] {
  const launches = lowerings[record.kernel](record, (tensor) => (tensor ? at(tensor) / 4 : 0))
  return launches.map((launch) => (launch.kernel === 'gemm' ? inBlocks(launch, tile, threads) : launch))
}

function linear({ reads: { x, w, b }, writes: { y }, attributes: { inOut } }: OpRecord, at: Where): Launch[] {
  const N = rowCount(x.shape)
  const K = rowLength(x.shape)
  const M = rowLength(y.shape)
  if (N <= FEW_ROWS)
    return [
      {
        kernel: 'rowTimesMatrix',
        blocks: blocksOf(M, outputsPerBlock(M)),
        words: [N, M, K, at(x), at(w), at(y), at(b), inOut, outputsPerBlock(M)],
      },
    ]
  const weights = inOut ? rowMajor(at(w), M) : transposed(at(w), K)
  return [gemm({ M: N, N: M, K, a: rowMajor(at(x), K), b: weights, c: at(y), adds: 0, bias: at(b) })]
}

/** A multiple of 16: some twelve blocks, which two to four threads share evenly, or more where they would outgrow the caches. */
function outputsPerBlock(M: number): number {
  return Math.min(512, Math.max(48, 16 * Math.ceil(M / 12 / 16)))
}

function linearBackward(record: OpRecord, at: Where): Launch[] {
  const { x, w, dy } = record.reads
  const { dx, dw, db } = record.writes
  const { inOut } = record.attributes
  const N = rowCount(x.shape)
  const K = rowLength(x.shape)
  const M = rowLength(dy.shape)
  const launches: Launch[] = []
  if (dw) {
    const product = inOut
      ? { M: K, N: M, K: N, a: transposed(at(x), K), b: rowMajor(at(dy), M) }
      : { M, N: K, K: N, a: transposed(at(dy), M), b: rowMajor(at(x), K) }
    launches.push(gemm({ ...product, c: at(dw), adds: adds(record, 'dw') }))
  }
  if (db)
    launches.push({
      kernel: 'columnSums',
      blocks: blocksOf(M, COLUMNS_PER_BLOCK),
      words: [at(dy), N, M, at(db), COLUMNS_PER_BLOCK, adds(record, 'db')],
    })
  if (dx) {
    const weights = inOut ? transposed(at(w), M) : rowMajor(at(w), K)
    launches.push(gemm({ M: N, N: K, K: M, a: rowMajor(at(dy), M), b: weights, c: at(dx), adds: adds(record, 'dx') }))
  }
  return [...launches.slice(0, 1), ...launches.slice(1).map(joined)]
}

function normBackward(record: OpRecord, at: Where): Launch[] {
  const { x, w, rstd, mean, dy } = record.reads
  const { dx, dw, db } = record.writes
  const N = rowCount(x.shape)
  const C = rowLength(x.shape)
  const weights: Launch[] = [
    {
      kernel: 'normWeightBackward',
      blocks: blocksOf(C, COLUMNS_PER_BLOCK),
      words: [at(x), at(mean), at(rstd), at(dy), at(dw), at(db), N, C, COLUMNS_PER_BLOCK, adds(record, 'dw'), adds(record, 'db')],
    },
  ]
  if (!dx) return weights
  return [
    ...weights,
    {
      kernel: 'normBackward',
      joins: true,
      blocks: blocksOf(N, ROWS_PER_BLOCK),
      words: [at(x), at(w), at(mean), at(rstd), at(dy), at(dx), adds(record, 'dx'), N, C, ROWS_PER_BLOCK],
    },
  ]
}

function rope(x: Tensor, record: OpRecord, turn: number, at: Where): Launch[] {
  const { positions, cosines, sines } = record.reads
  const { heads, headSize } = record.attributes
  const N = rowCount(x.shape)
  return [
    {
      kernel: 'rope',
      blocks: blocksOf(N, ROWS_PER_BLOCK),
      words: [at(x), rowLength(x.shape), at(positions), at(cosines), at(sines), N, heads, headSize, bits(turn), ROWS_PER_BLOCK],
    },
  ]
}

/** `chunk` tokens at a time: logits, losses and the logits' gradient in place, and from that the gradients of x, w and b. */
function headLoss(record: OpRecord, training: boolean, at: Where): Launch[] {
  const { x, w, b, targets, scale } = record.reads
  const { y, dx, dw, db } = record.writes
  const { softcap, zLoss, smoothing } = record.attributes
  const logits = at(record.scratch.logits)
  const N = rowCount(x.shape)
  const [V, C] = w.shape
  const [chunk] = record.scratch.logits.shape
  const launches: Launch[] = []
  for (let from = 0; from < N; from += chunk) {
    const rows = Math.min(chunk, N - from)
    const part = (tensor: Tensor, width: number) => at(tensor) + from * width
    const kind = [rows, V, Number(training), ROWS_PER_LOSS_BLOCK, bits(softcap), bits(zLoss), bits(smoothing)]
    launches.push(gemm({ M: rows, N: V, K: C, a: rowMajor(part(x, C), C), b: transposed(at(w), C), c: logits, adds: 0, bias: at(b) }), {
      kernel: 'crossEntropy',
      blocks: blocksOf(rows, ROWS_PER_LOSS_BLOCK),
      words: [logits, part(targets, 1), part(y, 1), at(scale), ...kind],
    })
    const slopes: Launch[] = []
    if (dw)
      slopes.push(
        gemm({
          M: V,
          N: C,
          K: rows,
          a: transposed(logits, V),
          b: rowMajor(part(x, C), C),
          c: at(dw),
          adds: adds(record, 'dw') || Number(from > 0),
        }),
      )
    if (dx)
      slopes.push(gemm({ M: rows, N: C, K: V, a: rowMajor(logits, V), b: rowMajor(at(w), C), c: part(dx, C), adds: adds(record, 'dx') }))
    if (db)
      slopes.push({
        kernel: 'columnSums',
        blocks: blocksOf(V, COLUMNS_PER_BLOCK),
        words: [logits, rows, V, at(db), COLUMNS_PER_BLOCK, adds(record, 'db') || Number(from > 0)],
      })
    launches.push(...slopes.slice(0, 1), ...slopes.slice(1).map(joined))
  }
  return launches
}

function headNormBackward(record: OpRecord, at: Where): Launch[] {
  const { qkv, wq, wk, rstd, dy } = record.reads
  const { dqkv, dwq, dwk } = record.writes
  const { queryParts, keyParts } = record.scratch
  const { heads, kvHeads, headSize: D } = record.attributes
  const N = rowCount(qkv.shape)
  const size = Math.ceil(N / queryParts.shape[0])
  const parts = blocksOf(N, size)
  const inputs = [at(qkv), at(wq), at(wk), at(rstd), at(dy), at(dqkv), adds(record, 'dqkv'), at(queryParts), at(keyParts)]
  const sum = (from: Tensor, to: Tensor, name: string): Launch => ({
    kernel: 'sumRows',
    blocks: blocksOf(D, COLUMNS_PER_BLOCK),
    words: [at(from), parts, D, at(to), adds(record, name), COLUMNS_PER_BLOCK],
  })
  return [
    { kernel: 'headNormBackward', blocks: parts, words: [...inputs, N, heads, kvHeads, D, size] },
    sum(queryParts, dwq, 'dwq'),
    joined(sum(keyParts, dwk, 'dwk')),
  ]
}

/** What says which bucket a distance falls into. */
function bucketWords(w: Tensor, { length, keyLength, maxDistance, bidirectional }: Attributes): number[] {
  const [buckets, heads] = w.shape
  const exact = Math.floor((bidirectional ? buckets / 2 : buckets) / 2)
  return [length, length + keyLength - 1, buckets, heads, bidirectional, bits(Math.log(maxDistance / exact))]
}

const scaled = (x: number, y: number, isAdded: number, { shape }: Tensor, factor: number) =>
  elementwise('scale', [x, y, isAdded, elements(shape), bits(factor)], elements(shape))

/** One matrix of a block. The polynomial is taken of the smaller Gram matrix, its last one times the factor. */
function orthogonalize({ writes: { x, y }, scratch, attributes: { offset, rows, columns, factor } }: OpRecord, at: Where): Launch[] {
  const n = rows * columns
  const side = Math.min(rows, columns)
  const [gram, square] = [at(scratch.gram), at(scratch.square)]
  let [from, to] = [at(x) + offset, at(y) + offset]
  const launches = [
    elementwise('squareSum', [from, at(scratch.partials), n], n),
    elementwise('normalize', [from, n, at(scratch.partials)], n),
  ]
  for (let step = 1; step <= NEWTON_SCHULZ_STEPS; step++) {
    const [along, across] = [rowMajor(from, columns), transposed(from, columns)]
    const [left, right] = rows <= columns ? [along, across] : [across, along]
    const whole = rowMajor(square, side)
    const [a, b] = rows <= columns ? [whole, along] : [along, whole]
    const coefficients = NEWTON_SCHULZ.map((value) => bits(step === NEWTON_SCHULZ_STEPS ? value * factor : value))
    launches.push(
      gemm({ M: side, N: side, K: n / side, a: left, b: right, c: gram, adds: 0 }),
      gemm({ M: side, N: side, K: side, a: rowMajor(gram, side), b: rowMajor(gram, side), c: square, adds: 0 }),
      { kernel: 'polynomial', blocks: blocksOf(side, ROWS_PER_BLOCK), words: [gram, square, side, ...coefficients, ROWS_PER_BLOCK] },
      gemm({ M: rows, N: columns, K: side, a, b, c: to, adds: 0 }),
    )
    ;[from, to] = [to, from]
  }
  return launches
}

const lowerings: Readonly<Record<KernelName, (record: OpRecord, at: Where) => Launch[]>> = {
  linear,
  linear_backward: linearBackward,

  embedding: ({ reads: { ids, w }, writes: { y } }, at) => [
    {
      kernel: 'embedding',
      blocks: blocksOf(elements(ids.shape), ROWS_PER_BLOCK),
      words: [at(ids), at(w), at(y), elements(ids.shape), rowLength(w.shape), ROWS_PER_BLOCK],
    },
  ],
  embedding_backward: (record, at) => {
    const { ids, dy } = record.reads
    const { dw } = record.writes
    return [
      {
        kernel: 'embeddingBackward',
        blocks: blocksOf(rowLength(dw.shape), COLUMNS_PER_BLOCK),
        words: [
          at(ids),
          at(dy),
          at(dw),
          elements(ids.shape),
          rowLength(dw.shape),
          COLUMNS_PER_BLOCK,
          adds(record, 'dw'),
          rowCount(dw.shape),
        ],
      },
    ]
  },

  norm: ({ reads: { x, w, b }, writes: { y, mean, rstd }, attributes: { epsilon } }, at) => [
    {
      kernel: 'norm',
      blocks: blocksOf(rowCount(x.shape), ROWS_PER_BLOCK),
      words: [at(x), at(w), at(b), at(y), at(mean), at(rstd), rowCount(x.shape), rowLength(x.shape), bits(epsilon), ROWS_PER_BLOCK],
    },
  ],
  norm_backward: normBackward,

  rope: (record, at) => rope(record.writes.y, record, 1, at),
  rope_backward: (record, at) => rope(record.writes.dx, record, -1, at),

  attention: (record, at) => attention(selfHeads(record, at), record, at),
  attention_backward: (record, at) => {
    const dqkv = at(record.writes.dqkv)
    const { heads, headSize } = record.attributes
    return attentionBackward(selfHeads(record, at), { dq: dqkv, dk: dqkv + heads * headSize }, record, at)
  },
  cross_attention: (record, at) => attention(crossHeads(record, at), record, at),
  cross_attention_backward: (record, at) => {
    const { dq, dkv } = record.writes
    return attentionBackward(crossHeads(record, at), { dq: at(dq), dk: at(dkv) }, record, at)
  },
  attention_cached: attentionCached,
  attention_cached_backward: () => [],

  relative_bias: ({ reads: { w }, writes: { y }, attributes }, at) => [
    { kernel: 'relativeBias', blocks: rowLength(w.shape), words: [at(w), at(y), ...bucketWords(w, attributes)] },
  ],
  relative_bias_backward: (record, at) => {
    const { dw } = record.writes
    const words = [at(dw), at(record.reads.dy), ...bucketWords(dw, record.attributes), adds(record, 'dw')]
    return [{ kernel: 'relativeBiasBackward', blocks: rowLength(dw.shape), words }]
  },

  head_norm: ({ reads: { qkv, wq, wk }, writes: { y, rstd }, attributes: { heads, kvHeads, headSize, epsilon } }, at) => {
    const N = rowCount(qkv.shape)
    const words = [at(qkv), at(wq), at(wk), at(y), at(rstd), N, heads, kvHeads, headSize, bits(epsilon), ROWS_PER_BLOCK]
    return [{ kernel: 'headNorm', blocks: blocksOf(N, ROWS_PER_BLOCK), words }]
  },
  head_norm_backward: headNormBackward,

  activation: ({ reads: { x }, writes: { y }, attributes: { kind } }, at) => [
    elementwise('activation', [at(x), at(y), elements(x.shape), kind], elements(x.shape)),
  ],
  activation_backward: (record, at) => {
    const { x, dy } = record.reads
    const n = elements(x.shape)
    return [elementwise('activationBackward', [at(x), at(dy), at(record.writes.dx), adds(record, 'dx'), n, record.attributes.kind], n)]
  },

  gated: ({ reads: { x }, writes: { y }, attributes: { kind } }, at) => [
    {
      kernel: 'gated',
      blocks: blocksOf(rowCount(y.shape), ROWS_PER_BLOCK),
      words: [at(x), at(y), rowCount(y.shape), rowLength(y.shape), kind, ROWS_PER_BLOCK],
    },
  ],
  gated_backward: (record, at) => {
    const { x, dy } = record.reads
    const shape = [rowCount(dy.shape), rowLength(dy.shape), record.attributes.kind, ROWS_PER_BLOCK]
    return [
      {
        kernel: 'gatedBackward',
        blocks: blocksOf(rowCount(dy.shape), ROWS_PER_BLOCK),
        words: [at(x), at(dy), at(record.writes.dx), adds(record, 'dx'), ...shape],
      },
    ]
  },

  scale: ({ reads: { x }, writes: { y }, attributes: { factor } }, at) => [scaled(at(x), at(y), 0, x, factor)],
  scale_backward: (record, at) => {
    const { dy } = record.reads
    return [scaled(at(dy), at(record.writes.dx), adds(record, 'dx'), dy, record.attributes.factor)]
  },

  add: ({ reads: { a, b }, writes: { y } }, at) => [elementwise('add', [at(a), at(b), at(y), elements(a.shape)], elements(a.shape))],
  add_backward: (record, at) => {
    const dx = at(record.writes.dx)
    const n = elements(record.reads.dy.shape)
    return [elementwise('add', [at(record.reads.dy), adds(record, 'dx') ? dx : 0, dx, n], n)]
  },

  head_loss: (record, at) => headLoss(record, false, at),
  head_loss_backward: (record, at) => headLoss(record, true, at),

  // one parameter does not depend on another: these join the parameter before
  square_sum: ({ reads: { x }, writes: { partials }, attributes: { offset } }, at) => [
    joined(elementwise('squareSum', [at(x), at(partials) + offset * 2, elements(x.shape)], elements(x.shape))),
  ],
  loss_sum: noKernel,
  gate: noKernel,
  linear_gelu: noKernel,
  gelu_linear_backward: noKernel,
  adamw: ({ reads: { hyper, gradient }, writes: { parameter, first, second }, attributes: { decays } }, at) => {
    const n = elements(parameter.shape)
    return [joined(elementwise('adamw', [at(parameter), at(gradient), at(first), at(second), n, decays, at(hyper)], n))]
  },
  muon_momentum: ({ reads: { hyper, gradient }, writes: { momentum, x } }, at) => {
    const n = elements(gradient.shape)
    return [elementwise('muonMomentum', [at(gradient), at(momentum), at(x), n, at(hyper)], n)]
  },
  orthogonalize,
  muon_update: ({ reads: { hyper, x }, writes: { parameter }, attributes: { decays } }, at) => {
    const n = elements(parameter.shape)
    return [elementwise('muonUpdate', [at(parameter), at(x), n, decays, at(hyper)], n)]
  },
  average: ({ reads: { hyper, parameter }, writes }, at) => {
    const n = elements(parameter.shape)
    return [joined(elementwise('average', [at(parameter), at(writes.average), n, at(hyper)], n))]
  },
}
