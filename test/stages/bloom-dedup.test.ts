import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BloomFilter, bloomRate, bloomSize } from '../../src/dedup/bloom.ts'
import { splitWords } from '../../src/text/words.ts'
import { type BloomDedupOptions, bloomDedup } from '../../stages/bloom-dedup.ts'
import { cutAt, documentsOf } from '../dedup/documents.ts'
import { runBarrier } from '../dedup/run-barrier.ts'

async function results(texts: readonly string[], options: BloomDedupOptions, cuts: readonly number[] = [], memoryBytes?: number) {
  const { kept, dropped } = await runBarrier(bloomDedup(options), cutAt(documentsOf(texts), cuts), { memoryBytes })
  const byId = new Map(kept.flat().map(({ id, text }) => [id, text]))
  return texts.map((_, i) => byId.get(String(i)) ?? dropped.get(String(i)))
}

const exact = { falsePositiveRate: 1e-9 }
const footer = 'All rights are reserved by whoever wrote these lines, and nobody else may print, sell or read them aloud.'
const story = 'There was an old woman who lived in a shoe and had so many children that she did not know what to do.'

test('a paragraph that came before goes, a document of such paragraphs as a whole', async () => {
  const texts = [`A first page.\n${footer}`, `${story}\nA second page.\n${footer}`, `Short.\n${footer}`]
  assert.deepEqual(await results(texts, exact), [texts[0], `${story}\nA second page.`, 'bloom_duplicate'])
  assert.deepEqual(await results(texts, { ...exact, remove: 'paragraph' }), [texts[0], `${story}\nA second page.`, 'Short.'])
  assert.deepEqual(await results(texts, { ...exact, remove: 'document' }), [texts[0], texts[1], 'bloom_duplicate'])
  assert.deepEqual(await results([footer, footer], { ...exact, remove: 'paragraph' }), [footer, 'bloom_dedup_empty'])
})

test('as sets of n-grams decide it, however the input is cut', async () => {
  const line = fc.array(fc.constantFrom('a', 'b', 'c.', 'd'), { maxLength: 6 }).map((words) => words.join(' '))
  const text = fc.array(line, { maxLength: 4 }).map((lines) => lines.join('\n'))
  const rules = { ngramWords: 3, minNgramWords: 2, threshold: 0.5 }
  await fc.assert(
    fc.asyncProperty(fc.array(text, { maxLength: 6 }), fc.array(fc.nat(6), { maxLength: 2 }), async (texts, cuts) => {
      const seen = new Set<string>()
      const expected = texts.map((text) => {
        let [all, old] = [0, 0]
        const kept = text.split('\n').filter((line) => {
          const words = splitWords(line)
          if (words.length < rules.minNgramWords) return true
          const n = Math.min(rules.ngramWords, words.length)
          const ngrams = words.slice(n - 1).map((_, i) => words.slice(i, i + n).join(' '))
          const before = ngrams.filter((ngram) => seen.has(ngram)).length
          all += ngrams.length
          old += before
          const goes = before > rules.threshold * ngrams.length
          if (!goes) for (const ngram of ngrams) seen.add(ngram)
          return !goes
        })
        if (old > rules.threshold * all) return 'bloom_duplicate'
        return kept.join('\n').trim() === '' && kept.length < text.split('\n').length ? 'bloom_dedup_empty' : kept.join('\n')
      })
      assert.deepEqual(await results(texts, { ...exact, ...rules }, cuts), expected)
    }),
    { numRuns: 40 },
  )
})

test('the filter forgets nothing, and mistakes as many as its size promises', () => {
  const elements = 20_000
  for (const rate of [0.1, 0.01, 0.001]) {
    const filter = new BloomFilter(bloomSize(elements, rate))
    const hash = hashes()
    const known = Array.from({ length: elements }, () => [hash(), hash()] as const)
    for (const [high, low] of known) filter.add(high, low)
    assert.ok(known.every(([high, low]) => filter.has(high, low)))
    let mistaken = 0
    for (let i = 0; i < 200_000; i++) if (filter.has(hash(), hash())) mistaken++
    assert.ok(Math.abs(mistaken / 200_000 / rate - 1) < 0.25, `${mistaken} of 200000 at ${rate}`)
  }
  assert.ok(Math.abs(bloomRate(1e6, bloomSize(1e6, 0.01).bits) - 0.01) < 1e-4)
})

test('too little memory is told with the rate that fits', async () => {
  const texts = Array.from({ length: 400 }, (_, i) => Array.from({ length: 100 }, (_, j) => `w${i * 100 + j}`).join(' '))
  await assert.rejects(results(texts, exact, [], 40_000), { code: 'SLUICE_DEDUP_MEMORY', fix: /falsePositiveRate to 0\.0/ })
})

/** 32-bit numbers, the same each time: splitmix32. */
function hashes(): () => number {
  let state = 7
  return () => {
    state = (state + 0x9e3779b9) | 0
    let x = state ^ (state >>> 16)
    x = Math.imul(x, 0x21f0aaad)
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97)
    return (x ^ (x >>> 15)) >>> 0
  }
}
