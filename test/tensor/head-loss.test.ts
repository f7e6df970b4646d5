import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Graph } from '../../src/tensor/graph.ts'
import * as ops from '../../src/tensor/ops.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { activationOf, assertSameOnCpu, assertSlopes, type Case, layOut, runOn } from './harness.ts'

interface LossCase extends ops.HeadLossOptions {
  readonly tokens?: number
  readonly classes?: number
  readonly chunk?: number
  readonly hasBias?: boolean
  /** Deviation of the logits is of this order. */
  readonly factor?: number
}

/** Every third token has no target. */
function lossCase({ tokens = 11, classes = 37, chunk = 4, hasBias = false, factor = 1, ...options }: LossCase): Case {
  const graph = new Graph()
  const x = ops.scale(graph, activationOf(graph, [tokens, 9]), factor)
  const w = graph.tensor('w', [classes, 9], 'parameter')
  const b = hasBias ? graph.tensor('b', [classes], 'parameter') : undefined
  const targets = graph.tensor('targets', [tokens], 'input', 'i32')
  const scale = graph.tensor('loss scale', [1], 'input')
  const { softcap = 0, zLoss = 0, labelSmoothing: smoothing = 0 } = options
  const { y } = graph.apply('head_loss', { x, w, ...(b ? { b } : {}), targets, scale }, { chunk, softcap, zLoss, smoothing })
  const inputs = new Map<Tensor, Int32Array | Float32Array>([
    [targets, Int32Array.from({ length: tokens }, (_, i) => (i % 3 === 2 ? -1 : (i * 11) % classes))],
    [scale, Float32Array.of(0.3)],
  ])
  return { graph, y, inputs }
}

const cases: Readonly<Record<string, LossCase>> = {
  'a plain loss': {},
  'a loss of logits far apart': { factor: 30 },
  'a loss with a bias': { hasBias: true, classes: 131 },
  'a loss of two classes': { hasBias: true, classes: 2 },
  'a loss of one token among many classes': { tokens: 1, classes: 3001, hasBias: true, labelSmoothing: 0.1 },
  'a loss of capped logits': { softcap: 1.5, factor: 3 },
  'a loss with the square of the denominator': { zLoss: 0.1 },
  'a loss of smoothed targets': { labelSmoothing: 0.2 },
  'a loss with everything': { tokens: 41, classes: 101, hasBias: true, softcap: 5, zLoss: 0.01, labelSmoothing: 0.1, factor: 4, chunk: 16 },
}

for (const [name, shape] of Object.entries(cases)) {
  test(`${name}: the CPU device computes what the reference computes`, () => assertSameOnCpu(lossCase(shape)))
  test(`${name}: the reference's gradients are the slopes of its loss`, () => assertSlopes(lossCase({ ...shape })))
}

test('tokens without a target leave no trace in losses and gradients', async () => {
  const { graph, y, inputs } = lossCase({ hasBias: true, softcap: 3, zLoss: 0.1, labelSmoothing: 0.1 })
  for (const values of inputs.values()) if (values instanceof Int32Array) values.fill(-1)
  const run = await runOn('cpu', graph, layOut(graph, graph.records), inputs)
  assert.ok(run.values(y).every((loss) => loss === 0))
})
