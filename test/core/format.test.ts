// Numbers, as people read them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { counted, formatBytes, formatCount, formatNumber, formatRate, formatSeconds, formatShare } from '../../src/core/format.ts'

test('a part is never shown as nothing, nor less than all as all', () => {
  assert.deepEqual(
    [formatShare(0, 9), formatShare(1, 9999), formatShare(1, 3), formatShare(9998, 9999), formatShare(9, 9), formatShare(0, 0)],
    ['0 %', '<0.1 %', '33.3 %', '>99.9 %', '100 %', '–'],
  )
})

test('sizes, times, rates and measurements have three digits that count', () => {
  assert.deepEqual(
    [formatBytes(0), formatBytes(999), formatBytes(1234), formatBytes(45_600_000), formatBytes(7.89e11)],
    ['0 B', '999 B', '1.23 kB', '45.6 MB', '789 GB'],
  )
  assert.deepEqual(
    [formatSeconds(0.0012), formatSeconds(0.05), formatSeconds(4.2), formatSeconds(75), formatSeconds(7260)],
    ['1.2 ms', '50 ms', '4.20 s', '1 min 15 s', '2 h 1 min'],
  )
  assert.deepEqual(
    [formatNumber(0.123456), formatNumber(1234.5), formatNumber(0.00001), formatNumber(12), formatNumber(-2.71999)],
    ['0.123', '1,235', '1.0e-5', '12', '-2.72'],
  )
  assert.deepEqual(
    [formatRate(10, 0), formatRate(15, 2), formatRate(12_345, 1), formatCount(1_234_567)],
    ['–', '7.5', '12,345', '1,234,567'],
  )
})

test('what is rounded up to the next unit is told in it', () => {
  assert.deepEqual([999.6, 9999, 999_950].map(formatBytes), ['1.00 kB', '10.0 kB', '1.00 MB'])
  assert.deepEqual([9.996, 59.97, 119.6, 3599.7, 7199].map(formatSeconds), ['10.0 s', '1 min 0 s', '2 min 0 s', '1 h 0 min', '2 h 0 min'])
})

test('things are counted in the singular and in the plural', () => {
  assert.deepEqual([counted(0, 'row'), counted(1, 'row'), counted(12_345, 'row')], ['0 rows', '1 row', '12,345 rows'])
})
