import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { findRepetitions } from '../../src/signals/repetitions.ts'

/** The reference's expression, in JavaScript's words. */
const expression = /([^\n]+?)([\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]?\1){3,}/gu

function byExpression(text: string) {
  return [...text.matchAll(expression)].map(({ 0: all, 1: stretch, index }) => ({
    start: index,
    end: index + all.length,
    times: all.split(stretch).length - 1,
  }))
}

test('repetitions are those that the expression finds, blanks and lines among them', () => {
  const pieces = fc.constantFrom('a', 'b', 'ab', 'abcdefgh', 'abcdefghi ', ' ', ' ', '\t', '\n', '  ', '😀', '-', 'hello world, ')
  const repeated = fc.tuple(fc.array(pieces, { maxLength: 4 }), fc.nat(6)).map(([parts, times]) => parts.join('').repeat(times))
  fc.assert(
    fc.property(fc.array(fc.oneof(pieces, repeated), { maxLength: 12 }), (parts) => {
      const text = parts.join('')
      assert.deepEqual(findRepetitions(text), byExpression(text))
    }),
    { numRuns: 2000 },
  )
})

test('time is linear in the text, whatever repeats in it', () => {
  const million = 1_000_000
  const texts = [
    ' '.repeat(million),
    'ab'.repeat(million / 2),
    Array.from({ length: million / 10 }, (_, i) => `abcdefgh${i % 97} `).join(''),
    'x'
      .repeat(3)
      .concat('y')
      .repeat(million / 4),
    '\t \t'.repeat(million / 3),
  ]
  for (const text of texts) {
    const start = performance.now()
    findRepetitions(text)
    assert.ok(performance.now() - start < 5000, `${JSON.stringify(text.slice(0, 20))} took ${performance.now() - start} ms`)
  }
})
