import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decoderConfig } from '../../src/model/config.ts'
import { preset } from '../../src/model/presets.ts'
import { createTrainable, type Trainable } from '../../src/model/trainable.ts'
import { elements } from '../../src/tensor/shape.ts'
import { distance } from '../tensor/harness.ts'
import { adamw, noiseBatch } from './batches.ts'

const tiny = { vocabularySize: 23, contextLength: 12, layers: 2, width: 16, heads: 4 }
const llama = decoderConfig.parse({ ...tiny, kvHeads: 2, tiedEmbeddings: false })
const gpt2 = decoderConfig.parse({ ...tiny, norm: 'layernorm', positions: 'learned', activation: 'gelu_tanh', biases: true })

async function using<T>(model: Trainable, body: (model: Trainable) => T | Promise<T>): Promise<T> {
  try {
    return await body(model)
  } finally {
    await model.dispose()
  }
}

test('eight short sequences are learned by heart', async () => {
  const config = decoderConfig.parse({ vocabularySize: 61, contextLength: 16, layers: 2, width: 64, heads: 4 })
  const batch = noiseBatch(8, 16, 61)
  await using(await createTrainable(config, { rows: 8, length: 16, threads: 1, seed: 1 }), (model) => {
    const before = model.evaluate(batch)
    assert.ok(Math.abs(before.loss - Math.log(61)) < 0.1, `an untrained model guesses, ${before.loss}`)
    for (let step = 1; step <= 150; step++) {
      model.accumulate(batch, before.targets)
      model.step({ ...adamw, weightDecay: 0, step })
    }
    const { loss } = model.evaluate(batch)
    assert.ok(loss < 0.1, `loss ${loss}`)
  })
})

async function losses(threads: number, seed: number): Promise<number[]> {
  const config = decoderConfig.parse({ ...preset('nano'), vocabularySize: 301, layers: 2 })
  return using(await createTrainable(config, { rows: 3, length: 130, threads, seed }), (model) =>
    [1, 2, 3].map((step) => {
      const { lossSum } = model.accumulate(noiseBatch(3, 130, 301, step), 390)
      return lossSum + model.step({ ...adamw, step }).gradientNorm
    }),
  )
}

test('losses and gradient norms have the same bits for the same seed and for any number of threads', async () => {
  const once = await losses(1, 1)
  assert.deepEqual(await losses(1, 1), once)
  assert.deepEqual(await losses(2, 1), once)
  assert.deepEqual(await losses(3, 1), once)
  assert.notDeepEqual(await losses(1, 2), once)
})

test('a batch smaller than the plan gives the losses of its own plan', async () => {
  const batch = noiseBatch(2, 7, 23)
  const [exact, padded] = await Promise.all(
    [
      [2, 7],
      [4, 12],
    ].map(async ([rows, length]) =>
      using(await createTrainable(llama, { rows, length, threads: 1, seed: 1 }), (model) => {
        const { lossSum, targets } = model.accumulate(batch, 12)
        return { lossSum, targets, evaluated: model.evaluate(batch), norm: model.step({ ...adamw, step: 1 }).gradientNorm }
      }),
    ),
  )
  assert.equal(padded.targets, exact.targets)
  assert.ok(Math.abs(padded.lossSum - exact.lossSum) < 1e-4)
  assert.ok(Math.abs(padded.evaluated.loss - exact.lossSum / exact.targets) < 1e-5)
  assert.ok(Math.abs(padded.norm - exact.norm) < 1e-5)
})

test('micro-batches add up to the gradient of the whole batch', async () => {
  const whole = noiseBatch(4, 8, 23)
  await using(await createTrainable(gpt2, { rows: 4, length: 8, threads: 1, seed: 1 }), (model) => {
    model.accumulate(whole, 28)
    const gradients = new Map(model.parameters.map(({ name }) => [name, model.read('gradient', name)]))
    model.discard()
    for (let row = 0; row < 4; row += 2) {
      const part = (values: Int32Array) => values.subarray(row * 8, (row + 2) * 8)
      model.accumulate({ kind: 'tokens', rows: 2, length: 8, ids: part(whole.ids), targets: part(whole.targets), lo: part(whole.lo) }, 28)
    }
    for (const [name, gradient] of gradients) assert.ok(distance(model.read('gradient', name), gradient) < 1e-6, name)
  })
})

