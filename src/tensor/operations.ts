// The operations, one table: what each writes, what its backward kernel reads again, which inputs get a gradient, its cost.
// A backward kernel is named `<op>_backward`, reads the saved operands and `dy`, and writes `d<input>`.
// N = rows·length tokens, C model width, H query heads, G key and value heads, D head size, F hidden width, V vocabulary.

import { elements, rowCount, rowLength, type Shape } from './shape.ts'
import type { Attributes, Operands, Tensor } from './tensor.ts'

export type OpName =
  | 'linear'
  | 'embedding'
  | 'norm'
  | 'rope'
  | 'attention'
  | 'cross_attention'
  | 'attention_cached'
  | 'relative_bias'
  | 'head_norm'
  | 'activation'
  | 'gated'
  | 'scale'
  | 'add'
  | 'head_loss'

export interface OpDefinition {
  /** Shape of `y` and of everything else that the forward kernel writes. */
  shapes(reads: Operands, attributes: Attributes): Readonly<Record<string, Shape>>
  scratch?(reads: Operands, attributes: Attributes): Readonly<Record<string, Shape>>
  /** What the backward kernel has instead. */
  backwardScratch?(reads: Operands, attributes: Attributes): Readonly<Record<string, Shape>>
  /** Operands, read or written, that the backward kernel reads. */
  readonly saves: readonly string[]
  /** Inputs that get a gradient, where they are there and belong to the model. */
  readonly differentiable: readonly string[]
  /** The input that y overwrites. Its gradient is overwritten in the same way. */
  readonly inPlace?: string
  /** True where the backward kernel computes the forward's results too, so that training runs it alone. */
  readonly fusesForward?: boolean
  /** Multiplications and additions of the forward pass; the backward pass has twice as many. */
  flops?(reads: Operands, attributes: Attributes): number
}

const like = (name: string) => (reads: Operands) => ({ y: reads[name].shape })

function attentionShapes(queries: Tensor, { heads, headSize }: Attributes): Record<string, Shape> {
  const N = rowCount(queries.shape)
  return { y: [N, heads * headSize], lse: [N, heads] }
}

/** The gradient of a bias, row by row: rows are added up in their order. */
const biasScratch = (bias: Tensor, rows: number): Record<string, Shape> => ({ parts: [rows, elements(bias.shape)] })

/** How many keys a query sees on average, where all of its row belongs together. */
function meanKeys(length: number, causal: number, window: number): number {
  const reach = window > 0 ? Math.min(window, length) : length
  const before = reach - reach ** 2 / (2 * length)
  return causal ? before : 2 * before
}

/** Runs of tokens whose gradients of head_norm's weights are summed apart. */
const HEAD_NORM_PARTS = 64

export const ACTIVATIONS = ['gelu_tanh', 'silu', 'relu2', 'gelu', 'relu', 'tanh'] as const
export type Activation = (typeof ACTIVATIONS)[number]

