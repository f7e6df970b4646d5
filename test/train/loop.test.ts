import assert from 'node:assert/strict'
import { readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { TRAINING_LOG_FILE } from '../../schemas/training-log.ts'
import { SluiceError } from '../../src/core/errors.ts'
import type { Batch } from '../../src/model/batch.ts'
import type { Trainable } from '../../src/model/trainable.ts'
import { findCheckpoint, openCheckpoint, restoreCheckpoint } from '../../src/train/checkpoint.ts'
import { runLoop, type TrainReport, type TrainRun } from '../../src/train/loop.ts'
import { type RunFacts, resolveSettings } from '../../src/train/resolve-settings.ts'
import { documentData } from '../../src/train/run-data.ts'
import type { SettingOptions } from '../../src/train/settings.ts'
import { bigramModel } from './bigram.ts'
import { markovDocuments, memoryCorpus, temporaryFolder } from './corpora.ts'
import { tinyConfig } from './models.ts'

const VOCABULARY = 24
const corpus = memoryCorpus(
  Array.from({ length: 6 }, (_, group) => markovDocuments(30, VOCABULARY, group)),
  VOCABULARY,
)
const facts: RunFacts = {
  parameterCount: 600,
  contextLength: 32,
  vocabularySize: VOCABULARY,
  corpusTokens: corpus.tokens,
  documents: corpus.documents,
  cores: 1,
  objective: 'causal',
  maskToken: VOCABULARY,
  sentinel: VOCABULARY,
  isFineTuning: false,
  hasValidation: false,
}
const data = documentData([{ corpus, weight: 1 }])
const options: SettingOptions = {
  steps: 24,
  batchTokens: 512,
  learningRate: 0.05,
  saveEvery: 5,
  evaluateEvery: 8,
  validationShare: 0.1,
  keep: 2,
}

async function runIn(folder: string, changes: Partial<TrainRun> = {}, asked: SettingOptions = options) {
  const { settings } = resolveSettings(asked, facts)
  const model = bigramModel(tinyConfig(VOCABULARY), VOCABULARY)
  const { checkpoint } = await findCheckpoint(folder)
  if (checkpoint) await restoreCheckpoint(checkpoint.folder, model)
  const validation = await data.validation(settings, model.config)
  return runLoop({ model, data, validation, settings, folder, state: checkpoint?.state, ...changes })
}

/** Log lines without what the clock decides and without the notes of resuming. */
async function lossLog(folder: string): Promise<unknown[]> {
  const lines = (await readFile(join(folder, TRAINING_LOG_FILE), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  return lines.filter(({ event }) => event !== 'resume').map(({ tokensPerSecond: _, ...line }) => line)
}

async function filesOf(folder: string): Promise<Record<string, Buffer>> {
  const names = (await readdir(folder)).sort()
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name))] as const)))
}

/** Aborts once the step has been reported. */
function stopAfter(step: number) {
  const controller = new AbortController()
  if (step === 0) controller.abort()
  const onReport = (report: TrainReport) => {
    if (report.event === 'step' && report.step === step) controller.abort()
  }
  return { signal: controller.signal, onReport }
}

test('the loss falls towards the entropy of the source', async () => {
  await using folder = await temporaryFolder()
  const { state } = await runIn(folder.path, {}, { ...options, steps: 120 })
  // One of five tokens is drawn from 23, the others are determined: 0.2·ln 23 + H(0.2, …) ≈ 1.1 nats; uniform is ln 24 ≈ 3.18.
  assert.ok(state.evaluation && state.evaluation.loss < 1.6, `validation loss ${state.evaluation?.loss}`)
  assert.ok(state.smoothedLoss !== null && Math.abs(state.smoothedLoss - state.evaluation.loss) < 0.3)
})

