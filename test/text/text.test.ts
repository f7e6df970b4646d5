import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { documentTokens, documentWords, keepAnalysis } from '../../src/text/analysis.ts'
import { idFraction } from '../../src/text/chance.ts'
import { codePointLength, countOccurrences, isBlank, splitBlanks, strip } from '../../src/text/characters.ts'
import { splitLines } from '../../src/text/lines.ts'
import { countRepeats, WordGrams } from '../../src/text/repeats.ts'
import { splitSentences } from '../../src/text/sentences.ts'
import { simplify } from '../../src/text/simplify.ts'
import { splitWords, tokenize } from '../../src/text/words.ts'

test('sentences end behind a terminal mark and the punctuation after it', () => {
  const cases: [string, string[]][] = [
    ['One. Two! Three?', ['One.', ' Two!', ' Three?']],
    ['He said "go." Then', ['He said "go."', ' Then']],
    ['e.g. this in the U.S. and so on... it goes', ['e.g. this in the U.S. and so on... it goes']],
    ['No end\nhere. \n next', ['No end\nhere.', ' \n next']],
    ['Trailing. ', ['Trailing. ']],
    ['Trailing.  ', ['Trailing.', '  ']],
    ['', ['']],
    ['  ', ['  ']],
  ]
  for (const [text, sentences] of cases) assert.deepEqual(splitSentences(text), sentences, text)
})

const prose = fc
  .array(fc.constantFrom('a', 'Ab', 'ab c', 'c', '.', '!', '?"', ' ', ' ', '\n', '  ', '…', ')', '。', 'it’s', '😀'))
  .map((parts) => parts.join(''))

test('sentences joined give the text', () => {
  fc.assert(fc.property(prose, (text) => assert.equal(splitSentences(text).join(''), text)))
})

test('lines break where Python breaks them, without an empty last one', () => {
  assert.deepEqual(splitLines('a\nb\r\nc\rd\x0be\x0cf\x1cg\x1dh\x1ei\x85j\u2028k\u2029l\x1fl\n'), [...'abcdefghijk', 'l\x1fl'])
  assert.deepEqual(splitLines('\n\na'), ['', '', 'a'])
  assert.deepEqual(splitLines(''), [])
})

test('blanks are those of Python, which has the separators of ASCII and not the byte order mark', () => {
  const found: number[] = []
  for (let unit = 0; unit < 0x10000; unit++) if (isBlank(unit)) found.push(unit)
  assert.equal(found.length, 29)
  assert.ok([0x1c, 0x1f, 0x85, 0xa0, 0x3000].every(isBlank) && ![0xfeff, 0x200b, 0x180e].some(isBlank))
  assert.equal(strip('\x1f\u3000 a b \x85'), 'a b')
  assert.deepEqual(splitBlanks(' a\x1cb\u2003c '), ['a', 'b', 'c'])
})

test('lengths are code points', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => assert.equal(codePointLength(text), [...text].length)))
  assert.equal(countOccurrences('......', '...'), 2)
  assert.equal(countOccurrences('....', '...'), 1)
})

test('simplified text is lower case without numbers, punctuation, diacritics and runs of blanks', () => {
  assert.equal(simplify(' Crème—BRÛLÉE,  $3.50\n(१२ or 1,000,000)! '), 'creme brulee 0 0 or 0 0')
  assert.equal(simplify('a\x00b\x85c'), 'a b c')
  assert.equal(simplify('• kept'), '• kept')
  assert.equal(simplify(''), '')
})

// ---- repetition ----

/** The definitions as they read, over strings: what the arrays are tested against. */
function plainMostFrequent(words: readonly string[], n: number): number {
  const counts = new Map<string, number>()
  for (let i = 0; i + n <= words.length; i++) {
    const gram = words.slice(i, i + n).join(' ')
    counts.set(gram, (counts.get(gram) ?? 0) + 1)
  }
  let best = Number.NaN
  let bestCount = 0
  for (const [gram, count] of counts) {
    if (count <= bestCount) continue
    bestCount = count
    best = [...gram].length * count
  }
  return best
}

function plainRepeated(words: readonly string[], n: number): number {
  const seen = new Set<string>()
  let characters = 0
  for (let i = 0; i + n <= words.length; ) {
    const gram = words.slice(i, i + n).join('')
    if (seen.has(gram)) {
      characters += [...gram].length
      i += n
    } else {
      seen.add(gram)
      i++
    }
  }
  return characters
}

test('n-grams are counted as by joining strings, words run together included', () => {
  const words = fc.array(fc.constantFrom('a', 'b', 'ab', 'ba', 'aab', '😀', 'é', '.', 'the'), { maxLength: 120 })
  fc.assert(
    fc.property(words, fc.integer({ min: 1, max: 10 }), (words, n) => {
      const text = words.join(' ')
      const split = splitWords(text)
      const grams = new WordGrams(tokenize(text))
      const top = grams.mostFrequent(n)
      assert.equal(top ? (top.characters + n - 1) * top.count : Number.NaN, plainMostFrequent(split, n))
      assert.equal(grams.repeatedCharacters(n), plainRepeated(split, n))
    }),
    { numRuns: 400 },
  )
})

test('repeats are second and later occurrences, in code points', () => {
  assert.deepEqual(countRepeats(['a', '😀b', 'a', '😀b', '😀b', '']), { count: 3, characters: 5 })
})

// ---- shared work ----

test('a document is split once, and a copy with the same text keeps what is known', () => {
  const document = { text: 'Split me once.' }
  const tokens = documentTokens(document)
  assert.equal(documentTokens(document), tokens)
  assert.equal(documentTokens(keepAnalysis(document, { ...document, language: 'en' })), tokens)
  assert.notEqual(documentTokens(keepAnalysis(document, { text: 'Other text.' })), tokens)
  assert.deepEqual(documentWords(document), ['Split', 'me', 'once', '.'])
})

test('chance is even, and independent between seeds', () => {
  const ids = Array.from({ length: 20_000 }, (_, i) => i.toString(16).padStart(32, '0'))
  const share = (test: (id: string) => boolean) => ids.filter(test).length / ids.length
  // Four standard errors: 4·√(0.25·0.75/20000) ≈ 0.012
  assert.ok(Math.abs(share((id) => idFraction(id) < 0.25) - 0.25) < 0.012)
  assert.ok(Math.abs(share((id) => idFraction(id, 1) < 0.5 && idFraction(id, 2) < 0.5) - 0.25) < 0.012)
})
