import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadModel } from '../../src/train/load-model.ts'
import { train } from '../../src/train/train.ts'
import type { TrainHooks, TrainOptions } from '../../src/train/train-options.ts'
import { markovDocuments, temporaryFolder, writeShard } from './corpora.ts'

const VOCABULARY = 64
/** A letter a token. */
const tokenizer: TrainHooks = {
  openTokenizer: async () => ({
    hash: 'test',
    vocabularySize: VOCABULARY,
    endOfText: 0,
    frame: { before: [], after: [] },
    encode: (text) => [...text].map((letter) => 1 + (letter.charCodeAt(0) % (VOCABULARY - 1))),
    tokenBytes: new Uint8Array(VOCABULARY).fill(1),
  }),
}
const settings = { steps: 60, batchTokens: 512, threads: 1, learningRate: 0.01, validationShare: 0.1, evaluateEvery: 20, saveEvery: 20 }

async function prepare(folder: string, model: Record<string, unknown>): Promise<TrainOptions & { out: string; model: string }> {
  await writeShard(join(folder, 'a.parquet'), markovDocuments(150, VOCABULARY, 1))
  await writeFile(join(folder, 'model.json'), JSON.stringify({ contextLength: 32, layers: 1, width: 32, heads: 2, ...model }))
  await writeFile(join(folder, 'letters.json'), '{}') // what it holds is in `openTokenizer`
  return { ...settings, shards: join(folder, 'a.parquet'), model: join(folder, 'model.json'), out: join(folder, 'out') }
}

/** Stops in the middle, goes on, and compares with a run that did not stop. */
async function assertResumes(options: TrainOptions & { out: string }): Promise<void> {
  const whole = await train(options, tokenizer)
  const parts = { ...options, out: `${options.out}-parts` }
  const controller = new AbortController()
  await train(parts, { ...tokenizer, signal: controller.signal, onReport: ({ step }) => step === 33 && controller.abort() })
  const end = await train(parts, tokenizer)
  assert.deepEqual(end.state, whole.state)
  for (const name of ['model.safetensors', 'optimizer.safetensors'])
    assert.deepEqual(await readFile(join(end.checkpoint, name)), await readFile(join(whole.checkpoint, name)), name)
}

test('an encoder learns to restore masked tokens, then to tell labels apart', async () => {
  await using folder = await temporaryFolder()
  const options = await prepare(folder.path, { architecture: 'encoder' })
  await assertResumes(options)
  const { config, state } = await loadModel(options.out)
  assert.equal(config.vocabularySize, VOCABULARY + 1) // the mask
  assert.equal(state.settings.objective, 'masked')
  assert.ok(state.evaluation && state.evaluation.loss < 4, `${state.evaluation?.loss}`) // uniform: ln 65 ≈ 4.17
  assert.ok((state.evaluation.accuracy ?? 0) > 2 / VOCABULARY)

  const lines = Array.from({ length: 400 }, (_, i) => ({
    text: `${'abcdefgh'.slice(i % 5)}${i % 2 ? 'xx' : 'yy'}${i}`,
    label: i % 2 ? 'x' : 'y',
  }))
  const labelled = join(folder.path, 'labelled.jsonl')
  await writeFile(labelled, lines.map((line) => JSON.stringify(line)).join('\n'))
  const { model: _, ...tuning } = { ...options, shards: labelled, init: options.out, out: join(folder.path, 'classifier') }
  await assert.rejects(train({ ...tuning, init: undefined, model: options.model }, tokenizer), { code: 'SLUICE_TRAIN_TOKENIZER' })
  await assertResumes({ ...tuning, tokenizer: join(folder.path, 'letters.json') })
  const classifier = await loadModel(tuning.out)
  assert.deepEqual(classifier.state.labels, ['x', 'y'])
  assert.ok((classifier.state.evaluation?.accuracy ?? 0) > 0.95, `${classifier.state.evaluation?.accuracy}`)

  const { model: __, ...further } = { ...options, init: tuning.out, out: join(folder.path, 'further'), steps: 3 }
  const backToWords = await train(further, tokenizer)
  assert.equal(backToWords.settings.objective, 'masked') // its classes left behind
  assert.ok(backToWords.state.loss !== null)
})

