import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decoderConfig, modelConfig } from '../../src/model/config.ts'
import { isGpt2 } from '../../src/model/decoder.ts'
import { type PresetName, preset, presets } from '../../src/model/presets.ts'
import { flopsPerToken, modelOfSize, parameterCount } from '../../src/model/size.ts'

/** As their checkpoints have them; the encoders with their masked-token heads. */
const published: Partial<Record<PresetName, number>> = {
  'gpt2-124m': 124_439_808,
  'gpt2-355m': 354_823_168,
  'gpt2-774m': 774_030_080,
  'gpt2-1.5b': 1_557_611_200,
  'llama-1b': 1_235_814_400,
  'smollm2-135m': 134_515_008,
  'qwen-0.5b': 494_032_768,
  'qwen3-0.6b': 596_049_920,
  'bert-base': 109_514_298,
  'modernbert-base': 149_655_232,
  't5-small': 60_506_624,
  't5-base': 222_903_552,
  't5-v1.1-small': 76_961_152,
}

test('presets of published models have their published numbers of parameters', () => {
  for (const [name, count] of Object.entries(published)) {
    const known = Object.keys(presets).find((key): key is PresetName => key === name) ?? assert.fail(name)
    assert.equal(parameterCount(preset(known)), count, name)
  }
})

test('the cost of a token is three times two operations a weight it meets, and attention over what it sees', () => {
  const gpt2 = 12 * 12 * 768 ** 2 + 50_257 * 768
  assert.equal(flopsPerToken(preset('gpt2-124m'), { length: 1024 }), 3 * (2 * gpt2 + 12 * 4 * 768 * 512))
  // of the weights of a block, an encoder's head meets its picks alone
  const bert = 12 * 12 * 768 ** 2
  const head = (768 + 30_522) * 768
  assert.equal(flopsPerToken(preset('bert-base'), { length: 100, picks: 20 }), 3 * (2 * bert + 12 * 4 * 768 * 100 + 0.2 * 2 * head))
  // a pair of a source and a target token: the source's block and its keys and values for the target's, and the target's block
  const [attention, feedForward] = [4 * 512 * 512, 2 * 512 * 2048]
  const source = 6 * (attention + feedForward) + (6 * attention) / 2
  const target = 6 * (attention + feedForward) + (6 * attention) / 2 + 32_128 * 512
  const scores = 6 * 4 * 512 * (64 + 32 + 64)
  assert.equal(flopsPerToken(preset('t5-small'), { length: 64, targetLength: 64 }), (3 * (2 * (source + target) + scores)) / 2)
})

test('a resolved configuration is its own input', () => {
  for (const options of Object.values(presets)) {
    const config = modelConfig.parse(options)
    assert.deepEqual(modelConfig.parse(JSON.parse(JSON.stringify(config))), config)
  }
})

test('a configuration that was written before there were architectures is a decoder', () => {
  const stored = {
    ...{ vocabularySize: 301, contextLength: 256, layers: 2, width: 128, heads: 4, norm: 'rmsnorm', normEpsilon: 0.00001 },
    ...{ positions: 'rotary', ropeTheta: 10000, activation: 'swiglu', biases: false, tiedEmbeddings: true, kvHeads: 4, hiddenWidth: 352 },
  }
  const config = modelConfig.parse(stored)
  assert.equal(config.architecture, 'decoder')
  assert.deepEqual(config, decoderConfig.parse(stored))
})

for (const architecture of ['decoder', 'encoder', 'encoder-decoder'] as const)
  test(`a ${architecture} of a wanted size is about that large`, () => {
    const shape = { architecture, vocabularySize: 4096, contextLength: 256 }
    fc.assert(
      fc.property(fc.integer({ min: 400_000, max: 1_000_000_000 }), (parameters) => {
        const ratio = parameterCount(modelOfSize(parameters, shape)) / parameters
        assert.ok(ratio > 0.7 && ratio < 1.4, `${ratio}`)
      }),
      { numRuns: 20 },
    )
  })

test('a model that GPT-2 cannot be does not carry its names', () => {
  const gpt2 = preset('nano-gpt2')
  assert.ok(gpt2.architecture === 'decoder' && isGpt2(gpt2))
  for (const other of [{ windows: [0, 4] }, { attentionSoftcap: 5 }, { logitSoftcap: 5 }, { qkNorm: true }, { biases: false }])
    assert.equal(isGpt2(decoderConfig.parse({ ...gpt2, ...other })), false)
})

test('shapes that do not fit together are refused with the option that is wrong', () => {
  const shape = { vocabularySize: 10, contextLength: 8, layers: 1, width: 12, heads: 2 }
  const wrong: [Record<string, unknown>, string][] = [
    [{ heads: 5 }, 'heads'],
    [{ kvHeads: 4, heads: 6 }, 'kvHeads'],
    [{ heads: 4 }, 'heads'], // rotary positions need an even head size
    [{ hiddenWidth: 30 }, 'hiddenWidth'],
    [{ vocabularySize: 1 }, 'vocabularySize'],
    [{ architecture: 'recurrent' }, 'architecture'],
    [{ architecture: 'encoder', labels: 1 }, 'labels'],
    [{ architecture: 'encoder-decoder', maxDistance: 16 }, 'maxDistance'],
    [{ architecture: 'encoder-decoder', startToken: 10 }, 'startToken'],
  ]
  for (const [change, option] of wrong) {
    const { success, error } = modelConfig.safeParse({ ...shape, ...change })
    assert.equal(success, false, option)
    assert.deepEqual(error?.issues[0].path, [option])
  }
})
