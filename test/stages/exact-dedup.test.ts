import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Document } from '../../src/core/document.ts'
import { type ExactDedupOptions, exactDedup } from '../../stages/exact-dedup.ts'
import { cutAt, documentsOf } from '../dedup/documents.ts'
import { runBarrier } from '../dedup/run-barrier.ts'

async function survivors(partitions: Document[][], options: ExactDedupOptions = {}) {
  const { kept, dropped } = await runBarrier(exactDedup(options), partitions)
  assert.ok([...dropped.values()].every((reason) => reason === 'exact_duplicate'))
  return kept.flat().map(({ id, annotations }) => [id, annotations?.exact_group_size])
}

test('the first of equal texts stays, however the input is cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom('', 'a', 'b', 'c', 'A'), { maxLength: 30 }),
      fc.array(fc.nat(30), { maxLength: 3 }),
      async (texts, cuts) => {
        const expected = texts.flatMap((text, i) =>
          texts.indexOf(text) === i ? [[String(i), texts.filter((other) => other === text).length]] : [],
        )
        const partitions = cutAt(documentsOf(texts), cuts)
        assert.deepEqual(await survivors(partitions), expected)
        assert.deepEqual(await survivors(partitions, { hash: 'xxh64' }), expected)
      },
    ),
    { numRuns: 20 },
  )
})

test('a copy of a preferred subset stays; of one subset, or of none, the first', async () => {
  const documents = ['web', undefined, 'wiki', 'wiki', 'web'].map((subset, i) => ({ ...documentsOf(['same'])[0], id: String(i), subset }))
  const stays = async (chosen: readonly number[], subsets: string[]) =>
    (await survivors([chosen.map((i) => documents[i])], { keep: { subsets } })).map(([id]) => Number(id))
  assert.deepEqual(await stays([0, 1, 2, 3, 4], ['wiki', 'web']), [2])
  assert.deepEqual(await stays([1, 4, 0], ['wiki', 'web']), [4])
  assert.deepEqual(await stays([1, 4, 0], ['books']), [1])
})

test('the highest value stays, negative ones and missing ones ranked; ties go to the first', async () => {
  const values = [undefined, -5, -0.5, 2, 2, 0]
  const documents = documentsOf(values.map(() => 'same')).map((document, i) => ({ ...document, metadata: { score: values[i] ?? null } }))
  const best = async (chosen: number[]) =>
    (await survivors([chosen.map((i) => documents[i])], { keep: { highest: 'score' } })).map(([id]) => Number(id))
  assert.deepEqual(await best([0, 1, 2, 3, 4, 5]), [3])
  assert.deepEqual(await best([0, 1]), [1])
  assert.deepEqual(await best([1, 2]), [2])
  assert.deepEqual(await best([5, 2]), [5])
  assert.deepEqual(await best([4, 3]), [4])
})

test('ties by row go to the lowest row of any partition, as in the reference', async () => {
  const partitions = [documentsOf(['x', 'same']), documentsOf(['same', 'y']).map((document) => ({ ...document, id: `b${document.id}` }))]
  assert.deepEqual(
    (await survivors(partitions)).map(([id]) => id),
    ['0', '1', 'b1'],
  )
  assert.deepEqual(
    (await survivors(partitions, { ties: 'row' })).map(([id]) => id),
    ['0', 'b0', 'b1'],
  )
})

test('by URL, documents without one stay; by simplified text, case and punctuation do not count', async () => {
  const urls = documentsOf(['a', 'b', 'c', 'd']).map((document, i) =>
    i % 2 === 0 ? { ...document, url: 'https://example.org/' } : document,
  )
  assert.deepEqual(
    (await survivors([urls], { by: 'url' })).map(([id]) => id),
    ['0', '1', '3'],
  )
  assert.deepEqual(
    (await survivors([documentsOf(['It is 5!', 'it is 7', 'it was'])], { by: 'simplified' })).map(([id]) => id),
    ['0', '2'],
  )
})

test('keep: none drops all copies', async () => {
  assert.deepEqual(
    (await survivors([documentsOf(['a', 'b', 'a'])], { keep: 'none' })).map(([id]) => id),
    ['1'],
  )
})