test('accumulating the gradients of small passes equals one large pass', async () => {
  const loss = async (asked: SettingOptions, rows: number) => {
    await using folder = await temporaryFolder()
    const { settings } = resolveSettings(asked, facts)
    const total = settings.rows * settings.passes
    const run = { settings: { ...settings, rows, passes: total / rows } }
    return (await runIn(folder.path, run, asked)).state.loss ?? Number.NaN
  }
  const short = { ...options, steps: 6 }
  assert.ok(Math.abs((await loss(short, 16)) - (await loss(short, 2))) < 1e-5)
})

test('a run stopped anywhere goes on to the same log and the same bytes', async () => {
  await using whole = await temporaryFolder()
  await runIn(whole.path)
  for (const stops of [[0, 1], [5], [7, 8, 23]]) {
    await using parts = await temporaryFolder()
    for (const stop of stops) {
      const outcome = await runIn(parts.path, stopAfter(stop))
      assert.ok(outcome.isInterrupted)
      assert.equal(outcome.state.step, stop)
    }
    const end = await runIn(parts.path)
    assert.equal(end.isInterrupted, false)
    assert.deepEqual(await lossLog(parts.path), await lossLog(whole.path))
    assert.deepEqual(await filesOf(join(parts.path, 'step-24')), await filesOf(join(whole.path, 'step-24')))
  }
})

test('an interrupt is heeded between the batches of a step, too', async () => {
  await using folder = await temporaryFolder()
  const controller = new AbortController()
  let taken = 0
  const counting: typeof data = {
    ...data,
    train(...words) {
      const source = data.train(...words)
      const next = () => {
        if (++taken === 3) controller.abort()
        return source.next()
      }
      return { next, [Symbol.asyncDispose]: () => source[Symbol.asyncDispose]() }
    },
  }
  const { state } = await runIn(folder.path, { data: counting, signal: controller.signal }, { ...options, batchTokens: 1e6 })
  assert.deepEqual([state.step, taken], [0, 3])
})

test('checkpoints beyond the newest are removed, and latest names the newest', async () => {
  await using folder = await temporaryFolder()
  await runIn(folder.path)
  // 24 is the best one too
  assert.deepEqual((await readdir(folder.path)).sort(), ['best', 'latest', TRAINING_LOG_FILE, 'step-20', 'step-24'].sort())
  assert.equal(await readFile(join(folder.path, 'latest'), 'utf8'), 'step-24\n')
})

test('a damaged checkpoint is refused by name, and the one before leads to the same end', async () => {
  await using whole = await temporaryFolder()
  await runIn(whole.path)
  const expected = await filesOf(join(whole.path, 'step-24'))
  const damages: Record<string, (folder: string) => Promise<void>> = {
    'model.safetensors': (folder) => truncate(join(folder, 'model.safetensors'), 700),
    'optimizer.safetensors': async (folder) => {
      const bytes = await readFile(join(folder, 'optimizer.safetensors'))
      bytes[bytes.length - 1] ^= 1
      await writeFile(join(folder, 'optimizer.safetensors'), bytes)
    },
    'state.json': async (folder) => {
      const text = await readFile(join(folder, 'state.json'), 'utf8')
      await writeFile(join(folder, 'state.json'), text.replace('"step": 24', '"step": 23'))
    },
  }
  for (const [file, damage] of Object.entries(damages)) {
    await damage(join(whole.path, 'step-24'))
    const { checkpoint, refused } = await findCheckpoint(whole.path)
    assert.equal(refused.length, 1)
    assert.equal(refused[0].code, 'SLUICE_TRAIN_CHECKPOINT_DAMAGED')
    assert.match(refused[0].message, new RegExp(`step-24 is damaged: ${file}`))
    assert.equal(checkpoint?.state.step, 20)
    const notices: string[] = []
    assert.equal((await openCheckpoint(whole.path, (notice) => notices.push(notice))).state.step, 20)
    assert.match(notices.join(), /step-24 is damaged.*reading step-20, an earlier one/)
    await runIn(whole.path)
    assert.deepEqual(await filesOf(join(whole.path, 'step-24')), expected)
  }
})

