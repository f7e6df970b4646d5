import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Graph, type OpRecord } from '../../src/tensor/graph.ts'
import { ELEMENTS_PER_BLOCK } from '../../src/tensor/shape.ts'
import { distance, layOut, noise, runOn } from './harness.ts'

/** Two blocks, the second cut off inside a vector. */
const SIZE = ELEMENTS_PER_BLOCK + 1003

for (const decays of [0, 1])
  test(`AdamW on the CPU device moves weights and moments as the reference does, ${decays ? 'with' : 'without'} decay`, async () => {
    const graph = new Graph()
    const [parameter, first, second] = ['w', 'm', 'v'].map((name) => graph.tensor(name, [SIZE], 'moment'))
    const gradient = graph.tensor('g', [SIZE], 'gradient')
    const hyper = graph.tensor('hyper', [10], 'input')
    const writes = { parameter, first, second }
    const record: OpRecord = { kernel: 'adamw', reads: { hyper, gradient }, writes, adds: [], scratch: {}, attributes: { decays } }
    const inputs = new Map([
      [hyper, Float32Array.of(0.01, 0.9, 0.95, 1e-8, 0.1, 0.5, 1 / (1 - 0.9 ** 3), 1 / (1 - 0.95 ** 3), 0.1, 0.05)],
      [gradient, noise(SIZE, 8)],
      [second, noise(SIZE, 9).map(Math.abs)],
    ])
    const laid = layOut(graph, [record])
    const [cpu, reference] = [await runOn('cpu', graph, laid, inputs, 2), await runOn('reference', graph, laid, inputs)]
    for (const tensor of Object.values(writes)) {
      const error = distance(cpu.values(tensor), reference.values(tensor))
      assert.ok(error < 1e-6, `${tensor.name} is off by ${error}`)
    }
  })

test('moments of tokens that are never seen again become zero, not denormal', async () => {
  const graph = new Graph()
  const [parameter, first, second] = ['w', 'm', 'v'].map((name) => graph.tensor(name, [5], 'moment'))
  const gradient = graph.tensor('g', [5], 'gradient')
  const hyper = graph.tensor('hyper', [10], 'input')
  const writes = { parameter, first, second }
  const record: OpRecord = { kernel: 'adamw', reads: { hyper, gradient }, writes, adds: [], scratch: {}, attributes: { decays: 0 } }
  const inputs = new Map([
    [hyper, Float32Array.of(0.01, 0.9, 0.95, 1e-8, 0, 1, 1, 1, 0.1, 0.05)],
    [first, new Float32Array(5).fill(1e-38)],
    [second, new Float32Array(5).fill(1e-38)],
  ])
  const run = await runOn('cpu', graph, layOut(graph, [record]), inputs)
  assert.deepEqual(run.values(first), new Float32Array(5))
  assert.deepEqual(run.values(second), new Float32Array(5))
})