test('a step clips by the global norm, and moves weights as AdamW says', async () => {
  await using(await createTrainable(gpt2, { rows: 1, length: 8, threads: 1, seed: 1 }), (model) => {
    model.accumulate(noiseBatch(1, 8, 23), 1)
    let squares = 0
    for (const { name } of model.parameters) for (const g of model.read('gradient', name)) squares += g * g
    const before = new Map(model.parameters.map(({ name }) => [name, { w: model.read('weights', name), g: model.read('gradient', name) }]))
    const { gradientNorm } = model.step({ ...adamw, maxNorm: 0.5, step: 1 })
    assert.ok(Math.abs(gradientNorm - Math.sqrt(squares)) < 1e-5 * gradientNorm)
    for (const { name, decays } of model.parameters) {
      const { w, g } = before.get(name) ?? assert.fail()
      const scale = 0.5 / gradientNorm
      // in the first step m/(1−β1) is the gradient and v/(1−β2) its square
      const expected = w.map((x, i) => x - 3e-3 * ((g[i] * scale) / (Math.abs(g[i] * scale) + 1e-8) + (decays ? 0.1 * x : 0)))
      assert.ok(distance(model.read('weights', name), expected) < 1e-5, name)
      assert.ok(
        distance(
          model.read('moment1', name),
          g.map((x) => 0.1 * x * scale),
        ) < 1e-6,
        name,
      )
      assert.equal(decays, name.endsWith('weight') && !name.includes('ln_'))
    }
  })
})

test('a gradient that is not finite leaves the weights alone, and the next step is as if it had not been', async () => {
  await using(await createTrainable(llama, { rows: 1, length: 8, threads: 1, seed: 1 }), (model) => {
    const batch = noiseBatch(1, 8, 23)
    model.accumulate(batch, 7)
    const norm = () => Math.hypot(...model.parameters.flatMap(({ name }) => [...model.read('gradient', name)]))
    const finite = norm()
    const [{ name, shape }] = model.parameters
    const before = model.read('weights', name)
    model.write('gradient', name, new Float32Array(elements(shape)).fill(NaN))
    assert.ok(Number.isNaN(model.step({ ...adamw, step: 1 }).gradientNorm))
    assert.deepEqual(model.read('weights', name), before)
    model.accumulate(batch, 7)
    assert.equal(norm(), finite)
  })
})

test('what was read can be written back, part by part', async () => {
  await using(await createTrainable(llama, { rows: 1, length: 8, threads: 1, seed: 1 }), (model) => {
    const names = ['q', 'k', 'v'].map((part) => `model.layers.1.self_attn.${part}_proj.weight`)
    names.forEach((name, i) => {
      model.write('moment1', name, model.read('moment1', name).fill(i + 1))
    })
    names.forEach((name, i) => {
      assert.ok(model.read('moment1', name).every((x) => x === i + 1))
    })
    assert.throws(() => model.write('weights', names[0], new Float32Array(3)), { code: 'SLUICE_MODEL_PARAMETER' })
    assert.throws(() => model.read('weights', 'nothing'), { code: 'SLUICE_MODEL_PARAMETER' })
  })
})

test('batches and rows that do not fit are refused', async () => {
  await assert.rejects(createTrainable(llama, { rows: 1, length: 13, threads: 1, seed: 1 }), { code: 'SLUICE_MODEL_LENGTH' })
  await using(await createTrainable(llama, { rows: 1, length: 4, threads: 1, seed: 1 }), (model) => {
    const batch = noiseBatch(1, 4, 23)
    const refused = { code: 'SLUICE_MODEL_BATCH' }
    assert.throws(() => model.evaluate(noiseBatch(2, 4, 23)), refused)
    assert.throws(() => model.evaluate({ ...batch, ids: Int32Array.of(0, 1, 23, 3) }), refused)
    assert.throws(() => model.evaluate({ ...batch, targets: Int32Array.of(0, 1, 23, 3) }), refused)
    assert.throws(() => model.evaluate({ ...batch, lo: Int32Array.of(0, 1, 3, 3) }), refused)
  })
})

test('a model beyond the 16 GiB that can be addressed is refused', async () => {
  const config = preset('gpt2-1.5b')
  await assert.rejects(createTrainable(config, { rows: 1, length: 4, threads: 1, seed: 1 }), { code: 'SLUICE_TENSOR_MEMORY' })
})
