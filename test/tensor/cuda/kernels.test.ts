import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Graph } from '../../../src/tensor/graph.ts'
import { ACTIVATIONS } from '../../../src/tensor/operations.ts'
import * as ops from '../../../src/tensor/ops.ts'
import { type Precision, precisions } from '../../../src/tensor/precision.ts'
import type { Tensor } from '../../../src/tensor/tensor.ts'
import { type Case, noise, withLoss } from '../harness.ts'
import { completed } from './emulated.ts'
import { assertCuda, noCuda, runCuda } from './under-test.ts'

/** A case that grows: a graph and the inputs that noise would not do for. */
class Draft {
  readonly graph = new Graph()
  readonly inputs = new Map<Tensor, Float32Array | Int32Array>()

  parameter(name: string, ...shape: number[]): Tensor {
    return this.graph.tensor(name, shape, 'parameter')
  }

  integers(name: string, values: Int32Array): Tensor {
    const tensor = this.graph.tensor(name, [values.length], 'input', 'i32')
    this.inputs.set(tensor, values)
    return tensor
  }

  /** An activation whose gradient can be seen: the rows of a parameter. */
  rows(name: string, N: number, C: number): Tensor {
    return ops.embedding(
      this.graph,
      this.integers(
        `places of ${name}`,
        Int32Array.from({ length: N }, (_, i) => i),
      ),
      this.parameter(name, N, C),
    )
  }

  case(y: Tensor): Case {
    return { graph: this.graph, y, inputs: this.inputs }
  }
}

type Build = (draft: Draft) => Tensor

/** A bound for each token of rows, by its position. */
const boundsOf = (rows: number, length: number, bound: (t: number) => number) =>
  Int32Array.from({ length: rows * length }, (_, i) => bound(i % length))

/** A second document begins at `boundary`. */
interface AttentionCase {
  rows?: number
  length: number
  heads?: number
  kvHeads?: number
  headSize: number
  causal?: boolean
  window?: number
  softcap?: number
  boundary?: number
  bias?: 'parameter' | 'buckets'
}

function attentionOf(shape: AttentionCase): Build {
  const { rows = 1, length, heads = 2, kvHeads = heads, headSize, causal = true, window, softcap, boundary = 5, bias } = shape
  return (draft) => {
    const qkv = draft.rows('qkv', rows * length, (heads + 2 * kvHeads) * headSize)
    const lo = draft.integers(
      'lo',
      boundsOf(rows, length, (t) => (t < boundary ? 0 : boundary)),
    )
    const hi = causal
      ? undefined
      : draft.integers(
          'hi',
          boundsOf(rows, length, (t) => (t < boundary ? boundary : length)),
        )
    const columns = 2 * length - 1
    const biases = {
      parameter: () => draft.parameter('bias', heads, columns),
      buckets: () =>
        ops.relativeBias(draft.graph, draft.parameter('buckets', 8, heads), {
          length,
          keyLength: length,
          maxDistance: 20,
          bidirectional: !causal,
        }),
    }
    const operands = { lo, hi, ...(bias ? { bias: biases[bias]() } : {}) }
    return ops.attention(draft.graph, qkv, operands, { heads, kvHeads, headSize, length, causal, window, softcap })
  }
}

function crossOf(shape: {
  rows: number
  length: number
  keyLength: number
  heads: number
  kvHeads: number
  headSize: number
  bias?: boolean
  softcap?: number
}): Build {
  const { rows, length, keyLength, heads, kvHeads, headSize, bias = false } = shape
  return (draft) => {
    const q = draft.rows('q', rows * length, heads * headSize)
    const kv = draft.rows('kv', rows * keyLength, 2 * kvHeads * headSize)
    const lo = draft.integers(
      'lo',
      Int32Array.from({ length: rows * length }, (_, i) => i % 3),
    )
    // one query sees nothing
    const hi = draft.integers(
      'hi',
      Int32Array.from({ length: rows * length }, (_, i) => (i === 4 ? 0 : keyLength - (i % 2))),
    )
    const operands = { lo, hi, ...(bias ? { bias: draft.parameter('bias', heads, length + keyLength - 1) } : {}) }
    return ops.crossAttention(draft.graph, q, kv, operands, shape)
  }
}

function lossOf({ tokens = 11, classes = 37, width = 9, chunk = 4, hasBias = false, softcap = 0, zLoss = 0, smoothing = 0 }): Build {
  return (draft) => {
    const x = draft.rows('x', tokens, width)
    const w = draft.parameter('w', classes, width)
    const b = hasBias ? draft.parameter('b', classes) : undefined
    const targets = draft.integers(
      'targets',
      Int32Array.from({ length: tokens }, (_, i) => (i % 3 === 2 ? -1 : (i * 11) % classes)),
    )
    const scale = draft.graph.tensor('loss scale', [1], 'input')
    draft.inputs.set(scale, Float32Array.of(0.3))
    return draft.graph.apply('head_loss', { x, w, ...(b ? { b } : {}), targets, scale }, { chunk, softcap, zLoss, smoothing }).y
  }
}

