// Laws of scale are found again in losses that were made from them, with and without noise.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fitPowerLaw, predict } from '../../src/train/power-law.ts'

const sizes = [1e12, 4e12, 1.6e13, 6.4e13, 2.56e14, 1e15]

test('the law that losses were made from is found, and what it says of a hundred times the budget', () => {
  fc.assert(
    fc.property(fc.double({ min: 0.5, max: 3, noNaN: true }), fc.double({ min: 0.05, max: 0.5, noNaN: true }), (floor, exponent) => {
      const law = (x: number) => floor + 3 * (x / 1e12) ** -exponent
      const points = sizes.map((x) => ({ x, loss: law(x) }))
      const fit = fitPowerLaw(points)
      assert.ok(Math.abs(fit.exponent / exponent - 1) < 1e-3, `exponent ${fit.exponent} of ${exponent}`)
      assert.ok(Math.abs(fit.floor - floor) < 1e-2)
      assert.ok(Math.abs(fit.at(1e17) / law(1e17) - 1) < 1e-3)
      assert.ok(predict(points, 1e17).error < 1e-2)
    }),
    { numRuns: 50 },
  )
})

test('errors cover what noise of half a per cent does to a prediction', () => {
  let covered = 0
  for (let seed = 1; seed <= 50; seed++) {
    const noise = noiseOf(seed)
    const law = (x: number) => 1.8 + 3 * (x / 1e12) ** -0.15
    const points = sizes.map((x) => ({ x, loss: law(x) * (1 + 0.005 * noise()) }))
    const { loss, error } = predict(points, 1e16)
    if (Math.abs(loss - law(1e16)) < 2 * error) covered++
  }
  assert.ok(covered >= 40, `${covered} of 50`)
})

test('losses that do not fall give a floor and no promise below it', () => {
  const fit = fitPowerLaw(sizes.map((x, i) => ({ x, loss: 2 + 0.1 * i })))
  assert.ok(fit.at(1e20) >= 1.9)
})

/** Twelve uniform numbers less six: nearly normal. */
function noiseOf(seed: number): () => number {
  let state = seed
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
  return () => Array.from({ length: 12 }, uniform).reduce((a, b) => a + b, -6)
}
