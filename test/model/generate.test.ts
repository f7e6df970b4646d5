import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type DecoderConfig, decoderConfig, encoderDecoderConfig, modelConfig } from '../../src/model/config.ts'
import { generate, generateTexts, sample } from '../../src/model/generate.ts'
import { createInference } from '../../src/model/inference.ts'
import { createReader } from '../../src/model/reader.ts'
import { createSequenceInference } from '../../src/model/sequence.ts'
import { createTrainable, type Trainable } from '../../src/model/trainable.ts'
import { distance } from '../tensor/harness.ts'
import { adamw, noiseBatch } from './batches.ts'

const shape = { vocabularySize: 41, contextLength: 16, layers: 2, width: 32, heads: 4 }
const llama = decoderConfig.parse({ ...shape, kvHeads: 2 })
const gpt2 = decoderConfig.parse({ ...shape, norm: 'layernorm', positions: 'learned', activation: 'gelu_tanh', biases: true })

const train = (config = llama, rows = 1) => createTrainable(config, { rows, length: 16, threads: 1, seed: 1 })

async function collect(tokens: AsyncIterable<number>): Promise<number[]> {
  const all: number[] = []
  for await (const token of tokens) all.push(token)
  return all
}

/** Larger weights, so that attention looks somewhere. */
async function sharp(config: DecoderConfig, rows = 1): Promise<Trainable> {
  const model = await createTrainable(config, { rows, length: config.contextLength, threads: 1, seed: 1 })
  for (const { name, shape } of model.parameters)
    if (shape.length > 1)
      model.write(
        'weights',
        name,
        model.read('weights', name).map((w) => 6 * w),
      )
  return model
}

const features = {
  llama,
  gpt2,
  alibi: decoderConfig.parse({ ...shape, positions: 'alibi', norm: 'layernorm', activation: 'gelu_tanh' }),
  'llama with windows and capped scores': decoderConfig.parse({
    ...shape,
    kvHeads: 2,
    windows: [0, 5],
    attentionSoftcap: 2,
  }),
  'qwen3 with capped logits': decoderConfig.parse({ ...shape, kvHeads: 2, headSize: 6, qkNorm: true, logitSoftcap: 1.5 }),
}

for (const [name, config] of Object.entries(features))
  test(`${name}: logits with a cache are those of the full forward pass, however the tokens come`, async () => {
    const model = await sharp(config)
    const reader = await createReader(model, { rows: 1, length: 16 })
    const inference = await createInference(model, { rows: 3 })
    const { ids } = noiseBatch(1, 16, 41)
    const expected = reader.logits({ ...noiseBatch(1, 16, 41), ids })
    for (const cuts of [[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], [16], [5, 1, 1, 7, 2]]) {
      for (let row = 0; row < 3; row++) inference.reset(row)
      let at = 0
      for (const count of cuts) {
        // the first row is all there is at once, the last one waits
        const part = [...ids.subarray(at, at + count)]
        const logits = inference.next([at === 0 ? [...ids] : [], part, []])
        at += count
        assert.ok(distance(logits.subarray(41, 82), expected.subarray((at - 1) * 41, at * 41)) < 1e-4, `row 1 after ${at} tokens`)
        assert.ok(distance(logits.subarray(0, 41), expected.subarray(15 * 41)) < 1e-4, `row 0 after ${at} tokens`)
      }
      assert.deepEqual(inference.positions, [16, 16, 0])
      assert.throws(() => inference.next([[], [1], []]), { code: 'SLUICE_MODEL_CONTEXT' })
    }
    await Promise.all([inference.dispose(), reader.dispose(), model.dispose()])
  })

