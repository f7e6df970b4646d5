import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SluiceError } from '../../src/core/errors.ts'
import type { BatchSource, Delivery } from '../../src/train/batch-source.ts'
import { readAhead } from '../../src/train/read-ahead.ts'

/** Deliveries told apart by their number of targets; `end` of them, and then what happens at the end. */
function counting(end: number, atEnd: () => undefined = () => undefined): BatchSource {
  let next = 0
  const empty = new Int32Array()
  return {
    async next(): Promise<Delivery | undefined> {
      if (next === end) return atEnd()
      const batch = { kind: 'tokens' as const, rows: 0, length: 0, ids: empty, targets: empty, lo: empty }
      return { batch, targetCount: next++, documents: [], cursors: [] }
    },
    [Symbol.asyncDispose]: async () => {},
  }
}

test('what was fetched is taken first and once, in the order of the source', async () => {
  const source = readAhead(counting(6))
  const taken: (number | undefined)[] = []
  const take = async () => taken.push((await source.next())?.targetCount)
  await take()
  assert.equal((await source.fetch(3))?.targetCount, 1)
  assert.equal((await source.fetch(2))?.targetCount, 1)
  for (const _ of [1, 2, 3, 4]) await take()
  assert.equal((await source.fetch(3))?.targetCount, 5)
  await take()
  await take()
  assert.deepEqual(taken, [0, 1, 2, 3, 4, 5, undefined])
  assert.equal(await source.fetch(1), undefined)
})

test('a failure met ahead is told to who would have got the batch, and every time', async () => {
  const source = readAhead(
    counting(2, () => {
      throw new SluiceError('SLUICE_TEST', 'a shard is gone')
    }),
  )
  assert.equal((await source.fetch(4))?.targetCount, 0)
  assert.deepEqual([(await source.next())?.targetCount, (await source.next())?.targetCount], [0, 1])
  assert.equal(await source.fetch(1), undefined)
  await assert.rejects(source.next(), { code: 'SLUICE_TEST' })
  await assert.rejects(source.next(), { code: 'SLUICE_TEST' })
})
