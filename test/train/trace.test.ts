// From steps to documents and back, over the log and the shards of a real run, and over a log with a rollback.

import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { SluiceError } from '../../src/core/errors.ts'
import { sampleFraction } from '../../src/core/identity.ts'
import { traceDocument, traceStep } from '../../src/train/trace.ts'
import { train } from '../../src/train/train.ts'
import { idOf, markovDocuments, temporaryFolder, writeShard } from './corpora.ts'

const folder = await temporaryFolder()
const run = join(folder.path, 'run')
const options = { decode: (tokens: ArrayLike<number>) => Array.from(tokens).join(' '), characters: 12 }
const documents = markovDocuments(90, 64, 1)
const code = (wanted: string) => (error: unknown) => error instanceof SluiceError && error.code === wanted

before(async () => {
  await writeFile(join(folder.path, 'model.json'), JSON.stringify({ contextLength: 32, layers: 1, width: 32, heads: 2 }))
  for (const [name, from] of Object.entries({ web: 0, code: 50 })) {
    await mkdir(join(folder.path, name))
    await writeShard(join(folder.path, name, 'a.parquet'), documents.slice(from, from === 0 ? 50 : 90))
  }
  const shards = [`${join(folder.path, 'web')}=0.6`, `${join(folder.path, 'code')}=0.4`]
  await train({ shards, out: run, model: join(folder.path, 'model.json'), steps: 12, batchTokens: 128, validationShare: 0.2, threads: 1 })
})
after(async () => await folder[Symbol.asyncDispose]())

test('a step names the documents of its batch as the shards hold them, and each document names the step', async () => {
  for (const step of [1, 7, 12]) {
    const [traced, ...others] = await traceStep(run, step, options)
    assert.equal(others.length, 0)
    assert.ok(traced.documents.length > 0 && typeof traced.loss === 'number' && !traced.isTakenBack)
    for (const { shard, row, id, tokens, text, source } of traced.documents) {
      const document = documents[row] // both shards count their documents from 0
      assert.equal(shard, 'a.parquet')
      assert.equal(id, idOf(row))
      assert.ok(source !== undefined)
      const candidates = [document, documents[row + 50]].filter((candidate) => candidate?.tokens.length === tokens)
      assert.ok(candidates.some((candidate) => options.decode(candidate.tokens).startsWith(text)))
      const uses = await traceDocument(run, id, options)
      assert.ok(uses.some(({ steps }) => steps.some((used) => used.step === step)))
    }
  }
})

test('a document that is held out is in no step, and says so', async () => {
  const heldOut = documents.slice(0, 50).findIndex((_, row) => sampleFraction(idOf(row), 'validation') < 0.2)
  const uses = await traceDocument(run, idOf(heldOut), options)
  assert.ok(uses.length > 0)
  for (const { isHeldOut, steps } of uses) assert.deepEqual([isHeldOut, steps.length], [true, 0])
})

test('after a rollback a step is told each time that it ran, with why it was left out', async () => {
  const copy = join(folder.path, 'rolled-back')
  await mkdir(copy)
  const [start] = (await readFile(join(run, 'log.jsonl'), 'utf8')).split('\n')
  const step = (line: object) => JSON.stringify({ loss: 2, gradientNorm: 1, learningRate: 1e-3, ...line })
  const lines = [
    start,
    step({ event: 'step', step: 1, seenTokens: 9, tokensPerSecond: 9, documents: { 0: [4] } }),
    step({ event: 'skip', step: 2, reason: 'loss NaN', loss: null, documents: { 0: [5], 1: [3] } }),
    JSON.stringify({ event: 'rollback', step: 2, to: 1 }),
    step({ event: 'step', step: 2, seenTokens: 18, tokensPerSecond: 9, documents: { 0: [6] } }),
    '{"event":"step","step":3,"seen',
  ]
  await writeFile(join(copy, 'log.jsonl'), lines.join('\n'))
  const attempts = await traceStep(copy, 2, options)
  assert.deepEqual(
    attempts.map(({ isTakenBack, skipped, documents }) => [isTakenBack, skipped, documents.map(({ row }) => row)]),
    [
      [true, 'loss NaN', [5, 3]],
      [false, undefined, [6]],
    ],
  )
  const [{ steps }] = await traceDocument(copy, idOf(5), options)
  assert.deepEqual(
    steps.map(({ step, skipped, isTakenBack }) => [step, skipped, isTakenBack]),
    [[2, 'loss NaN', true]],
  )
})

test('examples are traced to their records', async () => {
  const copy = join(folder.path, 'examples')
  await mkdir(copy)
  const file = join(copy, 'reviews.jsonl')
  await writeFile(file, '{"text": "good", "label": "yes"}\nnot JSON\n{"id": 7, "text": "bad", "label": "no"}\n')
  const start = {
    event: 'start',
    step: 0,
    shards: ['reviews.jsonl'],
    inputs: [file],
    parameters: 1,
    settings: { steps: 1, objective: 'classify' },
  }
  const step = {
    event: 'step',
    step: 1,
    seenTokens: 9,
    loss: 1,
    gradientNorm: 1,
    learningRate: 1,
    tokensPerSecond: 9,
    documents: { 0: [2] },
  }
  await writeFile(join(copy, 'log.jsonl'), `${JSON.stringify(start)}\n${JSON.stringify(step)}\n`)
  const [{ documents: found }] = await traceStep(copy, 1, options)
  assert.deepEqual(found, [{ shard: 'reviews.jsonl', row: 2, id: '7', text: 'bad → no' }])
  const [{ steps }] = await traceDocument(copy, '7', options)
  assert.equal(steps.length, 1)
})

test('steps, documents and shards that are not there are refused', async () => {
  await assert.rejects(traceStep(run, 13, options), code('SLUICE_TRACE_STEP'))
  await assert.rejects(traceDocument(run, 'https://example.org/none', options), code('SLUICE_TRACE_DOCUMENT'))
  await assert.rejects(traceStep(folder.path, 1, options), code('SLUICE_TRAIN_LOG_MISSING'))
  const begun = join(folder.path, 'begun')
  await mkdir(begun)
  await writeFile(join(begun, 'log.jsonl'), '')
  await assert.rejects(traceStep(begun, 1, options), code('SLUICE_TRAIN_LOG_EMPTY'))
  await writeFile(join(begun, 'log.jsonl'), `${(await readFile(join(run, 'log.jsonl'), 'utf8')).split('\n')[0]}\n`)
  await assert.rejects(traceStep(begun, 1, options), { code: 'SLUICE_TRACE_STEP', fix: /none so far/ })
  await assert.rejects(traceStep(run, 1, { ...options, inputs: [join(folder.path, 'web')] }), code('SLUICE_TRACE_INPUTS'))
  await rename(join(folder.path, 'web'), join(folder.path, 'moved'))
  await assert.rejects(traceStep(run, 1, options), code('SLUICE_TRACE_INPUTS'))
  const inputs = ['moved', 'code'].map((name) => join(folder.path, name))
  const shard = (await readdir(inputs[0])).filter((name) => name.endsWith('.parquet'))[0]
  const fewer = join(folder.path, 'fewer')
  await mkdir(fewer)
  await writeShard(join(fewer, shard), [])
  await assert.rejects(traceStep(run, 1, { ...options, inputs: [fewer, inputs[1]] }), code('SLUICE_TRACE_INPUTS'))
  assert.equal((await traceStep(run, 1, { ...options, inputs })).length, 1)
})
