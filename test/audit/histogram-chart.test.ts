// The histograms of the report.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { hasShape, histogramChart, quantile } from '../../src/audit/histogram-chart.ts'
import type { Threshold } from '../../src/audit/thresholds.ts'
import { addValue, emptyHistogram, type Histogram } from '../../src/engine/histogram.ts'

function histogramOf(values: readonly number[]): Histogram {
  const histogram = emptyHistogram()
  for (const value of values) addValue(histogram, value)
  return histogram
}

interface Rect {
  side: string
  left: number
  right: number
  height: number
}

function rects(svg: string): Rect[] {
  return [...svg.matchAll(/<rect class="(\w+)" x="([^"]*)" y="([^"]*)" width="([^"]*)" height="([^"]*)"/g)].map(
    ([, side, x, , width, height]) => ({
      side,
      left: Number(x),
      right: Number(x) + Number(width),
      height: Number(height),
    }),
  )
}

const lineX = (svg: string) => Number(/class="threshold" x1="([^"]*)"/.exec(svg)?.[1])

test('what a threshold drops lies on its side of the line', () => {
  for (const drops of ['below', 'above'] as const) {
    const values = Array.from({ length: 1000 }, (_, i) => i / 1000)
    const svg = histogramChart('share', histogramOf(values), [{ option: 'limit', value: 0.3, drops }]).text
    const x = lineX(svg)
    const bars = rects(svg)
    assert.ok(bars.length > 20)
    for (const { side, left, right } of bars) {
      const isBelow = (left + right) / 2 < x
      assert.equal(side, isBelow === (drops === 'below') ? 'drops' : 'keeps')
    }
    assert.ok(bars.some(({ side }) => side === 'drops') && bars.some(({ side }) => side === 'keeps'))
  }
})

test('any values and thresholds give a picture inside its frame', () => {
  const value = fc.oneof(
    fc.constant(0),
    fc.double({ min: -1e12, max: 1e12, noNaN: true }),
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.nat(1000),
  )
  const threshold: fc.Arbitrary<Threshold> = fc.record({
    option: fc.constant('limit'),
    value: fc.oneof(fc.double({ min: 1e-9, max: 1, noNaN: true }), fc.double({ min: 1, max: 1e9, noNaN: true })),
    drops: fc.constantFrom('below', 'above'),
  })
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 200 }), fc.array(threshold, { maxLength: 2 }), (values, thresholds) => {
      const histogram = histogramOf(values)
      const svg = histogramChart('x', histogram, thresholds).text
      if (!hasShape(histogram)) return
      assert.doesNotMatch(svg, /NaN|Infinity|undefined/)
      for (const { left, right, height } of rects(svg)) {
        assert.ok(left >= -1 && right <= 361 && left <= right && height > 0 && height <= 96, `${left} ${right} ${height}`)
      }
      const x = lineX(svg)
      assert.ok(Number.isNaN(x) || (x >= 0 && x <= 360))
    }),
    { numRuns: 500 },
  )
})

test('many zeros are a broken bar that does not flatten the others', () => {
  const svg = histogramChart(
    'share',
    histogramOf([...new Array(9700).fill(0), ...Array.from({ length: 300 }, (_, i) => (i + 1) / 300)]),
    [],
  ).text
  assert.ok(svg.includes('97.0 % at 0'))
  assert.ok(rects(svg).some(({ left, height }) => left > 20 && height > 50))
})

test('quantiles are as exact as the bins: within 9 %', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0.001, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 100 }),
      fc.double({ min: 0.01, max: 1, noNaN: true }),
      (values, share) => {
        const exact = values.toSorted((a, b) => a - b)[Math.ceil(share * values.length - 1e-9) - 1]
        const found = quantile(histogramOf(values), share)
        assert.ok(Math.abs(found / exact - 1) < 0.0906, `${found} for ${exact}`)
      },
    ),
  )
})
