import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createGate, lossSumRecord } from '../../../src/model/optimizer.ts'
import { createLowering } from '../../../src/tensor/cuda/launches.ts'
import { kernelsOf, modules, sourceOf } from '../../../src/tensor/cuda/modules.ts'
import { Graph, type OpRecord } from '../../../src/tensor/graph.ts'
import { muonFactor } from '../../../src/tensor/muon.ts'
import * as ops from '../../../src/tensor/ops.ts'
import type { Tensor } from '../../../src/tensor/tensor.ts'
import { layOut, noise, runOn } from '../harness.ts'
import { completed, relativeError } from './emulated.ts'
import { assertCuda, noCuda, runCuda } from './under-test.ts'

const nothing = { adds: [], scratch: {}, attributes: {} }
/** More than a block, and a rest that is no multiple of four. */
const SIZE = 16384 + 1003

for (const decays of [0, 1])
  test(`AdamW's kernel moves weights and moments, ${decays ? 'with' : 'without'} decay`, { skip: noCuda }, () => {
    const graph = new Graph()
    const [parameter, first, second] = ['w', 'm', 'v'].map((name) => graph.tensor(name, [SIZE], 'moment'))
    const gradient = graph.tensor('g', [SIZE], 'gradient')
    const hyper = graph.tensor('hyper', [10], 'input')
    const record: OpRecord = {
      ...nothing,
      kernel: 'adamw',
      reads: { hyper, gradient },
      writes: { parameter, first, second },
      attributes: { decays },
    }
    const inputs = new Map([
      [hyper, Float32Array.of(0.01, 0.9, 0.95, 1e-8, 0.1, 0.5, 1 / (1 - 0.9 ** 3), 1 / (1 - 0.95 ** 3), 0.1, 0.05)],
      [gradient, noise(SIZE, 8)],
      [second, noise(SIZE, 9).map(Math.abs)],
    ])
    return assertCuda(graph, [record], inputs, 'f32')
  })

for (const rows of [[13, 40] as const, [70, 31] as const])
  test(`Muon's kernels move two matrices of ${rows.join(' and ')} rows in one block`, { skip: noCuda }, async () => {
    const columns = 37
    const graph = new Graph()
    const shape = [rows[0] + rows[1], columns]
    const [parameter, momentum] = ['w', 'm'].map((name) => graph.tensor(name, shape, 'moment'))
    const [x, y] = ['x', 'y'].map((name) => graph.tensor(name, shape, 'activation'))
    const gradient = graph.tensor('g', shape, 'gradient')
    const hyper = graph.tensor('hyper', [12], 'input')
    const orthogonal = rows.map((own, i): OpRecord => {
      const side = Math.min(own, columns)
      return {
        ...nothing,
        kernel: 'orthogonalize',
        reads: {},
        writes: { x, y },
        scratch: graph.scratch('orthogonalize', { gram: [side, side], square: [side, side], partials: [2] }),
        attributes: { offset: i * rows[0] * columns, rows: own, columns, factor: muonFactor(own, columns) },
      }
    })
    const records: OpRecord[] = [
      { ...nothing, kernel: 'muon_momentum', reads: { hyper, gradient }, writes: { momentum, x } },
      ...orthogonal,
      { ...nothing, kernel: 'muon_update', reads: { hyper, x: y }, writes: { parameter }, attributes: { decays: 1 } },
    ]
    const inputs = completed(
      graph,
      new Map([
        [hyper, Float32Array.of(0.02, 0, 0, 0, 0.1, 0.5, 0, 0, 0, 0, 0.95, 0)],
        [gradient, noise(shape[0] * columns, 3)],
      ]),
      'f32',
    )
    const emulated = runCuda(graph, records, inputs, 'f32')
    const reference = await runOn('reference', graph, layOut(graph, records), inputs)
    for (const tensor of [parameter, momentum, y]) {
      const error = relativeError(emulated.values(tensor), reference.values(tensor))
      assert.ok(error < 1e-5, `${tensor.name} is off by ${error}`)
    }
  })