export const operations: Readonly<Record<OpName, OpDefinition>> = {
  // y[N,M] = x[N,K]·wᵀ (+ b[M]); w is [M,K], or [K,M] where the attribute inOut is 1
  linear: {
    shapes: ({ x, w }, { inOut }) => ({ y: [...x.shape.slice(0, -1), w.shape[inOut]] }),
    saves: ['x', 'w'],
    differentiable: ['x', 'w', 'b'],
    flops: ({ x, w }) => 2 * rowCount(x.shape) * elements(w.shape),
  },
  // y[N,C] = w[ids[N]], rows of a parameter or of an activation
  embedding: {
    shapes: ({ ids, w }) => ({ y: [elements(ids.shape), rowLength(w.shape)] }),
    saves: ['ids'],
    differentiable: ['w'],
  },
  // LayerNorm where the attribute centred is 1 (then with mean, and b by choice), else RMSNorm
  norm: {
    shapes: ({ x }, { centred }): Record<string, Shape> => {
      const N = rowCount(x.shape)
      return centred ? { y: x.shape, rstd: [N], mean: [N] } : { y: x.shape, rstd: [N] }
    },
    saves: ['x', 'w', 'rstd', 'mean'],
    differentiable: ['x', 'w', 'b'],
  },
  // rotates the first `heads` heads of size `headSize` in each row of x by positions[N]; in place
  rope: { shapes: like('x'), saves: ['positions', 'cosines', 'sines'], differentiable: ['x'], inPlace: 'x' },
  // qkv[N,(H+2G)·D], lo[N], hi[N]? → y[N,H·D]; rows of `length` positions, of which t sees lo[t] ≤ j, and j ≤ t where causal
  // is 1, else j < hi[t]; window w > 0: also |t − j| < w. Scores are scale·q·k; softcap c > 0: then c·tanh(score / c);
  // then plus bias[H, 2·length − 1] at j − t + length − 1. lse is the logarithm of the softmax's denominator
  attention: {
    shapes: ({ qkv }, attributes) => attentionShapes(qkv, attributes),
    saves: ['qkv', 'lo', 'hi', 'bias', 'y', 'lse'],
    differentiable: ['qkv', 'bias'],
    backwardScratch: ({ qkv, bias }, { length }): Record<string, Shape> => (bias ? biasScratch(bias, rowCount(qkv.shape) / length) : {}),
    flops: ({ qkv }, { heads, headSize, length, causal, window }) =>
      4 * rowCount(qkv.shape) * heads * headSize * meanKeys(length, causal, window),
  },
  // the same of q[N,H·D] with keys and values kv[rows·keyLength, 2G·D]; the bias is [H, length + keyLength − 1]
  cross_attention: {
    shapes: ({ q }, attributes) => attentionShapes(q, attributes),
    saves: ['q', 'kv', 'lo', 'hi', 'bias', 'y', 'lse'],
    differentiable: ['q', 'kv', 'bias'],
    backwardScratch: ({ q, bias }, { length }): Record<string, Shape> => (bias ? biasScratch(bias, rowCount(q.shape) / length) : {}),
    flops: ({ q }, { heads, headSize, keyLength }) => 4 * rowCount(q.shape) * heads * headSize * keyLength,
  },
  // `length` tokens a row join the cache keys, values[rows·context, G·D] from position[rows] on, and each sees the cache up to
  // itself, with window, softcap and bias[H, 2·context − 1] as above. Tokens beyond the context are left out. Inference only
  attention_cached: {
    shapes: ({ qkv }, { heads, headSize }) => ({ y: [rowCount(qkv.shape), heads * headSize] }),
    saves: [],
    differentiable: [],
  },
  // y[H, length + keyLength − 1] = w[bucket, H] of each distance key − query = index + 1 − length (relative-bucket.ts)
  relative_bias: {
    shapes: ({ w }, { length, keyLength }) => ({ y: [rowLength(w.shape), length + keyLength - 1] }),
    saves: ['w'],
    differentiable: ['w'],
  },
  // RMSNorm of every query head of qkv[N,(H+2G)·D] with wq[D], and of every key head with wk[D]; values pass through
  head_norm: {
    shapes: ({ qkv }, { heads, kvHeads }) => ({ y: qkv.shape, rstd: [rowCount(qkv.shape), heads + kvHeads] }),
    saves: ['qkv', 'wq', 'wk', 'rstd'],
    differentiable: ['qkv', 'wq', 'wk'],
    backwardScratch: ({ qkv, wq }) => {
      const parts: Shape = [Math.min(HEAD_NORM_PARTS, rowCount(qkv.shape)), elements(wq.shape)]
      return { queryParts: parts, keyParts: parts }
    },
  },
  // the attribute kind is an index of ACTIVATIONS
  activation: { shapes: like('x'), saves: ['x'], differentiable: ['x'] },
  // y[N,F] = activation(gate)·up of x[N,2F], gate then up; kind as above
  gated: {
    shapes: ({ x }) => ({ y: [rowCount(x.shape), rowLength(x.shape) / 2] }),
    saves: ['x'],
    differentiable: ['x'],
  },
  // y = factor·x
  scale: { shapes: like('x'), saves: [], differentiable: ['x'] },
  add: { shapes: like('a'), saves: [], differentiable: ['a', 'b'] },
  // y[N] = losses of z = x[N,C]·w[V,C]ᵀ (+ b[V]) and targets[N], `chunk` tokens at a time; gradients are of scale·Σ y. Where
  // softcap c > 0: z = c·tanh(z / c). With lse = ln Σ exp z and s = smoothing: y = lse − (1 − s)·z[target] − s·mean z +
  // zLoss·lse². A token whose target is negative has no loss
  head_loss: {
    shapes: ({ x }) => ({ y: [rowCount(x.shape)] }),
    scratch: ({ x, w }, { chunk }) => ({ logits: [Math.min(chunk, rowCount(x.shape)), w.shape[0]] }),
    saves: ['x', 'w', 'b', 'targets', 'scale'],
    differentiable: ['x', 'w', 'b'],
    fusesForward: true,
    flops: ({ x, w }) => 2 * rowCount(x.shape) * elements(w.shape),
  },
}