for (const activation of ['relu', 'geglu_tanh'] as const)
  test(`an encoder-decoder with ${activation}: logits token by token are those of the whole pair, whatever the other row does`, async () => {
    const size = { ...shape, headSize: 6, buckets: 8, maxDistance: 6, activation, tiedEmbeddings: activation === 'relu' }
    const config = encoderDecoderConfig.parse({ architecture: 'encoder-decoder', ...size })
    const model = await createTrainable(config, { rows: 1, length: 16, threads: 1, seed: 1 })
    const reader = await createReader(model, { rows: 1, length: 16, targetLength: 16 })
    const inference = await createSequenceInference(model, { rows: 2, length: 12, context: 10 })
    const words = [...noiseBatch(1, 16, 41, 2).ids]
    const read = (source: readonly number[], target: readonly number[]) => {
      const ones = (length: number, value: number) => new Int32Array(length).fill(value)
      const [S, T] = [source.length, target.length]
      return reader.logits({
        kind: 'pairs',
        rows: 1,
        source: { length: S, ids: Int32Array.from(source), lo: ones(S, 0), hi: ones(S, S) },
        target: { length: T, ids: Int32Array.from(target), targets: ones(T, -1), lo: ones(T, 0), crossLo: ones(T, 0), crossHi: ones(T, S) },
      })
    }
    const last = (logits: Float32Array) => logits.subarray(logits.length - 41)
    // of a longer source its first tokens and its last one are read
    const sources = [words, words.slice(0, 5)]
    const seen = [[...words.slice(0, 11), words[15]], sources[1]]
    const targets = sources.map((source, row) => [...inference.begin(row, source)])
    inference.next([[0], []])
    for (const [i, token] of words.slice(3, 12).entries()) {
      const logits = inference.next(i === 0 ? [[token], [0, token]] : [[token], i === 4 ? [] : [token]])
      targets.forEach((target, row) => {
        if (i !== 4 || row === 0) target.push(token)
        const expected = last(read(seen[row], target))
        assert.ok(distance(logits.subarray(row * 41, (row + 1) * 41), expected) < 1e-4, `row ${row} after ${target.length} tokens`)
      })
    }
    assert.deepEqual(inference.positions, [10, 9])
    assert.throws(() => inference.next([[1], []]), { code: 'SLUICE_MODEL_CONTEXT' })
    await Promise.all([inference.dispose(), reader.dispose(), model.dispose()])
  })

for (const architecture of ['decoder', 'encoder-decoder'] as const)
  test(`a ${architecture} with a context of one token writes, and three hundred rows at once`, async () => {
    const config = modelConfig.parse({ architecture, vocabularySize: 41, contextLength: 1, layers: 6, width: 8, heads: 2 })
    const model = await createTrainable(config, { rows: 1, length: 1, threads: 1, seed: 1 })
    const prompts = Array.from({ length: 310 }, (_, i) => [i % 41, 3])
    const events = await Array.fromAsync(generateTexts(model, prompts, { maxTokens: 3, batch: 300 }))
    assert.equal(events.length, 310 * 4)
    await model.dispose()
  })

test('a prompt of several passes has the logits of the full forward pass', async () => {
  const config = decoderConfig.parse({ ...shape, contextLength: 301 })
  const model = await sharp(config)
  const reader = await createReader(model, { rows: 1, length: 301 })
  const inference = await createInference(model, { rows: 2 })
  const batch = noiseBatch(1, 301, 41)
  const logits = inference.next([[...batch.ids], [...batch.ids.subarray(0, 140)]])
  const expected = reader.logits(batch)
  assert.ok(distance(logits.subarray(0, 41), expected.subarray(300 * 41)) < 1e-4)
  assert.ok(distance(logits.subarray(41), expected.subarray(139 * 41, 140 * 41)) < 1e-4)
  await Promise.all([inference.dispose(), reader.dispose(), model.dispose()])
})

test('texts that are written together are those that are written alone, more of them than rows, with prompts of all lengths', async () => {
  const model = await sharp(llama)
  const prompts = [[1, 2, 3], [4], [5, 6, 7, 8, 9, 10, 11, 12, 13, 14], [7, 7], [30, 31, 32, 33, 34], [2]]
  const options = { maxTokens: 25, temperature: 0.7, stop: [17, 23] }
  const texts: number[][] = prompts.map(() => [])
  const ends: string[] = []
  for await (const event of generateTexts(model, prompts, { ...options, batch: 4 }))
    if ('token' in event) texts[event.text].push(event.token)
    else ends[event.text] = event.end
  for (const [text, prompt] of prompts.entries()) {
    assert.deepEqual(texts[text], await collect(generate(model, prompt, { ...options, text })), `text ${text}`)
    assert.equal(ends[text], texts[text].length === 25 ? 'length' : 'stop')
  }
  assert.ok(ends.includes('stop') && ends.includes('length'), ends.join())
  assert.deepEqual(await Array.fromAsync(generateTexts(model, [])), [])
  await model.dispose()
})

test('a model that learned a sequence by heart recites it, and stops where it is told', async () => {
  const batch = noiseBatch(1, 16, 41)
  const model = await train()
  for (let step = 1; step <= 100; step++) {
    model.accumulate(batch, 15)
    model.step({ ...adamw, step })
  }
  const [first, ...rest] = batch.ids
  const greedy = { maxTokens: 15, temperature: 0 }
  assert.deepEqual(await collect(generate(model, [first], greedy)), rest)
  assert.deepEqual(await collect(generate(model, [first], { ...greedy, stop: [rest[4]] })), rest.slice(0, 4))
  const weights = new Map(model.parameters.map(({ name }) => [name, model.read('weights', name)]))
  assert.deepEqual(await collect(generate({ config: llama, weights }, [first], greedy)), rest)
  await model.dispose()
})