function geluBetween({ hidden, hasBias = false, inOut = false, isInputUsed = false, isResultUsed = false }: GeluCase): Build {
  return (draft) => {
    const linear = (name: string, x: Tensor, inputs: number, outputs: number) => {
      const w = inOut ? draft.parameter(name, inputs, outputs) : draft.parameter(name, outputs, inputs)
      return ops.linear(draft.graph, x, w, hasBias ? draft.parameter(`b of ${name}`, outputs) : undefined, inOut)
    }
    const pre = linear('up', draft.rows('x', 13, 8), 8, hidden)
    const y = ops.activation(draft.graph, pre, 'gelu_tanh')
    const down = linear('down', y, hidden, 7)
    if (isResultUsed) return ops.add(draft.graph, down, linear('down too', y, hidden, 7))
    return isInputUsed ? ops.add(draft.graph, down, linear('past it', pre, hidden, 7)) : down
  }
}

interface GeluCase {
  hidden: number
  hasBias?: boolean
  inOut?: boolean
  isInputUsed?: boolean
  isResultUsed?: boolean
}

function normOf(N: number, C: number, isCentred: boolean): Build {
  return (draft) => {
    const [x, w] = [draft.rows('x', N, C), draft.parameter('w', C)]
    return isCentred ? ops.layerNorm(draft.graph, x, w, draft.parameter('b', C), 1e-5) : ops.rmsNorm(draft.graph, x, w, 1e-5)
  }
}

