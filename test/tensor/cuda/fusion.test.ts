import assert from 'node:assert/strict'
import { test } from 'node:test'
import koffi from 'koffi'
import { decoderConfig } from '../../../src/model/config.ts'
import { traceTraining } from '../../../src/model/trace.ts'
import { createTrainable } from '../../../src/model/trainable.ts'
import { fuse } from '../../../src/tensor/cuda/fusion.ts'
import { differentiate } from '../../../src/tensor/differentiate.ts'
import { Graph, type OpRecord } from '../../../src/tensor/graph.ts'
import type { Activation } from '../../../src/tensor/operations.ts'
import * as ops from '../../../src/tensor/ops.ts'
import { placeActivations } from '../../../src/tensor/plan.ts'
import { adamw, noiseBatch } from '../../model/batches.ts'
import { withLoss } from '../harness.ts'
import { noEmulator } from './emulator.ts'
import { withEnvironment } from './environment.ts'
import { buildStub, stubOptions } from './stub.ts'

const gpt2 = (activation: 'gelu_tanh' | 'gelu' | 'relu') =>
  decoderConfig.parse({
    ...{ vocabularySize: 37, contextLength: 12, layers: 2, width: 32, heads: 4 },
    ...{ norm: 'layernorm', positions: 'learned', activation, biases: true },
  })

const count = (records: readonly OpRecord[], kernel: string) => records.filter((record) => record.kernel === kernel).length

test('each layer of a GPT-2 has one product with its GELU and one with its slope, and no kernel of either', () => {
  const tape = traceTraining(gpt2('gelu_tanh'), { rows: 2, length: 12 })
  const { records } = differentiate(tape.graph)
  const fused = fuse(records)
  assert.deepEqual([count(fused, 'linear_gelu'), count(fused, 'gelu_linear_backward')], [2, 2])
  assert.deepEqual([count(fused, 'activation'), count(fused, 'activation_backward')], [0, 0])
  assert.equal(fused.length, records.length - 4)
  assert.ok(fused.every(({ kernel, writes }) => kernel !== 'linear_gelu' || writes.pre))
  const end = (program: readonly OpRecord[]) => placeActivations(program, new Set([tape.losses]), 0).endBytes
  assert.ok(end(fused) <= end(records))
})

test("in an evaluation GELU's input is not kept", () => {
  const { evaluation } = traceTraining(gpt2('gelu_tanh'), { rows: 2, length: 12 })
  const joined = fuse(evaluation.records).filter(({ kernel }) => kernel === 'linear_gelu')
  assert.equal(joined.length, 2)
  for (const { writes } of joined) assert.deepEqual(Object.keys(writes), ['y'])
})

for (const activation of ['gelu', 'relu'] as const)
  test(`${activation}, which cuBLASLt computes otherwise or not at all, is left alone`, () => {
    const { records } = differentiate(traceTraining(gpt2(activation), { rows: 2, length: 12 }).graph)
    assert.deepEqual(fuse(records), records)
  })

test('a gradient that comes from two sides is not joined with the slope', () => {
  const graph = new Graph()
  const linear = (name: string, x = graph.tensor('x', [4, 8], 'activation')) =>
    ops.linear(graph, x, graph.tensor(name, [8, 8], 'parameter'))
  const kind: Activation = 'gelu_tanh'
  const y = ops.activation(graph, linear('up'), kind)
  const fused = fuse(withLoss(graph, ops.add(graph, linear('one', y), linear('two', y))).records)
  assert.deepEqual([count(fused, 'linear_gelu'), count(fused, 'gelu_linear_backward')], [1, 0])
  assert.equal(count(fused, 'activation_backward'), 1)
})

/** Three passes and updates on the stand-in: losses, and the epilogues of products that were asked for. */
async function stepsWith(environment: Readonly<Record<string, string>>): Promise<{ losses: number[]; epilogues: Set<number> }> {
  const calls = koffi.load(buildStub()).func('const char *stubCalls()')
  return await withEnvironment(environment, async () => {
    calls()
    const model = await createTrainable(gpt2('gelu_tanh'), { rows: 2, length: 11, threads: 1, seed: 5, device: stubOptions('bf16') })
    const losses = [1, 2, 3].map((step) => {
      const { lossSum } = model.accumulate(noiseBatch(2, 11, 37, step), 22)
      model.step({ ...adamw, step })
      return lossSum
    })
    losses.push(model.evaluate(noiseBatch(2, 11, 37, 9)).loss)
    await model.dispose()
    const asked: string = calls()
    return { losses, epilogues: new Set([...asked.matchAll(/product (\d+) by/g)].map(([, epilogue]) => Number(epilogue))) }
  })
}

test('products end with GELU where the GPU and cuBLASLt are fast at it or have it at all, else kernels compute the same', {
  skip: noEmulator,
}, async () => {
  const [plain, bias, withSlope, withGelu, withGeluKept] = [1, 4, 64 | 128, 4 | 32, 4 | 32 | 128]
  const joined = await stepsWith({})
  assert.deepEqual(joined.epilogues, new Set([plain, bias, withSlope, withGelu, withGeluKept]))
  const others: Readonly<Record<string, string>>[] = [{ STUB_WITHOUT_GELU: '1' }, { STUB_CAPABILITY: '80' }]
  for (const environment of others) {
    const apart = await stepsWith(environment)
    assert.deepEqual(apart.epilogues, new Set([plain, bias]))
    for (const [index, loss] of apart.losses.entries()) assert.ok(Math.abs(loss / joined.losses[index] - 1) < 1e-3)
    assert.notDeepEqual(apart.losses, joined.losses)
  }
})
