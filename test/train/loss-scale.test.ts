import assert from 'node:assert/strict'
import { test } from 'node:test'
import { afterGoodStep, afterOverflow, firstLossScale, isOverflow, type LossScale } from '../../src/train/loss-scale.ts'

test('the scale doubles after 2,000 good steps, halves on an overflow, and begins to count anew after both', () => {
  let scale: LossScale = firstLossScale
  for (let step = 0; step < 1999; step++) scale = afterGoodStep(scale)
  assert.deepEqual(scale, { value: 65536, goodSteps: 1999 })
  assert.deepEqual(afterGoodStep(scale), { value: 131072, goodSteps: 0 })
  assert.deepEqual(afterOverflow(scale), { value: 32768, goodSteps: 0 })
})

test('the scale stays from 1 to 2^32, and gradients of an unscaled loss that are no numbers are no overflow', () => {
  assert.equal(afterOverflow({ value: 1, goodSteps: 7 }).value, 1)
  assert.equal(afterGoodStep({ value: 2 ** 32, goodSteps: 1999 }).value, 2 ** 32)
  const of = (value: number) => ({ value, goodSteps: 0 })
  const cases = [isOverflow(of(2), Infinity), isOverflow(of(2), Number.NaN), isOverflow(of(2), 1e30)]
  assert.deepEqual([...cases, isOverflow(of(1), Infinity), isOverflow(undefined, Infinity)], [true, true, false, false, false])
})