test('the same seed gives the same text, another seed another; a text may outgrow the context', async () => {
  const model = await train()
  const draw = (seed: number) => collect(generate(model, [1, 2, 3], { maxTokens: 40, temperature: 1, seed }))
  const text = await draw(1)
  assert.equal(text.length, 40)
  assert.deepEqual(await draw(1), text)
  assert.notDeepEqual(await draw(2), text)
  await model.dispose()
})

test('a prompt longer than the context counts from its end', async () => {
  const model = await train()
  const greedy = { maxTokens: 1, temperature: 0 }
  const long = Array.from({ length: 50 }, (_, i) => (i * 7) % 41)
  assert.deepEqual(await collect(generate(model, long, greedy)), await collect(generate(model, long.slice(-16), greedy)))
  await model.dispose()
})

test('sampling follows temperature, topK, topP and minP', () => {
  const logits = Float32Array.of(1, 3, 2, 0).map((x) => x * Math.LN2) // probabilities 2:8:4:1
  const whole = { temperature: 1, topK: 0, topP: 1, minP: 0 }
  const counts = (options: typeof whole) => {
    const found = [0, 0, 0, 0]
    for (let i = 0; i < 1500; i++) found[sample(logits, options, (i + 0.5) / 1500)]++
    return found
  }
  assert.deepEqual(counts(whole), [200, 800, 400, 100])
  assert.deepEqual(counts({ ...whole, topK: 2 }), [0, 1000, 500, 0])
  assert.deepEqual(counts({ ...whole, topP: 0.79 }), [0, 1000, 500, 0]) // 8/15 is too little, 12/15 enough
  assert.deepEqual(counts({ ...whole, minP: 0.4 }), [0, 1000, 500, 0]) // a quarter of the likeliest is too little
  assert.deepEqual(counts({ ...whole, minP: 1 }), [0, 1500, 0, 0])
  assert.deepEqual(counts({ ...whole, topK: 3, topP: 0.9 }), [214, 857, 429, 0]) // of 14 that are left 12 are too little
  assert.deepEqual(counts({ ...whole, temperature: 0 }), [0, 1500, 0, 0])
  assert.ok(counts({ ...whole, temperature: 0.5 })[1] > 1100)
})

test('what may be drawn is the same as when the whole vocabulary is sorted', () => {
  const draw = fc.record({
    logits: fc.array(fc.float({ min: -30, max: 5, noNaN: true }), { minLength: 1, maxLength: 60 }),
    topK: fc.integer({ min: 0, max: 70 }),
    topP: fc.double({ min: 0.01, max: 1, noNaN: true }),
    minP: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1, noNaN: true })),
    draw: fc.double({ min: 0, max: 0.999, noNaN: true }),
  })
  fc.assert(
    fc.property(draw, ({ logits, topK, topP, minP, draw }) => {
      const values = Float32Array.from(logits)
      const top = Math.max(...values)
      const weight = (token: number) => Math.exp(values[token] - top)
      let order = [...values.keys()].sort((a, b) => weight(b) - weight(a) || a - b)
      if (topK > 0) order = order.slice(0, topK)
      const total = order.reduce((sum, token) => sum + weight(token), 0)
      const before = (rank: number) => order.slice(0, rank).reduce((sum, token) => sum + weight(token), 0)
      const allowed = order.filter(
        (token, rank) => weight(token) >= minP && (rank === 0 || topP === 1 || before(rank) < topP * total + 1e-12),
      )
      assert.ok(allowed.includes(sample(values, { temperature: 1, topK, topP, minP }, draw)))
    }),
  )
})

test('a penalty for repetition breaks a loop, and the texts of one seed differ', async () => {
  const model = await train()
  const greedy = { maxTokens: 30, temperature: 0 }
  const [loop, free] = [
    await collect(generate(model, [1], greedy)),
    await collect(generate(model, [1], { ...greedy, repetitionPenalty: 10 })),
  ]
  assert.ok(new Set(free).size > new Set(loop).size, `${new Set(free).size} different tokens, ${new Set(loop).size} without`)
  const text = (ordinal: number) => collect(generate(model, [1], { maxTokens: 20, temperature: 1, text: ordinal }))
  assert.deepEqual(await text(3), await text(3))
  assert.notDeepEqual(await text(3), await text(4))
  await model.dispose()
})

test('an empty prompt, unknown tokens and weights of another model are refused', async () => {
  const model: Trainable = await train()
  await assert.rejects(collect(generate(model, [])), { code: 'SLUICE_MODEL_PROMPT' })
  await assert.rejects(collect(generate(model, [41])), { code: 'SLUICE_MODEL_TOKEN' })
  await assert.rejects(collect(generate(model, [1.5])), { code: 'SLUICE_MODEL_TOKEN' })
  await assert.rejects(createInference(model, { rows: 0 }), RangeError)
  await assert.rejects(collect(generate({ config: gpt2, weights: new Map() }, [1])), { code: 'SLUICE_MODEL_PARAMETER' })
  await model.dispose()
})
