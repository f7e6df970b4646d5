import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SluiceError } from '../../src/core/errors.ts'
import { sampleFraction } from '../../src/core/identity.ts'
import { firstCursor, type LoaderOptions, TokenLoader } from '../../src/train/loader.ts'
import { type PackedBatch, packings } from '../../src/train/pack.ts'
import { planWindows } from '../../src/train/shuffle.ts'
import { END_OF_TEXT, idOf, memoryCorpus, type TestDocument } from './corpora.ts'

const defaults: LoaderOptions = {
  rows: 3,
  length: 8,
  packing: 'concatenate',
  seed: 1,
  validationShare: 0,
  split: 'train',
  windowTokens: 60,
  epochs: 1,
}

/** Documents of unlike lengths whose tokens are all different, so that each can be recognised. */
const distinctGroups = fc.array(fc.array(fc.nat(30), { maxLength: 12 }), { minLength: 1, maxLength: 7 }).map((groups) => {
  let token = 1
  return groups.map((lengths) => lengths.map((length): TestDocument => ({ tokens: Array.from({ length }, () => token++) })))
})
const shapes = fc.record({
  packing: fc.constantFrom(...packings),
  rows: fc.integer({ min: 1, max: 5 }),
  length: fc.integer({ min: 2, max: 17 }),
})

async function allBatches(loader: TokenLoader): Promise<PackedBatch[]> {
  const batches: PackedBatch[] = []
  for (let batch = await loader.next(); batch; batch = await loader.next()) batches.push(batch)
  return batches
}

const inputs = (batches: readonly PackedBatch[]) => batches.flatMap(({ ids }) => [...ids].filter((id) => id !== END_OF_TEXT))
const documentTokens = (groups: readonly (readonly TestDocument[])[]) => groups.flat().flatMap(({ tokens }) => [...tokens])
const ascending = (values: readonly number[]) => [...values].sort((a, b) => a - b)

test('an epoch gives every token as an input exactly once, however it is packed', async () => {
  await fc.assert(
    fc.asyncProperty(distinctGroups, shapes, fc.nat(), async (groups, shape, seed) => {
      const batches = await allBatches(new TokenLoader(memoryCorpus(groups), { ...defaults, ...shape, seed }))
      assert.deepEqual(ascending(inputs(batches)), documentTokens(groups))
    }),
    { numRuns: 150 },
  )
})

test('a target is the token that follows in its document, or the first of the next one after an end of text', async () => {
  await fc.assert(
    fc.asyncProperty(distinctGroups, shapes, async (groups, shape) => {
      const successor = new Map(groups.flat().flatMap(({ tokens }) => tokens.map((token, i) => [token, tokens[i + 1] ?? END_OF_TEXT])))
      for (const { ids, targets } of await allBatches(new TokenLoader(memoryCorpus(groups), { ...defaults, ...shape }))) {
        ids.forEach((id, i) => {
          if (id !== END_OF_TEXT) assert.equal(targets[i], successor.get(id))
          else if (shape.packing === 'best-fit') assert.equal(targets[i], -1)
        })
      }
    }),
    { numRuns: 100 },
  )
})

test('concatenated batches are one stream: each target is the next input', async () => {
  const groups = Array.from({ length: 5 }, (_, group) => [{ tokens: Array.from({ length: 31 }, (_, i) => 1 + group * 31 + i) }])
  const batches = await allBatches(new TokenLoader(memoryCorpus(groups), { ...defaults, windowTokens: 31 }))
  const ids = batches.flatMap((batch) => [...batch.ids])
  const targets = batches.flatMap((batch) => [...batch.targets])
  assert.deepEqual(targets.slice(0, 5 * 32 - 1), ids.slice(1, 5 * 32))
  assert.ok(targets.slice(5 * 32 - 1).every((target) => target === -1))
})

test('documents packing hides other documents, best-fit does not cut a document that fits a row', async () => {
  await fc.assert(
    fc.asyncProperty(distinctGroups, shapes, async (groups, shape) => {
      const owner = new Map(groups.flat().flatMap(({ tokens }, document) => tokens.map((token) => [token, document])))
      const sizes = groups.flat().map(({ tokens }) => tokens.length)
      const rowsOf = new Map<number, Set<number>>()
      let row = 0
      for (const { ids, lo, rows, length } of await allBatches(new TokenLoader(memoryCorpus(groups), { ...defaults, ...shape }))) {
        for (let r = 0; r < rows; r++, row++) {
          for (let column = 0; column < length; column++) {
            const first = lo[r * length + column]
            assert.ok(first >= 0 && first <= column)
            const document = owner.get(ids[r * length + column])
            if (document === undefined) continue
            rowsOf.set(document, (rowsOf.get(document) ?? new Set()).add(row))
            if (shape.packing === 'concatenate') assert.equal(first, 0)
            else for (let seen = first; seen <= column; seen++) assert.equal(owner.get(ids[r * length + seen]), document)
          }
        }
      }
      if (shape.packing !== 'best-fit') return
      // Its end of text takes a place too.
      for (const [document, inRows] of rowsOf) if (sizes[document] + 1 <= shape.length) assert.equal(inRows.size, 1)
    }),
    { numRuns: 100 },
  )
})