test('an encoder-decoder learns to fill spans, then to write a target for each input', async () => {
  await using folder = await temporaryFolder()
  const options = { ...(await prepare(folder.path, { architecture: 'encoder-decoder' })), steps: 100 }
  await assertResumes(options)
  const { config, state } = await loadModel(options.out)
  assert.equal(config.vocabularySize, VOCABULARY + 100) // the sentinels
  assert.equal(state.settings.objective, 'spans')
  assert.ok(state.evaluation && state.evaluation.loss < 3.5, `${state.evaluation?.loss}`)

  for (const sentinel of [5, VOCABULARY + 100])
    await assert.rejects(train({ ...options, out: join(folder.path, 'other'), sentinel }), { code: 'SLUICE_TRAIN_OPTIONS' })

  const pairs = join(folder.path, 'pairs.jsonl')
  const lines = Array.from({ length: 300 }, (_, i) => ({ input: `${i * 7919}`, target: i % 2 ? 'odd' : 'even' }))
  await writeFile(pairs, lines.map((line) => JSON.stringify(line)).join('\n'))
  const { model: _, ...tuning } = { ...options, shards: pairs, init: options.out, out: join(folder.path, 'pairs') }
  const { state: end } = await train({ ...tuning, tokenizer: join(folder.path, 'letters.json') }, tokenizer)
  assert.ok((end.evaluation?.accuracy ?? 0) > 0.7, `${end.evaluation?.accuracy}`)
  assert.ok(end.evaluation?.bitsPerByte)
})

test('fine-tuning a decoder begins with its weights', async () => {
  await using folder = await temporaryFolder()
  const options = await prepare(folder.path, {})
  const first = await train(options, tokenizer)
  const { model: _, ...tuning } = { ...options, init: options.out, out: join(folder.path, 'tuned'), steps: 5 }
  const { state } = await train(tuning, tokenizer)
  assert.ok((state.loss ?? 9) < (first.state.smoothedLoss ?? 0) + 0.3, `${state.loss} after ${first.state.smoothedLoss}`)
  await assert.rejects(train({ ...tuning, out: join(folder.path, 'other'), objective: 'masked' }), { code: 'SLUICE_TRAIN_OBJECTIVE' })
  const reviews = join(folder.path, 'reviews.jsonl')
  await writeFile(reviews, ['x', 'y'].map((label) => JSON.stringify({ text: '1', label })).join('\n'))
  const tuningOnReviews = { ...tuning, shards: reviews, out: join(folder.path, 'other'), tokenizer: join(folder.path, 'letters.json') }
  await assert.rejects(train(tuningOnReviews, tokenizer), { code: 'SLUICE_TRAIN_OBJECTIVE', message: /token shards/ })
  await assert.rejects(train({ ...tuning, params: 3000 }), { code: 'SLUICE_TRAIN_OPTIONS' })
  await writeShard(options.shards.toString(), markovDocuments(150, VOCABULARY, 1), { vocabularyHash: 'other' })
  await assert.rejects(train({ ...tuning, out: join(folder.path, 'third') }), { code: 'SLUICE_TRAIN_VOCABULARIES' })
})

test('other shards can be measured on as a whole', async () => {
  await using folder = await temporaryFolder()
  const { validationShare: _, ...options } = await prepare(folder.path, {})
  const validation = join(folder.path, 'validation.parquet')
  await writeShard(validation, markovDocuments(10, VOCABULARY, 5))
  const hollow = join(folder.path, 'hollow.parquet')
  await writeShard(hollow, [])
  for (const change of [{ validation: hollow }, { shards: hollow }])
    await assert.rejects(train({ ...options, ...change }), { code: 'SLUICE_TRAIN_CORPUS_EMPTY' })
  assert.ok(!existsSync(options.out))
  const { state } = await train({ ...options, validation, steps: 3 })
  assert.equal(state.settings.validationShare, 0)
  // all its tokens: an end of text follows each document, the last one has no successor
  const tokens = markovDocuments(10, VOCABULARY, 5).reduce((sum, document) => sum + document.tokens.length + 1, 0)
  assert.equal(state.evaluation?.targets, tokens - 1)
})
