import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Graph } from '../../src/tensor/graph.ts'
import { ACTIVATIONS, type Activation } from '../../src/tensor/operations.ts'
import * as ops from '../../src/tensor/ops.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { activationOf, assertSameOnCpu, assertSlopes, type Case, distance, layOut, noise, runOn } from './harness.ts'

const cases: Readonly<Record<string, () => Case>> = {
  'linear with bias': () => linearCase(13, 7, 9, { bias: true, inOut: false }),
  'linear over several blocks, panels and cut-off tiles': () => linearCase(403, 317, 61, { bias: true, inOut: false }),
  'linear with weights as [inputs, outputs]': () => linearCase(101, 70, 83, { bias: true, inOut: true }),
  'linear with many more outputs than inputs': () => linearCase(7, 5, 1101, { bias: true, inOut: false }),
  'linear of one row': () => linearCase(1, 37, 131, { bias: true, inOut: false }),
  'linear of two rows with weights as [inputs, outputs]': () => linearCase(2, 37, 131, { bias: false, inOut: true }),
  'embedding with repeated tokens': () => {
    const graph = new Graph()
    const ids = graph.tensor('ids', [11], 'input', 'i32')
    const y = ops.embedding(graph, ids, graph.tensor('w', [5, 67], 'parameter'))
    return { graph, y, inputs: new Map([[ids, Int32Array.from([4, 0, 1, 1, 1, 2, 4, 0, 3, 3, 4])]]) }
  },
  'rows of an activation, some twice and some never': () => {
    const graph = new Graph()
    const ids = graph.tensor('ids', [6], 'input', 'i32')
    return { graph, y: ops.embedding(graph, ids, activationOf(graph, [7, 67])), inputs: new Map([[ids, Int32Array.of(5, 0, 5, 2, 6, 0)]]) }
  },
  'rows of an activation that is used elsewhere': () => {
    const graph = new Graph()
    const ids = graph.tensor('ids', [3], 'input', 'i32')
    const x = activationOf(graph, [3, 9])
    const picked = ops.embedding(graph, ids, x)
    return { graph, y: ops.add(graph, ops.activation(graph, x, 'silu'), picked), inputs: new Map([[ids, Int32Array.of(2, 2, 0)]]) }
  },
  rmsnorm: () => {
    const graph = new Graph()
    const y = ops.rmsNorm(graph, activationOf(graph, [35, 71]), graph.tensor('w', [71], 'parameter'), 1e-5)
    return { graph, y, inputs: new Map() }
  },
  layernorm: () => {
    const graph = new Graph()
    const [w, b] = ['w', 'b'].map((name) => graph.tensor(name, [71], 'parameter'))
    return { graph, y: ops.layerNorm(graph, activationOf(graph, [35, 71]), w, b, 1e-5), inputs: new Map() }
  },
  rope: () => {
    const graph = new Graph()
    const positions = graph.tensor('positions', [9], 'input', 'i32')
    const tables = {
      cosines: graph.tensor('cosines', [10, 5], 'constant'),
      sines: graph.tensor('sines', [10, 5], 'constant'),
    }
    // the last head is not rotated
    const y = ops.rope(graph, activationOf(graph, [9, 30]), positions, tables, { heads: 2, headSize: 10 })
    const angles = noise(50, 5)
    const inputs = new Map<Tensor, Float32Array | Int32Array>([
      [positions, Int32Array.from([0, 1, 2, 3, 9, 5, 6, 7, 8])],
      [tables.cosines, angles.map(Math.cos)],
      [tables.sines, angles.map(Math.sin)],
    ])
    return { graph, y, inputs }
  },
  ...Object.fromEntries(ACTIVATIONS.map((kind) => [kind, () => activationCase(kind)])),
  ...Object.fromEntries(ACTIVATIONS.map((kind) => [`a gate of ${kind}`, () => gatedCase(kind)])),
  'a gate whose input is used elsewhere': () => {
    const graph = new Graph()
    const x = activationOf(graph, [5, 8])
    const opened = ops.gated(graph, x, 'gelu')
    return { graph, y: ops.add(graph, ops.linear(graph, x, graph.tensor('w', [4, 8], 'parameter')), opened), inputs: new Map() }
  },
  scale: () => {
    const graph = new Graph()
    return { graph, y: ops.scale(graph, activationOf(graph, [7, 13]), -0.37), inputs: new Map() }
  },
  'a scaled tensor that is used elsewhere': () => {
    const graph = new Graph()
    const x = activationOf(graph, [7, 13])
    return { graph, y: ops.add(graph, ops.activation(graph, x, 'tanh'), ops.scale(graph, x, 3)), inputs: new Map() }
  },
  'normalized heads': () => headNormCase(5, { heads: 3, kvHeads: 3, headSize: 6 }),
  'normalized heads that share keys, of more tokens than parts': () => headNormCase(131, { heads: 4, kvHeads: 2, headSize: 10 }),
  'normalized heads of an odd size, of one token': () => headNormCase(1, { heads: 1, kvHeads: 1, headSize: 5 }),
  'normalized heads of one more token than parts': () => headNormCase(65, { heads: 2, kvHeads: 1, headSize: 3 }),
  'normalized heads of queries, keys and values that are used elsewhere': () => {
    const graph = new Graph()
    const qkv = activationOf(graph, [9, 24])
    const [wq, wk] = ['wq', 'wk'].map((name) => graph.tensor(name, [4], 'parameter'))
    const normed = ops.headNorm(graph, qkv, wq, wk, { heads: 2, kvHeads: 2, headSize: 4, epsilon: 1e-5 })
    return { graph, y: ops.add(graph, ops.activation(graph, qkv, 'silu'), normed), inputs: new Map() }
  },
  'a bias of distances in both directions': () => biasCase({ length: 41, keyLength: 41, maxDistance: 20, bidirectional: true }),
  'a bias of distances to what came before': () => biasCase({ length: 70, keyLength: 33, maxDistance: 30, bidirectional: false }),
  'a bias of one query and one key': () => biasCase({ length: 1, keyLength: 1, maxDistance: 30, bidirectional: true }),
  'a bias of distances from computed weights': () => {
    const graph = new Graph()
    const shape = { length: 17, keyLength: 9, maxDistance: 9, bidirectional: true }
    return { graph, y: ops.relativeBias(graph, activationOf(graph, [12, 3]), shape), inputs: new Map() }
  },
  'a residual stream that is read before and after it is added to': () => {
    const graph = new Graph()
    const x = activationOf(graph, [9, 12])
    const h = ops.activation(graph, x, 'silu')
    return { graph, y: ops.activation(graph, ops.add(graph, x, h), 'silu'), inputs: new Map() }
  },
  'a sum of a tensor with itself': () => {
    const graph = new Graph()
    const x = activationOf(graph, [4, 5])
    return { graph, y: ops.add(graph, x, x), inputs: new Map() }
  },
  'a sum whose second input is used elsewhere': () => {
    const graph = new Graph()
    const x = activationOf(graph, [4, 5])
    const h = ops.activation(graph, x, 'silu')
    return { graph, y: ops.add(graph, ops.add(graph, x, h), h), inputs: new Map() }
  },
}

