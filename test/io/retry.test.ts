import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pauseMs, retryAfterMs } from '../../src/io/retry.ts'

const policy = { attempts: 6, firstDelayMs: 500, longestDelayMs: 3000 }

test('pauses double up to the longest, a quarter more or less, until attempts are used up', () => {
  for (const [failures, meanMs] of [
    [1, 500],
    [2, 1000],
    [3, 2000],
    [4, 3000],
    [5, 3000],
  ]) {
    const pause = pauseMs(failures, policy)
    assert.ok(pause !== undefined && pause >= 0.75 * meanMs && pause <= 1.25 * meanMs, `${failures}: ${pause}`)
  }
  assert.equal(pauseMs(6, policy), undefined)
})

test('a server that asks for a pause gets it, one that asks for a quarter of an hour is given up', () => {
  assert.equal(pauseMs(1, policy, 20_000), 20_000)
  assert.equal(pauseMs(1, policy, 15 * 60_000 + 1), undefined)
})

test('Retry-After is seconds or a date, and nothing where it is neither or gone by', () => {
  assert.deepEqual([undefined, '7', ' 12 ', 'soon', '-3', new Date(0).toUTCString()].map(retryAfterMs), [0, 7000, 12_000, 0, 0, 0])
  const inAMinute = retryAfterMs(new Date(Date.now() + 60_000).toUTCString())
  assert.ok(inAMinute > 55_000 && inAMinute <= 60_000, `${inAMinute}`)
})
