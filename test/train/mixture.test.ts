import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { documentSource, type TokenObjective } from '../../src/train/batch-source.ts'
import type { LoaderOptions } from '../../src/train/loader.ts'
import { MixedLoader, mixtureHash } from '../../src/train/mixture.ts'
import { openMixture } from '../../src/train/open-data.ts'
import { prefetched } from '../../src/train/prefetch.ts'
import { markovDocuments, memoryCorpus, temporaryFolder, writeShard } from './corpora.ts'

const options: LoaderOptions = {
  rows: 5,
  length: 32,
  packing: 'documents',
  seed: 1,
  validationShare: 0,
  split: 'train',
  windowTokens: 3000,
}
const corpora = [
  { corpus: memoryCorpus([markovDocuments(40, 64, 1)], 64), weight: 7 },
  { corpus: memoryCorpus([markovDocuments(60, 64, 2), markovDocuments(9, 64, 3), markovDocuments(5, 64, 4)], 64), weight: 3 },
]

test('at any length a mixture has its shares, to within a row', async () => {
  const loader = new MixedLoader(corpora, options)
  for (let batch = 1; batch <= 60; batch++) {
    await loader.next()
    const [first, second] = loader.cursors.map(({ rows }) => rows)
    assert.equal(first + second, batch * 5)
    assert.ok(Math.abs(first - 0.7 * batch * 5) <= 1, `${first} of ${batch * 5}`)
  }
})

test('a mixture opened at its cursors goes on with the same batches, whose documents name shards of all corpora', async () => {
  const straight = new MixedLoader(corpora, options)
  const shards = new Set<number>()
  for (let batch = 0; batch < 40; batch++) {
    const expected = new MixedLoader(corpora, options, structuredClone(straight.cursors))
    const next = await straight.next()
    assert.deepEqual(await expected.next(), next)
    for (let i = 0; i < (next?.documents.length ?? 0); i += 2) shards.add(next?.documents[i] ?? -1)
  }
  assert.deepEqual([...shards].sort(), [0, 1, 2])
})

test('a bounded mixture ends when each corpus has ended', async () => {
  const loader = new MixedLoader(corpora, { ...options, epochs: 1 })
  let targets = 0
  for (let batch = await loader.next(); batch; batch = await loader.next()) targets += batch.targetCount
  // the last token of each has no successor
  assert.equal(targets, corpora.reduce((sum, { corpus }) => sum + corpus.tokens + corpus.documents, 0) - 2)
})

test('weights come with the paths, all of them or none', async () => {
  await using folder = await temporaryFolder()
  const [a, b] = ['a', 'b'].map((name) => join(folder.path, `${name}.parquet`))
  await writeShard(a, markovDocuments(40, 64, 1))
  await writeShard(b, markovDocuments(20, 64, 2))
  const weighted = await openMixture([`${a}=0.25`, `${b}=.75`])
  assert.deepEqual(
    weighted.corpora.map(({ weight }) => weight),
    [0.25, 0.75],
  )
  const plain = await openMixture([a, b])
  assert.ok(plain.corpora.every(({ corpus, weight }) => weight === corpus.tokens))
  assert.notEqual(mixtureHash(plain.corpora), mixtureHash(weighted.corpora))
  await assert.rejects(openMixture([`${a}=1`, b]), { code: 'SLUICE_TRAIN_OPTIONS' })
  await writeShard(b, markovDocuments(20, 64, 2), { vocabularyHash: 'other' })
  await assert.rejects(openMixture([a, b]), { code: 'SLUICE_TRAIN_VOCABULARIES' })
})

test('batches made ahead by a thread are those made here, from any position', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'a.parquet')
  await writeShard(path, markovDocuments(120, 64, 1), { rowGroupRows: 30 })
  const { corpora: opened } = await openMixture([path])
  const masked: TokenObjective = { kind: 'masked', share: 0.15, maskToken: 64, endOfText: 0, vocabularySize: 64, seed: 1 }
  for (const objective of [{ kind: 'causal' } as const, masked]) {
    await using here = documentSource(opened, options, objective)
    await using ahead = prefetched({ corpora: [{ path, weight: 1 }], options, objective, cursors: undefined, ahead: 3 })
    let cursors: Awaited<ReturnType<typeof here.next>> | undefined
    for (let batch = 0; batch < 12; batch++) {
      const expected = await here.next()
      assert.deepEqual(await ahead.next(), expected)
      if (batch === 7) cursors = expected
    }
    await using later = prefetched({ corpora: [{ path, weight: 1 }], options, objective, cursors: cursors?.cursors, ahead: 3 })
    await using from = documentSource(opened, options, objective, cursors?.cursors)
    assert.deepEqual(await later.next(), await from.next())
  }
})

test('what fails in the thread fails for who waits', async () => {
  await using ahead = prefetched({
    corpora: [{ path: 'nowhere', weight: 1 }],
    ...{ options, objective: { kind: 'causal' }, cursors: undefined, ahead: 2 },
  })
  await assert.rejects(ahead.next(), { code: 'SLUICE_TRAIN_CORPUS_MISSING' })
})
