import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeSpike, largestNormal, remember } from '../../src/train/spikes.ts'

const noisy = Array.from({ length: 100 }, (_, i) => 3 + (i % 2 ? 0.1 : -0.1)) // mean 3, deviation about 0.1

test('what is far above the last values is a spike, what is a little above is not', () => {
  const most = largestNormal(noisy, 6)
  assert.ok(most > 3.55 && most < 3.65, `${most}`)
  assert.equal(largestNormal(noisy, 0), Number.MAX_VALUE)
})

test('with few values nothing is a spike', () => {
  assert.equal(largestNormal(noisy.slice(0, 63), 6), Number.MAX_VALUE)
  assert.ok(largestNormal(noisy.slice(0, 64), 6) < 4)
})

test('only the newest numbers are remembered, so that a new level becomes normal', () => {
  let values: number[] = noisy
  for (let i = 0; i < 128; i++) values = remember(values, 5)
  assert.deepEqual(values, new Array(128).fill(5))
  assert.deepEqual(remember([1], Number.NaN), [1])
})

test('a spike is put into words', () => {
  assert.equal(describeSpike('loss', Number.NaN, 3), 'loss NaN')
  assert.equal(describeSpike('loss', 9.3051, 4.1), 'loss 9.305, 4.100 is the most that is normal')
})
