import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { modelConfig } from '../../src/model/config.ts'
import { preset, presets } from '../../src/model/presets.ts'
import { flopsPerToken, modelOfSize, parameterCount } from '../../src/model/size.ts'

test('the presets parse, and GPT-2 has its published number of parameters', () => {
  for (const options of Object.values(presets)) modelConfig.parse(options)
  assert.equal(parameterCount(preset('gpt2-124m')), 124_439_808)
  // llm.c counts 6N + 6·L·C·T, N without the positions' table
  const matrices = 124_439_808 - 1024 * 768
  assert.ok(Math.abs(flopsPerToken(preset('gpt2-124m'), { length: 1024 }) / (6 * matrices + 6 * 12 * 768 * 1024) - 1) < 0.002)
})

test('a resolved configuration is its own input', () => {
  for (const options of Object.values(presets)) {
    const config = modelConfig.parse(options)
    assert.deepEqual(modelConfig.parse(JSON.parse(JSON.stringify(config))), config)
  }
})

test('a model of a wanted size is about that large', () => {
  const shape = { vocabularySize: 4096, contextLength: 256 }
  fc.assert(
    fc.property(fc.integer({ min: 400_000, max: 1_000_000_000 }), (parameters) => {
      const ratio = parameterCount(modelOfSize(parameters, shape)) / parameters
      assert.ok(ratio > 0.7 && ratio < 1.4, `${ratio}`)
    }),
  )
})

test('shapes that do not fit together are refused with the option that is wrong', () => {
  const shape = { vocabularySize: 10, contextLength: 8, layers: 1, width: 12, heads: 2 }
  const wrong: [Record<string, unknown>, string][] = [
    [{ heads: 5 }, 'heads'],
    [{ kvHeads: 4, heads: 6 }, 'kvHeads'],
    [{ heads: 4 }, 'heads'], // rotary positions need an even head size
    [{ hiddenWidth: 30 }, 'hiddenWidth'],
    [{ vocabularySize: 1 }, 'vocabularySize'],
  ]
  for (const [change, option] of wrong) {
    const { success, error } = modelConfig.safeParse({ ...shape, ...change })
    assert.equal(success, false)
    assert.deepEqual(error?.issues[0].path, [option])
  }
})
