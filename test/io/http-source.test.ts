import assert from 'node:assert/strict'
import { randomFillSync } from 'node:crypto'
import { test } from 'node:test'
import { SluiceError } from '../../src/core/errors.ts'
import { readBytes } from '../../src/io/byte-source.ts'
import { onNotice } from '../../src/io/notices.ts'
import { openBytes } from '../../src/io/open-bytes.ts'
import { type Faults, serve } from './faulty-server.ts'

const content = randomFillSync(Buffer.alloc(300_000))
const http = { attempts: 4, firstDelayMs: 1, longestDelayMs: 5, idleTimeoutMs: 500 }

async function readThrough(faults: Faults): Promise<Buffer> {
  await using server = await serve({ 'a.warc.gz': content }, faults)
  return await readBytes(await openBytes(`${server.url}a.warc.gz`, { http }))
}

const refused = (code: string, words: RegExp) => (error: unknown) =>
  error instanceof SluiceError && error.code === code && words.test(error.message)

test('the bytes are right whatever breaks on the way', async () => {
  const faults: Faults[] = [
    {},
    { busy: 2 },
    { cuts: 1, cutBytes: 100_000 },
    { cuts: 2, cutBytes: 70_001, how: 'reset' },
    { cuts: 1, cutBytes: 100_000, how: 'end' },
    { cuts: 1, cutBytes: 100_000, noEtag: true },
    { cuts: 1, cutBytes: 100_000, ignoresRanges: true },
    { busy: 2, busyStatus: 429 },
    { busyEvery: 2, cuts: 4, cutBytes: 50_000 },
    { cuts: 1, cutBytes: 100_000, how: 'stall' },
    { cuts: 12, cutBytes: 30_000 }, // more than `attempts`, but each brings something
  ]
  for (const fault of faults) assert.ok((await readThrough(fault)).equals(content), JSON.stringify(fault))
})

test('a broken range goes on at the exact byte and insists on the same version', async () => {
  await using server = await serve({ a: content }, { cuts: 1, cutBytes: 1000 })
  const source = await openBytes(`${server.url}a`, { http })
  assert.ok((await readBytes(source, 5000, 9000)).equals(content.subarray(5000, 9000)))
  assert.deepEqual(
    server.requests.map(({ range, ifMatch }) => [range, ifMatch]),
    [
      ['bytes=0-0', undefined],
      ['bytes=5000-8999', '"first"'],
      ['bytes=6000-8999', '"first"'],
    ],
  )
})

test('Retry-After is waited for, in seconds or as a date', async () => {
  for (const retryAfter of ['1', new Date(Date.now() + 3000).toUTCString()]) {
    await using server = await serve({ a: content }, { busy: 1, retryAfter })
    const start = performance.now()
    await openBytes(`${server.url}a`, { http })
    assert.ok(performance.now() - start >= 950, retryAfter)
  }
})

test('the request that asks for the size brings along what is read first', async () => {
  await using server = await serve({ a: content }, { cuts: 1, cutBytes: 1000 })
  const source = await openBytes(`${server.url}a`, { http, first: [5000, 9000] })
  assert.equal(source.size, content.length)
  assert.ok((await readBytes(source, 5000, 9000)).equals(content.subarray(5000, 9000)))
  assert.ok((await readBytes(source, 10, 20)).equals(content.subarray(10, 20)))
  assert.deepEqual(
    server.requests.map(({ range }) => range),
    ['bytes=5000-8999', 'bytes=6000-8999', 'bytes=10-19'],
  )
})

test('who waits for long is told, and told when it goes on', async () => {
  const heard: string[] = []
  using _notices = onNotice((message) => heard.push(message))
  await using server = await serve({ a: content }, { busy: 2, retryAfter: '2' })
  await openBytes(`${server.url}a`, { http })
  await new Promise((resolve) => setTimeout(resolve, 20))
  assert.match(heard[0], /^waiting for http:\/\/127.0.0.1:\d+: the server answered with status 503, attempt 2 of 4; again in 2 s$/)
  assert.match(heard[1], /answers again, after 4 s$/)
})

test('an input that changes under the reader is refused, with no wrong byte handed out', async () => {
  await using server = await serve({ a: content }, { changesAt: 2, cuts: 1, cutBytes: 100_000 })
  const source = await openBytes(`${server.url}a`, { http })
  await assert.rejects(readBytes(source), refused('SLUICE_INPUT_CHANGED', /has changed/))
  const requests = server.requests.length
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.equal(server.requests.length, requests, 'it goes on asking')
})

test('an input that has changed since the plan is refused', async () => {
  await using server = await serve({ a: content }, {})
  await assert.rejects(openBytes(`${server.url}a`, { http, version: '"other"' }), refused('SLUICE_INPUT_CHANGED', /has changed/))
})

test('what will not pass is told at once, what might after a few attempts', async () => {
  const cases: [Faults, string, RegExp, number][] = [
    [{ status: 404 }, 'SLUICE_INPUT_MISSING', /no such file/, 1],
    [{ status: 403 }, 'SLUICE_PERMISSION', /refuses access/, 1],
    [{ status: 418 }, 'SLUICE_HTTP_FAILED', /status 418/, 1],
    [{ busy: 99 }, 'SLUICE_HTTP_FAILED', /status 503, 4 times/, 4],
    [{ busy: 99, retryAfter: '86400' }, 'SLUICE_HTTP_FAILED', /status 503/, 1],
  ]
  for (const [faults, code, words, requests] of cases) {
    await using server = await serve({ a: content }, faults)
    await assert.rejects(openBytes(`${server.url}a`, { http }), refused(code, words))
    assert.equal(server.requests.length, requests, code)
  }
  await assert.rejects(
    openBytes('http://127.0.0.1:1/a', { http }),
    refused('SLUICE_HTTP_FAILED', /connection failed \(ECONNREFUSED\), 4 times/),
  )
})

test('a redirect is followed, range and all', async () => {
  await using server = await serve({ a: content }, { moved: { old: '/a' } })
  const source = await openBytes(`${server.url}old`, { http })
  assert.ok((await readBytes(source, 10, 5000)).equals(content.subarray(10, 5000)))
})

test('an abort ends the reading, also while it waits', async () => {
  const abort = new AbortController()
  await using server = await serve({ a: content }, { busy: 99, retryAfter: '60' })
  setTimeout(() => abort.abort(), 30)
  await assert.rejects(openBytes(`${server.url}a`, { signal: abort.signal }), { name: 'AbortError' })
})

test('an empty input is empty', async () => {
  await using server = await serve({ a: Buffer.alloc(0) })
  const source = await openBytes(`${server.url}a`, { http })
  assert.equal(source.size, 0)
  assert.equal((await readBytes(source)).length, 0)
})
