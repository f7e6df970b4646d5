import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Graph, type OpRecord } from '../../src/tensor/graph.ts'
import { muonFactor, NEWTON_SCHULZ_STEPS } from '../../src/tensor/muon.ts'
import { distance, layOut, noise, runOn } from './harness.ts'

/** A block of two matrices of the same width, as queries and keys are, and what Muon needs beside it. */
function twoMatrices(rows: readonly [number, number], columns: number) {
  const graph = new Graph()
  const shape = [rows[0] + rows[1], columns]
  const [parameter, momentum, x, y] = ['w', 'm', 'x', 'y'].map((name) => graph.tensor(name, shape, 'moment'))
  const gradient = graph.tensor('g', shape, 'gradient')
  const hyper = graph.tensor('hyper', [12], 'input')
  const common = { adds: [], scratch: {}, attributes: {} }
  const orthogonal = rows.map((own, i): OpRecord => {
    const side = Math.min(own, columns)
    const scratch = { gram: [side, side], square: [side, side], partials: [2 * Math.ceil((own * columns) / 16384)] }
    return {
      ...common,
      kernel: 'orthogonalize',
      reads: {},
      writes: { x, y },
      scratch: graph.scratch('orthogonalize', scratch),
      attributes: { offset: i * rows[0] * columns, rows: own, columns, factor: muonFactor(own, columns) },
    }
  })
  const records: OpRecord[] = [
    { ...common, kernel: 'muon_momentum', reads: { hyper, gradient }, writes: { momentum, x } },
    ...orthogonal,
    { ...common, kernel: 'muon_update', reads: { hyper, x: y }, writes: { parameter }, attributes: { decays: 1 } },
  ]
  const n = shape[0] * columns
  const inputs = new Map([
    [hyper, Float32Array.of(0.02, 0, 0, 0, 0.1, 0.5, 0, 0, 0, 0, 0.95, 0)],
    [gradient, noise(n, rows[0] + columns)],
    [momentum, noise(n, 5).map((value) => value / 100)],
  ])
  return { graph, records, inputs, parameter, momentum, gradient, y }
}

test('Muon on the CPU device moves weights and momentum as the reference does, for matrices of any shape', async () => {
  const size = fc.integer({ min: 1, max: 70 })
  await fc.assert(
    fc.asyncProperty(size, size, size, async (first, second, columns) => {
      const { graph, records, inputs, parameter, momentum } = twoMatrices([first, second], columns)
      const laid = layOut(graph, records)
      const [cpu, reference] = [await runOn('cpu', graph, laid, inputs, 2), await runOn('reference', graph, laid, inputs)]
      assert.ok(distance(cpu.values(momentum), reference.values(momentum)) < 1e-6)
      assert.ok(distance(cpu.values(parameter), reference.values(parameter)) < 1e-4)
    }),
    { numRuns: 15 },
  )
})

test('an update has singular values of about 1, and elements as large as those of AdamW', async () => {
  const { graph, records, inputs, y } = twoMatrices([48, 40], 64)
  const values = (await runOn('cpu', graph, layOut(graph, records), inputs)).values(y)
  const update = values.subarray(0, 48 * 64).map((value) => value / muonFactor(48, 64))
  // the sum of the squares of 48 singular values, each between 0.7 and 1.2
  const squares = update.reduce((sum, value) => sum + value * value, 0)
  assert.ok(squares > 48 * 0.7 ** 2 && squares < 48 * 1.2 ** 2, `${squares}`)
  // no direction is longer than 1.2: power iteration on XXᵀ
  let v = Float64Array.from({ length: 64 }, (_, i) => Math.sin(i + 1))
  let longest = 0
  for (let round = 0; round < 50; round++) {
    const left = Float64Array.from({ length: 48 }, (_, i) => v.reduce((sum, value, j) => sum + value * update[i * 64 + j], 0))
    const right = v.map((_, j) => left.reduce((sum, value, i) => sum + value * update[i * 64 + j], 0))
    longest = Math.sqrt(Math.hypot(...right) / Math.hypot(...v))
    v = right.map((value) => value / Math.hypot(...right))
  }
  assert.ok(longest > 0.7 && longest < 1.25, `${longest}`)
  const rms = Math.sqrt(squares / (48 * 64)) * muonFactor(48, 64)
  assert.ok(rms > 0.1 && rms < 0.3, `${rms}`)
})

test('a matrix without a gradient does not move', async () => {
  const { graph, records, inputs, gradient, momentum, y } = twoMatrices([3, 5], 9)
  const still = new Map(inputs).set(gradient, new Float32Array(72)).set(momentum, new Float32Array(72))
  const run = await runOn('cpu', graph, layOut(graph, records), still)
  assert.deepEqual(run.values(y), new Float32Array(72))
  assert.equal(NEWTON_SCHULZ_STEPS % 2, 1)
})
