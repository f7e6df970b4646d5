import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { chooseModel } from '../../src/train/model-choice.ts'
import { type RunFacts, resolveSettings } from '../../src/train/resolve-settings.ts'
import { assertSameRun, type SettingOptions } from '../../src/train/settings.ts'

const facts: RunFacts = {
  parameterCount: 3_000_000,
  contextLength: 256,
  vocabularySize: 4096,
  corpusTokens: 2_000_000,
  documents: 4000,
  cores: 2,
  objective: 'causal',
  maskToken: 4096,
  sentinel: 4195,
  isFineTuning: false,
  hasValidation: false,
}

test('what is given stays, what is not is derived with its reason', () => {
  const { settings, reasons } = resolveSettings({ learningRate: 0.002, threads: 1 }, facts)
  assert.equal(settings.learningRate, 0.002)
  assert.equal(settings.length, 256)
  assert.ok(!reasons.some((reason) => reason.startsWith('learning rate') || reason.startsWith('threads')))
  // 20 tokens a parameter would be 60 M, of a corpus of 2 M: four epochs of its training part instead.
  assert.match(reasons.join('\n'), /steps .*4 epochs of 1,960,000 tokens/)
  const tokens = settings.steps * settings.rows * settings.passes * settings.length
  assert.ok(Math.abs(tokens / (4 * 1_960_000) - 1) < 0.01)
  assert.ok(settings.steps >= 400)
})

test('steps, tokens and epochs ask for the same amount', () => {
  const batch = { batchTokens: 4096 }
  const byTokens = resolveSettings({ ...batch, tokens: 1_960_000 }, facts).settings.steps
  assert.equal(resolveSettings({ ...batch, epochs: 1 }, facts).settings.steps, byTokens)
  assert.equal(byTokens, Math.round(1_960_000 / 4096))
  assert.throws(() => resolveSettings({ steps: 1, epochs: 1 }, facts), { code: 'SLUICE_TRAIN_OPTIONS' })
})

test('a batch is split into equal passes that fit in memory', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2 ** 20 }),
      fc.integer({ min: 2, max: 1024 }),
      fc.constantFrom(300, 4096, 50_304),
      (batchTokens, length, vocabularySize) => {
        const { settings } = resolveSettings({ batchTokens, length }, { ...facts, contextLength: 1024, vocabularySize })
        assert.equal(settings.rows * settings.passes, Math.max(1, Math.round(batchTokens / length)))
        assert.ok(settings.rows === 1 || settings.rows * length * vocabularySize <= 2 ** 26)
      },
    ),
  )
})

test('rows longer than the context are refused', () => {
  assert.throws(() => resolveSettings({ length: 512 }, facts), { code: 'SLUICE_TRAIN_LENGTH' })
})

test('a changed setting is refused by its flag, one that changes nothing computed is not', () => {
  const { settings } = resolveSettings({}, facts)
  assertSameRun(settings, { ...settings, keep: 9, saveEvery: 1, evaluateEvery: 7, threads: 1 }, 'x')
  const changes = [
    [{ learningRate: 1 }, '--lr '],
    [{ seed: 9 }, '--seed '],
    [{ packing: 'concatenate' }, '--packing '],
    [{ steps: 1 }, '--steps '],
    [{ rows: 1 }, '--batch-tokens '],
    [{ warmupSteps: 0 }, '--warmup-steps '],
  ] as const
  for (const [change, flag] of changes)
    assert.throws(
      () => assertSameRun(settings, { ...settings, ...change }, 'x'),
      (error) => {
        assert.ok(error instanceof Error && 'code' in error && error.code === 'SLUICE_TRAIN_CHANGED')
        assert.ok(error.message.includes(flag), error.message)
        return true
      },
    )
})

test('choices are told in rounded numbers, of what they are, and in the singular where there is one', () => {
  const few = { ...facts, documents: 1550, objective: 'classify', isFineTuning: true, parameterCount: 1_400_000, cores: 1 } as const
  const told = (asked: SettingOptions, of: RunFacts) => resolveSettings(asked, of).reasons.join('\n')
  assert.match(told({}, few), /about 3\.2 % of 1,550 examples/)
  assert.match(told({}, { ...few, documents: 1 }), /about 10 % of 1 example,/)
  assert.match(told({ warmupSteps: 50, steps: 20 }, facts), /warm-up of 50 steps, of 20 in all: the learning rate only rises/)
  assert.doesNotMatch(told({ warmupSteps: 19, steps: 20 }, facts), /warm-up/)
  assert.match(told({ batchTokens: 100 }, { ...facts, contextLength: 64 }), /batch 128 tokens: 2 whole rows of 64, nearest to 100/)
  assert.match(told({ batchTokens: 50 }, { ...facts, contextLength: 64 }), /batch 64 tokens: 1 whole row of 64/)
  assert.match(told({}, few), /threads 1 \(the core of this machine\)/)
  for (let parameterCount = 1e5; parameterCount < 1e9; parameterCount *= 1.7) {
    const [, rate] = /learning rate (\S+)/.exec(told({}, { ...few, parameterCount: Math.round(parameterCount) })) ?? []
    assert.ok(rate.length <= 8 && Number(rate) > 0, rate)
  }
})

test('a number of parameters that the vocabulary does not allow is told', async () => {
  const told = async (params: number) => {
    const { config, reason } = await chooseModel({ params, architecture: 'decoder' }, { vocabularySize: 4096, tokens: 1e6 })
    return reason(config)
  }
  assert.match(await told(20_000), / \(nothing nearer to 20,000, with 4,096 tokens to know\)$/)
  assert.match(await told(1e6), /context 256$/)
})
