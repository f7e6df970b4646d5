import assert from 'node:assert/strict'
import { test } from 'node:test'
import koffi from 'koffi'
import { decoderConfig, type ModelConfig } from '../../../src/model/config.ts'
import { createTrainable } from '../../../src/model/trainable.ts'
import type { CudaOptions } from '../../../src/tensor/cuda/cuda-device.ts'
import { openDriver } from '../../../src/tensor/cuda/driver.ts'
import { findLibraries } from '../../../src/tensor/cuda/libraries.ts'
import { adamw, noiseBatch } from '../../model/batches.ts'
import { families, familyBatch, familyShape } from '../../model/families.ts'
import { relativeError } from './emulated.ts'
import { noEmulator } from './emulator.ts'
import { withEnvironment } from './environment.ts'
import { buildStub, stubOptions } from './stub.ts'
import { cudaOptions, noCuda } from './under-test.ts'

const llama = decoderConfig.parse({
  vocabularySize: 37,
  contextLength: 12,
  layers: 2,
  width: 32,
  heads: 4,
  kvHeads: 2,
  tiedEmbeddings: false,
})
const gpt2 = decoderConfig.parse({
  ...{ vocabularySize: 37, contextLength: 12, layers: 2, width: 32, heads: 4 },
  ...{ norm: 'layernorm', positions: 'learned', activation: 'gelu_tanh', biases: true },
})

interface Trained {
  /** Of a step each: sum of losses, norm of the gradient; at last the loss without gradients. */
  readonly figures: readonly number[]
  /** Of all parameters together: biases of keys alone have a gradient of rounding errors only, which AdamW makes large. */
  readonly weights: Float64Array
  /** Of the gradient at the first step, before the weights part. */
  readonly moments: Float64Array
}

/** Three steps, of two passes each. */
async function train(config: ModelConfig, device: 'cpu' | CudaOptions, lossScale = 1): Promise<Trained> {
  const model = await createTrainable(config, { rows: 2, length: 11, threads: 1, seed: 5, device })
  try {
    const all = (kind: 'weights' | 'moment1') => Float64Array.from(model.parameters.flatMap(({ name }) => [...model.read(kind, name)]))
    const figures: number[] = []
    let moments = new Float64Array()
    for (const step of [1, 2, 3]) {
      for (const pass of [0, 1]) figures.push(model.accumulate(noiseBatch(2, 11, 37, 2 * step + pass), 44 / lossScale).lossSum)
      figures.push(model.step({ ...adamw, learningRate: 1e-3, step, lossScale }).gradientNorm)
      if (step === 1) moments = all('moment1')
    }
    figures.push(model.evaluate(noiseBatch(2, 11, 37, 99)).loss)
    return { figures, weights: all('weights'), moments }
  } finally {
    await model.dispose()
  }
}

for (const [name, config] of Object.entries({ llama, gpt2 }))
  for (const [precision, tolerances] of [
    ['f32', { figures: 1e-5, weights: 1e-5, moments: 1e-5 }],
    // AdamW's first updates have the size of the rate whatever the gradient's, those of rounding errors too: this grows with the rate
    ['bf16', { figures: 5e-4, weights: 2.5e-3, moments: 5e-3 }],
    ['f16', { figures: 5e-5, weights: 1e-3, moments: 1e-3 }],
  ] as const)
    test(`three steps of a ${name} decoder in ${precision} follow the CPU's, twice with the same bits`, { skip: noCuda }, async () => {
      const expected = await train(config, 'cpu')
      const lossScale = precision === 'f16' ? 1024 : 1
      const once = await train(config, cudaOptions(precision), lossScale)
      for (const kind of ['figures', 'weights', 'moments'] as const) {
        const error = relativeError(once[kind], expected[kind])
        if (process.env.SHOW_ERRORS) console.log(name, precision, kind, error.toExponential(1))
        assert.ok(error < tolerances[kind], `${kind} are off by ${error}`)
      }
      assert.deepEqual(await train(config, cudaOptions(precision), lossScale), once)
    })

