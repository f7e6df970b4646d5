import assert from 'node:assert/strict'
import { test } from 'node:test'
import { learningRateAt, type Schedule, schedules } from '../../src/train/schedule.ts'

const base: Schedule = { schedule: 'cosine', learningRate: 0.01, finalShare: 0.1, warmupSteps: 10, steps: 110, decayShare: 0.2 }
const rate = (schedule: Schedule['schedule'], step: number) => learningRateAt({ ...base, schedule }, step)
const near = (actual: number, expected: number) => assert.ok(Math.abs(actual - expected) < 1e-9, `${actual}, expected ${expected}`)

test('every schedule rises linearly to its highest rate', () => {
  for (const kind of schedules) {
    near(rate(kind, 1), 0.001)
    near(rate(kind, 5), 0.005)
    near(rate(kind, 10), 0.01)
  }
})

test('half way, cosine and linear are half way down, and the last step has the final rate', () => {
  near(rate('cosine', 60), 0.0055)
  near(rate('linear', 60), 0.0055)
  for (const kind of ['cosine', 'linear', 'wsd'] as const) near(rate(kind, 110), 0.001)
  near(rate('constant', 110), 0.01)
})

test('wsd stays up until its last share of the steps', () => {
  near(rate('wsd', 88), 0.01)
  near(rate('wsd', 99), 0.01 * (0.1 + 0.9 * (1 - Math.sqrt(0.5))))
})

test('without a warm-up the first step already decays', () => {
  near(learningRateAt({ ...base, schedule: 'linear', warmupSteps: 0, steps: 4, finalShare: 0 }, 1), 0.0075)
})