test('a loader opened at a cursor goes on with the same batches, over epochs too', async () => {
  await fc.assert(
    fc.asyncProperty(distinctGroups, shapes, fc.nat(40), async (groups, shape, stopAfter) => {
      const corpus = memoryCorpus(groups)
      if (corpus.tokens === 0) return
      const options = { ...defaults, ...shape, epochs: undefined }
      const straight = new TokenLoader(corpus, options)
      for (let i = 0; i < stopAfter; i++) await straight.next()
      const resumed = new TokenLoader(corpus, options, JSON.parse(JSON.stringify(straight.cursor)))
      for (let i = 0; i < 10; i++) assert.deepEqual(await resumed.next(), await straight.next())
    }),
    { numRuns: 60 },
  )
})

test('what row n holds does not depend on the rows of a batch', async () => {
  const groups = Array.from({ length: 6 }, (_, group) =>
    Array.from({ length: 9 }, (_, i) => ({ tokens: Array.from({ length: 5 + i }, (_, t) => 1 + group * 900 + i * 90 + t) })),
  )
  for (const packing of packings) {
    const flat = async (rows: number) => {
      const loader = new TokenLoader(memoryCorpus(groups), { ...defaults, packing, rows, epochs: undefined })
      const batches: PackedBatch[] = []
      while (batches.length < 60 / rows) {
        const batch = await loader.next()
        if (batch) batches.push(batch)
      }
      return { ids: batches.flatMap(({ ids }) => [...ids]), targets: batches.flatMap(({ targets }) => [...targets]), cursor: loader.cursor }
    }
    assert.deepEqual(await flat(1), await flat(6))
  }
})

test('epochs and seeds change the order, the same ones repeat it', async () => {
  const groups = Array.from({ length: 8 }, (_, group) => Array.from({ length: 20 }, (_, i) => ({ tokens: [1 + group * 20 + i] })))
  const order = async (seed: number, epochs: number) =>
    inputs(await allBatches(new TokenLoader(memoryCorpus(groups), { ...defaults, seed, epochs })))
  const two = await order(1, 2)
  assert.deepEqual(await order(1, 1), two.slice(0, 160))
  assert.notDeepEqual(two.slice(0, 160), two.slice(160))
  assert.notDeepEqual(await order(2, 1), await order(1, 1))
  assert.notDeepEqual(ascending(await order(1, 1)), await order(1, 1))
})

test('windows bound what is held in memory and hold every row group once', () => {
  const groups = Array.from({ length: 40 }, (_, index) => ({ shard: 0, group: index, firstRow: 0, rows: 1, tokens: 1 + (index % 13) }))
  const windows = planWindows(groups, 3, 5, 20)
  for (const window of windows) assert.ok(window.length === 1 || window.reduce((sum, { tokens }) => sum + tokens, 0) <= 20)
  assert.deepEqual(
    ascending(windows.flat().map(({ group }) => group)),
    groups.map(({ group }) => group),
  )
})

test('held-out documents are chosen by their ids and never trained on', async () => {
  const groups = Array.from({ length: 4 }, (_, group) => Array.from({ length: 50 }, (_, i) => ({ tokens: [1 + group * 50 + i] })))
  const tokens = async (split: 'train' | 'validation') =>
    ascending(inputs(await allBatches(new TokenLoader(memoryCorpus(groups), { ...defaults, split, validationShare: 0.2 }))))
  const heldOut = Array.from({ length: 200 }, (_, i) => i).filter((i) => sampleFraction(idOf(i), 'validation') < 0.2)
  assert.deepEqual(
    await tokens('validation'),
    heldOut.map((i) => i + 1),
  )
  assert.deepEqual(ascending([...(await tokens('train')), ...(await tokens('validation'))]), documentTokens(groups))
})

test('masked tokens are inputs but no targets', async () => {
  const groups = [[{ tokens: [1, 2, 3, 4], mask: [0, 0, 1, 1] }, { tokens: [5, 6] }]]
  for (const packing of packings) {
    const [batch] = await allBatches(new TokenLoader(memoryCorpus(groups), { ...defaults, packing, rows: 1, length: 16 }))
    const targets = [...batch.targets].filter((target) => target > 0)
    assert.ok(!targets.includes(1) && !targets.includes(2))
    assert.ok(targets.includes(3) && targets.includes(4) && targets.includes(6))
    assert.equal(batch.targetCount, [...batch.targets].filter((target) => target >= 0).length)
  }
})

test('a batch names the documents it was made of', async () => {
  const groups = Array.from({ length: 4 }, (_, group) =>
    Array.from({ length: 6 }, (_, i) => ({ tokens: Array.from({ length: 4 }, (_, t) => 1 + group * 24 + i * 4 + t) })),
  )
  for (const packing of packings) {
    for (const batch of await allBatches(new TokenLoader(memoryCorpus(groups), { ...defaults, packing }))) {
      const named = new Set<string>()
      for (let i = 0; i < batch.documents.length; i += 2) named.add(`${batch.documents[i]}:${batch.documents[i + 1]}`)
      const held = new Set(
        [...batch.ids]
          .filter((id) => id > 0)
          .map((id) => Math.floor((id - 1) / 4))
          .map((n) => `${Math.floor(n / 12)}:${n % 12}`),
      )
      for (const place of held) assert.ok(named.has(place), `${place} of ${[...named]}`)
      assert.ok(named.size <= held.size + 1) // one whose end of text alone is in the batch
    }
  }
})

test('a split without documents is refused', async () => {
  const loader = new TokenLoader(memoryCorpus([[]]), { ...defaults, epochs: undefined }, firstCursor)
  await assert.rejects(loader.next(), (error) => error instanceof SluiceError && error.code === 'SLUICE_TRAIN_CORPUS_EMPTY')
})
