// Deduplication across builds: an index consulted and extended, repeated, interrupted, compacted, merged.

import assert from 'node:assert/strict'
import { copyFileSync, cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import type { Document } from '../../src/core/document.ts'
import { hash128 } from '../../src/core/identity.ts'
import type { Barrier } from '../../src/core/stage.ts'
import { readDefinition } from '../../src/dedup/build-index.ts'
import { EarlierBuilds } from '../../src/dedup/earlier-builds.ts'
import { compactIndex, forgetBuild, inspectIndex, mergeIndexes, verifyIndex, visitRepeated } from '../../src/dedup/index-upkeep.ts'
import { mergeRuns } from '../../src/io/merge-runs.ts'
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

/** Runs a build whose documents have ids of their own; by id, the numbers of documents seen that what stays is annotated with. */
async function seenBy(stage: Barrier<Document>, name: string, texts: readonly string[]) {
  const documents = documentsOf(texts).map((document) => ({ ...document, id: `${name} ${document.id}` }))
  const { kept } = await runBarrier(stage, [documents.slice(0, 2), documents.slice(2)], { build: name })
  const values = ({ annotations = {} }: Document) => Object.values(annotations).join('/')
  return Object.fromEntries(kept.flat().map((document) => [document.id, values(document)]))
}

for (const [name, stage] of Object.entries(stages))
  test(`${name}: duplicates are counted over three builds, whoever dropped them, and a build run again is told of the others`, async () => {
    const index = newIndex()
    const monday = [text(1), text(2), text(1)]
    const tuesday = [text(1), text(3), text(1), text(2), text(3), text(3)]
    // Annotations: in the cluster in this build / over all builds.
    assert.deepEqual(await seenBy(stage(index), 'monday', monday), { 'monday 0': '2/2', 'monday 1': '1/1' })
    assert.deepEqual(await seenBy(stage(index), 'tuesday', tuesday), { 'tuesday 1': '3/3' })
    await seenBy(stage(index), 'wednesday', [text(3), text(1), text(4)])
    const check = async () => {
      const { builds, repeated } = await inspectIndex(index)
      assert.deepEqual(builds, [
        { name: 'monday', kept: 2, duplicates: 1, earlier: 0 },
        { name: 'tuesday', kept: 1, duplicates: 2, earlier: 3 },
        { name: 'wednesday', kept: 1, duplicates: 0, earlier: 2 },
      ])
      assert.deepEqual([repeated.documents, repeated.seen], [3, 5 + 4 + 2])
      assert.deepEqual(
        repeated.largest.map(({ seen, duplicates }) => [seen, duplicates]),
        [
          [5, { monday: 1, tuesday: 2, wednesday: 1 }],
          [4, { tuesday: 2, wednesday: 1 }],
          [2, { tuesday: 1 }],
        ],
      )
      if (name === 'minhash') assert.equal(repeated.largest[0].key, hash128('monday 0').slice(0, 16))
    }
    await check()
    await compactIndex(index)
    await check()
    // The first build again: its documents are known to have been seen by the others.
    assert.deepEqual(await seenBy(stage(index), 'monday', monday), { 'monday 0': '2/5', 'monday 1': '1/2' })
    await check()
    assert.deepEqual(await seenBy(stage(index), 'tuesday', tuesday), { 'tuesday 1': '3/4' })
    await check()
    await forgetBuild(index, 'wednesday')
    assert.equal((await inspectIndex(index)).repeated.seen, 4 + 3 + 2)
  })

/** What an index holds, without the names of its files. */
async function contentOf(index: string) {
  const { builds, repeated } = await inspectIndex(index, 100)
  return JSON.stringify({ builds, repeated })
}

const writes: Record<string, (index: string) => Promise<unknown>> = {
  'a build that is run again': (index) => seenBy(exactDedup({ index }), 'tuesday', [text(2), text(7), text(7)]),
  'a compaction': compactIndex,
  'forgetting a build': (index) => forgetBuild(index, 'tuesday'),
}
for (const [name, write] of Object.entries(writes))
  test(`${name}, killed between any two steps, leaves what was or what will be, and the next writer goes on from it`, async () => {
    const [before, after] = [newIndex(), newIndex()]
    await seenBy(exactDedup({ index: before }), 'monday', [text(1), text(2), text(1)])
    await seenBy(exactDedup({ index: before }), 'tuesday', [text(1), text(3), text(3)])
    await compactIndex(before)
    await seenBy(exactDedup({ index: before }), 'wednesday', [text(3), text(4)])
    cpSync(before, after, { recursive: true })
    await write(after)
    const old = readdirSync(before).filter((file) => !existsSync(join(after, file)))
    const fresh = readdirSync(after).filter((file) => !existsSync(join(before, file)))
    const [was, willBe] = [await contentOf(before), await contentOf(after)]
    const isHeader = (file: string) => file.endsWith('.json')
    await fc.assert(
      fc.asyncProperty(fc.boolean(), fc.subarray(old.filter(isHeader)), fc.boolean(), async (hasHeader, removed, hasRest) => {
        const index = newIndex()
        cpSync(before, index, { recursive: true })
        for (const file of fresh) if (hasHeader || !isHeader(file)) copyFileSync(join(after, file), join(index, file))
        // A segment is removed only when the new one counts: its header, then the rest.
        if (hasHeader)
          for (const file of removed)
            for (const gone of hasRest ? [file] : [file, file.replace('.json', '.runs')]) rmSync(join(index, gone))
        assert.equal(await contentOf(index), hasHeader ? willBe : was)
        await seenBy(exactDedup({ index }), 'thursday', [text(5)])
        await compactIndex(index)
        await forgetBuild(index, 'thursday')
        assert.equal(await contentOf(index), hasHeader ? willBe : was)
      }),
      { numRuns: 10 },
    )
  })

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
        // How often a text was seen over all builds, whatever was compacted in between.
        const times = [...new Set(builds.flat())].map((text) => builds.flat().filter((other) => other === text).length)
        const counted: number[] = []
        await visitRepeated(index, ({ seen }) => counted.push(seen))
        assert.deepEqual(counted.sort(), times.filter((count) => count > 1).sort())
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
  await assert.rejects(compactIndex(newIndex()), { code: 'SLUICE_INDEX_MISSING' })
  const taken = newIndex()
  await build(exactDedup({ index: taken }), 'monday', [text(1)])
  rmSync(join(taken, 'index.json'))
  await assert.rejects(build(exactDedup({ index: taken }), 'tuesday', [text(1)]), { code: 'SLUICE_INDEX_TAKEN' })
})

