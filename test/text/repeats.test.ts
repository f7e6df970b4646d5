import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { splitBlanks } from '../../src/text/characters.ts'
import { WordGrams } from '../../src/text/repeats.ts'
import { splitAtBlanks, wordsOf } from '../../src/text/words.ts'

const texts = fc
  .array(fc.constantFrom('a', 'b', 'ab', 'c', 'a b c a b', 'the quick brown fox jumps over it', '😀'), { maxLength: 30 })
  .map((words) => words.join(' '))

const lengthOf = (words: readonly string[]) => [...words.join('')].length
const gramsOf = (words: readonly string[], n: number) =>
  Array.from({ length: Math.max(0, words.length - n + 1) }, (_, i) => words.slice(i, i + n))

function plainCounts(words: readonly string[], n: number) {
  const counts = new Map<string, number>()
  for (const gram of gramsOf(words, n)) counts.set(gram.join(' '), (counts.get(gram.join(' ')) ?? 0) + 1)
  return counts
}

function plainMostFrequent(words: readonly string[], n: number) {
  const [best] = [...plainCounts(words, n)].sort((a, b) => b[1] - a[1]) // stable: ties go to the first seen
  return best && { count: best[1], characters: lengthOf(best[0].split(' ')) }
}

function plainShared(words: readonly string[], n: number) {
  const counts = plainCounts(words, n)
  const sum = (grams: string[][]) => grams.reduce((total, gram) => total + lengthOf(gram), 0)
  const grams = gramsOf(words, n)
  return grams.length === 0 ? undefined : { shared: sum(grams.filter((gram) => (counts.get(gram.join(' ')) ?? 0) > 1)), all: sum(grams) }
}

function plainCovered(words: readonly string[], n: number) {
  const counts = plainCounts(words, n)
  const isCovered = words.map(() => false)
  for (const [i, gram] of gramsOf(words, n).entries()) if ((counts.get(gram.join(' ')) ?? 0) > 1) isCovered.fill(true, i, i + n)
  return lengthOf(words.filter((_, i) => isCovered[i]))
}

test('n-grams are counted as a map of strings counts them, whatever was asked before', () => {
  fc.assert(
    fc.property(texts, fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 6 }), (text, sizes) => {
      const words = splitBlanks(text)
      const grams = new WordGrams(splitAtBlanks(text))
      for (const n of sizes) {
        assert.deepEqual(grams.mostFrequent(n), plainMostFrequent(words, n))
        assert.deepEqual(grams.sharedCharacters(n), plainShared(words, n))
        assert.equal(grams.charactersInRepeated(n), plainCovered(words, n))
      }
      assert.equal(grams.characters, lengthOf(words))
    }),
  )
})

test('words at blanks are those of Python, and the same word has the same number', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('a', 'b', 'é', ' ', '\n', '\x1f', '\u3000', '\ufeff', '😀') }), (text) => {
      const tokens = splitAtBlanks(text)
      const words = splitBlanks(text)
      assert.deepEqual(wordsOf(tokens), words)
      assert.equal(new Set(tokens.ids).size, new Set(words).size)
    }),
  )
})
