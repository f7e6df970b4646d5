import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { lineSpans, redPajamaMeter } from '../../src/signals/redpajama.ts'
import { roundTo } from '../../src/signals/rounding.ts'
import { stopWordsOf } from '../../src/signals/stop-words.ts'

const stopWords = new Set(['the', 'of', 'a'])
const badWords = ['foo', 'foo bar', 'bar  baz', 'the foo bar', 'été']
const measure = redPajamaMeter({ stopWords, badWords })

// ---- the definitions, one by one and slowly: what the meter is tested against ----

const blank = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000'
const strip = (text: string) => text.replace(new RegExp(`^[${blank}]+|[${blank}]+$`, 'g'), '')
const normalize = (text: string) =>
  strip(text.replace(/[!-/:-@[-`{-~]/g, '').toLowerCase())
    .replace(new RegExp(`[${blank}]+`, 'g'), ' ')
    .normalize('NFD')
const codePoints = (text: string) => [...text].length
const count = (text: string, part: string) => text.split(part).length - 1
const round8 = (value: number) => roundTo(value, 8)
const linesOf = (text: string) => text.match(/[^\n]*\n|[^\n]+$/g) ?? []
const wordsOf = (text: string) => (normalize(text) === '' ? [] : normalize(text).split(' '))
const gramsOf = (words: readonly string[], n: number) =>
  Array.from({ length: Math.max(0, words.length - n + 1) }, (_, i) => words.slice(i, i + n).join(' '))
const charactersOf = (words: readonly string[]) => words.reduce((sum, word) => sum + codePoints(word), 0)

function plainTop(words: readonly string[], n: number): number {
  const counts = Map.groupBy(gramsOf(words, n), (gram) => gram)
  const [gram, all] = [...counts].reduce((best, other) => (other[1].length > best[1].length ? other : best), ['', ['']])
  return all.length < 2 ? 0 : round8((charactersOf(gram.split(' ')) * all.length) / charactersOf(words))
}

function plainDuplicate(words: readonly string[], n: number): number {
  const grams = gramsOf(words, n)
  const isCounted = words.map(() => false)
  for (const [i, gram] of grams.entries()) if (grams.indexOf(gram) !== grams.lastIndexOf(gram)) isCounted.fill(true, i, i + n)
  return words.length < n ? 0 : round8(charactersOf(words.filter((_, i) => isCounted[i])) / charactersOf(words))
}

function plainSignals(text: string) {
  const lines = linesOf(text)
  const words = wordsOf(text)
  const raw = text.match(new RegExp(`[\\p{L}\\p{N}_]+|[^\\p{L}\\p{N}_${blank}]+`, 'gu')) ?? []
  const share = (part: (word: string) => boolean) => raw.filter(part).length / raw.length
  return {
    rps_doc_curly_bracket: text === '' ? 0 : round8((count(text, '{') + count(text, '}')) / codePoints(text)),
    rps_doc_ldnoobw_words: badWords.reduce(
      (sum, entry) => sum + gramsOf(words, 1 + count(entry, ' ')).filter((gram) => gram === entry).length,
      0,
    ),
    rps_doc_lorem_ipsum: words.length === 0 ? 0 : round8(count(words.join(' '), 'lorem ipsum') / codePoints(words.join(' '))),
    rps_doc_stop_word_fraction: words.length === 0 ? 0 : round8(share((word) => stopWords.has(word))),
    rps_doc_symbol_to_word_ratio: round8((count(text, '#') + (text.match(/\.\.\./g)?.length ?? 0) + count(text, '…')) / raw.length),
    rps_doc_frac_no_alph_words: round8(1 - share((word) => /[a-zA-Z]/.test(word))),
    rps_doc_frac_all_caps_words: round8(share((word) => /\p{Uppercase}/u.test(word) && !/[\p{Lowercase}\p{Lt}]/u.test(word))),
    rps_doc_word_count: words.length,
    rps_doc_mean_word_length: round8(charactersOf(words) / words.length),
    rps_doc_frac_unique_words: round8(new Set(words).size / words.length),
    rps_doc_num_sentences: (
      text.match(/(?<![\p{L}\p{N}_])(?=[\p{L}\p{N}_])[^.!?]+[.!?]*|(?<=[\p{L}\p{N}_])(?![\p{L}\p{N}_])[^.!?]+[.!?]*/gu) ?? []
    ).length,
    rps_doc_frac_lines_end_with_ellipsis: round8(lines.filter((line) => /(\.\.\.|…)$/.test(strip(line))).length / lines.length),
    ...Object.fromEntries([2, 3, 4].map((n) => [`rps_doc_frac_chars_top_${n}gram`, plainTop(words, n)])),
    ...Object.fromEntries([5, 6, 7, 8, 9, 10].map((n) => [`rps_doc_frac_chars_dupe_${n}grams`, plainDuplicate(words, n)])),
    rps_lines_ending_with_terminal_punctution_mark: lines.map((line) => Number(/[.!?”]$/.test(strip(line)))),
    rps_lines_javascript_counts: lines.map((line) => wordsOf(line).filter((word) => word === 'javascript').length),
    rps_lines_num_words: lines.map((line) => wordsOf(line).length),
    rps_lines_numerical_chars_fraction: lines.map((line) =>
      normalize(line) === '' ? 0 : round8((normalize(line).match(/[\p{N}一二]/gu)?.length ?? 0) / codePoints(normalize(line))),
    ),
    rps_lines_start_with_bulletpoint: lines.map((line) => Number(/^[•‣▶◀◦■□▪▫–]/.test(strip(line)))),
    rps_lines_uppercase_letter_fraction: lines.map((line) => round8((line.match(/\p{Uppercase}/gu)?.length ?? 0) / codePoints(line))),
  }
}

const pieces =
  'a|A|É|é|İ|ß|Σ|σ| |  |\n|\n\n|\r|\x1c|\x85|\ufeff|.|!|?|…|...|”|"|-|–|•|#|{|}|_|1|二|½|😀|𝐀|lorem|ipsum|lorem ipsum|javascript|the|foo|bar|foo bar|e\u0301|x-y'.split(
    '|',
  )
const texts = fc
  .array(fc.tuple(fc.constantFrom(...pieces), fc.constantFrom('', ' ', ' ', '\n')), { maxLength: 60 })
  .map((parts) => parts.flat().join(''))

test('signals are those of the definitions, worked out slowly', () => {
  fc.assert(
    fc.property(texts, (text) => {
      const { rps_doc_unigram_entropy: entropy, ...signals } = measure(text)
      assert.deepEqual(signals, plainSignals(text))
      assert.equal(Number.isNaN(entropy), signals.rps_doc_word_count === 0)
    }),
    { numRuns: 300 },
  )
})

test('what a text gives does not depend on the texts before it, nor on how many words were met', () => {
  const text = 'The foo bar sat. '.repeat(5)
  const fresh = redPajamaMeter({ stopWords, badWords })(text)
  for (let i = 0; i < 150; i++) measure(Array.from({ length: 2000 }, (_, k) => `w${i}x${k}`).join(' '))
  assert.deepEqual(measure(text), fresh)
})

test('entropy is that of the words: 0 of one word, log 4 of four', () => {
  assert.equal(Math.abs(measure('Ha ha, HA!').rps_doc_unigram_entropy), 0)
  assert.equal(measure('one two three four').rps_doc_unigram_entropy, roundTo(Math.log(4), 8))
})

test('a language without stop words measures none', () => {
  assert.equal(stopWordsOf('tlh'), undefined)
  assert.ok(stopWordsOf('de')?.has('und'))
  assert.ok(Number.isNaN(redPajamaMeter({ stopWords: undefined, badWords: [] })('a text').rps_doc_stop_word_fraction))
})

test('spans of lines are in code points and join without a gap', () => {
  assert.deepEqual(lineSpans('a😀\n\nb'), [
    [0, 3],
    [3, 4],
    [4, 5],
  ])
  assert.deepEqual(lineSpans(''), [])
})

test('rounding is exact, and a value in the middle goes to the even neighbour', () => {
  assert.equal(roundTo(1 / 512, 8), 0.00195312) // 0.001953125
  assert.equal(roundTo(3 / 512, 8), 0.00585938) // 0.005859375
  assert.equal(roundTo(2 / 3, 8), 0.66666667)
  assert.equal(roundTo(1 / 64, 5), 0.01562) // 0.015625
  assert.ok(Number.isNaN(roundTo(Number.NaN, 8)))
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1000, noNaN: true }), (value) => {
      const isMiddle = (value * 512) % 1 === 0
      assert.ok(isMiddle || roundTo(value, 8) === Number(value.toFixed(8)))
    }),
  )
})