test('a compaction that was killed before it removed the old segments counts nothing twice', async () => {
  const index = newIndex()
  for (const night of [1, 2]) await build(exactDedup({ index }), `night-${night}`, [text(night)])
  const old = readdirSync(index).filter((name) => name.startsWith('night-')) // headers and records
  for (const name of old) copyFileSync(join(index, name), join(folder, name))
  await compactIndex(index)
  for (const name of old) copyFileSync(join(folder, name), join(index, name))
  const { segments } = await inspectIndex(index)
  assert.deepEqual(
    segments.map(({ builds, records }) => [builds, records]),
    [[['night-1', 'night-2'], 2]],
  )
})

test('a damaged segment is refused wherever it is damaged, by whoever reads it, and never read as something else', async () => {
  const index = newIndex()
  await seenBy(minhashDedup({ index, words: 'blanks' }), 'monday', [text(1), text(2), text(1)])
  const [file] = readdirSync(index).filter((name) => name.endsWith('.runs'))
  const path = join(index, file)
  const whole = readFileSync(path)
  const consult = async () => {
    await verifyIndex(index)
    await seenBy(minhashDedup({ index, words: 'blanks' }), 'monday', [text(1), text(3)])
  }
  const refused = { code: /^SLUICE_(INDEX|RECORDS)_DAMAGED$/ }
  await fc.assert(
    fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
      const changed = Uint8Array.from(whole)
      changed[at] ^= change
      writeFileSync(path, changed)
      await assert.rejects(consult(), refused)
    }),
  )
  writeFileSync(path, whole.subarray(0, whole.length - 4))
  await assert.rejects(inspectIndex(index), refused)
  rmSync(path)
  await assert.rejects(inspectIndex(index), refused)
})

test('a merge reads the index as it was when it began, whatever is published or compacted meanwhile', async () => {
  const index = newIndex()
  const stage = exactDedup({ index })
  for (const night of [1, 2]) await build(stage, `night-${night}`, [text(night)])
  const { sources, held } = await openEarlier(index)
  await build(stage, 'night-3', [text(3)])
  await compactIndex(index)
  await build(stage, 'night-1', [text(4)])
  let records = 0
  const { signal } = new AbortController()
  await mergeRuns(sources, { words: 7, orderWords: 7, memoryBytes: 1 << 20, signal }, () => records++)
  held[Symbol.dispose]()
  assert.equal(records, 2)
})

async function openEarlier(index: string) {
  const definition = await readDefinition(index)
  assert.ok(definition)
  const held = await EarlierBuilds.open(index, definition, 'tonight')
  return { held, sources: Array.from({ length: definition.sections }, (_, section) => held.sources(section)).flat() }
}

test('builds and compactions that write at once wait for each other, and lose nothing', async () => {
  const index = newIndex()
  const nights = Array.from({ length: 6 }, (_, night) => build(exactDedup({ index }), `night-${night}`, [text(night)]))
  await Promise.all([...nights, build(exactDedup({ index }), 'night-0', [text(0)])])
  await Promise.all([compactIndex(index), build(exactDedup({ index }), 'night-1', [text(1)]), compactIndex(index)])
  const { builds } = await inspectIndex(index)
  assert.deepEqual(
    builds.map(({ name, kept }) => [name, kept]),
    [0, 1, 2, 3, 4, 5].map((night) => [`night-${night}`, 1]),
  )
})