test('the average of weights moves by its share', { skip: noCuda }, () => {
  const graph = new Graph()
  const [parameter, average] = ['w', 'mean'].map((name) => graph.tensor(name, [SIZE], 'moment'))
  const hyper = graph.tensor('hyper', [12], 'input')
  const record: OpRecord = { ...nothing, kernel: 'average', reads: { hyper, parameter }, writes: { average } }
  return assertCuda(graph, [record], new Map([[hyper, new Float32Array(12).fill(0.25)]]), 'f32')
})

test('the bf16 copy that products read follows the weights through an update', { skip: noCuda }, async () => {
  const graph = new Graph()
  const [gradient, first, second] = ['g', 'm', 'v'].map((name) => graph.tensor(name, [5, 8], 'moment'))
  const parameter = graph.tensor('w', [5, 8], 'parameter')
  const hyper = graph.tensor('hyper', [10], 'input')
  const ids = graph.tensor('ids', [3], 'input', 'i32')
  const update: OpRecord = {
    ...nothing,
    kernel: 'adamw',
    reads: { hyper, gradient },
    writes: { parameter, first, second },
    attributes: { decays: 1 },
  }
  const y = ops.linear(graph, ops.embedding(graph, ids, graph.tensor('table', [4, 8], 'parameter')), parameter)
  const given = new Map([
    [hyper, Float32Array.of(0.5, 0.9, 0.95, 1e-8, 0.1, 1, 1, 1, 0.1, 0.05)],
    [second, new Float32Array(40)],
  ])
  const records = [update, ...graph.records]
  const inputs = completed(graph, given, 'bf16')
  const emulated = runCuda(graph, records, inputs, 'bf16').values(y)
  const reference = (await runOn('reference', graph, layOut(graph, records), inputs)).values(y)
  // the rounding of eight weights that a sum may cancel; without the update it is off by more than 1
  assert.ok(relativeError(emulated, reference) < 0.03)
})

test('a cache of keys and values serves queries past its first tokens', { skip: noCuda }, () => {
  const graph = new Graph()
  const shape = { heads: 4, kvHeads: 2, headSize: 7, window: 6, softcap: 1.5, length: 3 }
  const [keys, values] = ['keys', 'values'].map((name) => graph.tensor(name, [2 * 29, 14], 'state'))
  const position = graph.tensor('position', [2], 'input', 'i32')
  const bias = graph.tensor('bias', [4, 57], 'constant')
  ops.attentionCached(graph, graph.tensor('qkv', [6, 56], 'input'), { keys, values, position, bias }, shape)
  return assertCuda(graph, graph.records, new Map([[position, Int32Array.of(11, 27)]]), 'f32')
})

