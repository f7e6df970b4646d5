import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { blanks } from '../../src/text/characters.ts'
import { letters, lowerLetters, symbols, upperLetters } from '../../src/text/word-classes.ts'
import { wordExceptions } from '../../src/text/word-exceptions.ts'
import { splitWords } from '../../src/text/words.ts'

/** Text made of what the rules are about, so that random strings meet them. */
const pieces = [
  ...[
    'do',
    "n't",
    "can't",
    'I’m',
    'U.S.',
    'e.g.',
    'Mr.',
    'a',
    'B',
    'word',
    'well',
    '8am',
    '5',
    'km',
    '$',
    '€',
    '%',
    '+',
    '°C.',
    ':)',
    ':',
    ')',
    '(',
  ],
  ...[
    '-',
    '--',
    '—',
    '/',
    '.',
    '..',
    '...',
    '…',
    ',',
    '"',
    "'",
    '’',
    '’s',
    '=',
    '<3',
    'http://a.io/x',
    'me@b.org',
    '漢字',
    '。',
    '😀',
    'é',
    '\u0301',
  ],
]
const oddText = fc.array(
  fc.oneof(fc.constantFrom(...pieces), fc.constantFrom(' ', ' ', '\n', '  ', '\t', '\x1c', '\u3000'), fc.string({ unit: 'grapheme' })),
)
const text = oddText.map((parts) => parts.join('').toWellFormed())

test('marks, contractions and units are words of their own', () => {
  const cases: [string, string[]][] = [
    ['The end.', ['The', 'end', '.']],
    ["I can't, won't; it's she'll've", ['I', 'ca', "n't", ',', 'wo', "n't", ';', 'it', "'s", 'she', "'ll", "'ve"]],
    ['5km at $3.50 (8am)', ['5', 'km', 'at', '$', '3.50', '(', '8', 'am', ')']],
    ['mother-in-law and/or here/there', ['mother', '-', 'in', '-', 'law', 'and/or', 'here', '/', 'there']],
    ['one.Two U.S. e.g. Ph.D.', ['one', '.', 'Two', 'U.S.', 'e.g.', 'Ph.D.']],
    ['see http://user:pw@a.io:80/x?y (me@mail.org).', ['see', 'http://user:pw@a.io:80/x?y', '(', 'me@mail.org', ')', '.']],
    ['so :-) :( <3', ['so', ':-)', ':(', '<3']],
    ['wait....what...', ['wait', '....', 'what', '...']],
    ['漢字。かな', ['漢字。かな']],
    ['', []],
  ]
  for (const [given, words] of cases) assert.deepEqual(splitWords(given), words, given)
})

test('special strings that rules tore apart are put together, longest first, but not across a space', () => {
  assert.deepEqual(splitWords('x:))'), ['x', ':))'])
  assert.deepEqual(splitWords('(x :) y'), ['(', 'x', ':)', 'y'])
  assert.deepEqual(splitWords(': )'), [':', ')'])
  // The four words ": ) ) )" are the longest match; it crosses a space, so nothing is put together at all.
  assert.deepEqual(splitWords('x:) ))'), ['x', ':', ')', ')', ')'])
  assert.deepEqual(splitWords('x:)\n))'), ['x', ':)', ')', ')'])
})

test('words joined give the text without its blanks', () => {
  const blank = new RegExp(`[${blanks}]+`, 'g')
  fc.assert(fc.property(text, (text) => assert.equal(splitWords(text).join(''), text.replace(blank, ''))))
})

test('what was split before does not change how a text is split', () => {
  fc.assert(
    fc.property(text, text, (a, b) => {
      const first = splitWords(a)
      splitWords(b)
      assert.deepEqual(splitWords(a), first)
    }),
  )
})

test('a line break separates: two texts joined by one have the words of both', () => {
  fc.assert(fc.property(text, text, (a, b) => assert.deepEqual(splitWords(`${a}\n${b}`), [...splitWords(a), ...splitWords(b)])))
})

test('a chunk too long to be remembered is split as short ones are', () => {
  const long = `${'x'.repeat(50)}-${'y'.repeat(50)}`
  assert.deepEqual(splitWords(`(${long}:) end`), ['(', 'x'.repeat(50), '-', 'y'.repeat(50), ':)', 'end'])
})

test('more distinct words than the lexicon keeps are split all the same', () => {
  for (let round = 0; round < 3; round++) {
    const words = Array.from({ length: 120_000 }, (_, i) => `w${round}x${i}`)
    assert.deepEqual(splitWords(words.join(' ')), words)
  }
})

test('the character classes are those of spaCy 3.8, member by member', () => {
  const size = (inside: string) => {
    const one = new RegExp(`^[${inside}]$`, 'v')
    let count = 0
    for (let code = 0; code <= 0x10ffff; code++) {
      if ((code < 0xd800 || code > 0xdfff) && one.test(String.fromCodePoint(code))) count++
    }
    return count
  }
  assert.deepEqual([letters, lowerLetters, upperLetters, symbols].map(size), [105_724, 105_177, 104_939, 5_984])
})

test('there are as many special strings as in spaCy 3.8, without its four blank ones', () => {
  assert.equal(wordExceptions().size, 1347 - 4)
})
