import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { addValue, binEdges, emptyHistogram, mergeHistogram } from '../../src/engine/histogram.ts'
import { assertCloses, chainSummaries, emptySummary, mergeSummaries, type Summary } from '../../src/engine/summary.ts'

function histogramOf(values: readonly number[]) {
  const histogram = emptyHistogram()
  for (const value of values) addValue(histogram, value)
  return histogram
}

test('histograms of parts merge into the histogram of the whole, wherever it is cut', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -1e6, max: 1e6 })), fc.nat(), (values, at) => {
      const cut = values.length === 0 ? 0 : at % values.length
      const merged = histogramOf(values.slice(0, cut))
      mergeHistogram(merged, histogramOf(values.slice(cut)))
      assert.deepEqual(merged, histogramOf(values))
    }),
  )
})

test('every value lies within the edges of its bin, and a bin is at most a tenth wide', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e12, max: 1e12 }), (value) => {
      const [key] = Object.keys(histogramOf([value]).bins)
      const [lower, upper] = binEdges(key)
      const slack = Math.abs(value) * 1e-12
      assert.ok(lower - slack <= value && value <= upper + slack, `${value} in [${lower}, ${upper})`)
      assert.ok(Math.abs(upper - lower) <= Math.max(Math.abs(lower), Math.abs(upper)) / 10)
    }),
  )
})

test('what was not measured is counted apart and moves neither sum nor bins', () => {
  const histogram = histogramOf([1, Number.NaN, 3])
  assert.deepEqual([histogram.count, histogram.missing, histogram.sum], [2, 1, 4])
})

function summaryOf(parts: Partial<Summary>): Summary {
  return { ...emptySummary(['filter']), ...parts }
}

test('a phase whose documents are not all somewhere is refused', () => {
  assertCloses(summaryOf({ records: 10, ignored: { no_html: 2 }, damaged: 1, documents: 7, kept: 4, dropped: 2, quarantined: 1 }), 'x')
  assert.throws(() => assertCloses(summaryOf({ records: 7, documents: 7, kept: 4, dropped: 2 }), 'x'), { code: 'SLUICE_ACCOUNT' })
  assert.throws(() => assertCloses(summaryOf({ records: 8, documents: 7, kept: 5, dropped: 2 }), 'x'), { code: 'SLUICE_ACCOUNT' })
})

test('a run is what entered its first phase and what its last kept', () => {
  const first = summaryOf({ records: 10, documents: 10, kept: 6, dropped: 4 })
  const second = summaryOf({ documents: 6, kept: 5, quarantined: 1 })
  const run = chainSummaries([first, second])
  assert.deepEqual([run.records, run.documents, run.kept, run.dropped, run.quarantined, run.stages.length], [10, 10, 5, 4, 1, 2])
  assertCloses(run, 'the run')
})

test('tasks merge in any order into the same summary', () => {
  const parts = [1, 2, 3].map((n) => summaryOf({ records: n, ignored: { a: n }, documents: n, kept: n, hosts: { [`h${n}`]: n, both: 1 } }))
  assert.deepEqual(mergeSummaries(parts, ['filter']), mergeSummaries([...parts].reverse(), ['filter']))
})

test('subsets: documents that entered the first phase, documents and tokens that left the last', () => {
  const first = summaryOf({ subsets: { web: { documents: 9, kept: 7, tokens: 0 }, books: { documents: 3, kept: 0, tokens: 0 } } })
  const second = summaryOf({ subsets: { web: { documents: 7, kept: 5, tokens: 500 } } })
  assert.deepEqual(chainSummaries([first, second]).subsets, {
    web: { documents: 9, kept: 5, tokens: 500 },
    books: { documents: 3, kept: 0, tokens: 0 },
  })
  assert.deepEqual(mergeSummaries([first, first], ['filter']).subsets.web, { documents: 18, kept: 14, tokens: 0 })
})
