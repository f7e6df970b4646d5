import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { PieceBuffer } from '../../src/tokenizer/pretokenize.ts'
import { mergeWordFiles, mergeWords, readFrequentWords, SpillingWordCounter } from '../../src/tokenizer/words.ts'

const root = mkdtempSync(join(tmpdir(), 'sluice-words-'))
after(() => rmSync(root, { recursive: true }))

function pieces(words: readonly string[]): PieceBuffer {
  const buffer = new PieceBuffer()
  buffer.clear()
  for (const word of words) {
    buffer.append(word)
    buffer.endPiece(buffer.length)
  }
  return buffer
}

function readAll(path: string): [string, number][] {
  const words: [string, number][] = []
  mergeWords([path], (bytes, start, end, count) => words.push([Buffer.from(bytes.subarray(start, end)).toString(), count]))
  return words
}

function countPlainly(words: readonly string[]): [string, number][] {
  const counts = new Map<string, number>()
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1)
  return [...counts].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
}

let files = 0
function write(words: readonly string[], memoryBytes: number): string {
  const path = join(root, `words-${files++}`)
  const counter = new SpillingWordCounter(path, memoryBytes)
  for (let i = 0; i < words.length; i += 5) counter.add(pieces(words.slice(i, i + 5)))
  counter.close()
  return path
}

test('counts are exact and sorted by bytes, spilled or not', () => {
  const word = fc.oneof(
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 4 }),
    fc.constantFrom('a', 'ab', 'abcdefg', 'abcdefh', 'x'.repeat(70_000)),
  )
  fc.assert(
    fc.property(fc.array(word, { maxLength: 60 }), fc.constantFrom(1, 1 << 30), (words, memoryBytes) => {
      assert.deepEqual(readAll(write(words, memoryBytes)), countPlainly(words))
    }),
    { numRuns: 40 },
  )
  assert.deepEqual(
    readdirSync(root).filter((name) => name.includes('.')),
    [],
    'nothing but results is left',
  )
})

test('files merge to the sum of their counts, however many there are', () => {
  const words = Array.from({ length: 600 }, (_, i) => [`w${i % 7}`, `only${i}`])
  const out = join(root, 'merged')
  mergeWordFiles(
    words.map((list) => write(list, 1 << 30)),
    out,
  )
  assert.deepEqual(readAll(out), countPlainly(words.flat()))
})

test('the most frequent words are kept, equal ones together', () => {
  const path = write(['a', 'a', 'a', 'b', 'b', 'c', 'c', 'd'], 1 << 30)
  const kept = (maxWords: number) => Array.from(readFrequentWords(path, maxWords).counts)
  assert.deepEqual(kept(9), [3, 2, 2, 1])
  assert.deepEqual(kept(3), [3, 2, 2])
  assert.deepEqual(kept(2), [3])
})
