// Small real tasks, one an architecture: learned on some examples, judged on others.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PairBatch, PickedBatch } from '../../src/model/batch.ts'
import { createClassifier, firstTokens } from '../../src/model/classify.ts'
import { encoderConfig, encoderDecoderConfig } from '../../src/model/config.ts'
import { generateTexts } from '../../src/model/generate.ts'
import type { Inference } from '../../src/model/inference.ts'
import { createSequenceInference } from '../../src/model/sequence.ts'
import { createTrainable, type Trainable } from '../../src/model/trainable.ts'
import { uniform } from '../../src/tensor/rng.ts'
import { adamw } from './batches.ts'

const numbers = (count: number, limit: number, seed: number) =>
  Array.from({ length: count }, (_, i) => Math.floor(uniform(seed, 1, 0, i) * limit))

/** Texts of 5 to 12 of the tokens 2–9 behind the token 1; the label says whether there are more low ones than high ones. */
function labelledText(seed: number): { text: number[]; label: number } {
  const [count] = numbers(1, 8, seed)
  const words = numbers(5 + count, 8, seed + 1000)
  return { text: [1, ...words.map((word) => word + 2)], label: Number(2 * words.filter((word) => word < 4).length > words.length) }
}

for (const normPlace of ['pre', 'post'] as const)
  test(`an encoder with norms ${normPlace} learns to classify texts it has not seen`, async () => {
    const config = encoderConfig.parse({
      architecture: 'encoder',
      ...{ vocabularySize: 10, contextLength: 13, layers: 2, width: 32, heads: 2, labels: 2, normPlace },
    })
    const model = await createTrainable(config, { rows: 32, length: 13, threads: 1, seed: 1 })
    const batchAt = (step: number): PickedBatch => {
      const examples = Array.from({ length: 32 }, (_, i) => labelledText(step * 32 + i))
      return {
        ...firstTokens(
          examples.map(({ text }) => text),
          13,
        ),
        targets: Int32Array.from(examples, ({ label }) => label),
      }
    }
    for (let step = 1; step <= 150; step++) {
      model.accumulate(batchAt(step), 32)
      model.step({ ...adamw, step })
    }
    const classifier = await createClassifier(model, { rows: 7 })
    const unseen = Array.from({ length: 100 }, (_, i) => labelledText(100_000 + i))
    const predictions = classifier.predict(unseen.map(({ text }) => text))
    const right = predictions.filter(({ label }, i) => label === unseen[i].label).length
    assert.ok(right >= 95, `${right} of 100`)
    for (const { label, probabilities } of predictions) {
      assert.ok(Math.abs(probabilities.reduce((a, b) => a + b, 0) - 1) < 1e-5)
      assert.ok(probabilities[label] >= 0.5)
    }
    assert.throws(() => classifier.predict([[]]), { code: 'SLUICE_MODEL_PROMPT' })
    await Promise.all([classifier.dispose(), model.dispose()])
  })

const END = 1
const translation = encoderDecoderConfig.parse({
  architecture: 'encoder-decoder',
  ...{ vocabularySize: 12, contextLength: 8, layers: 1, width: 48, heads: 4, buckets: 8, maxDistance: 8 },
})

/** 3 to 6 of the tokens 2–11, to be written from the last to the first. */
function sentence(seed: number): number[] {
  const [count] = numbers(1, 4, seed)
  return numbers(3 + count, 10, seed + 5000).map((word) => word + 2)
}

function pairs(sentences: readonly number[][]): PairBatch {
  const rows = sentences.length
  const length = 8
  const array = (value: (position: number, words: number[], row: number) => number) =>
    Int32Array.from({ length: rows * length }, (_, i) => value(i % length, sentences[Math.floor(i / length)], i))
  const sees = (t: number, words: number[]) => t <= words.length
  return {
    kind: 'pairs',
    rows,
    source: {
      length,
      ids: array((t, words) => words[t] ?? END),
      lo: array((t, words) => (sees(t, words) ? 0 : t)),
      hi: array((t, words) => (sees(t, words) ? words.length + 1 : t + 1)),
    },
    target: {
      length,
      ids: array((t, words) => (t === 0 ? 0 : (words.toReversed()[t - 1] ?? END))),
      targets: array((t, words) => (sees(t, words) ? (words.toReversed()[t] ?? END) : -1)),
      lo: array((t, words) => (sees(t, words) ? 0 : t)),
      crossLo: array(() => 0),
      crossHi: array((_, words) => words.length + 1),
    },
  }
}

