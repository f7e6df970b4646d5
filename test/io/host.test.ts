import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { readBytes } from '../../src/io/byte-source.ts'
import { Host, hostOf, MOST_REQUESTS, mapAhead } from '../../src/io/host.ts'
import { openBytes } from '../../src/io/open-bytes.ts'
import { serve } from './faulty-server.ts'

const { signal } = new AbortController()
const http = { attempts: 12, firstDelayMs: 20, longestDelayMs: 200 }

async function answers(host: Host, count: number): Promise<void> {
  const work = async () => {
    const askedAt = performance.now()
    await sleep(0)
    host.answered(askedAt)
  }
  await Promise.all(Array.from({ length: count }, () => host.run(work)))
}

test('good answers let one more request in a round, a push back halves them, once for all that were asked before', async () => {
  const host = new Host('test')
  const first = host.limit
  await answers(host, 1000)
  assert.equal(host.limit, MOST_REQUESTS)
  const askedAt = performance.now()
  host.pushedBack(askedAt, 0)
  host.pushedBack(askedAt, 0)
  assert.equal(host.limit, MOST_REQUESTS / 2)
  host.pushedBack(performance.now(), 0)
  assert.equal(host.limit, MOST_REQUESTS / 4)
  assert.ok(first < MOST_REQUESTS / 2)
})

test('a host that is not asked for more than it bears is not taken to bear more', async () => {
  const host = new Host('test')
  const { limit } = host
  for (let i = 0; i < 100; i++) await answers(host, 1)
  assert.equal(host.limit, limit)
})

test('a first byte that takes many times the usual counts as a push back', () => {
  const host = new Host('test')
  const { limit } = host
  host.answered(performance.now() - 50)
  host.answered(performance.now() - 3000)
  assert.equal(host.limit, limit / 2)
})

test('results come in order, no more at work than the host bears', async () => {
  let active = 0
  let peak = 0
  const work = async (n: number) => {
    peak = Math.max(peak, ++active)
    await sleep((n * 7) % 5)
    active--
    return n * 2
  }
  const numbers = Array.from({ length: 50 }, (_, n) => n)
  const results = await Array.fromAsync(mapAhead(numbers, () => 'http://order.test/', work, signal))
  assert.deepEqual(
    results,
    numbers.map((n) => n * 2),
  )
  assert.ok(peak <= hostOf('http://order.test/').limit, `${peak} at once`)
})

test('who stops reading stops the work, and what it fails with comes in its turn', async () => {
  let aborted = 0
  const work = async (n: number, signal: AbortSignal) => {
    signal.addEventListener('abort', () => aborted++)
    if (n === 1) throw new Error('one')
    return n
  }
  const results = mapAhead([0, 1, 2], () => 'http://stop.test/', work, signal)
  assert.equal((await results.next()).value, 0)
  await assert.rejects(results.next(), { message: 'one' })
  assert.equal(aborted, 3)
})

test('a server that bears two requests at once is found out, and everything is read', async () => {
  const files = Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`f${n}`, Buffer.from(`content ${n}`)]))
  await using server = await serve(files, { bears: 2, latencyMs: 20 })
  let lowest = Number.POSITIVE_INFINITY
  const read = async (name: string, signal: AbortSignal) => {
    const text = String(await readBytes(await openBytes(server.url + name, { http, signal })))
    lowest = Math.min(lowest, hostOf(server.url).limit) // it rises again between two refusals: on a slow machine far enough
    return text
  }
  const texts = await Array.fromAsync(mapAhead(Object.keys(files), () => server.url, read, signal))
  assert.deepEqual(texts, Object.values(files).map(String))
  assert.ok(lowest <= 2, `limit never below ${lowest}`)
  assert.ok(server.peak() < MOST_REQUESTS / 2, `${server.peak()} at once`)
})
