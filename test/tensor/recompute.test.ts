// Activation checkpointing: less memory, the same bits.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SluiceError } from '../../src/core/errors.ts'
import { decoderConfig } from '../../src/model/config.ts'
import { traceTraining } from '../../src/model/trace.ts'
import { createTrainable } from '../../src/model/trainable.ts'
import { differentiate } from '../../src/tensor/differentiate.ts'
import { cutsOf, fitActivations } from '../../src/tensor/recompute.ts'
import { adamw } from '../model/batches.ts'
import { families, familyBatch, familyShape } from '../model/families.ts'

for (const [name, config] of families)
  test(`${name}: activations that are computed again have the bits of those that are kept`, async () => {
    const size = { rows: 2, length: 9 }
    const train = async (memoryBytes?: number) => {
      const model = await createTrainable(config, { ...familyShape(config, size), threads: 1, seed: 3, memoryBytes })
      try {
        const losses = [1, 2].map((step) => {
          const { lossSum } = model.accumulate(familyBatch(config, size, step), 7)
          return [lossSum, model.step({ ...adamw, step }).gradientNorm]
        })
        const weights = model.parameters.map(({ name }) => model.read('weights', name))
        return { results: { losses, weights }, repeated: model.repeatedOperations, bytes: model.arenaBytes }
      } finally {
        await model.dispose()
      }
    }
    const kept = await train()
    assert.equal(kept.repeated, 0)
    const refusal = await train(1).catch((error: unknown) => error)
    assert.ok(refusal instanceof SluiceError && refusal.code === 'SLUICE_TENSOR_MEMORY', `${refusal}`)
    const least = Number(/at least ([\d,]+) bytes/.exec(refusal.message)?.[1].replaceAll(',', ''))
    const again = await train(least)
    assert.ok(again.repeated > 0 && again.bytes <= kept.bytes)
    assert.deepEqual(again.results, kept.results)
  })

const deep = decoderConfig.parse({ vocabularySize: 50, contextLength: 64, layers: 12, width: 32, heads: 4 })

function fitted(endBytes: number) {
  const { graph, losses } = traceTraining(deep, { rows: 4, length: 64 })
  const { records } = differentiate(graph)
  const kept = new Set([losses])
  return { ...fitActivations(graph, records, { kept, startBytes: 0, endBytes }), records, kept }
}

test('no more is computed again than the budget asks for, at most the forward pass once', () => {
  const whole = fitted(Number.POSITIVE_INFINITY)
  const least = fitted(0)
  assert.equal(whole.repeated, 0)
  assert.ok(least.placement.endBytes < 0.4 * whole.placement.endBytes, `${least.placement.endBytes} of ${whole.placement.endBytes}`)
  const forward = whole.records.findIndex(({ kernel }) => kernel.endsWith('_backward'))
  assert.ok(least.repeated < forward)
  let before = 0
  for (const share of [0.9, 0.75, 0.6, 0.5]) {
    const budget = Math.ceil(share * whole.placement.endBytes)
    const { placement, repeated } = fitted(budget)
    assert.ok(placement.endBytes <= budget)
    assert.ok(repeated >= before && repeated <= least.repeated)
    before = repeated
  }
})

test('a decoder is cut where only its residual stream goes through: twice a layer', () => {
  const { records, kept } = fitted(Number.POSITIVE_INFINITY)
  const cuts = cutsOf(records, kept)
  for (const cut of cuts.slice(2)) assert.equal(records[cut - 1].kernel, 'add')
  assert.ok(cuts.length >= 2 * deep.layers, `${cuts}`)
})
