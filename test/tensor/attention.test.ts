import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isAvailable } from '../../src/tensor/cpu/native/tier.ts'
import { Graph } from '../../src/tensor/graph.ts'
import * as ops from '../../src/tensor/ops.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { activationOf, assertSameOnCpu, assertSlopes, type Case, layOut, runOn, withLoss } from './harness.ts'

interface SelfCase {
  readonly rows?: number
  readonly length: number
  readonly heads: number
  readonly kvHeads?: number
  readonly headSize: number
  /** Rows hold a document up to here and then one to the end, so that lo rises inside a row. */
  readonly boundary?: number
  readonly causal?: boolean
  readonly window?: number
  readonly softcap?: number
  readonly scale?: number
  readonly bias?: 'parameter' | 'activation' | 'constant'
}

function selfCase({ rows = 1, boundary = 4, bias, causal = true, ...shape }: SelfCase): Case {
  const { length, heads, kvHeads = heads, headSize } = shape
  const graph = new Graph()
  const lo = graph.tensor('lo', [rows * length], 'input', 'i32')
  const hi = graph.tensor('hi', [rows * length], 'input', 'i32')
  const qkv = activationOf(graph, [rows * length, (heads + 2 * kvHeads) * headSize])
  const biasTensor = bias && biasOf(graph, bias, [heads, 2 * length - 1])
  const y = ops.attention(graph, qkv, { lo, hi, bias: biasTensor }, { ...shape, kvHeads, causal })
  const bound = (before: number, after: number) =>
    Int32Array.from({ length: rows * length }, (_, i) => (i % length < boundary ? before : after))
  const inputs = new Map([
    [lo, bound(0, boundary)],
    [hi, bound(boundary, length)],
  ])
  return { graph, y, inputs }
}

function biasOf(graph: Graph, role: 'parameter' | 'activation' | 'constant', shape: number[]): Tensor {
  return role === 'activation' ? activationOf(graph, shape, 'bias source') : graph.tensor('bias', shape, role)
}

interface CrossCase {
  readonly rows: number
  readonly length: number
  readonly keyLength: number
  readonly heads: number
  readonly kvHeads: number
  readonly headSize: number
  readonly softcap?: number
  readonly bias?: 'parameter' | 'activation'
}

/** Queries see a source of their own each, which may be all of the row, one key, or none. */
function crossCase({ bias, ...shape }: CrossCase): Case {
  const { rows, length, keyLength, heads, kvHeads, headSize } = shape
  const graph = new Graph()
  const lo = graph.tensor('lo', [rows * length], 'input', 'i32')
  const hi = graph.tensor('hi', [rows * length], 'input', 'i32')
  const q = activationOf(graph, [rows * length, heads * headSize], 'q')
  const kv = activationOf(graph, [rows * keyLength, 2 * kvHeads * headSize], 'kv')
  const biasTensor = bias && biasOf(graph, bias, [heads, length + keyLength - 1])
  const y = ops.crossAttention(graph, q, kv, { lo, hi, bias: biasTensor }, shape)
  const low = Int32Array.from({ length: rows * length }, (_, i) => (i * 7) % keyLength)
  const inputs = new Map([
    [lo, low],
    [hi, low.map((from, i) => (i % 5 === 0 ? keyLength : i % 5 === 1 ? from : Math.min(keyLength, from + (i % 3) + 1)))],
  ])
  return { graph, y, inputs }
}

/** One bias for two layers, whose gradients meet in it. */
function sharedBiasCase(): Case {
  const graph = new Graph()
  const shape = { heads: 2, kvHeads: 2, headSize: 4, length: 21, causal: true }
  const lo = graph.tensor('lo', [42], 'input', 'i32')
  const bias = activationOf(graph, [2, 41], 'bias source')
  const first = ops.attention(graph, activationOf(graph, [42, 24]), { lo, bias }, shape)
  const second = ops.linear(graph, first, graph.tensor('w', [24, 8], 'parameter'))
  return { graph, y: ops.attention(graph, second, { lo, bias }, { ...shape, window: 6 }), inputs: new Map() }
}

