// Laws of scale are found again in losses that were made from them, with and without noise.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fitPowerLaw, predict, weighPoints } from '../../src/train/power-law.ts'

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
      const { low, loss, high } = predict(points, 1e17)
      assert.ok(low > loss - 1e-2 && high < loss + 1e-2)
    }),
    { numRuns: 50 },
  )
})

test('nine in ten runs of twenty times the compute end in the interval, for few and many points and any noise', () => {
  for (const { count, noise } of [
    { count: 4, noise: 0.005 },
    { count: 6, noise: 0.01 },
    { count: 12, noise: 0.002 },
  ]) {
    const law = (x: number) => 1.8 + 3 * (x / 1e12) ** -0.15
    let covered = 0
    for (let seed = 1; seed <= 50; seed++) {
      const next = noiseOf(seed)
      const measured = (x: number) => ({ x, loss: law(x) * (1 + noise * next()) })
      const { low, high } = predict(
        Array.from({ length: count }, (_, i) => measured(1e12 * 2 ** (i % 6))),
        6e14,
      )
      const { loss } = measured(6e14)
      if (low <= loss && loss <= high) covered++
    }
    // 45 of 50 in the mean, with a standard deviation of 2.1
    assert.ok(covered >= 38, `${covered} of 50 with ${count} points`)
  }
})

test('four points on a line through noise promise nothing far away', () => {
  const points = sizes.slice(0, 4).map((x, i) => ({ x, loss: 4 + 0.3 * (i % 2) }))
  const { low, high } = predict(points, 1e17)
  assert.ok(high > 1.5 * low, `${low} to ${high}`)
})

test('of eight points and more, one that is far off does not bend the law', () => {
  const law = (x: number) => 1.8 + 3 * (x / 1e12) ** -0.15
  const noise = noiseOf(1)
  const points = [...sizes, ...sizes].map((x, i) => ({ x, loss: law(x) * (1 + 0.002 * noise()) * (i === 9 ? 1.06 : 1) }))
  const weighted = weighPoints(points)
  assert.ok(weighted.every(({ weight }, i) => (i === 9 ? weight < 0.01 : weight > 0.1)))
  const [plain, robust] = [points, weighted].map((of) => predict(of, 1e17))
  assert.ok(robust.low <= law(1e17) && law(1e17) <= robust.high)
  assert.ok(robust.high - robust.low < (plain.high - plain.low) / 3)
  assert.ok(weighPoints(points.slice(0, 7)).every(({ weight }) => weight === 1))
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
