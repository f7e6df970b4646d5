import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Document } from '../../src/core/document.ts'
import { type MinhashDedupOptions, minhashDedup } from '../../stages/minhash-dedup.ts'
import { cutAt, documentsOf } from '../dedup/documents.ts'
import { type BarrierSettings, runBarrier } from '../dedup/run-barrier.ts'

const vocabulary = 'river stone lamp winter door glass engine paper market signal forest bread copper window letter'.split(' ')

/** Texts of 60 words; those of the same family differ in the first word only. */
function familyText(family: number, variant: number): string {
  // Two words in one, so that no shingle comes twice; digits would all become 0.
  const words = Array.from({ length: 60 }, (_, i) => vocabulary[i % 15] + vocabulary[(family * 4 + Math.floor(i / 15)) % 15])
  return [`${vocabulary[variant % vocabulary.length]}start`, ...words].join(' ')
}

const corpus = documentsOf([0, 1, 2, 0, 3, 1, 0, 4, 2, 5].map((family, i) => familyText(family, i)))

async function survivors(partitions: Document[][], options: MinhashDedupOptions = {}, settings?: BarrierSettings) {
  const { kept, dropped } = await runBarrier(minhashDedup(options), partitions, settings)
  assert.ok([...dropped.values()].every((reason) => reason === 'minhash_duplicate'))
  return kept.flat().map(({ id, annotations }) => [id, annotations?.minhash_cluster_size])
}

test('one document of each cluster stays, the first in the input, with the size of its cluster', async () => {
  assert.deepEqual(await survivors([corpus]), [
    ['0', 3],
    ['1', 2],
    ['2', 2],
    ['4', 1],
    ['7', 1],
    ['9', 1],
  ])
})

test('clusters do not depend on how the input is cut into partitions, nor on batches and memory', async () => {
  const whole = await survivors([corpus])
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(corpus.length), { maxLength: 4 }), fc.integer({ min: 1, max: 11 }), async (cuts, batch) => {
      assert.deepEqual(await survivors(cutAt(corpus, cuts), {}, { batch, memoryBytes: 1 << 20 }), whole)
    }),
    { numRuns: 12 },
  )
})

test('the document that stays is a choice', async () => {
  const scored = corpus.map((document, i) => ({ ...document, annotations: { quality: i === 3 ? 1 : 0 } }))
  const longest = corpus.map((document, i) => (i === 6 ? { ...document, text: `${document.text} indeed` } : document))
  const ids = async (documents: Document[], keep: MinhashDedupOptions['keep']) =>
    (await survivors(cutAt(documents, [4]), { keep })).map(([id]) => id)
  assert.deepEqual(await ids(longest, 'longest'), ['1', '4', '6', '7', '8', '9'])
  assert.deepEqual(await ids(scored, { highest: 'quality' }), ['1', '2', '3', '4', '7', '9'])
  assert.deepEqual(await ids(corpus, 'none'), ['4', '7', '9'])
})

test('32-bit and SHA-1 signatures find the same clusters', async () => {
  const whole = await survivors([corpus])
  assert.deepEqual(await survivors([corpus], { precision: 32 }), whole)
  assert.deepEqual(await survivors([corpus], { hash: 'sha1', words: 'blanks' }), whole)
})

test('documents too short for a shingle, even empty ones, stay', async () => {
  const short = documentsOf(['', 'four words are few', 'four words are few', '', 'one'])
  assert.equal((await survivors([short, []])).length, 5)
})

test('case, punctuation, digits and diacritics do not tell documents apart', async () => {
  const pair = documentsOf(['The café sold 12,000 cups in May; it was full.', 'the CAFE sold 7 cups, in may - it was full'])
  assert.deepEqual(await survivors([pair]), [['0', 2]])
})

test('bands times hashes per band past 1024 are refused, as are unknown options', () => {
  assert.throws(() => minhashDedup({ bands: 200 }), /exceeds 1024/)
  assert.throws(() => minhashDedup({ shingleWords: 0 }))
  assert.throws(() => minhashDedup(JSON.parse('{"band": 3}')), /band/)
})

test('clustering that does not fit the memory is refused with numbers', async () => {
  await assert.rejects(runBarrier(minhashDedup(), [corpus], { memoryBytes: 70 }), { code: 'SLUICE_RECORDS_MEMORY' })
})

test('Chinese texts that differ in a few words are duplicates: their words are those of their language', async () => {
  const sentence = '今天天气很好我们一起去公园散步然后在湖边喝茶聊天晚上回家做饭看电影最后早点休息准备明天的工作和学习'
  const texts = [
    sentence.repeat(3),
    `昨天${sentence.repeat(3)}`,
    '完全不同的一段文字讲述历史和文化以及科学技术的发展对社会产生的深远影响和未来的变化'.repeat(3),
  ]
  const documents = documentsOf(texts).map((document) => ({ ...document, language: 'zh' }))
  assert.deepEqual(
    (await survivors([documents], { hashesPerBand: 4 })).map(([id]) => id),
    ['0', '2'],
  )
})
