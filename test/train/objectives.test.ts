import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { TokenLoader } from '../../src/train/loader.ts'
import { maskTokens, mostPicks } from '../../src/train/masked.ts'
import type { PackedBatch } from '../../src/train/pack.ts'
import { corruptSpans, type SpanOptions, targetRoom } from '../../src/train/spans.ts'
import { END_OF_TEXT, memoryCorpus } from './corpora.ts'

const VOCABULARY = 5000
const MASK = VOCABULARY
const LENGTH = 64
const masking = { share: 0.15, maskToken: MASK, endOfText: END_OF_TEXT, vocabularySize: VOCABULARY, seed: 7 }
const spanning: SpanOptions = {
  ...{ share: 0.15, meanSpan: 3, sentinel: VOCABULARY + 99, sentinels: 100, startToken: 0, endOfText: END_OF_TEXT, seed: 7 },
  targetLength: targetRoom(LENGTH, { share: 0.15, meanSpan: 3 }),
}

/** Rows of documents of these lengths, every token another one. */
async function packed(lengths: readonly number[], packing: 'documents' | 'best-fit' = 'documents'): Promise<PackedBatch> {
  let token = 1
  const documents = lengths.map((length) => ({ tokens: Array.from({ length }, () => token++) }))
  const rows = Math.max(1, Math.ceil((token + lengths.length) / (LENGTH / 2)))
  const options = { rows, length: LENGTH, packing, seed: 1, validationShare: 0, split: 'train', windowTokens: 1e6, epochs: 1 } as const
  const batch = await new TokenLoader(memoryCorpus([documents]), options).next()
  assert.ok(batch)
  return batch
}

const documentLengths = fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 12 })
const packings = fc.constantFrom('documents', 'best-fit')

test('masking hides the chosen share, and its targets restore what was there', async () => {
  await fc.assert(
    fc.asyncProperty(documentLengths, packings, async (lengths, packing) => {
      const batch = await packed(lengths, packing)
      const { ids, picked, targets, lo, hi } = maskTokens(batch, 0, masking)
      assert.equal(new Set(picked).size, picked.length)
      for (const [i, place] of picked.entries()) assert.equal(targets[i], batch.ids[place])
      const places = new Set(picked)
      for (const [i, id] of ids.entries()) assert.ok(places.has(i) || id === batch.ids[i])
      for (let row = 0; row < batch.rows; row++) {
        const own = [...picked].filter((place) => Math.floor(place / LENGTH) === row).length
        const words = batch.ids.subarray(row * LENGTH, (row + 1) * LENGTH).filter((id) => id !== END_OF_TEXT).length
        assert.equal(own, Math.round(words * 0.15))
        assert.ok(own <= mostPicks(LENGTH, masking))
      }
      // what sees each other belongs together, to both sides
      for (let i = 0; i < lo.length; i++)
        for (let j = lo[i]; j < hi[i]; j++) assert.equal(lo[i - (i % LENGTH) + j], lo[i], `position ${i} sees ${j}`)
    }),
    { numRuns: 40 },
  )
})

test('of the chosen tokens four in five show the mask, one in ten another token, one in ten itself', async () => {
  const batch = await packed(Array.from({ length: 400 }, () => 120))
  const { ids, picked, targets } = maskTokens(batch, 0, { ...masking, vocabularySize: 1e6 })
  const share = (is: (id: number, target: number) => boolean) =>
    [...picked].filter((place, i) => is(ids[place], targets[i])).length / picked.length
  // 7,200 picks: four standard errors of a tenth are 0.014
  const near = (value: number, expected: number) => assert.ok(Math.abs(value - expected) < 0.02, `${value}, expected ${expected}`)
  near(
    share((id) => id === MASK),
    0.8,
  )
  near(
    share((id, target) => id === target),
    0.1,
  )
})

test('what is hidden depends on the row, not on the batch that it is in', async () => {
  const batch = await packed([80, 90, 70])
  const all = maskTokens(batch, 10, masking)
  const row = 2
  const part = (values: Int32Array) => values.slice(row * LENGTH, (row + 1) * LENGTH)
  const one = maskTokens({ ...batch, rows: 1, ids: part(batch.ids), lo: part(batch.lo) }, 10 + row, masking)
  assert.deepEqual(one.ids, part(all.ids))
})

/** Puts what the target says in the place of the sentinels of the source. */
function restore(source: readonly number[], target: readonly number[]): number[] {
  const spans = new Map<number, number[]>()
  let open: number[] = []
  for (const token of target) {
    if (token < VOCABULARY) open.push(token)
    else spans.set(token, (open = []))
  }
  return source.flatMap((token) => (token < VOCABULARY ? [token] : (spans.get(token) ?? [])))
}

test('a source and its target together are the document again', async () => {
  await fc.assert(
    fc.asyncProperty(documentLengths, packings, async (lengths, packing) => {
      const batch = await packed(lengths, packing)
      const { source, target } = corruptSpans(batch, 0, spanning)
      for (let row = 0; row < batch.rows; row++) {
        const written: number[] = []
        for (let at = 0; at < source.length; ) {
          const i = row * source.length + at
          const tokens = [...source.ids.subarray(i, row * source.length + source.hi[i])]
          const first = target.crossLo.findIndex(
            (lo, place) => Math.floor(place / target.length) === row && target.targets[place] >= 0 && lo === at,
          )
          const answer: number[] = []
          for (let place = first; first >= 0 && place < (row + 1) * target.length && target.targets[place] >= 0; place++) {
            if (target.crossLo[place] !== at) break
            assert.equal(target.ids[place], answer.length === 0 ? 0 : answer[answer.length - 1])
            assert.equal(target.crossHi[place], source.hi[i])
            answer.push(target.targets[place])
          }
          if (answer.length > 0) assert.equal(answer.pop(), END_OF_TEXT)
          written.push(...restore(tokens, answer))
          at = source.hi[i]
        }
        const expected = [...batch.ids.subarray(row * LENGTH, (row + 1) * LENGTH)]
        assert.deepEqual(
          written.filter((token) => token !== END_OF_TEXT),
          expected.filter((token) => token !== END_OF_TEXT),
        )
      }
    }),
    { numRuns: 40 },
  )
})

test('spans take out the wanted share, in pieces of the wanted length', async () => {
  const batch = await packed(Array.from({ length: 60 }, () => LENGTH - 1))
  const { target } = corruptSpans(batch, 0, spanning)
  const targets = [...target.targets].filter((token) => token > 0)
  const taken = targets.filter((token) => token < VOCABULARY).length
  const words = [...batch.ids].filter((id) => id !== END_OF_TEXT).length
  assert.ok(Math.abs(taken / words - 0.15) < 0.02, `${taken / words}`)
  assert.ok(Math.abs(taken / (targets.length - taken) - 3) < 0.4)
})
