import assert from 'node:assert/strict'
import { test } from 'node:test'
import koffi from 'koffi'
import { decoderConfig } from '../../../src/model/config.ts'
import { createTrainable, type Trainable } from '../../../src/model/trainable.ts'
import { adamw, noiseBatch } from '../../model/batches.ts'
import { noEmulator } from './emulator.ts'
import { buildStub, stubOptions } from './stub.ts'
import { cudaOptions, noCuda } from './under-test.ts'

const config = decoderConfig.parse({ vocabularySize: 37, contextLength: 12, layers: 1, width: 16, heads: 2 })
const shape = { rows: 2, length: 11, threads: 1, seed: 5 }
const batches = Array.from({ length: 40 }, (_, seed) => noiseBatch(2, 11, 37, seed))

/** Steps of so many passes, as the training loop takes them: each announces the batch after it. */
function steps(model: Trainable, passes: number, count: number, between = (_: 'passes' | 'step') => {}): number[] {
  return Array.from({ length: count }, (_, index) => {
    const from = index * passes
    for (const batch of batches.slice(from, from + passes)) model.backpropagate(batch, 44)
    model.announce(batches[from + passes])
    between('passes')
    const { lossSum, gradientNorm } = model.step({ ...adamw, step: index + 1 })
    between('step')
    return [lossSum, gradientNorm]
  }).flat()
}

async function stepsOn(device: 'cpu' | ReturnType<typeof cudaOptions>, passes: number): Promise<number[]> {
  const model = await createTrainable(config, { ...shape, device })
  const figures = steps(model, passes, 3)
  await model.dispose()
  return figures
}

for (const passes of [1, 2, 3, 7])
  test(`steps of ${passes} passes, each with the next batch on its way, follow the CPU's`, { skip: noCuda }, async () => {
    const [once, expected] = [await stepsOn(cudaOptions('f32'), passes), await stepsOn('cpu', passes)]
    const error = Math.max(...expected.map((value, index) => Math.abs(once[index] - value) / Math.abs(value)))
    assert.ok(error < 1e-5, `off by ${error}`)
  })

for (const passes of [1, 2])
  test(`in a step of ${passes === 1 ? 'one pass' : 'two passes'} the host waits for its report alone`, { skip: noEmulator }, async () => {
    const waits = koffi.load(buildStub()).func('int stubWaits()')
    const model = await createTrainable(config, { ...shape, device: stubOptions('bf16') })
    steps(model, passes, 2)
    let before: number = waits()
    const seen: [string, number][] = []
    steps(model, passes, 2, (after) => {
      const now: number = waits()
      seen.push([after, now - before])
      before = now
    })
    assert.deepEqual(seen, [
      ...[0, 1].flatMap((): [string, number][] => [
        ['passes', 0],
        ['step', 1],
      ]),
    ])
    await model.dispose()
  })

test('a batch is uploaded from pinned memory on a stream of its own, which waits until its place was read; the step waits for it', {
  skip: noEmulator,
}, async () => {
  const calls = koffi.load(buildStub()).func('const char *stubCalls()')
  const model = await createTrainable(config, { ...shape, device: stubOptions('f32') })
  steps(model, 1, 4)
  calls()
  model.announce(batches[20]) // passed over: the one after the fourth step waits
  assert.equal(calls(), '')
  model.backpropagate(batches[4], 44)
  const taking: string = calls()
  const [, own, taken] = /^wait (\d+) \d+\n(?:copy \1\n){4}record \1 (\d+)\ngraph \1\n$/.exec(taking) ?? assert.fail(taking)
  model.announce(batches[20])
  const sending: string = calls()
  const [, copies, other] = /^wait (\d+) (\d+)\nupload \1\nrecord \1 \d+\n$/.exec(sending) ?? assert.fail(sending)
  assert.notEqual(copies, own)
  assert.notEqual(other, taken, 'the slot that was just taken was sent again, the free one was not')
  model.step({ ...adamw, step: 5 })
  const ending: string = calls()
  assert.match(
    ending,
    new RegExp(
      `^wait ${copies} \\d+\nupload ${copies}\nrecord ${copies} \\d+\nwait ${own} \\d+\n(copy ${own}\n)+record ${own} \\d+\ngraph ${own}\ndownload ${own}\n$`,
    ),
  )
  assert.doesNotMatch(taking + sending + ending, /unpinned/)
  await model.dispose()
})

test('a batch on its way outlasts evaluations, and its pass reads it', { skip: noCuda }, async () => {
  const model = await createTrainable(config, { ...shape, device: cudaOptions('f32') })
  const plain = batches.slice(0, 3).map((batch) => model.evaluate(batch).loss)
  model.announce(batches[0])
  assert.deepEqual(
    [batches[1], batches[2], batches[1]].map((batch) => model.evaluate(batch).loss),
    [plain[1], plain[2], plain[1]],
  )
  assert.equal(model.accumulate(batches[0], 1).lossSum / 20, plain[0])
  assert.equal(model.evaluate(batches[0]).loss, plain[0])
  await model.dispose()
})

test('a batch that the model cannot read is refused in its pass, not when it is announced', { skip: noCuda }, async () => {
  const model = await createTrainable(config, { ...shape, device: cudaOptions('f32') })
  const plain = model.evaluate(batches[0]).loss
  const bad = noiseBatch(2, 11, 1000)
  model.announce(bad)
  assert.throws(() => model.backpropagate(bad, 44), { code: 'SLUICE_MODEL_BATCH' })
  model.announce(batches[0])
  assert.equal(model.evaluate(batches[0]).loss, plain)
  await model.dispose()
})
