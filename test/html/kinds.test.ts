// Forums, products, documentation, lists, front pages: what is wanted and unwanted on 44 pages of real archives, marked by reading them.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { ARCHIVES, hashOf, judge, readLabels, readPages, sum, wordsOf } from '../../bench/extraction-kinds.ts'
import { extract } from '../../src/html/extract.ts'

const skip = existsSync(ARCHIVES) ? false : 'no ../shared/data/warc here'

test('of pages that are no articles nine tenths of what is wanted comes out, and a seventh of what is not', { skip }, async () => {
  const pages = await readPages()
  const labels = readLabels()
  const missing = labels.filter(({ page }) => !pages.has(page))
  assert.deepEqual(missing, [])
  const found = sum(labels.map((label) => judge(label, extract(pages.get(label.page) ?? '').text)))
  assert.ok(found.wanted / found.ofWanted >= 0.9 && found.unwanted / found.ofUnwanted <= 0.15, JSON.stringify(found))
})

test('a segment is found by the hash of its words, wherever it stands', () => {
  const words = wordsOf('The quick, brown fox')
  const page = { page: '', kind: '', wanted: [[words.length, hashOf(words)] as [number, string]], unwanted: [] }
  assert.equal(judge(page, 'See the QUICK brown fox!').wanted, 1)
  assert.equal(judge(page, 'the quick fox, brown').wanted, 0)
})
