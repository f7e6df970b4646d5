// The floor that extraction has reached on two public sets of real pages, which are not part of this repository.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { EXTRACTION_DATA, readFirstSet, scorePage, scoreSecondSet, summarize } from '../../bench/extraction.ts'
import { decodeHtml } from '../../src/html/encoding.ts'
import { extract } from '../../src/html/extract.ts'

const skip = existsSync(EXTRACTION_DATA) ? false : 'no ../shared/data/extraction here'
const textOf = (html: Uint8Array) => extract(decodeHtml(html).text).text

test('F1 on the article extraction benchmark is at least 0.975, precision and recall above 0.96', { skip }, () => {
  const score = summarize(readFirstSet().map((page) => scorePage(page.id, page.wanted, textOf(page.html))))
  assert.ok(score.f1 >= 0.975 && score.precision > 0.96 && score.recall > 0.96, JSON.stringify(score))
})

test('F on the multilingual set is at least 0.94', { skip }, () => {
  const score = scoreSecondSet(textOf)
  assert.ok(score.f1 >= 0.94, JSON.stringify(score))
})

test('scoring agrees with hand-counted pages', () => {
  assert.deepEqual(scorePage('same', 'a b c d e', 'a b c d e'), {
    id: 'same',
    truePositives: 1,
    falsePositives: 0,
    falseNegatives: 0,
    isEqual: true,
  })
  assert.deepEqual(scorePage('half', 'a b c d e', 'a b c d'), {
    id: 'half',
    truePositives: 0.5,
    falsePositives: 0,
    falseNegatives: 0.5,
    isEqual: false,
  })
  assert.equal(scorePage('none', 'a b', '').falseNegatives, 1)
})
