// What holds for a model of any family: gradients, counts, packing, threads, learning by heart.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { flopsPerToken, parameterCount } from '../../src/model/size.ts'
import { createTrainable, type Trainable } from '../../src/model/trainable.ts'
import { elements } from '../../src/tensor/shape.ts'
import { distance } from '../tensor/harness.ts'
import { adamw } from './batches.ts'
import { families, familyBatch, familyShape, separated } from './families.ts'
import { referenceOf } from './whole-model.ts'

async function using<T>(model: Trainable, body: (model: Trainable) => T | Promise<T>): Promise<T> {
  try {
    return await body(model)
  } finally {
    await model.dispose()
  }
}

/** Larger weights, so that attention looks somewhere. */
function enlarge(model: Trainable, factor: number): void {
  for (const { name, shape } of model.parameters)
    if (shape.length > 1)
      model.write(
        'weights',
        name,
        model.read('weights', name).map((w) => factor * w),
      )
}

for (const [name, config] of families) {
  const factor = config.architecture === 'encoder-decoder' ? 1 : 8
  const small = { rows: 2, length: 9 }

  test(`${name}: gradients of a whole model are the slopes of its loss, and the reference's`, async () => {
    const shape = familyShape(config, small)
    const batch = familyBatch(config, small)
    await using(await createTrainable(config, { ...shape, threads: 1, seed: 3 }), (model) => {
      enlarge(model, factor)
      const { lossSum } = model.accumulate(batch, 7)
      const reference = referenceOf(model, batch, shape, 7)
      assert.ok(Math.abs(lossSum - reference.loss()) < 1e-3, `${lossSum}, reference ${reference.loss()}`)
      for (const { name } of model.parameters) {
        const { weights, gradient } = reference.parts(name)
        assert.ok(distance(model.read('gradient', name), gradient) < 1e-4, name)
        for (const i of [0, Math.floor(weights.length / 3), weights.length - 1]) {
          const middle = weights[i]
          const [above, below] = [middle + 1e-5, middle - 1e-5].map((value) => {
            weights[i] = value
            return reference.loss()
          })
          weights[i] = middle
          const slope = (above - below) / 2e-5 / 7
          assert.ok(Math.abs(slope - gradient[i]) < 1e-6 * (1 + Math.abs(slope)), `${name}[${i}]: ${gradient[i]}, measured ${slope}`)
        }
      }
    })
  })

  test(`${name}: losses and gradients have the same bits for any number of threads`, async () => {
    const shape = familyShape(config, small)
    const bits = async (threads: number) =>
      using(await createTrainable(config, { ...shape, threads, seed: 3 }), (model) => {
        const losses = [1, 2].map((step) => {
          const { lossSum } = model.accumulate(familyBatch(config, small, step), 7)
          return [lossSum, model.step({ ...adamw, step }).gradientNorm]
        })
        return { losses, weights: model.parameters.map(({ name }) => model.read('weights', name)) }
      })
    const once = await bits(1)
    assert.deepEqual(await bits(1), once)
    assert.deepEqual(await bits(3), once)
  })

  test(`${name}: a batch smaller than the plan gives the losses and gradients of its own plan`, async () => {
    const batch = familyBatch(config, small)
    const [exact, padded] = await Promise.all(
      [small, { rows: 3, length: 10 }].map(async (planned) =>
        using(await createTrainable(config, { ...familyShape(config, planned), threads: 1, seed: 3 }), (model) => {
          enlarge(model, factor)
          const { lossSum, targets } = model.accumulate(batch, 7)
          const { loss } = model.evaluate(batch)
          return { lossSum, targets, loss, gradients: new Map(model.parameters.map(({ name }) => [name, model.read('gradient', name)])) }
        }),
      ),
    )
    assert.equal(padded.targets, exact.targets)
    assert.ok(Math.abs(exact.loss - exact.lossSum / exact.targets) < 1e-5)
    assert.ok(Math.abs(padded.lossSum - exact.lossSum) < 1e-3)
    for (const [name, gradient] of padded.gradients) assert.ok(distance(gradient, exact.gradients.get(name) ?? []) < 1e-4, name)
  })

  test(`${name}: packed documents have the losses and gradients of separate rows`, async () => {
    const packed = familyBatch(config, small)
    await using(await createTrainable(config, { ...familyShape(config, small), threads: 1, seed: 3 }), (model) => {
      enlarge(model, factor)
      const together = model.accumulate(packed, 7)
      const gradients = new Map(model.parameters.map(({ name }) => [name, model.read('gradient', name)]))
      model.discard()
      const apart = separated(packed).map((batch) => model.accumulate(batch, 7))
      assert.equal(together.targets, apart[0].targets + apart[1].targets)
      assert.ok(Math.abs(together.lossSum - apart[0].lossSum - apart[1].lossSum) < 1e-3)
      for (const [name, gradient] of gradients) assert.ok(distance(model.read('gradient', name), gradient) < 1e-4, name)
    })
  })

  test(`${name}: the parameters add up to the count, and cost what their products cost`, async () => {
    await using(await createTrainable(config, { ...familyShape(config, small), threads: 1, seed: 1 }), (model) => {
      assert.equal(
        model.parameters.reduce((sum, { shape }) => sum + elements(shape), 0),
        parameterCount(config),
      )
      assert.equal(new Set(model.parameters.map(({ name }) => name)).size, model.parameters.length)
    })
    assert.ok(flopsPerToken(config, { length: 12 }) > flopsPerToken(config, { length: 6 }))
  })

  test(`${name}: a few sequences are learned by heart`, async () => {
    const batch = familyBatch(config, small, 5)
    await using(await createTrainable(config, { ...familyShape(config, small), threads: 1, seed: 1 }), (model) => {
      const { loss: before, targets } = model.evaluate(batch)
      const outputs = config.architecture === 'encoder' && config.labels > 0 ? config.labels : config.vocabularySize
      assert.ok(Math.abs(before - Math.log(outputs)) < 1.5, `an untrained model guesses: ${before}`)
      for (let step = 1; step <= 300; step++) {
        model.accumulate(batch, targets)
        model.step({ ...adamw, learningRate: 1e-2, weightDecay: 0, step })
      }
      const { loss } = model.evaluate(batch)
      assert.ok(loss < 0.05, `loss ${loss}`)
    })
  })
}
