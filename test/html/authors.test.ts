// Names of authors as pages write them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { authorNames, signedNames } from '../../src/html/authors.ts'

test('names are freed of what stands around them', () => {
  const cases: readonly (readonly [string, string | undefined])[] = [
    ['By Ann Lee', 'Ann Lee'],
    ['Posted byAnn Lee', 'Ann Lee'],
    ['Recipe by Ann Lee', 'Ann Lee'],
    ['Von Maren Holt', 'Maren Holt'],
    [', Ann Lee', 'Ann Lee'],
    ['Ann Lee, senior editor', 'Ann Lee'],
    ['Ann Lee | May 4, 2021', 'Ann Lee'],
    ['By', undefined],
    ['admin', undefined],
    ['https://example.org/ann', undefined],
    ['262588213843476', undefined],
    ['Veröffentlicht am', undefined],
  ]
  for (const [text, names] of cases) assert.equal(authorNames(text), names, text)
})

test('a line that does nothing but sign names its authors, other lines name nobody', () => {
  assert.equal(signedNames('By Ann Lee and Bo Ek'), 'Ann Lee and Bo Ek')
  assert.equal(signedNames('von Maren Holt, Ivo Brandt'), 'Maren Holt, Ivo Brandt')
  for (const line of ['By the river', 'By Monday', 'Ann Lee', 'By Ann Lee, who lives in Rome.'])
    assert.equal(signedNames(line), undefined, line)
})

test('no line keeps the patterns busy', () => {
  const start = process.cpuUsage()
  for (let i = 0; i < 1000; i++) {
    for (const line of [`By ${'A'.repeat(77)}`, `By ${'A '.repeat(38)}!`, `By ${'Ab, '.repeat(19)}`]) signedNames(line)
    for (const line of [`${' '.repeat(400)}1`, 'on '.repeat(150), '- '.repeat(200), 'by '.repeat(150)]) authorNames(line)
  }
  const { user } = process.cpuUsage(start)
  assert.ok(user < 2_000_000, `${user} µs for 7,000 lines`)
})
