import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { rangeOf } from '../../src/cli/describe-options.ts'
import { numberIn, numbersIn, share, size, wholeNumber } from '../../src/cli/numbers.ts'

test('amounts may end in k, M or B, and have an exponent', () => {
  const read = numberIn({})
  assert.deepEqual(['3000', '3k', '2.5M', '1B', '1e-3', '-.5', ' 7 ', '1.1k'].map(read), [3000, 3000, 2.5e6, 1e9, 1e-3, -0.5, 7, 1100])
})

test('a share may be a percentage, a size has units of 1000 and of 1024', () => {
  assert.deepEqual(['0.25', '0.1%', '100 %', '0'].map(share), [0.25, 0.001, 1, 0])
  assert.deepEqual(['512', '512B', '1.5kB', '4g', '4GiB', '1ki'].map(size()), [512, 512, 1500, 4e9, 4 * 2 ** 30, 1024])
})

test('what is no number, or beyond what is exact, is refused', () => {
  for (const text of ['', ' ', 'many', '0x10', '1.2.3', '3 m b', '1e999', 'Infinity', 'NaN', '5%'])
    assert.throws(() => numberIn({})(text), /give a number$/, text)
  for (const text of ['', '5MM', '1ib', '-1', '%']) assert.throws(() => size()(text), /give a size such as 512MB or 4GiB/, text)
  assert.throws(() => wholeNumber(1)('1e99'), /give a whole number from 1, such as/)
})

test('a refusal names the range', () => {
  const cases: [read: (text: string) => unknown, text: string, says: string][] = [
    [wholeNumber(1), '0', 'give a whole number from 1, such as 3000, 3k or 2.5M'],
    [wholeNumber(1, 6), '2.5', 'give a whole number from 1 to 6'],
    [numberIn({ above: 0 }), '0', 'give a number above 0'],
    [numberIn({ above: 0, to: 1 }), '1.1', 'give a number above 0, up to 1'],
    [numberIn({ from: 0, to: 0.5 }), '-1', 'give a number from 0 to 0.5'],
    [numberIn({ from: 0, below: 1 }), '1', 'give a number from 0, below 1'],
    [numbersIn({ isWhole: true, from: 0, to: 9 }), '1,,2', 'give a whole number from 0 to 9, or several with commas between'],
    [share, '101%', 'give a share from 0 to 1, or a percentage such as 0.1%'],
    [size(256e6), '1MB', 'give a size from 256 MB such as 512MB or 4GiB'],
  ]
  for (const [read, text, message] of cases) assert.throws(() => read(text), { message })
})

test('the range of an option is that of its schema', () => {
  assert.deepEqual(rangeOf(z.int().min(1).max(6).default(5)), { isWhole: true, from: 1, above: undefined, to: 6, below: undefined })
  assert.deepEqual(rangeOf(z.number().positive()), { isWhole: false, from: undefined, above: 0, to: undefined, below: undefined })
  assert.deepEqual(rangeOf(z.number().min(0).lt(1)), { isWhole: false, from: 0, above: undefined, to: undefined, below: 1 })
})
