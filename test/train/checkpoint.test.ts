import assert from 'node:assert/strict'
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { TRAINING_LOG_FILE } from '../../schemas/training-log.ts'
import { openCheckpoint } from '../../src/train/checkpoint.ts'
import { writeCheckpoint } from '../../src/train/checkpoint-write.ts'
import { loadModel } from '../../src/train/load-model.ts'
import { SafetensorsFile } from '../../src/train/safetensors.ts'
import { train } from '../../src/train/train.ts'
import type { TrainOptions } from '../../src/train/train-options.ts'
import { markovDocuments, temporaryFolder, writeShard } from './corpora.ts'

const before = fileURLToPath(new URL('../../fixtures/checkpoint-1', import.meta.url))

/** The run whose third step is in fixtures/checkpoint-1. */
async function prepare(folder: string): Promise<TrainOptions & { out: string }> {
  await writeShard(join(folder, 'a.parquet'), markovDocuments(60, 64, 1), { rowGroupRows: 50 })
  await writeFile(join(folder, 'model.json'), JSON.stringify({ contextLength: 32, layers: 1, width: 16, heads: 2 }))
  return {
    shards: join(folder, 'a.parquet'),
    model: join(folder, 'model.json'),
    out: join(folder, 'out'),
    ...{ steps: 6, batchTokens: 256, saveEvery: 3, threads: 1, learningRate: 0.01, validationShare: 0.1 },
  }
}

test('a checkpoint of the last version is gone on from', async () => {
  await using folder = await temporaryFolder()
  const options = await prepare(folder.path)
  await mkdir(options.out)
  await cp(before, join(options.out, 'step-3'), { recursive: true })
  await writeFile(join(options.out, TRAINING_LOG_FILE), '')
  const notices: string[] = []
  const { state } = await train(options, { onNotice: (line) => notices.push(line) })
  assert.deepEqual(notices, ['going on from step-3 of 6'])
  assert.equal(state.step, 6)
  const whole = await train({ ...options, out: join(folder.path, 'whole') })
  assert.deepEqual(state.cursors, whole.state.cursors)
  // The tiers of the tensor core round in other orders than they did then.
  assert.ok(Math.abs((state.loss ?? 0) - (whole.state.loss ?? 9)) < 1e-3, `${state.loss} and ${whole.state.loss}`)
})

test('the newest, each n-th and the best checkpoint stay', async () => {
  await using folder = await temporaryFolder()
  const options = {
    ...(await prepare(folder.path)),
    steps: 30,
    saveEvery: 2,
    evaluateEvery: 2,
    learningRate: 2,
    schedule: 'constant' as const,
    keep: 1,
    keepEvery: 8,
  }
  const { state } = await train(options)
  const best = state.best?.step
  assert.ok(best !== undefined && best < 30, `${best}: so high a rate does not stay at its best`)
  const kept = (await readdir(options.out)).filter((name) => name.startsWith('step-'))
  assert.deepEqual(new Set(kept), new Set(['step-8', 'step-16', 'step-24', 'step-30', `step-${best}`]))
  assert.equal(await readFile(join(options.out, 'best'), 'utf8'), `step-${best}\n`)
})

test('an average of the weights is stored, gone on from, and what the model is used with', async () => {
  await using folder = await temporaryFolder()
  const options = { ...(await prepare(folder.path)), averageDecay: 0.8, optimizer: 'muon' as const }
  const whole = await train({ ...options, out: join(folder.path, 'whole') })
  const controller = new AbortController()
  await train(options, { signal: controller.signal, onReport: ({ step }) => step === 4 && controller.abort() })
  const { checkpoint, state } = await train(options)
  assert.deepEqual(state, whole.state)
  for (const name of ['model.safetensors', 'optimizer.safetensors', 'average.safetensors'])
    assert.deepEqual(await readFile(join(checkpoint, name)), await readFile(join(whole.checkpoint, name)), name)
  await using averages = await SafetensorsFile.open(join(checkpoint, 'average.safetensors'))
  const [name] = averages.tensors.keys()
  assert.deepEqual((await loadModel(options.out)).weights.get(name), await averages.read(name))
})

test('a checkpoint that cannot be written whole leaves nothing behind', async () => {
  await using folder = await temporaryFolder()
  const options = await prepare(folder.path)
  const { state } = await train(options)
  const files = { 'model.safetensors': [{ name: 'x', shape: [2], values: new Float32Array(1) }] }
  const before = await readdir(options.out)
  await assert.rejects(writeCheckpoint({ modelFolder: options.out, config: '{}', files, state: { ...state, step: 7 } }), RangeError)
  assert.deepEqual(await readdir(options.out), before)
})

test('a model is asked for by its folder: a file, and a run whose checkpoints are all damaged, are told as such', async () => {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'x.gguf')
  await writeFile(file, '')
  await assert.rejects(openCheckpoint(file), { code: 'SLUICE_TRAIN_MODEL_MISSING', fix: /sluice model import/ })
  await mkdir(join(folder.path, 'step-1'))
  await assert.rejects(openCheckpoint(folder.path), { code: 'SLUICE_TRAIN_CHECKPOINT_DAMAGED', message: /no other checkpoint is left/ })
})
