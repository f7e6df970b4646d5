import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { areaUnderCurve, confusionAt, shareFrom, thresholdFor } from '../../src/lang/calibrate.ts'
import { sortAsLibstdcxx } from '../../src/lang/entry-order.ts'
import { exampleLine, mergeSamples, Sampler, writeSamples } from '../../src/lang/examples.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-calibrate-'))
after(() => rmSync(folder, { recursive: true }))

const score = fc.oneof(fc.constantFrom(0, 0.5, 1), fc.double({ min: 0, max: 1, noNaN: true }))
const weighted = fc.record({ score, weight: fc.constantFrom(1, 1, 7) })

test('a threshold keeps the share it was made for, to one document or a tie, and falls as the share grows', () => {
  fc.assert(
    fc.property(fc.array(weighted, { minLength: 1 }), fc.array(fc.double({ min: 0.01, max: 1, noNaN: true })), (scores, shares) => {
      const all = scores.reduce((sum, { weight }) => sum + weight, 0)
      const thresholds = shares.sort((a, b) => a - b).map((share) => thresholdFor(scores, share))
      for (const [i, threshold] of thresholds.entries()) {
        assert.ok(i === 0 || threshold <= thresholds[i - 1])
        const atEnd = scores.filter((own) => own.score === threshold).reduce((sum, { weight }) => sum + weight, 0)
        const kept = shareFrom(scores, threshold)
        assert.ok(kept > 0 && Math.abs(kept - shares[i]) <= atEnd / all + 7 / all + 1e-9)
      }
    }),
  )
})

test('a document of some weight counts as so many', () => {
  const scores = [9, 8, 7, 6, 5, 4, 3, 2, 1, 0].map((score) => ({ score, weight: score === 9 ? 1 : 11 }))
  assert.equal(thresholdFor(scores, 0.01), 9)
  assert.equal(thresholdFor(scores, 0.12), 8)
})

test('figures at a threshold are counted one by one', () => {
  const figures = confusionAt([0.9, 0.6, 0.2], [0.7, 0.1], 0.6)
  assert.deepEqual(figures, {
    truePositives: 2,
    falsePositives: 1,
    trueNegatives: 1,
    falseNegatives: 1,
    precision: 2 / 3,
    recall: 2 / 3,
    f1: 2 / 3,
  })
  assert.equal(confusionAt([0.1], [0.1], 0.5).precision, null)
})

test('the area under the curve is how often a positive scores higher', () => {
  const list = fc.array(score, { minLength: 1, maxLength: 30 })
  fc.assert(
    fc.property(list, list, (positives, negatives) => {
      const wins = positives.flatMap((p) => negatives.map((n) => (p > n ? 1 : p === n ? 0.5 : 0)))
      const expected = wins.reduce<number>((sum, win) => sum + win, 0) / wins.length
      assert.ok(Math.abs(areaUnderCurve(positives, negatives) - expected) < 1e-9)
    }),
  )
})

test('the sample of all documents does not depend on how they were cut into parts, while nothing is cut off', async () => {
  const documents = Array.from({ length: 500 }, (_, i) => ({ id: `id ${i}`, text: `text ${i}`, isPositive: i % 50 === 0 }))
  const whole = new Sampler(100, 1e6)
  for (const document of documents) whole.add(document)
  const paths = await Promise.all(
    [0, 130, 131, 400].map(async (from, part, cuts) => {
      const [all, positive] = [new Sampler(100, 1e6), new Sampler(100, 1e6)]
      for (const document of documents.slice(from, cuts[part + 1]))
        for (const sampler of document.isPositive ? [all, positive] : [all]) sampler.add(document)
      const path = join(folder, `part-${part}`)
      await writeSamples(path, { all: all.take(), positive: positive.take() })
      return path
    }),
  )
  const merged = await mergeSamples(paths, 100, 1e6)
  assert.deepEqual(
    merged.all.examples.map(({ id }) => id),
    whole.take().examples.map(({ id }) => id),
  )
  assert.equal(merged.positive.examples.length, 10)
})

test('a sampler keeps to its bytes, and its limit says what it surely has', () => {
  const sampler = new Sampler(1000, 20_000)
  for (let i = 0; i < 5000; i++) sampler.add({ id: String(i), text: 'x'.repeat(100) })
  const { examples, limit } = sampler.take()
  assert.ok(examples.length >= 50 && examples.length <= 100, `${examples.length} examples`)
  assert.ok(limit < 1)
})

test('texts cannot bring labels of their own, nor lines', () => {
  assert.equal(exampleLine('__label__a', ' one\n__label__b two\u2028__label__c\tx__label__d'), '__label__a  one  two  x__label__d\n')
})

test('entries end up in order, and all of them', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20), { maxLength: 400 }), (counts) => {
      const order = Uint32Array.from(counts, (_, i) => i)
      sortAsLibstdcxx(order, (a, b) => counts[a] > counts[b])
      assert.deepEqual(
        Array.from(order, (i) => counts[i]),
        counts.toSorted((a, b) => b - a),
      )
      assert.deepEqual(
        [...order].sort((a, b) => a - b),
        counts.map((_, i) => i),
      )
    }),
  )
})
