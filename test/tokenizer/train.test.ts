import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { alphabet } from '../../src/tokenizer/formats.ts'
import { PieceBuffer, patternSources, preTokenizer } from '../../src/tokenizer/pretokenize.ts'
import { createTokenizer } from '../../src/tokenizer/tokenizer.ts'
import { type TrainingSettings, trainTokenizerOn } from '../../src/tokenizer/train.ts'
import { WordCounter } from '../../src/tokenizer/words.ts'
import { realTexts } from './text.ts'

const settings: TrainingSettings = { vocabularySize: 400, minFrequency: 2, specialTokens: ['<|endoftext|>'], pattern: 'gpt4' }

function countWords(texts: readonly string[]): WordCounter {
  const pieces = new PieceBuffer()
  const words = new WordCounter()
  const preTokenize = preTokenizer([{ pattern: patternSources.gpt4, dropsGaps: false }])
  for (const text of texts) {
    pieces.clear()
    preTokenize(text, pieces)
    words.add(pieces)
  }
  return words
}

/** Training as it is defined: counts all pairs anew before each merge. */
function trainPlainly(words: WordCounter, { vocabularySize, minFrequency, specialTokens }: TrainingSettings): number[] {
  const firstByte = specialTokens.length
  const { bytes, starts, counts } = words.words()
  const sequences = Array.from(counts, (count, word) => ({
    count,
    ids: [...bytes.subarray(starts[word], starts[word + 1])].map((byte) => firstByte + alphabet.indexOf(byte)),
  }))
  const merges: number[] = []
  for (let id = firstByte + 256; id < vocabularySize; id++) {
    const pairs = new Map<number, number>()
    for (const { count, ids } of sequences)
      for (let i = 0; i + 1 < ids.length; i++) {
        const pair = ids[i] * 0x100000 + ids[i + 1]
        pairs.set(pair, (pairs.get(pair) ?? 0) + count)
      }
    // Most frequent first; among equals the lowest left id, then the lowest right one.
    const [best] = [...pairs].sort(([a, n], [b, m]) => m - n || a - b)
    if (!best || best[1] < minFrequency) break
    const left = Math.floor(best[0] / 0x100000)
    const right = best[0] % 0x100000
    merges.push(left, right, id)
    for (const { ids } of sequences)
      for (let i = 0; i + 1 < ids.length; i++) if (ids[i] === left && ids[i + 1] === right) ids.splice(i, 2, id)
  }
  return merges
}

test('merges on real text are those of counting anew each time', () => {
  const words = countWords(realTexts(12))
  assert.deepEqual([...trainTokenizerOn(words.words(), settings).model.merges], trainPlainly(words, settings))
})

test('merges on few letters, where pairs overlap and counts tie, are those of counting anew each time', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'a', 'b', 'c', ' ', 'é'), minLength: 1, maxLength: 120 })
  fc.assert(
    fc.property(fc.array(text, { minLength: 1, maxLength: 4 }), fc.integer({ min: 1, max: 3 }), (texts, minFrequency) => {
      const words = countWords(texts)
      const few = { ...settings, vocabularySize: 300, minFrequency }
      assert.deepEqual([...trainTokenizerOn(words.words(), few).model.merges], trainPlainly(words, few))
    }),
    { numRuns: 300 },
  )
})

test('a trained tokenizer encodes what it was trained on, and anything else', () => {
  const texts = realTexts(12)
  const tokenizer = createTokenizer('trained', trainTokenizerOn(countWords(texts).words(), { ...settings, vocabularySize: 2000 }), '')
  assert.equal(tokenizer.vocabularySize, 2000)
  assert.equal(tokenizer.endOfText, 0)
  assert.equal(tokenizer.decode(tokenizer.encode(texts[0])), texts[0])
  assert.equal(tokenizer.decode(tokenizer.encode('日本語 \0 😀')), '日本語 \0 😀')
  assert.ok(tokenizer.encode(texts[0]).length < texts[0].length / 3)
})

test('training ends early where no pair is frequent enough', () => {
  const { model } = trainTokenizerOn(countWords(['abc abd']).words(), settings)
  assert.equal(model.merges.length / 3, 1) // only a and b occur together twice
  assert.equal(model.starts.length - 1, 258)
})
