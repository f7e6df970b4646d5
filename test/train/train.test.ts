import assert from 'node:assert/strict'
import { readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { SluiceError } from '../../src/core/errors.ts'
import { hasBf16 } from '../../src/tensor/cpu/native/tier.ts'
import { loadModel, sample, type TrainOptions, type TrainReport, train } from '../../src/train/index.ts'
import { markovDocuments, temporaryFolder, writeShard } from './corpora.ts'

/** Shards and a real transformer, both tiny; the options of a run over them. */
async function prepare(folder: string): Promise<TrainOptions & { readonly shards: string }> {
  await writeShard(join(folder, 'a.parquet'), markovDocuments(120, 64, 1), { rowGroupRows: 50 })
  await writeFile(join(folder, 'model.json'), JSON.stringify({ contextLength: 32, layers: 1, width: 32, heads: 2 }))
  return {
    shards: join(folder, 'a.parquet'),
    model: join(folder, 'model.json'),
    out: join(folder, 'out'),
    steps: 12,
    batchTokens: 256,
    saveEvery: 4,
    threads: 1,
    learningRate: 0.01,
  }
}

const refusal = (code: string, words: RegExp) => (error: unknown) => {
  assert.ok(error instanceof SluiceError, String(error))
  assert.equal(error.code, code)
  assert.match(error.message, words)
  return true
}

test('a transformer learns, and its folder says all about it', async () => {
  await using folder = await temporaryFolder()
  const notices: string[] = []
  const options = { ...(await prepare(folder.path)), steps: 60 }
  const result = await train(options, { onNotice: (line) => notices.push(line) })
  const { evaluation, smoothedLoss } = result.state
  assert.ok(smoothedLoss !== null && smoothedLoss < 3.7, `training loss ${smoothedLoss}`) // uniform: ln 64 ≈ 4.16
  assert.ok(evaluation && evaluation.loss < 3.6, `validation loss ${evaluation?.loss}`)
  assert.ok(notices.some((line) => line.startsWith('model ')))
  const { config, weights, state } = await loadModel(join(folder.path, 'out'))
  assert.equal(config.vocabularySize, 64)
  assert.equal(
    [...weights.values()].reduce((sum, { length }) => sum + length, 0),
    state.parameterCount,
  )
})

test('a transformer learns as much from products of bf16, and goes on with them alone', {
  skip: hasBf16() ? false : 'no AVX-512 BF16 here',
}, async () => {
  await using folder = await temporaryFolder()
  const options = { ...(await prepare(folder.path)), steps: 60, precision: 'bf16' as const }
  const half = await train(options)
  const whole = await train({ ...options, out: join(folder.path, 'f32'), precision: 'f32' })
  const [rough, exact] = [half, whole].map(({ state }) => state.evaluation?.loss ?? Number.NaN)
  assert.ok(rough !== exact && Math.abs(rough / exact - 1) < 0.01, `${rough}, ${exact} by f32`)
  await assert.rejects(train({ ...options, precision: 'f32' }), refusal('SLUICE_TRAIN_CHANGED', /precision/))
})

test('a run within less memory computes the same, and may begin and end with different memory', async () => {
  await using folder = await temporaryFolder()
  const options = await prepare(folder.path)
  const whole = await train({ ...options, out: join(folder.path, 'whole') })
  const refused = await train({ ...options, memory: 1 }).catch((error: unknown) => error)
  assert.ok(refused instanceof SluiceError && refused.code === 'SLUICE_TENSOR_MEMORY', `${refused}`)
  const memory = Number(/at least ([\d,]+) bytes/.exec(refused.message)?.[1].replaceAll(',', ''))
  const controller = new AbortController()
  const notices: string[] = []
  await train(
    { ...options, memory },
    { signal: controller.signal, onReport: ({ step }) => step === 7 && controller.abort(), onNotice: (line) => notices.push(line) },
  )
  assert.match(notices.join('\n'), /operations run twice/)
  assert.deepEqual((await train(options)).state, whole.state)
})

test('the same command goes on after a stop, and says so where nothing is left to do', async () => {
  await using folder = await temporaryFolder()
  const options = await prepare(folder.path)
  const whole = await train({ ...options, out: join(folder.path, 'whole') })
  const controller = new AbortController()
  const stopped = await train(options, { signal: controller.signal, onReport: ({ step }) => step === 7 && controller.abort() })
  assert.deepEqual([stopped.isInterrupted, stopped.state.step], [true, 7])
  const notices: string[] = []
  const end = await train(options, { onNotice: (line) => notices.push(line) })
  assert.match(notices.join('\n'), /going on from step-7/)
  assert.deepEqual(end.state, whole.state)
  for (const name of ['model.safetensors', 'optimizer.safetensors'])
    assert.deepEqual(await readFile(join(end.checkpoint, name)), await readFile(join(whole.checkpoint, name)), name)
  const again = await train(options)
  assert.deepEqual([again.checkpoint, again.tokensPerSecond, again.state], [end.checkpoint, 0, end.state])
})

test('what would make it another run is refused by name', async () => {
  await using folder = await temporaryFolder()
  const options = await prepare(folder.path)
  await train(options)
  await assert.rejects(train({ ...options, learningRate: 0.02 }), refusal('SLUICE_TRAIN_CHANGED', /--lr 0.01, now it is 0.02/))
  await assert.rejects(train({ ...options, steps: 13 }), refusal('SLUICE_TRAIN_CHANGED', /steps 12, now it is 13/))
  await assert.rejects(train({ ...options, model: 'nano' }), refusal('SLUICE_TRAIN_CHANGED', /another model/))
  await writeShard(options.shards, markovDocuments(121, 64, 1))
  await assert.rejects(train(options), refusal('SLUICE_TRAIN_CHANGED', /the shards are not those/))
})

test('a run whose every checkpoint is damaged is not started over in silence', async () => {
  await using folder = await temporaryFolder()
  const options = { ...(await prepare(folder.path)), keep: 1 }
  const { checkpoint } = await train(options)
  await truncate(join(checkpoint, 'model.safetensors'), 100)
  await assert.rejects(train(options), refusal('SLUICE_TRAIN_CHECKPOINT_DAMAGED', /step-12 is damaged.*no other checkpoint/))
})

test('options, models and folders that cannot work are refused before anything is written', async () => {
  await using folder = await temporaryFolder()
  const options = await prepare(folder.path)
  await assert.rejects(train({ ...options, out: folder.path }), refusal('SLUICE_TRAIN_FOLDER', /not a training run/))
  await assert.rejects(train({ ...options, model: 'gigantic' }), refusal('SLUICE_TRAIN_MODEL', /gigantic/))
  await assert.rejects(train({ ...options, params: 2000 }), refusal('SLUICE_TRAIN_OPTIONS', /both given/))
  await assert.rejects(train({ ...options, beta1: 2 }), refusal('SLUICE_TRAIN_OPTIONS', /beta1/))
  await writeFile(join(folder.path, 'model.json'), JSON.stringify({ contextLength: 32, layers: 1, width: 30, heads: 4 }))
  await assert.rejects(train(options), refusal('SLUICE_TRAIN_MODEL', /width 30 is not a multiple of heads 4/))
  await writeFile(join(folder.path, 'model.json'), JSON.stringify({ contextLength: 32, layers: 100_000, width: 32, heads: 4 }))
  await assert.rejects(train(options), refusal('SLUICE_TRAIN_MODEL', /expected number to be <=1000[\s\S]*at layers/))
})

test('two runs in one folder do not meet', async () => {
  await using folder = await temporaryFolder()
  const options = await prepare(folder.path)
  let second: Promise<unknown> | undefined
  const onReport = () => {
    second ??= assert.rejects(train(options), refusal('SLUICE_TRAIN_LOCKED', /another sluice/))
  }
  await train(options, { onReport })
  await second
})

test('sampling is a function of the seed', async () => {
  await using folder = await temporaryFolder()
  const options = await prepare(folder.path)
  const { folder: model } = await train(options)
  const tokens = (seed: number) => Array.fromAsync(sample({ model, prompt: [0], maxTokens: 40, seed }))
  assert.deepEqual(await tokens(1), await tokens(1))
  assert.notDeepEqual(await tokens(1), await tokens(2))
  assert.equal((await tokens(1)).length, 40) // beyond the context of 32
})

test('a folder that is taken away from under a run ends it with a word, whatever is in its place', async () => {
  for (const replace of [async () => {}, async (path: string) => await writeFile(path, '')]) {
    await using folder = await temporaryFolder()
    const options = { ...(await prepare(folder.path)), out: join(folder.path, 'out') }
    let taken: Promise<void> | undefined
    const onReport = ({ event }: TrainReport) => {
      if (event === 'step') taken ??= rm(options.out, { recursive: true }).then(() => replace(options.out))
    }
    await assert.rejects(train({ ...options, steps: 200, saveEvery: 50 }, { onReport }), { code: 'SLUICE_FILE_MISSING' })
    await taken
  }
})