function linearCase(N: number, K: number, M: number, { bias, inOut }: { bias: boolean; inOut: boolean }): Case {
  const graph = new Graph()
  const w = graph.tensor('w', inOut ? [K, M] : [M, K], 'parameter')
  const b = bias ? graph.tensor('b', [M], 'parameter') : undefined
  return { graph, y: ops.linear(graph, activationOf(graph, [N, K]), w, b, inOut), inputs: new Map() }
}

function activationCase(kind: Activation): Case {
  const graph = new Graph()
  return { graph, y: ops.activation(graph, activationOf(graph, [7, 13]), kind), inputs: new Map() }
}

function gatedCase(kind: Activation): Case {
  const graph = new Graph()
  return { graph, y: ops.gated(graph, activationOf(graph, [37, 24]), kind), inputs: new Map() }
}

function headNormCase(N: number, shape: ops.HeadShape): Case {
  const graph = new Graph()
  const [wq, wk] = ['wq', 'wk'].map((name) => graph.tensor(name, [shape.headSize], 'parameter'))
  const qkv = activationOf(graph, [N, (shape.heads + 2 * shape.kvHeads) * shape.headSize])
  return { graph, y: ops.headNorm(graph, qkv, wq, wk, { ...shape, epsilon: 1e-5 }), inputs: new Map() }
}

function biasCase(shape: Parameters<typeof ops.relativeBias>[2]): Case {
  const graph = new Graph()
  return { graph, y: ops.relativeBias(graph, graph.tensor('w', [16, 3], 'parameter'), shape), inputs: new Map() }
}

for (const [name, build] of Object.entries(cases)) {
  test(`${name}: the CPU device computes what the reference computes, forward and backward`, () => assertSameOnCpu(build()))
  test(`${name}: the reference's gradients are the slopes of its loss`, () => assertSlopes(build()))
}

for (const kind of ACTIVATIONS)
  test(`${kind} is right to f32 from its tails to its middle`, async () => {
    const graph = new Graph()
    const x = graph.tensor('x', [2001], 'input')
    const y = ops.activation(graph, x, kind)
    const laid = layOut(graph, graph.records)
    const inputs = new Map([[x, Float32Array.from({ length: 2001 }, (_, i) => (i / 1000 - 1) ** 3 * 30)]])
    const [cpu, reference] = [await runOn('cpu', graph, laid, inputs), await runOn('reference', graph, laid, inputs)]
    assert.ok(distance(cpu.values(y), reference.values(y)) < 3e-7)
  })

test('a tensor that was overwritten in place cannot be read again', () => {
  const graph = new Graph()
  const x = activationOf(graph, [3, 8])
  const positions = graph.tensor('positions', [3], 'input', 'i32')
  const [cosines, sines] = ['cosines', 'sines'].map((name) => graph.tensor(name, [3, 2], 'constant'))
  ops.rope(graph, x, positions, { cosines, sines }, { heads: 2, headSize: 4 })
  assert.throws(() => ops.activation(graph, x, 'silu'), { code: 'SLUICE_TENSOR_TAPE' })
})