/** What is written from each source, END left out. */
async function write(model: Trainable | Inference, sources: readonly number[][], batch: number): Promise<number[][]> {
  const written = sources.map((): number[] => [])
  const options = { maxTokens: 8, temperature: 0, stop: [END], batch }
  for await (const event of generateTexts(model, sources, options)) if ('token' in event) written[event.text].push(event.token)
  return written
}

test('an encoder-decoder learns to write unseen sources backwards, several rows at once', async () => {
  const model = await createTrainable(translation, { rows: 32, length: 8, threads: 1, seed: 1 })
  const steps = 500
  for (let step = 1; step <= steps; step++) {
    const batch = pairs(Array.from({ length: 32 }, (_, i) => sentence(step * 32 + i)))
    model.accumulate(batch, batch.target.targets.filter((target) => target >= 0).length)
    model.step({ ...adamw, learningRate: 0.01 * Math.min(1, step / 20) * (1 - step / steps), step })
  }
  const unseen = Array.from({ length: 20 }, (_, i) => sentence(1_000_000 + i))
  const sources = unseen.map((words) => [...words, END])
  const written = await write(model, sources, 6)
  const right = written.filter((words, i) => words.join() === unseen[i].toReversed().join()).length
  assert.ok(right >= 19, `${right} of 20`)
  // a row that is used again has forgotten what it read and wrote
  const inference = await createSequenceInference(model)
  for (const i of [3, 4]) assert.deepEqual(await write(inference, [sources[i]], 1), [written[i]])
  await assert.rejects(write(inference, [[]], 1), { code: 'SLUICE_MODEL_PROMPT' })
  await assert.rejects(write(inference, [[12]], 1), { code: 'SLUICE_MODEL_TOKEN' })
  await Promise.all([inference.dispose(), model.dispose()])
})

test('a text that is cut keeps the token that ends it', () => {
  const { length, ids } = firstTokens(
    [
      [1, 2, 3, 4, 9],
      [1, 9],
    ],
    4,
  )
  assert.deepEqual([length, [...ids]], [4, [1, 2, 3, 9, 1, 9, 0, 0]])
})

test('positions of a batch see nothing of the padding behind it', async () => {
  const encoder = encoderConfig.parse({ architecture: 'encoder', vocabularySize: 9, contextLength: 8, layers: 1, width: 8, heads: 1 })
  const model = await createTrainable(encoder, { rows: 2, length: 8, threads: 1, seed: 1 })
  const four = { rows: 1, length: 4, ids: new Int32Array(4), lo: new Int32Array(4) }
  const picked = { kind: 'picked' as const, ...four, picked: Int32Array.of(0), targets: Int32Array.of(1) }
  assert.ok(model.evaluate({ ...picked, hi: new Int32Array(4).fill(4) }).loss > 0)
  assert.throws(() => model.evaluate({ ...picked, hi: new Int32Array(4).fill(6) }), { code: 'SLUICE_MODEL_BATCH' })
  assert.throws(() => model.evaluate({ ...picked, hi: new Int32Array(4).fill(4), types: new Int32Array(3) }), {
    code: 'SLUICE_MODEL_BATCH',
  })
  await model.dispose()

  const writer = await createTrainable(translation, { rows: 2, length: 8, threads: 1, seed: 1 })
  const { source, target } = pairs([[2, 3]])
  const short = { length: 4, ids: source.ids.slice(0, 4), lo: source.lo.slice(0, 4), hi: source.hi.slice(0, 4) }
  assert.ok(writer.evaluate({ kind: 'pairs', rows: 1, source: short, target }).loss > 0)
  const beyond = [
    { source: { ...short, hi: new Int32Array(4).fill(5) }, target },
    { source: short, target: { ...target, crossHi: new Int32Array(8).fill(5) } },
  ]
  for (const sides of beyond) assert.throws(() => writer.evaluate({ kind: 'pairs', rows: 1, ...sides }), { code: 'SLUICE_MODEL_BATCH' })
  await writer.dispose()
})

test('a model of another architecture is refused where labels or sources are needed', async () => {
  const refused = { code: 'SLUICE_MODEL_ARCHITECTURE' }
  const weights = { config: translation, weights: new Map<string, Float32Array>() }
  await assert.rejects(createClassifier(weights), refused)
  const masked = encoderConfig.parse({ architecture: 'encoder', vocabularySize: 9, contextLength: 4, layers: 1, width: 8, heads: 1 })
  await assert.rejects(createClassifier({ ...weights, config: masked }), refused)
  await assert.rejects(createSequenceInference({ ...weights, config: masked }), refused)
})