/** Loss, gradient's norm and loss afterwards, of one step. */
async function oneStep(config: ModelConfig, device: 'cpu' | CudaOptions): Promise<number[]> {
  const [shape, batch] = [familyShape(config, { rows: 2, length: 7 }), familyBatch(config, { rows: 2, length: 7 })]
  const model = await createTrainable(config, { ...shape, threads: 1, seed: 5, device })
  const { lossSum, targets } = model.accumulate(batch, 14)
  const { gradientNorm } = model.step({ ...adamw, step: 1 })
  const { loss } = model.evaluate(batch)
  await model.dispose()
  return [lossSum, targets, gradientNorm, loss]
}

for (const [name, config] of families)
  for (const [precision, tolerance] of [
    ['f32', 1e-5],
    ['bf16', 5e-3],
  ] as const)
    test(`a step of ${name} in ${precision} follows the CPU's`, { skip: noCuda }, async () => {
      const [once, expected] = [await oneStep(config, cudaOptions(precision)), await oneStep(config, 'cpu')]
      const error = Math.max(...expected.map((value, index) => Math.abs(once[index] - value) / Math.abs(value)))
      assert.ok(error < tolerance, `off by ${error}: ${once} instead of ${expected}`)
    })

test('from its second run on a program is one graph', { skip: noEmulator }, async () => {
  const graphLaunches = koffi.load(buildStub()).func('int stubGraphLaunches()')
  const model = await createTrainable(llama, { rows: 2, length: 11, threads: 1, seed: 5, device: stubOptions('f32') })
  const before: number = graphLaunches()
  for (const _ of [1, 2, 3]) model.evaluate(noiseBatch(2, 11, 37, 99))
  assert.equal(graphLaunches() - before, 2)
  await model.dispose()
})

test('weights that are written are those that the next pass uses', { skip: noCuda }, async () => {
  const model = await createTrainable(llama, { rows: 2, length: 11, threads: 1, seed: 5, device: cudaOptions('bf16') })
  const batch = noiseBatch(2, 11, 37, 99)
  const before = model.evaluate(batch).loss
  const [{ name }] = model.parameters.filter(({ shape }) => shape.length === 2).slice(-1)
  const values = model.read('weights', name)
  model.write(
    'weights',
    name,
    values.map((value) => value * 3),
  )
  const changed = model.evaluate(batch).loss
  model.write('weights', name, values)
  assert.notEqual(changed, before)
  assert.equal(model.evaluate(batch).loss, before)
  await model.dispose()
})

test('a GPU too small for the step is told before anything runs', { skip: noEmulator }, async () => {
  await withEnvironment({ STUB_FREE_BYTES: String(2 ** 20) }, () =>
    assert.rejects(createTrainable(llama, { rows: 2, length: 11, threads: 1, seed: 5, device: stubOptions('f32') }), {
      code: 'SLUICE_TENSOR_MEMORY',
    }),
  )
})

test('where more memory is asked for than the GPU has, a step is planned for what it has', { skip: noEmulator }, async () => {
  const deep = decoderConfig.parse({ vocabularySize: 37, contextLength: 12, layers: 12, width: 32, heads: 4 })
  const options = { rows: 8, length: 12, threads: 1, seed: 5, device: stubOptions('f32'), memoryBytes: 2 ** 40 }
  const whole = await createTrainable(deep, options)
  await whole.dispose()
  assert.equal(whole.repeatedOperations, 0)
  const beside = (256 + 32) * 2 ** 20 // the driver's, and cuBLASLt's workspace
  await withEnvironment({ STUB_FREE_BYTES: String(beside + Math.round(0.9 * whole.arenaBytes)) }, async () => {
    const fitted = await createTrainable(deep, options)
    await fitted.dispose()
    assert.ok(fitted.repeatedOperations > 0 && fitted.arenaBytes <= 0.9 * whole.arenaBytes)
  })
})

test('a machine without a GPU, and one without the library, are told apart', { skip: noEmulator }, async () => {
  await withEnvironment({ STUB_INIT_RESULT: '100' }, () => assert.throws(() => openDriver(buildStub()), { code: 'SLUICE_CUDA_DEVICE' }))
  const native = process.env.SLUICE_NATIVE
  process.env.SLUICE_NATIVE = 'off'
  try {
    assert.throws(findLibraries, { code: 'SLUICE_CUDA_LIBRARY' })
  } finally {
    if (native === undefined) delete process.env.SLUICE_NATIVE
    else process.env.SLUICE_NATIVE = native
  }
})
