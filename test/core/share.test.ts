import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { keepShares } from '../../src/core/share.ts'

const module = new URL('../../src/core/share.ts', import.meta.url).href

/** A worker that shares a counter; then it sleeps as pools let their workers sleep, deaf to messages. */
const code = `
  const { parentPort, workerData, threadId } = require('node:worker_threads')
  import(workerData.module).then(async ({ shareAcrossThreads }) => {
    const isShared = (value) => typeof value === 'object' && value !== null && 'cells' in value
    const make = async () => {
      const attempt = Atomics.add(workerData.attempts, 0, 1)
      if (attempt < workerData.failures) throw new Error('not yet')
      return { cells: new Int32Array(new SharedArrayBuffer(4)) }
    }
    try {
      const { cells } = await shareAcrossThreads(workerData.key, make, isShared)
      parentPort.postMessage(Atomics.add(cells, 0, 1))
    } catch (error) {
      parentPort.postMessage(error.message)
    }
    if (workerData.sleepMs > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, workerData.sleepMs)
  })`

function start(key: string, attempts: Int32Array, options: { failures?: number; sleepMs?: number } = {}): Promise<unknown> {
  const workerData = { module, key, attempts, failures: 0, sleepMs: 0, ...options }
  const worker = new Worker(code, { eval: true, workerData, execArgv: ['--conditions=source'] })
  return new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject))
}

const counter = () => new Int32Array(new SharedArrayBuffer(4))

test('what one thread makes, the others get, although its maker sleeps or has ended', async () => {
  keepShares()
  const attempts = counter()
  assert.equal(await start('a', attempts, { sleepMs: 1000 }), 0)
  assert.equal(await start('a', attempts), 1)
  assert.deepEqual((await Promise.all([start('a', attempts), start('a', attempts)])).sort(), [2, 3])
  assert.equal(attempts[0], 1)
})

test('threads that ask at once have it made once; where that fails, another one tries', async () => {
  const attempts = counter()
  const results = await Promise.all([1, 2, 3, 4].map(() => start('b', attempts, { failures: 2 })))
  assert.deepEqual(results.map(String).sort(), ['0', '1', 'not yet', 'not yet'])
  assert.equal(attempts[0], 3)
  assert.equal(await start('c', counter()), 0, 'another key is another thing')
})