/** A parameter behind a gate: its gate and report after one step of AdamW, and whether anything moved. */
function gatedStep({ losses, limits, slope = 3 }: { losses: number[]; limits: number[]; slope?: number }) {
  const graph = new Graph()
  const gate = createGate(graph)
  const [parameter, first, second, average] = ['w', 'm', 'v', 'mean'].map((name) => graph.tensor(name, [SIZE], 'moment'))
  const gradient = graph.tensor('g', [SIZE], 'gradient')
  const [loss, hyper] = [graph.tensor('losses', [losses.length], 'input'), graph.tensor('hyper', [12], 'input')]
  const squares = graph.tensor('squares', [6], 'state')
  const reads = { hyper, gate: gate.gate }
  const records: OpRecord[] = [
    lossSumRecord(loss, gate),
    { ...nothing, kernel: 'square_sum', reads: { x: gradient }, writes: { partials: squares }, attributes: { offset: 1 } },
    {
      ...nothing,
      kernel: 'gate',
      reads: { squares, limits: gate.limits },
      writes: { sum: gate.sum, gate: gate.gate, report: gate.report },
    },
    { ...nothing, kernel: 'adamw', reads: { ...reads, gradient }, writes: { parameter, first, second }, attributes: { decays: 0 } },
    { ...nothing, kernel: 'average', reads: { ...reads, parameter }, writes: { average } },
  ]
  const inputs = completed(
    graph,
    new Map<Tensor, Float32Array | Int32Array>([
      [gate.limits, new Int32Array(Float64Array.from(limits).buffer)],
      [gate.sum, new Float32Array(2)],
      [squares, new Float32Array(Float64Array.of(9, 0, 0).buffer)],
      [loss, Float32Array.from(losses)],
      [gradient, new Float32Array(SIZE).fill(0).fill(slope, 0, 3)],
      [hyper, Float32Array.of(0.01, 0.9, 0.95, 1e-8, 0, 1, 1, 1, 0.1, 0.05, 0, 0.5)],
    ]),
    'f32',
  )
  const run = runCuda(graph, records, inputs, 'f32')
  const doubles = (tensor: Tensor) => [...new Float64Array(run.values(tensor).buffer)]
  const isUnmoved = [parameter, first, second, average].every((tensor) => relativeError(run.values(tensor), inputs.get(tensor) ?? []) === 0)
  return {
    report: doubles(gate.report),
    sum: doubles(gate.sum),
    gate: [...run.values(gate.gate)],
    isUnmoved,
  }
}

test('a gate lets a step through, clipped by the norm of all gradients and freed from the scale of the loss', { skip: noCuda }, () => {
  // squares 9 and 3·3² of a loss that was multiplied with 2: a norm of 3, twice what it is clipped to
  const { report, sum, gate, isUnmoved } = gatedStep({ losses: [1, 2, 3.5], limits: [2, 2, 4, 5, 1.5] })
  assert.deepEqual([report, sum, gate, isUnmoved], [[6.5, 3, 0], [0], [0.25, 1], false])
})

for (const [what, given, shut] of [
  ['a loss too large', { losses: [9], limits: [2, 1, 4, 100, 1] }, 1],
  ['a loss that is no number', { losses: [Number.NaN], limits: [2, 1, Number.MAX_VALUE, 100, 1] }, 1],
  ['a norm too large', { losses: [1], limits: [2, 1, 4, 5, 1] }, 2],
  ['a gradient that overflowed', { losses: [1], limits: [2, 1, 4, Number.MAX_VALUE, 1], slope: Infinity }, 2],
] as const)
  test(`a gate is shut by ${what}: weights and moments stay`, { skip: noCuda }, () => {
    const { report, gate, isUnmoved } = gatedStep({ ...given, losses: [...given.losses], limits: [...given.limits] })
    assert.deepEqual([report[2], gate[1], isUnmoved], [shut, 0, true])
  })

test('in bf16, what is kept in f32 is not read as an activation', () => {
  const graph = new Graph()
  ops.activation(graph, graph.tensor('x', [4], 'parameter'), 'silu')
  assert.throws(() => createLowering(graph.records, 'bf16'), { code: 'SLUICE_CUDA_PRECISION' })
  const wide = new Graph()
  const lo = wide.tensor('lo', [2], 'input', 'i32')
  ops.attention(
    wide,
    wide.tensor('qkv', [2, 3 * 300], 'activation'),
    { lo },
    { heads: 1, kvHeads: 1, headSize: 300, length: 2, causal: true },
  )
  assert.throws(() => createLowering(wide.records, 'bf16'), { code: 'SLUICE_CUDA_ATTENTION' })
})

test('every kernel has a name of its own', () => {
  const files = new Map(modules.map((module) => [module.file, module]))
  const names = [...files.values()].flatMap((module) => kernelsOf(sourceOf(module)))
  assert.equal(new Set(names).size, names.length)
})
