// Mixtures: weights as epochs, chosen by ids alone.

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import type { Document } from '../../src/core/document.ts'
import type { Source } from '../../src/core/stage.ts'
import { pipeline } from '../../src/engine/pipeline.ts'
import { pile } from '../../stages/corpora.ts'
import { exactDedup } from '../../stages/exact-dedup.ts'
import { jsonl } from '../../stages/jsonl.ts'
import { jsonlShards } from '../../stages/jsonl-shards.ts'
import { type Member, mixture } from '../../stages/mixture.ts'
import { readAll } from './read-source.ts'

const folder = await mkdtemp(join(tmpdir(), 'sluice-mixture-'))
after(() => rm(folder, { recursive: true }))

async function corpus(name: string, count: number, more: (index: number) => object = () => ({})): Promise<string> {
  const path = join(folder, `${name}.jsonl`)
  await writeFile(path, Array.from({ length: count }, (_, n) => `${JSON.stringify({ text: `${name} ${n}`, ...more(n) })}\n`).join(''))
  return path
}
const web = await corpus('web', 2000)
const books = await corpus('books', 2000)

async function readMixture(members: Readonly<Record<string, Source<Document> | Member<Document>>>, seed = 0, partitionBytes = 1 << 26) {
  const found = []
  let leftOut = 0
  for (const source of mixture(members, { seed })) {
    const { items, ignored } = await readAll(source, partitionBytes)
    found.push(...items)
    leftOut += ignored.left_out_by_weight ?? 0
  }
  return { items: found, leftOut }
}

const textsOf = (items: readonly Document[]) => items.map(({ text }) => text)

test('a weight below one takes that share, and a larger one all that a smaller one took', async () => {
  const share = async (weight: number, seed?: number) => (await readMixture({ web: { source: jsonl({ path: web }), weight } }, seed)).items
  const [some, more, other] = [await share(0.3), await share(0.5), await share(0.3, 1)]
  // Four standard errors of a share of 2000: 4·√(0.3·0.7·2000) ≈ 82
  assert.ok(Math.abs(some.length - 600) < 82, `${some.length} of 2000`)
  assert.ok(textsOf(some).every((text) => textsOf(more).includes(text)))
  assert.notDeepEqual(textsOf(some), textsOf(other))
})

test('a weight of 2.5 gives all twice and half of them again, with ids and epochs of their own, first epochs first', async () => {
  const { items, leftOut } = await readMixture({ books: { source: jsonl({ path: books }), weight: 2.5 }, web: jsonl({ path: web }) })
  const epochs = Map.groupBy(items, ({ metadata }) => metadata.epoch ?? 0)
  assert.deepEqual([epochs.get(0)?.length, epochs.get(1)?.length], [4000, 2000])
  const third = epochs.get(2)?.length ?? 0
  assert.ok(Math.abs(third - 1000) < 90, `${third} in the third epoch`)
  assert.equal(leftOut, 2000 - third)
  assert.equal(new Set(items.map(({ id }) => id)).size, items.length)
  assert.deepEqual(
    [...new Set(items.map(({ subset, metadata }) => `${subset} ${metadata.epoch ?? 0}`))],
    ['books 0', 'web 0', 'books 1', 'books 2'],
  )
})

test('how inputs are cut changes nothing', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 100, max: 50_000 }),
      fc.double({ min: 0.05, max: 2.9, noNaN: true }),
      async (partitionBytes, weight) => {
        const members = { web: { source: jsonl({ path: web }), weight } }
        assert.deepEqual(await readMixture(members, 3, partitionBytes), await readMixture(members, 3))
      },
    ),
    { numRuns: 6 },
  )
})

test('a source that names subsets can have a weight for each', async () => {
  const path = await corpus('pile', 300, (n) => ({ meta: { pile_set_name: ['ArXiv', 'Books3', 'PubMed'][n % 3] } }))
  const { items } = await readMixture({ pile: { source: pile({ path }), weight: { ArXiv: 2, Books3: 0 } } })
  const counts = Object.fromEntries([...Map.groupBy(items, ({ subset }) => subset ?? '')].map(([name, all]) => [name, all.length]))
  assert.deepEqual(counts, { 'pile/ArXiv': 200, 'pile/PubMed': 100 })
})

test('repetitions that a deduplication would drop are refused, shares of one epoch are not', () => {
  const build = (weight: number) =>
    pipeline('mixed')
      .from(...mixture({ web: { source: jsonl({ path: web }), weight } }))
      .pipe(exactDedup())
      .to(jsonlShards({ path: join(folder, 'out') }))
  assert.throws(() => build(2), { code: 'SLUICE_MIXTURE_DEDUP' })
  assert.throws(() => build(1.5), { code: 'SLUICE_MIXTURE_DEDUP' })
  assert.equal(build(0.5).sources.length, 1)
})

test('weights that mean nothing are refused', () => {
  const of = (weight: number) => () => mixture({ web: { source: jsonl({ path: web }), weight } })
  for (const bad of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1000]) assert.throws(of(bad))
})
