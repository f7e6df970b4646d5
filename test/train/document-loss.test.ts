// What documents cost a trained model: against what training itself computes, and a planted passage is found.

import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { SluiceError } from '../../src/core/errors.ts'
import { modelConfig } from '../../src/model/config.ts'
import { createTrainable } from '../../src/model/trainable.ts'
import { restoreCheckpoint } from '../../src/train/checkpoint.ts'
import { createDocumentMeter } from '../../src/train/document-loss.ts'
import { randomUint32 } from '../../src/train/shuffle.ts'
import { traceStep } from '../../src/train/trace.ts'
import { train } from '../../src/train/train.ts'
import { markovDocuments, temporaryFolder, writeShard } from './corpora.ts'

const LENGTH = 32
const folder = await temporaryFolder()
const run = join(folder.path, 'run')
const documents = markovDocuments(90, 64, 1)

before(async () => {
  const model = join(folder.path, 'model.json')
  await writeFile(model, JSON.stringify({ contextLength: LENGTH, layers: 1, width: 32, heads: 2, logitSoftcap: 20 }))
  await writeShard(join(folder.path, 'a.parquet'), documents)
  const shards = join(folder.path, 'a.parquet')
  await train({ shards, out: run, model, steps: 40, batchTokens: 256, learningRate: 1e-2, saveEvery: 20, keep: 5, threads: 1 })
})
after(async () => await folder[Symbol.asyncDispose]())

test('a document costs what training would have made of it, by the weights before the step', async () => {
  for (const [step, used] of [
    [41, 40],
    [40, 20],
    [5, 20],
  ]) {
    await using meter = await createDocumentMeter(run, step)
    assert.equal(meter.step, used)
    const config = modelConfig.parse(JSON.parse(await readFile(join(run, `step-${used}`, 'config.json'), 'utf8')))
    const model = await createTrainable(config, { rows: 1, length: LENGTH, threads: 1, seed: 1 })
    await restoreCheckpoint(join(run, `step-${used}`), model)
    const { tokens } = documents[7]
    let sum = 0
    for (let from = 0; from + 1 < tokens.length; from += LENGTH) {
      const length = Math.min(LENGTH, tokens.length - 1 - from)
      const ids = Int32Array.from({ length }, (_, i) => tokens[from + i])
      const targets = Int32Array.from({ length }, (_, i) => tokens[from + i + 1])
      sum += length * model.evaluate({ kind: 'tokens', rows: 1, length, ids, targets, lo: new Int32Array(length) }).loss
    }
    await model.dispose()
    assert.ok(Math.abs(meter.measure(tokens).loss - sum / (tokens.length - 1)) < 1e-4)
  }
})

test('the worst passage of a document is the one that is not like the others', async () => {
  await using meter = await createDocumentMeter(run, 41)
  const usual = documents.slice(0, 6).flatMap(({ tokens }) => [...tokens])
  const random = randomUint32(5)
  const strange = Array.from({ length: 60 }, () => 1 + (random() % 63))
  const at = 150
  const { loss, worst } = meter.measure([...usual.slice(0, at), ...strange, ...usual.slice(at)])
  assert.ok(worst.from >= at - 5 && worst.to <= at + 65, `${worst.from} to ${worst.to}`)
  assert.ok(worst.loss > loss + 0.3 && loss > meter.measure(usual).loss)
  assert.deepEqual(meter.measure([3]), { loss: 0, worst: { loss: 0, from: 0, to: 0 } })
})

test('a traced step carries the losses of its documents', async () => {
  await using meter = await createDocumentMeter(run, 30)
  const decode = (tokens: ArrayLike<number>) => Array.from(tokens).join(' ')
  const [{ documents: traced }] = await traceStep(run, 30, { decode, characters: 10, measure: meter.measure })
  for (const { loss, worst, row } of traced) {
    assert.ok(loss !== undefined && worst !== undefined && worst.loss >= loss - 1e-9)
    assert.ok(decode(documents[row].tokens).includes(worst.text))
  }
})

test('a run without a checkpoint is refused', async () => {
  const empty = join(folder.path, 'empty')
  await mkdir(empty)
  await assert.rejects(createDocumentMeter(empty, 1), (error) => error instanceof SluiceError && error.code === 'SLUICE_TRACE_LOSSES')
})