test('a model folder and a checkpoint folder both open the checkpoint, another folder is refused', async () => {
  await using folder = await temporaryFolder()
  await assert.rejects(openCheckpoint(folder.path), { code: 'SLUICE_TRAIN_MODEL_MISSING' })
  await runIn(folder.path)
  assert.equal((await openCheckpoint(folder.path)).state.step, 24)
  assert.equal((await openCheckpoint(join(folder.path, 'step-20'))).state.step, 20)
})

/** A model whose loss is no number in some of its steps, counted from 1. */
function failing(isBad: (step: number) => boolean): Trainable {
  const model = bigramModel(tinyConfig(VOCABULARY), VOCABULARY)
  let steps = 0
  const step: Trainable['step'] = (options) => {
    const outcome = model.step(isBad(++steps) ? { ...options, largestNorm: -1 } : options)
    return outcome.isSkipped ? { ...outcome, lossSum: Number.NaN, gradientNorm: Number.NaN, reason: 'loss' } : outcome
  }
  return { ...model, step }
}

test('a step whose loss is not a number changes nothing, and is counted and said', async () => {
  await using folder = await temporaryFolder()
  const reports: TrainReport[] = []
  const model = failing((pass) => pass === 3)
  const { state } = await runIn(folder.path, { model, onReport: (report) => reports.push(report) })
  assert.deepEqual([state.step, state.skippedSteps, state.skippedInRow, state.rollbacks], [24, 1, 0, 0])
  assert.deepEqual(
    reports.filter(({ event }) => event === 'skip'),
    [{ event: 'skip', step: 3, reason: 'loss NaN' }],
  )
  assert.ok(state.evaluation && Number.isFinite(state.evaluation.loss))
})

test('steps left out in a row take the run back to its checkpoint, and on with other documents', async () => {
  await using folder = await temporaryFolder()
  const reports: TrainReport[] = []
  const model = failing((pass) => pass >= 12 && pass < 17)
  const { state } = await runIn(folder.path, { model, onReport: (report) => reports.push(report) })
  assert.deepEqual(
    reports.filter(({ event }) => event === 'rollback'),
    [{ event: 'rollback', step: 16, to: 10 }],
  )
  assert.deepEqual([state.step, state.skippedSteps, state.rollbacks], [24, 5, 1])
  // 24 steps and the six that were gone back
  assert.equal(state.cursors[0].rows, (30 * 512) / 32)
})

test('a log that was removed or has lost its first line is begun again where the run goes on', async () => {
  for (const harm of ['removed', 'damaged']) {
    await using folder = await temporaryFolder()
    const file = join(folder.path, TRAINING_LOG_FILE)
    await runIn(folder.path, stopAfter(10))
    const before = await readFile(file, 'utf8')
    if (harm === 'removed') await rm(file)
    else await writeFile(file, before.slice(5))
    await runIn(folder.path)
    const lines = (await readFile(file, 'utf8')).trim().split('\n')
    assert.equal(lines[0], before.slice(0, before.indexOf('\n')))
    const steps = lines.map((line) => JSON.parse(line)).filter(({ event }) => event === 'step')
    assert.equal(steps.length, harm === 'removed' ? 14 : 24)
  }
})