const cases: Readonly<Record<string, () => Case>> = {
  'attention over packed documents': () => selfCase({ rows: 2, length: 11, heads: 3, headSize: 6 }),
  'attention with shared keys and values': () => selfCase({ length: 13, heads: 4, kvHeads: 2, headSize: 5 }),
  'attention over several panels of queries': () => selfCase({ length: 211, heads: 1, headSize: 8 }),
  'attention over several blocks of keys': () => selfCase({ length: 419, heads: 1, headSize: 4, boundary: 0 }),
  'attention over a document that begins late': () => selfCase({ length: 130, heads: 2, kvHeads: 1, headSize: 10, boundary: 101 }),
  'attention in both directions': () => selfCase({ rows: 2, length: 23, heads: 2, headSize: 6, boundary: 15, causal: false }),
  'attention in both directions over several panels': () =>
    selfCase({ length: 203, heads: 2, kvHeads: 1, headSize: 7, boundary: 111, causal: false }),
  'attention within a window': () => selfCase({ length: 157, heads: 2, headSize: 6, boundary: 31, window: 13 }),
  'attention within a window, in both directions': () =>
    selfCase({ length: 157, heads: 2, headSize: 6, boundary: 31, causal: false, window: 9 }),
  'attention of every position to itself alone': () => selfCase({ length: 19, heads: 1, headSize: 4, causal: false, window: 1 }),
  'attention with capped scores': () => selfCase({ length: 37, heads: 2, headSize: 6, softcap: 0.7, scale: 1.5 }),
  'attention with a constant bias': () => selfCase({ rows: 2, length: 37, heads: 3, headSize: 6, bias: 'constant' }),
  'attention with a learned bias': () => selfCase({ rows: 3, length: 35, heads: 2, headSize: 6, bias: 'parameter', causal: false }),
  'attention with a computed bias, a window, capped scores and shared keys': () =>
    selfCase({ rows: 2, length: 113, heads: 4, kvHeads: 2, headSize: 6, bias: 'activation', window: 40, softcap: 2, scale: 1 }),
  'attention of two layers with one bias': sharedBiasCase,
  'attention to another sequence': () => crossCase({ rows: 2, length: 11, keyLength: 29, heads: 3, kvHeads: 3, headSize: 6 }),
  'attention to a shorter sequence, with shared keys': () =>
    crossCase({ rows: 2, length: 109, keyLength: 7, heads: 4, kvHeads: 2, headSize: 5 }),
  'attention to another sequence with a bias and capped scores': () =>
    crossCase({ rows: 3, length: 17, keyLength: 31, heads: 2, kvHeads: 2, headSize: 6, bias: 'parameter', softcap: 1.5 }),
  'attention of one query a row': () => crossCase({ rows: 7, length: 1, keyLength: 31, heads: 4, kvHeads: 2, headSize: 6 }),
}

for (const [name, build] of Object.entries(cases)) {
  test(`${name}: the CPU device computes what the reference computes, forward and backward`, () => assertSameOnCpu(build()))
  test(`${name}: the reference's gradients are the slopes of its loss`, () => assertSlopes(build()))
}

test('attention has the same bits for any number of threads, the gradient of a bias too', async () => {
  const shape = { rows: 5, length: 50, heads: 4, kvHeads: 2, headSize: 6, window: 30 }
  for (const { graph, y, inputs } of [selfCase(shape), selfCase({ ...shape, bias: 'parameter', softcap: 3 })]) {
    const { records, gradients } = withLoss(graph, y)
    const laid = layOut(graph, records)
    const [one, three] = [await runOn('cpu', graph, laid, inputs, 1), await runOn('cpu', graph, laid, inputs, 3)]
    for (const tensor of [y, ...gradients.values()]) assert.deepEqual(three.values(tensor), one.values(tensor))
  }
})

test('queries that see nothing have no output and give no gradient', async () => {
  const { graph, y, inputs } = crossCase({ rows: 1, length: 10, keyLength: 9, heads: 1, kvHeads: 1, headSize: 4 })
  for (const bound of inputs.values()) bound.fill(3)
  const { records, gradients } = withLoss(graph, y)
  const run = await runOn('cpu', graph, layOut(graph, records), inputs)
  assert.ok(run.values(y).every((value) => value === 0))
  for (const gradient of gradients.values()) assert.ok(run.values(gradient).every((value) => value === 0))
})

const headSize = fc.oneof(fc.constantFrom(32, 64), fc.integer({ min: 1, max: 130 }))
const length = fc.oneof(fc.integer({ min: 2, max: 70 }), fc.integer({ min: 2, max: 300 }))
const heads = fc.constantFrom({ heads: 1, kvHeads: 1 }, { heads: 2, kvHeads: 2 }, { heads: 4, kvHeads: 2 }, { heads: 3, kvHeads: 1 })
const rows = fc.integer({ min: 1, max: 2 })
const selfShape = fc
  .record({
    rows,
    heads,
    length,
    headSize,
    boundary: fc.nat(1000),
    causal: fc.boolean(),
    window: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 90 })),
  })
  .map(({ heads, boundary, ...shape }) => selfCase({ ...shape, ...heads, boundary: boundary % shape.length }))
const crossShape = fc
  .record({ rows, heads, length, keyLength: fc.integer({ min: 1, max: 150 }), headSize })
  .map(({ heads, ...shape }) => crossCase({ ...shape, ...heads }))

test('avx512: attention of all shapes and its gradients are those of WASM, up to the order of sums', {
  skip: isAvailable('avx512') ? false : 'no avx512 here',
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(selfShape, crossShape), async ({ graph, y, inputs }) => {
      const { records, gradients } = withLoss(graph, y)
      const laid = layOut(graph, records)
      const [wasm, avx512] = [await runOn('cpu', graph, laid, inputs, 1, 'wasm'), await runOn('cpu', graph, laid, inputs, 1, 'avx512')]
      for (const tensor of [y, ...gradients.values()]) {
        // what cancels out keeps the rounding of what it was made of
        const [values, expected] = [avx512.values(tensor), wasm.values(tensor)]
        const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1)
        const error = values.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i])), 0) / largest
        assert.ok(error < 2e-6, `${tensor.name} is off by ${error}`)
      }
    }),
    { numRuns: 40 },
  )
})