const cases: Readonly<Record<string, Build>> = {
  'linear with bias': (draft) => ops.linear(draft.graph, draft.rows('x', 13, 7), draft.parameter('w', 9, 7), draft.parameter('b', 9)),
  'linear with weights as [inputs, outputs]': (draft) =>
    ops.linear(draft.graph, draft.rows('x', 131, 17), draft.parameter('w', 17, 33), draft.parameter('b', 33), true),
  'an input of two linears': (draft) => {
    const x = draft.rows('x', 13, 8)
    const [a, b] = ['a', 'b'].map((name) => ops.linear(draft.graph, x, draft.parameter(name, 8, 8)))
    return ops.add(draft.graph, a, b)
  },
  'a GELU between two linears': geluBetween({ hidden: 24, hasBias: true }),
  'a GELU between two linears without biases, with weights as [inputs, outputs]': geluBetween({ hidden: 16, inOut: true }),
  'a GELU of odd width between two linears': geluBetween({ hidden: 9, hasBias: true }),
  'a GELU between two linears whose input is used elsewhere': geluBetween({ hidden: 32, isInputUsed: true }),
  'a GELU that two linears read': geluBetween({ hidden: 16, hasBias: true, isResultUsed: true }),
  'embedding with repeated tokens': (draft) => {
    const ids = draft.integers(
      'ids',
      Int32Array.from({ length: 300 }, (_, i) => (i * i) % 23),
    )
    return ops.embedding(draft.graph, ids, draft.parameter('w', 25, 67))
  },
  'embedding with ids of two bytes': (draft) => {
    const ids = draft.integers(
      'ids',
      Int32Array.from({ length: 600 }, (_, i) => (i * i * 7) % 700),
    )
    return ops.embedding(draft.graph, ids, draft.parameter('w', 700, 4))
  },
  'embedding with ids of three bytes': (draft) => {
    const ids = draft.integers('ids', Int32Array.of(69_999, 3, 65_536, 259, 65_539, 3, 65_536, 0, 69_999))
    return ops.embedding(draft.graph, ids, draft.parameter('w', 70_000, 2))
  },
  'rows of an activation, some twice and some never': (draft) => {
    const ids = draft.integers('ids', Int32Array.of(5, 0, 5, 2, 6, 0))
    return ops.embedding(draft.graph, ids, draft.rows('x', 7, 68))
  },
  rmsnorm: normOf(35, 71, false),
  'rmsnorm of rows in fours': normOf(67, 132, false),
  layernorm: normOf(35, 71, true),
  'layernorm of many rows in fours': normOf(161, 36, true),
  rope: (draft) => {
    const positions = draft.integers('positions', Int32Array.of(0, 1, 2, 3, 9, 5, 6, 7, 8))
    const tables = { cosines: draft.graph.tensor('cosines', [10, 5], 'constant'), sines: draft.graph.tensor('sines', [10, 5], 'constant') }
    const angles = noise(50, 5)
    draft.inputs.set(tables.cosines, angles.map(Math.cos)).set(tables.sines, angles.map(Math.sin))
    return ops.rope(draft.graph, draft.rows('x', 9, 30), positions, tables, { heads: 2, headSize: 10 })
  },
  ...Object.fromEntries(
    ACTIVATIONS.map((kind): [string, Build] => [kind, (draft) => ops.activation(draft.graph, draft.rows('x', 7, 13), kind)]),
  ),
  ...Object.fromEntries(
    ACTIVATIONS.map((kind): [string, Build] => [`a gate of ${kind}`, (draft) => ops.gated(draft.graph, draft.rows('x', 37, 24), kind)]),
  ),
  'a gate of odd width whose input is used elsewhere': (draft) => {
    const x = draft.rows('x', 5, 14)
    const opened = ops.gated(draft.graph, x, 'silu')
    return ops.add(draft.graph, ops.linear(draft.graph, x, draft.parameter('w', 7, 14)), opened)
  },
  'a scaled tensor that is used elsewhere': (draft) => {
    const x = draft.rows('x', 7, 13)
    return ops.add(draft.graph, ops.activation(draft.graph, x, 'tanh'), ops.scale(draft.graph, x, 3))
  },
  'normalized heads that share keys': (draft) => {
    const shape = { heads: 4, kvHeads: 2, headSize: 10, epsilon: 1e-5 }
    return ops.headNorm(draft.graph, draft.rows('qkv', 131, 80), draft.parameter('wq', 10), draft.parameter('wk', 10), shape)
  },
  'normalized heads of what is used elsewhere': (draft) => {
    const qkv = draft.rows('qkv', 9, 24)
    const shape = { heads: 2, kvHeads: 2, headSize: 4, epsilon: 1e-5 }
    const normed = ops.headNorm(draft.graph, qkv, draft.parameter('wq', 4), draft.parameter('wk', 4), shape)
    return ops.add(draft.graph, ops.activation(draft.graph, qkv, 'silu'), normed)
  },
  'a residual stream that is read before and after it is added to': (draft) => {
    const x = draft.rows('x', 9, 12)
    return ops.activation(draft.graph, ops.add(draft.graph, x, ops.activation(draft.graph, x, 'silu')), 'silu')
  },
  'a plain loss': lossOf({}),
  'a loss of classes in fours': lossOf({ classes: 1100, tokens: 5 }),
  'a loss with everything': lossOf({ tokens: 41, classes: 101, hasBias: true, softcap: 5, zLoss: 0.01, smoothing: 0.1, chunk: 16 }),

  'attention of odd heads over packed documents': attentionOf({ rows: 2, length: 41, heads: 3, headSize: 6, boundary: 13 }),
  'attention of odd heads with shared keys within a window': attentionOf({ length: 73, heads: 4, kvHeads: 2, headSize: 10, window: 17 }),
  'attention of odd heads in both directions, capped and biased': attentionOf({
    rows: 2,
    length: 35,
    headSize: 36,
    causal: false,
    softcap: 0.7,
    bias: 'parameter',
  }),
  'attention of large heads': attentionOf({ length: 21, heads: 1, headSize: 130 }),
  'attention to another sequence': crossOf({
    rows: 2,
    length: 11,
    keyLength: 37,
    heads: 4,
    kvHeads: 2,
    headSize: 6,
    bias: true,
    softcap: 1.5,
  }),

  'flash attention over packed documents, with shared keys': attentionOf({
    rows: 2,
    length: 203,
    heads: 2,
    kvHeads: 1,
    headSize: 64,
    boundary: 70,
  }),
  'flash attention within a window': attentionOf({ length: 290, heads: 1, headSize: 64, boundary: 31, window: 45 }),
  'flash attention in both directions': attentionOf({ length: 150, heads: 1, headSize: 64, boundary: 97, causal: false }),
  'flash attention to a shorter sequence': crossOf({ rows: 2, length: 150, keyLength: 90, heads: 2, kvHeads: 1, headSize: 64 }),
  'flash attention of large heads': attentionOf({ length: 170, heads: 2, kvHeads: 1, headSize: 128, boundary: 75 }),
  'flash attention with capped scores and a bias of distances': attentionOf({
    length: 150,
    headSize: 64,
    softcap: 2,
    bias: 'buckets',
    boundary: 40,
  }),
  'flash attention of large heads with a bias, within a window, in both directions': attentionOf({
    length: 141,
    heads: 1,
    headSize: 128,
    causal: false,
    window: 50,
    bias: 'parameter',
  }),
}

/** Cases that say something new in some precisions alone. */
const only: Readonly<Partial<Record<string, readonly Precision[]>>> = Object.fromEntries(
  Object.keys(cases)
    .filter((name) => name.startsWith('flash'))
    .map((name) => [name, ['bf16', 'f16']]),
)

for (const [name, build] of Object.entries(cases))
  for (const precision of only[name] ?? precisions)
    test(`${name}: CUDA kernels compute in ${precision} what the reference computes, forward and backward`, { skip: noCuda }, () => {
      const draft = new Draft()
      const { graph, y, inputs } = draft.case(build(draft))
      return assertCuda(graph, withLoss(graph, y).records, inputs, precision)
    })

test('two runs of CUDA kernels give the same bits, whatever warp runs first', { skip: noCuda }, () => {
  const draft = new Draft()
  const { graph, y, inputs } = draft.case(attentionOf({ length: 140, heads: 2, kvHeads: 1, headSize: 64, bias: 'parameter' })(draft))
  const { records, gradients } = withLoss(graph, y)
  const all = completed(graph, inputs, 'bf16')
  const [first, second] = [runCuda(graph, records, all, 'bf16'), runCuda(graph, records, all, 'bf16')]
  for (const gradient of gradients.values()) assert.deepEqual(second.values(gradient), first.values(gradient))
})