test('a validation loss that is no number takes the run back too, and ends it the third time', async () => {
  const brokenAt = (isBroken: (evaluation: number) => boolean): Trainable => {
    const model = bigramModel(tinyConfig(VOCABULARY), VOCABULARY)
    let evaluations = 0
    const evaluate: Trainable['evaluate'] = (batch) => {
      const result = model.evaluate(batch)
      return isBroken(++evaluations) ? { ...result, loss: Number.NaN } : result
    }
    return { ...model, evaluate }
  }
  await using once = await temporaryFolder()
  const reports: TrainReport[] = []
  const { settings } = resolveSettings(options, facts)
  const validation = (await data.validation(settings, tinyConfig(VOCABULARY))).slice(0, 1)
  const model = brokenAt((evaluation) => evaluation === 2)
  const { state } = await runIn(once.path, { model, validation, onReport: (report) => reports.push(report) })
  assert.deepEqual(
    reports.filter(({ event }) => event === 'rollback'),
    [{ event: 'rollback', step: 16, to: 15, reason: 'the validation loss at step 16 is no number' }],
  )
  assert.deepEqual([state.step, state.rollbacks, Number.isFinite(state.evaluation?.loss)], [24, 1, true])
  await using always = await temporaryFolder()
  await assert.rejects(runIn(always.path, { model: brokenAt((evaluation) => evaluation > 1), validation }), {
    code: 'SLUICE_TRAIN_DIVERGED',
    message: 'the validation loss at step 16 is no number: training has diverged',
  })
})

test('a run stopped after it went back goes on to the log and the bytes of one that did not stop', async () => {
  await using whole = await temporaryFolder()
  await using parts = await temporaryFolder()
  const isBad = (pass: number) => pass >= 12 && pass < 17
  await runIn(whole.path, { model: failing(isBad) })
  // Step 10 is the checkpoint that it goes back to, 18 is after that.
  const stopped = await runIn(parts.path, { model: failing(isBad), ...stopAfter(18) })
  assert.deepEqual([stopped.state.step, stopped.state.rollbacks], [18, 1])
  await runIn(parts.path)
  assert.deepEqual(await lossLog(parts.path), await lossLog(whole.path))
  assert.deepEqual(await filesOf(join(parts.path, 'step-24')), await filesOf(join(whole.path, 'step-24')))
})

test('a run stopped between two checkpoints goes back to the one that it would have gone back to', async () => {
  await using whole = await temporaryFolder()
  await using parts = await temporaryFolder()
  const asked = { ...options, keep: 1 }
  await runIn(whole.path, { model: failing((pass) => pass >= 13 && pass < 18) }, asked)
  await runIn(parts.path, stopAfter(11), asked)
  await runIn(parts.path, stopAfter(12), asked)
  await runIn(parts.path, { model: failing((pass) => pass < 6) }, asked) // its first pass is the thirteenth
  assert.deepEqual(await lossLog(parts.path), await lossLog(whole.path))
  assert.deepEqual(await filesOf(join(parts.path, 'step-24')), await filesOf(join(whole.path, 'step-24')))
})

test('a long run is saved every quarter of an hour too, to the same end', async (t) => {
  await using quick = await temporaryFolder()
  await using slow = await temporaryFolder()
  await runIn(quick.path)
  let now = 0
  t.mock.method(performance, 'now', () => (now += 100_000))
  const reports: TrainReport[] = []
  await runIn(slow.path, { onReport: (report) => reports.push(report) })
  const saved = reports.filter(({ event }) => event === 'checkpoint').map(({ step }) => step)
  assert.ok(
    saved.some((step) => step % 5 > 0 && step < 24),
    `${saved}`,
  )
  for (const due of [5, 10, 15, 20, 24]) assert.ok(saved.includes(due), `${saved}`)
  assert.deepEqual(await filesOf(join(slow.path, 'step-24')), await filesOf(join(quick.path, 'step-24')))
})

