import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import { TRAINING_LOG_FILE } from '../../../schemas/training-log.ts'
import { createTrainable } from '../../../src/model/trainable.ts'
import { findCheckpoint, restoreCheckpoint, type TrainState } from '../../../src/train/checkpoint.ts'
import { runLoop, type TrainOutcome, type TrainReport } from '../../../src/train/loop.ts'
import { resolveSettings } from '../../../src/train/resolve-settings.ts'
import { temporaryFolder } from '../../train/corpora.ts'
import { relativeError } from './emulated.ts'
import { config, data, facts, VOCABULARY } from './tiny-run.ts'
import { cudaOptions, noCuda } from './under-test.ts'

interface Asked {
  readonly folder: string
  readonly precision: 'f32' | 'f16'
  readonly steps?: number
  /** The last step of this part. */
  readonly until?: number
  readonly change?: (state: TrainState) => TrainState
}

/** Runs, or goes on from the folder's checkpoint; the weights and moments afterwards. */
async function train({ folder, precision, steps = 6, until = steps, change = (state) => state }: Asked) {
  const { settings } = resolveSettings({ steps, batchTokens: 64, learningRate: 0.01, saveEvery: 3, threads: 1, precision }, facts)
  const { rows, length, seed } = settings
  const model = await createTrainable(config, { rows, length, threads: 1, seed, device: cudaOptions(precision) })
  const controller = new AbortController()
  const reports: TrainReport[] = []
  try {
    const { checkpoint } = await findCheckpoint(folder)
    if (checkpoint) await restoreCheckpoint(checkpoint.folder, model)
    const outcome: TrainOutcome = await runLoop({
      ...{ model, data, settings, folder, validation: [], signal: controller.signal },
      state: checkpoint && change(checkpoint.state),
      onReport(report) {
        reports.push(report)
        if (report.event === 'step' && report.step === until) controller.abort()
      },
    })
    const all = (kind: 'weights' | 'moment1') => model.parameters.flatMap(({ name }) => [...model.read(kind, name)])
    return { ...outcome, reports, weights: all('weights'), moments: all('moment1') }
  } finally {
    await model.dispose()
  }
}

const lossLine = z.looseObject({ event: z.string(), step: z.int(), loss: z.number().optional(), lossScale: z.number().optional() })
const linesOf = async (folder: string) =>
  (await readFile(join(folder, TRAINING_LOG_FILE), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => lossLine.parse(JSON.parse(line)))

test('training in f16 follows training in f32', { skip: noCuda }, async () => {
  await using exact = await temporaryFolder()
  await using half = await temporaryFolder()
  const expected = await train({ folder: exact.path, precision: 'f32' })
  const once = await train({ folder: half.path, precision: 'f16' })
  const losses = async (folder: string) => (await linesOf(folder)).filter(({ event }) => event === 'step').map(({ loss = 0 }) => loss)
  const [lossError, error] = [
    relativeError(await losses(half.path), await losses(exact.path)),
    relativeError(once.weights, expected.weights),
  ]
  assert.ok(lossError < 5e-4 && error < 5e-3, `losses are off by ${lossError}, weights by ${error}`)
  assert.deepEqual(once.state.lossScale, { value: 65536, goodSteps: 6 })
  assert.equal(expected.state.lossScale, undefined)
})

test('an overflow leaves weights, moments, steps and the guard as they were, halves the scale, and the run goes on', {
  skip: noCuda,
}, async () => {
  await using folder = await temporaryFolder()
  const before = await train({ folder: folder.path, precision: 'f16', until: 3 })
  const huge = { value: 2 ** 30, goodSteps: 5 }
  const after = await train({ folder: folder.path, precision: 'f16', change: (state) => ({ ...state, lossScale: huge }) })
  const skips = after.reports.filter((report) => report.event === 'skip')
  assert.ok(skips.length > 3, `${skips.length} overflows`)
  assert.ok(skips.every(({ step }) => step === 4))
  assert.equal(skips[0].reason, `gradients overflow f16 at a loss scale of ${2 ** 30}, next ${2 ** 29}`)
  const { state } = after
  assert.deepEqual([state.step, state.skippedSteps, state.skippedInRow, state.rollbacks], [6, 0, 0, 0])
  assert.deepEqual(state.lossScale, { value: 2 ** (30 - skips.length), goodSteps: 3 })
  assert.equal(state.recent.losses.length, 6)
  assert.ok(before.state.seenTokens < state.seenTokens)
  assert.deepEqual(
    (await linesOf(folder.path)).filter(({ event }) => event === 'skip').map(({ lossScale }) => lossScale),
    skips.map((_, index) => 2 ** (30 - index)),
  )
})

test('a step that overflows moves nothing', { skip: noCuda }, async () => {
  const model = await createTrainable(config, { rows: 4, length: 16, threads: 1, seed: 1, device: cudaOptions('f16') })
  const batch = { kind: 'tokens' as const, rows: 4, length: 16, ...tokens(64) }
  const all = () =>
    (['weights', 'moment1', 'moment2'] as const).flatMap((kind) => model.parameters.flatMap(({ name }) => [...model.read(kind, name)]))
  const update = { learningRate: 0.01, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, maxNorm: 1, step: 1 }
  const before = all()
  model.backpropagate(batch, 64 / 2 ** 40)
  const { isSkipped, reason, lossSum, gradientNorm } = model.step({ ...update, lossScale: 2 ** 40 })
  assert.deepEqual([isSkipped, reason, Number.isFinite(lossSum), Number.isFinite(gradientNorm)], [true, 'norm', true, false])
  assert.deepEqual(all(), before)
  model.backpropagate(batch, 64 / 2 ** 10)
  assert.equal(model.step({ ...update, lossScale: 2 ** 10 }).isSkipped, false)
  assert.notDeepEqual(all(), before)
  await model.dispose()
})

function tokens(count: number) {
  return {
    ids: Int32Array.from({ length: count }, (_, i) => (i * 7) % VOCABULARY),
    targets: Int32Array.from({ length: count }, (_, i) => (i * 7 + 7) % VOCABULARY),
    lo: new Int32Array(count),
  }
}

test('a run in f16 that was stopped goes on with the scale, to the same bits', { skip: noCuda }, async () => {
  await using whole = await temporaryFolder()
  await using parts = await temporaryFolder()
  const change = (state: TrainState) => ({ ...state, lossScale: { value: 2 ** 26, goodSteps: 0 } })
  for (const { path } of [whole, parts]) await train({ folder: path, precision: 'f16', steps: 9, until: 3 })
  const expected = await train({ folder: whole.path, precision: 'f16', steps: 9, change })
  await train({ folder: parts.path, precision: 'f16', steps: 9, until: 5, change })
  const once = await train({ folder: parts.path, precision: 'f16', steps: 9 })
  assert.deepEqual(once.weights, expected.weights)
  assert.deepEqual(once.moments, expected.moments)
  assert.deepEqual(once.state, expected.state)
  assert.ok(expected.state.lossScale && expected.state.lossScale.value < 2 ** 26)
})
