// The searches before a long run, over real training runs of tiny models: what they find, that they go on, what they refuse.

import assert from 'node:assert/strict'
import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { SluiceError } from '../../src/core/errors.ts'
import { findLearningRate, type Trial } from '../../src/train/rate-search.ts'
import { type SizeRun, sweepSizes } from '../../src/train/size-sweep.ts'
import { markovDocuments, temporaryFolder, writeShard } from './corpora.ts'

const code = (wanted: string) => (error: unknown) => error instanceof SluiceError && error.code === wanted

async function prepare(folder: string) {
  await writeShard(join(folder, 'a.parquet'), markovDocuments(150, 64, 1))
  await writeFile(join(folder, 'model.json'), JSON.stringify({ contextLength: 32, layers: 1, width: 32, heads: 2 }))
  return { shards: join(folder, 'a.parquet'), out: join(folder, 'out'), batchTokens: 256, threads: 1, validationShare: 0.2, seed: 3 }
}

test('a search for the learning rate leaves bad ones behind, and begun again trains nothing anew', async () => {
  await using folder = await temporaryFolder()
  const options = { ...(await prepare(folder.path)), model: join(folder.path, 'model.json'), steps: 25, learningRate: 4e-4 }
  const told: Trial[] = []
  const found = await findLearningRate(options, { onTrial: (trial) => told.push(trial) })
  assert.ok(found.best > 1e-3, `a tiny model learns with ${found.best}`)
  assert.equal(told.length, found.trials.length)
  assert.deepEqual(
    [...told].sort((a, b) => a.learningRate - b.learningRate),
    found.trials,
  )
  const losses = found.trials.map(({ loss }) => loss ?? Number.POSITIVE_INFINITY)
  assert.ok(Math.min(...losses) < losses[0] - 0.05, `${losses}`)
  const log = join(options.out, `rate-${found.trials[0].learningRate}`, 'log.jsonl')
  const before = await stat(log)
  assert.deepEqual(await findLearningRate(options), found)
  assert.equal((await stat(log)).mtimeMs, before.mtimeMs)
})

test('a sweep over sizes fits a law and says how sure it is of a larger model; stopped, it goes on', async () => {
  await using folder = await temporaryFolder()
  const options = { ...(await prepare(folder.path)), learningRate: 5e-3, length: 32 }
  const sweep = { sizes: [40e3, 160e3, 450e3, 800e3], tokensPerParameter: 0.04, seeds: 1, forecast: [4e6] }
  const controller = new AbortController()
  const runs: SizeRun[] = []
  const hooks = { signal: controller.signal, onRun: (run: SizeRun) => runs.push(run) > 1 && controller.abort(new Error('stopped')) }
  await assert.rejects(sweepSizes(sweep, options, hooks), /stopped/)
  assert.equal(runs.length, 2)
  const result = await sweepSizes(sweep, options)
  assert.deepEqual(
    result.runs.slice(0, 2),
    runs.map((run) => ({ ...run, weight: 1 })),
  )
  const compute = result.runs.map(({ flops }) => flops)
  assert.deepEqual(
    compute,
    [...compute].sort((a, b) => a - b),
  )
  const [{ parameters, tokens, loss, low, high, epochs }] = result.forecasts
  assert.ok(Math.abs(parameters / 4e6 - 1) < 0.3 && Math.abs(tokens / parameters - 0.04) < 1e-3)
  assert.ok(loss > 0 && loss <= Math.max(...result.runs.map((run) => run.loss)) && low <= loss && loss <= high, `${low}, ${loss}, ${high}`)
  assert.ok(epochs > 1, `${tokens} tokens of some 7,700 are ${epochs} epochs`)
  assert.ok(result.law.floor >= 0 && result.law.exponent > 0)
})

test('too few sizes are refused, and documents of which none is held out', async () => {
  await using folder = await temporaryFolder()
  const options = await prepare(folder.path)
  const sweep = { sizes: [30e3, 60e3, 60e3, 120e3], tokensPerParameter: 0.1, seeds: 1, forecast: [] }
  await assert.rejects(sweepSizes(sweep, options), code('SLUICE_TRAIN_SIZES'))
  const rates = { ...options, model: join(folder.path, 'model.json'), steps: 2, learningRate: 1e-3, validationShare: 0 }
  const onReport = () => assert.fail('a step was taken before the refusal')
  await assert.rejects(findLearningRate(rates, { onReport }), code('SLUICE_TRAIN_NO_VALIDATION'))
  await assert.rejects(stat(options.out), { code: 'ENOENT' })
})
