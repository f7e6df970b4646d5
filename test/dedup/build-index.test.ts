// Deduplication across builds: an index consulted and extended, repeated, interrupted, compacted, merged.

import assert from 'node:assert/strict'
import { copyFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import type { Document } from '../../src/core/document.ts'
import type { Barrier } from '../../src/core/stage.ts'
import { compactIndex, forgetBuild, inspectIndex, mergeIndexes } from '../../src/dedup/build-index.ts'
import { exactDedup } from '../../stages/exact-dedup.ts'
import { minhashDedup } from '../../stages/minhash-dedup.ts'
import { documentsOf } from './documents.ts'
import { runBarrier } from './run-barrier.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-index-'))
after(() => rmSync(folder, { recursive: true }))

let indexes = 0
const newIndex = () => join(folder, `index-${indexes++}`)

const stages: Record<string, (index: string) => Barrier<Document>> = {
  exact: (index) => exactDedup({ index }),
  minhash: (index) => minhashDedup({ index, words: 'blanks' }),
}
const earlier: Record<string, string> = { exact: 'exact_earlier', minhash: 'minhash_earlier' }

async function build(stage: Barrier<Document>, name: string, texts: readonly string[]) {
  const { kept, dropped } = await runBarrier(stage, [documentsOf(texts)], { build: name })
  const ids = new Set(kept.flat().map(({ id }) => id))
  return texts.map((_, i) => (ids.has(String(i)) ? 'kept' : dropped.get(String(i))))
}

const letters = (number: number) => [...String(number)].map((digit) => 'abcdefghij'[Number(digit)]).join('')
const text = (seed: number) => Array.from({ length: 60 }, (_, i) => letters((i * 31 + seed * 7919) % 997)).join(' ')

for (const [name, stage] of Object.entries(stages)) {
  test(`${name}: what an earlier build published is dropped, in the order of the builds`, async () => {
    const index = newIndex()
    assert.deepEqual(await build(stage(index), 'monday', [text(1), text(2), text(1)]), ['kept', 'kept', `${name}_duplicate`])
    assert.deepEqual(await build(stage(index), 'tuesday', [text(3), text(2), text(3)]), ['kept', earlier[name], `${name}_duplicate`])
    assert.deepEqual(await build(stage(index), 'wednesday', [text(1), text(3), text(4)]), [earlier[name], earlier[name], 'kept'])
  })

  test(`${name}: a build that is run again does not take its own documents for an earlier build's, compacted or not`, async () => {
    const index = newIndex()
    await build(stage(index), 'monday', [text(1)])
    const first = await build(stage(index), 'tuesday', [text(2), text(1)])
    assert.deepEqual(await build(stage(index), 'tuesday', [text(2), text(1)]), first)
    await compactIndex(index)
    assert.deepEqual((await inspectIndex(index)).segments.length, 1)
    assert.deepEqual(await build(stage(index), 'tuesday', [text(2), text(1)]), first)
    assert.deepEqual(await build(stage(index), 'tuesday', [text(5)]), ['kept'])
    assert.deepEqual(await build(stage(index), 'wednesday', [text(1), text(2), text(5)]), [earlier[name], 'kept', earlier[name]])
  })

  test(`${name}: a build can be taken out, and indexes be merged`, async () => {
    const [a, b, both] = [newIndex(), newIndex(), newIndex()]
    await build(stage(a), 'monday', [text(1)])
    await build(stage(a), 'tuesday', [text(2)])
    await build(stage(b), 'elsewhere', [text(3)])
    await mergeIndexes(both, [a, b])
    assert.deepEqual(await build(stage(both), 'new', [text(1), text(2), text(3), text(4)]), [
      earlier[name],
      earlier[name],
      earlier[name],
      'kept',
    ])
    await forgetBuild(a, 'monday')
    assert.deepEqual(await build(stage(a), 'new', [text(1), text(2)]), ['kept', earlier[name]])
    await assert.rejects(forgetBuild(a, 'monday'), { code: 'SLUICE_INDEX_BUILD' })
    await assert.rejects(mergeIndexes(both, [b]), { code: 'SLUICE_INDEX_BUILD' })
  })
}

test('builds one after another keep what one build of all of them keeps', async () => {
  const texts = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { maxLength: 6 })
  await fc.assert(
    fc.asyncProperty(
      fc.array(texts, { minLength: 1, maxLength: 4 }),
      fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
      async (builds, compact) => {
        const index = newIndex()
        const kept: string[] = []
        for (const [night, texts] of builds.entries()) {
          const outcome = await build(exactDedup({ index }), `night-${night}`, texts)
          kept.push(...texts.filter((_, i) => outcome[i] === 'kept'))
          if (compact[night]) await compactIndex(index)
        }
        assert.deepEqual(kept, [...new Set(builds.flat())])
      },
    ),
    { numRuns: 20 },
  )
})

test('a near-duplicate of an earlier document takes its whole cluster with it', async () => {
  const index = newIndex()
  const words = text(1).split(' ')
  const near = (change: number) => words.map((word, i) => (i < change ? `other${letters(i)}` : word)).join(' ')
  const stage = minhashDedup({ index, words: 'blanks', shingleWords: 1, hashesPerBand: 4 })
  assert.deepEqual(await build(stage, 'monday', [near(0)]), ['kept'])
  const outcome = await build(stage, 'tuesday', [near(24), near(12), text(9)])
  assert.deepEqual(outcome, ['minhash_earlier', 'minhash_earlier', 'kept'])
})

test('what an interrupted build left is no segment; what another stage wrote is refused', async () => {
  const index = newIndex()
  const stage = exactDedup({ index })
  await build(stage, 'monday', [text(1)])
  writeFileSync(join(index, 'tuesday.runs.12345678.tmp'), 'half')
  writeFileSync(join(index, 'wednesday.runs'), 'no header yet')
  assert.deepEqual(await build(stage, 'thursday', [text(1), text(2)]), ['exact_earlier', 'kept'])
  await assert.rejects(build(exactDedup({ index, by: 'url' }), 'friday', [text(1)]), { code: 'SLUICE_INDEX_OTHER' })
  const taken = newIndex()
  await build(exactDedup({ index: taken }), 'monday', [text(1)])
  rmSync(join(taken, 'index.json'))
  await assert.rejects(build(exactDedup({ index: taken }), 'tuesday', [text(1)]), { code: 'SLUICE_INDEX_TAKEN' })
})

test('a compaction that was killed before it removed the old segments counts nothing twice', async () => {
  const index = newIndex()
  for (const night of [1, 2]) await build(exactDedup({ index }), `night-${night}`, [text(night)])
  const old = readdirSync(index).filter((name) => name.startsWith('night-'))
  for (const name of old) copyFileSync(join(index, name), join(folder, name))
  await compactIndex(index)
  for (const name of old) copyFileSync(join(folder, name), join(index, name))
  const { segments } = await inspectIndex(index)
  assert.deepEqual(
    segments.map(({ builds, records }) => [builds, records]),
    [[['night-1', 'night-2'], 2]],
  )
})
