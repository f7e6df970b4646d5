import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decoderConfig } from '../../src/model/config.ts'
import { defaultGroup, type GroupOf } from '../../src/model/optimizer.ts'
import { createTrainable } from '../../src/model/trainable.ts'
import { distance } from '../tensor/harness.ts'
import { adamw, noiseBatch } from './batches.ts'

const config = decoderConfig.parse({ vocabularySize: 61, contextLength: 16, layers: 2, width: 64, heads: 4 })
const size = { rows: 8, length: 16, threads: 1, seed: 1 }
const batch = noiseBatch(8, 16, 61)
const muonInside: GroupOf = (parameter) => ({ ...defaultGroup(parameter), optimizer: parameter.role === 'matrix' ? 'muon' : 'adamw' })

test('matrices of blocks learn by heart with Muon, and keep one moment', async () => {
  const model = await createTrainable(config, { ...size, groupOf: muonInside })
  for (let step = 1; step <= 100; step++) {
    model.accumulate(batch, 120)
    model.step({ ...adamw, weightDecay: 0, step })
  }
  const { loss } = model.evaluate(batch)
  assert.ok(loss < 0.1, `loss ${loss}`)
  const inside = model.parameters.find(({ name }) => name.endsWith('q_proj.weight')) ?? assert.fail()
  assert.deepEqual([inside.optimizer, inside.states], ['muon', ['moment1']])
  assert.throws(() => model.read('moment2', inside.name), { code: 'SLUICE_MODEL_PARAMETER' })
  const table = model.parameters.find(({ role }) => role === 'embedding') ?? assert.fail()
  assert.deepEqual([table.optimizer, table.states], ['adamw', ['moment1', 'moment2']])
  await model.dispose()
})

test('a step of Muon has the same bits for any number of threads', async () => {
  const weights = async (threads: number) => {
    const model = await createTrainable(config, { ...size, threads, groupOf: muonInside })
    model.accumulate(batch, 120)
    model.step({ ...adamw, step: 1 })
    const values = model.parameters.map(({ name }) => model.read('weights', name))
    await model.dispose()
    return values
  }
  assert.deepEqual(await weights(2), await weights(1))
})

test('no more memory is used than is given, also where an update by Muon needs most of it', async () => {
  const given = { rows: 1, length: 4, threads: 1, seed: 1, groupOf: muonInside }
  const { arenaBytes, dispose } = await createTrainable(config, given)
  await dispose()
  await assert.rejects(createTrainable(config, { ...given, memoryBytes: arenaBytes - 1 }), {
    code: 'SLUICE_TENSOR_MEMORY',
    message: new RegExp(`at least ${arenaBytes.toLocaleString('en')} bytes`),
  })
})

test('the deepest models that there may be take steps of two passes, by Muon too', async () => {
  const gpt2 = { norm: 'layernorm', positions: 'learned', activation: 'gelu_tanh', biases: true } as const
  const deepest = decoderConfig.parse({ ...gpt2, vocabularySize: 61, contextLength: 4, layers: 1000, width: 8, heads: 1 })
  const model = await createTrainable(deepest, { rows: 1, length: 4, threads: 1, seed: 1, keepsAverage: true, groupOf: muonInside })
  for (const seed of [1, 2]) model.accumulate(noiseBatch(1, 4, 61, seed), 8)
  assert.ok(!model.step({ ...adamw, step: 1 }).isSkipped)
  await model.dispose()
})

test('Muon is refused for what is no matrix', async () => {
  const everything: GroupOf = () => ({ optimizer: 'muon', decays: true, rateFactor: 1 })
  await assert.rejects(createTrainable(config, { ...size, groupOf: everything }), { code: 'SLUICE_MODEL_OPTIMIZER' })
})

test('a group with a smaller rate moves less, one without decay does not shrink', async () => {
  const groupOf: GroupOf = ({ role }) => ({ optimizer: 'adamw', decays: role === 'matrix', rateFactor: role === 'embedding' ? 0.25 : 1 })
  const models = [await createTrainable(config, size), await createTrainable(config, { ...size, groupOf })]
  const name = models[0].parameters.find(({ role }) => role === 'embedding')?.name ?? assert.fail()
  const [whole, quarter] = models.map((model) => {
    const before = model.read('weights', name)
    model.accumulate(batch, 120)
    model.step({ ...adamw, weightDecay: 0, step: 1 })
    return model.read('weights', name).map((value, i) => value - before[i])
  })
  assert.ok(
    distance(
      quarter.map((move) => 4 * move),
      whole,
    ) < 1e-5,
  )
  await Promise.all(models.map((model) => model.dispose()))
})

test('the average of the weights follows them by its decay, and begins as they do', async () => {
  const model = await createTrainable(config, { ...size, keepsAverage: true })
  const { name } = model.parameters[0]
  const start = model.read('weights', name)
  assert.deepEqual(model.read('average', name), start)
  let expected = start
  for (let step = 1; step <= 3; step++) {
    model.accumulate(batch, 120)
    model.step({ ...adamw, averageDecay: 0.75, step })
    const weights = model.read('weights', name)
    expected = expected.map((mean, i) => mean + 0.25 * (weights[i] - mean))
  }
  assert.ok(distance(model.read('average', name), expected) < 1e-6)
  await model.dispose()
})

test('gradients can be thrown away, and are where their norm is too large', async () => {
  const model = await createTrainable(config, size)
  const [{ name }] = model.parameters
  const gradient = () => {
    model.accumulate(batch, 120)
    return model.read('gradient', name)
  }
  const first = gradient()
  model.discard()
  assert.deepEqual(gradient(), first)
  const before = model.read('weights', name)
  assert.ok(model.step({ ...adamw, largestNorm: 1e-3, step: 1 }).isSkipped)
  assert.deepEqual(model.read('weights', name), before)
  assert.deepEqual(gradient(), first)
  assert.notDeepEqual(gradient(), first) // a second pass adds
  await model.dispose()
})
