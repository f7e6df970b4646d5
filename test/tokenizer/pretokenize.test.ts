import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  PieceBuffer,
  type PreTokenizer,
  patternNames,
  patternSources,
  preTokenizer,
  splitByExpressions,
} from '../../src/tokenizer/pretokenize.ts'
import { realTexts, trickyText } from './text.ts'

function piecesOf(preTokenize: PreTokenizer, text: string): string[] {
  const buffer = new PieceBuffer()
  buffer.clear()
  preTokenize(text, buffer)
  return [...buffer.ends.subarray(0, buffer.count)].map((end, i) =>
    Buffer.from(buffer.bytes.subarray(i === 0 ? 0 : buffer.ends[i - 1], end)).toString('utf8'),
  )
}

const texts = realTexts(30)

for (const name of patternNames) {
  const steps = [{ pattern: patternSources[name], dropsGaps: false }]
  const scanner = preTokenizer(steps)
  const expression = splitByExpressions(steps)

  test(`the ${name} scanner cuts arbitrary text where its regular expression does`, () => {
    fc.assert(
      fc.property(trickyText, (text) => {
        // Well-formed, because the reference cuts UTF-16 before it becomes UTF-8.
        const wellFormed = text.toWellFormed()
        assert.deepEqual(piecesOf(scanner, wellFormed), piecesOf(expression, wellFormed))
      }),
      { numRuns: 1000 },
    )
  })

  test(`the ${name} scanner cuts real text where its regular expression does`, () => {
    for (const text of texts) assert.equal(piecesOf(scanner, text).join('\0'), piecesOf(expression, text).join('\0'))
  })
}

test('pieces are those that the definitions say', () => {
  const pieces = (name: keyof typeof patternSources, text: string) =>
    piecesOf(preTokenizer([{ pattern: patternSources[name], dropsGaps: false }]), text)
  assert.deepEqual(pieces('gpt2', "I'll  see 1234 'S"), ['I', "'ll", ' ', ' see', ' 1234', " '", 'S'])
  assert.deepEqual(pieces('gpt4', "I'LL  see 1234\n\n x\n "), ['I', "'LL", ' ', ' see', ' ', '123', '4', '\n\n', ' x', '\n '])
  assert.deepEqual(pieces('llama3', 'x\n '), ['x', '\n', ' '])
  assert.deepEqual(pieces('qwen2', '12'), ['1', '2'])
  assert.deepEqual(pieces('gpt4o', "helloWorld's //\n"), ['hello', "World's", ' //\n'])
})

test('several steps cut what the steps before left', () => {
  const digits = { pattern: String.raw`\p{N}`, dropsGaps: false }
  const words = { pattern: patternSources.gpt2, dropsGaps: false }
  assert.deepEqual(piecesOf(preTokenizer([digits, words]), 'a 12b'), ['a', ' ', '1', '2', 'b'])
  assert.deepEqual(piecesOf(preTokenizer([{ pattern: String.raw`\S+`, dropsGaps: true }]), ' a  b '), ['a', 'b'])
})

test('a pattern that JavaScript cannot express is refused with its code', () => {
  assert.throws(() => preTokenizer([{ pattern: '(?>a)b', dropsGaps: false }]), { code: 'SLUICE_TOKENIZER_PATTERN' })
})