test('the batch that is announced in a step is the first of the next, through roll-backs, checkpoints and goings on', async () => {
  await using folder = await temporaryFolder()
  const asked = { ...options, batchTokens: 16384 }
  const passed: Batch[] = []
  /** As many as had been passed before. */
  const announced: [after: number, batch: Batch][] = []
  const watched = (model: Trainable): Trainable => ({
    ...model,
    backpropagate(batch, denominator) {
      passed.push(batch)
      model.backpropagate(batch, denominator)
    },
    announce: (batch) => announced.push([passed.length, batch]),
  })
  const model = watched(failing((step) => step >= 12 && step < 17))
  const stopped = await runIn(folder.path, { model, ...stopAfter(18) }, asked)
  assert.equal(stopped.state.rollbacks, 1)
  const passes = passed.length / 24 // 18 steps and the six that were gone back
  assert.ok(passes > 1)
  assert.deepEqual(
    announced.map(([after]) => after),
    Array.from({ length: 24 }, (_, step) => (step + 1) * passes),
  )
  const [, last] = announced.pop() ?? assert.fail()
  for (const [after, batch] of announced) assert.equal(batch, passed[after])
  const before = passed.length
  await runIn(folder.path, { model: watched(failing(() => false)) }, asked)
  assert.deepEqual(passed[before], last)
  assert.equal(announced.length, 23 + 5) // the last step has none after it
})

test('a run that only goes back ends, and keeps the checkpoint before it', async () => {
  await using folder = await temporaryFolder()
  await assert.rejects(runIn(folder.path, { model: failing((pass) => pass > 12) }), (error) => {
    assert.ok(error instanceof SluiceError)
    assert.equal(error.code, 'SLUICE_TRAIN_DIVERGED')
    return true
  })
  assert.equal((await openCheckpoint(folder.path)).state.step, 10)
})

/** Steps that are left out where the gradient of step 90 is so many times what it is. */
async function leftOutAt90(factor: number, asked: SettingOptions): Promise<number[]> {
  await using folder = await temporaryFolder()
  const model = bigramModel(tinyConfig(VOCABULARY), VOCABULARY)
  const skipped: number[] = []
  let steps = 0
  const spiking: Trainable = {
    ...model,
    backpropagate: (batch, denominator) => model.backpropagate(batch, ++steps === 90 ? denominator / factor : denominator),
  }
  const onReport = (report: TrainReport) => {
    if (report.event === 'skip') skipped.push(report.step)
  }
  await runIn(folder.path, { model: spiking, onReport }, { ...options, steps: 100, ...asked })
  return skipped
}

test('a gradient far above those before it is left out, unless it is below what gradients are clipped to', async () => {
  assert.deepEqual(await leftOutAt90(100, {}), [90])
  assert.deepEqual(await leftOutAt90(100, { maxNorm: 1000 }), [])
  assert.deepEqual(await leftOutAt90(1e6, { maxNorm: 1000 }), [90])
})

test('bits per byte divide by the bytes of the text behind the targets', async () => {
  await using folder = await temporaryFolder()
  const tokenBytes = Array.from({ length: VOCABULARY }, (_, token) => (token === 0 ? 0 : 3))
  const { state } = await runIn(folder.path, { tokenBytes })
  const { settings } = resolveSettings(options, facts)
  const batches = (await data.validation(settings, tinyConfig(VOCABULARY))).map(({ batch }) => batch)
  const targets = batches.flatMap((batch) => (batch.kind === 'tokens' ? [...batch.targets] : [])).filter((target) => target >= 0)
  const bytes = targets.filter((target) => target !== 0).length * 3
  assert.ok(state.evaluation?.bitsPerByte)
  assert.equal(state.evaluation.targets, targets.length)
  const expected = (state.evaluation.loss * targets.length) / Math.LN2 / bytes
  assert.ok(Math.abs(state.evaluation.bitsPerByte - expected) < 1e-9)
})

test('the log traces a step to the shards and rows in its batch', async () => {
  await using folder = await temporaryFolder()
  await runIn(folder.path, {}, { ...options, steps: 2 })
  const [start, first] = (await readFile(join(folder.path, TRAINING_LOG_FILE), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(start.shards, ['0.parquet', '1.parquet', '2.parquet'])
  const places: number[] = Object.values(first.documents).flatMap((rows) => (Array.isArray(rows) ? rows : []))
  // 512 tokens of documents of 20 to 120 tokens each.
  assert.ok(places.length >= 5 && places.length <= 26, `${places.length} documents`)
  assert.ok(places.every((row) => row >= 0 && row < 60))
})
