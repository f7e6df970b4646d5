import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { z } from 'zod'
import { SluiceError } from '../../src/core/errors.ts'
import { CharacterMap } from '../../src/tokenizer/character-map.ts'
import { parseTokenizerJson, serializeTokenizerJson } from '../../src/tokenizer/formats.ts'
import { createTokenizer, loadTokenizer } from '../../src/tokenizer/tokenizer.ts'
import { bert, llama, mistral, t5, texts } from './small-tokenizers.ts'
import { trickyText } from './text.ts'

const files = { bert, t5, llama, mistral }
const load = (file: object) => createTokenizer('small', parseTokenizerJson(JSON.stringify(file)), '')
const tokenizers = Object.entries(files).map(([name, file]) => ({ name, file, tokenizer: load(file) }))
// By bench/peers/record-pieces.ts.
const expected = z
  .record(z.string(), z.array(z.tuple([z.array(z.int()), z.string()])))
  .parse(JSON.parse(readFileSync(new URL('small-tokenizers.expected.json', import.meta.url), 'utf8')))

function streamed(tokenizer: ReturnType<typeof load>, ids: ArrayLike<number>): string {
  const stream = tokenizer.decodeStream()
  return Array.from(ids, (id) => stream.push(id)).join('') + stream.end()
}

for (const { name, tokenizer } of tokenizers) {
  test(`${name}: ids and decoded texts are those of Hugging Face's tokenizers`, () => {
    texts.forEach((text, i) => {
      const [ids, decoded] = expected[name][i]
      assert.deepEqual([...tokenizer.encode(text)], ids, text)
      assert.equal(tokenizer.decode(ids), decoded)
      assert.equal(streamed(tokenizer, ids), decoded)
    })
  })

  test(`${name}: its definition comes back from the file it is written to`, () => {
    assert.deepEqual(parseTokenizerJson(serializeTokenizerJson(tokenizer.definition)), tokenizer.definition)
  })

  test(`${name}: a text without a cut is encoded in time that grows with it`, () => {
    for (const unit of ['a', ' ', '▁', 'ab', '中', '😀', '\u0301', ' a', "'"]) {
      const start = performance.now()
      assert.doesNotThrow(() => tokenizer.encode(unit.repeat(300_000)))
      assert.ok(performance.now() - start < 5000, `${JSON.stringify(unit)}: ${performance.now() - start} ms`)
    }
  })

  test(`${name}: tokens in any order are streamed as they are decoded`, () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: tokenizer.vocabularySize - 1 }), { maxLength: 12 }), (ids) => {
        assert.equal(streamed(tokenizer, ids), tokenizer.decode(ids))
      }),
    )
  })
}

test('bytes of a character come out of the stream once it is whole', async () => {
  const gpt2 = await loadTokenizer('gpt2')
  const world = gpt2.encode('🌍')
  const stream = gpt2.decodeStream()
  assert.deepEqual(
    Array.from(world, (id) => stream.push(id)),
    ['', '', '🌍'],
  )
  fc.assert(fc.property(trickyText, (text) => assert.equal(streamed(gpt2, gpt2.encode(text)), text.toWellFormed())))
})

test('the model’s frame and the end of a document are those that the file names', () => {
  const [bertTokenizer, t5Tokenizer, llamaTokenizer] = tokenizers.map(({ tokenizer }) => tokenizer)
  assert.deepEqual([bertTokenizer.frame, bertTokenizer.endOfText], [{ before: [2], after: [3] }, 3])
  assert.deepEqual([t5Tokenizer.frame, t5Tokenizer.endOfText], [{ before: [], after: [1] }, 1])
  assert.deepEqual([llamaTokenizer.frame, llamaTokenizer.endOfText], [{ before: [1], after: [] }, 2])
  const processing = { type: 'BertProcessing', cls: ['[CLS]', 2], sep: ['[SEP]', 3] }
  assert.deepEqual(load({ ...bert, post_processor: processing }).frame, bertTokenizer.frame)
})

test('special tokens in a text are found where they are allowed, blanks in front of a mask too', () => {
  const [{ tokenizer }] = tokenizers
  assert.deepEqual([...tokenizer.encodeWithSpecials('the  [MASK] the[SEP]')], [57, 4, 57, 3])
})

test('a character map replaces characters, and graphemes of less than six bytes', () => {
  // A double array by hand: the root leads over 'a' (0x61) to a leaf with the value 0.
  const units = new Uint32Array(256)
  units[0] = 1 << 10 // children at 1 ^ byte
  units[1 ^ 0x61] = (0x61 ^ 0) | (1 << 8) | (4 << 10)
  units[1 ^ 0x61 ^ 4] = 0x80000000
  const head = new Uint32Array([units.byteLength])
  const map = new CharacterMap(Buffer.concat([Buffer.from(head.buffer), Buffer.from(units.buffer), Buffer.from('X\0')]))
  assert.equal(map.normalize('banana'), 'bXnXnX')
  // The accent goes with its letter, as with the reference.
  assert.equal(map.normalize('a\u0301b\u0301'), 'Xb\u0301')
  assert.throws(() => new CharacterMap(Buffer.from([9, 0, 0, 0, 1])), RangeError)
})

test('what a file asks for and cannot be done is refused by name', () => {
  const refusals: [file: object, message: RegExp][] = [
    [{ ...bert, normalizer: { type: 'Unknown' } }, /normalizer .*Unknown/],
    [{ ...bert, pre_tokenizer: { type: 'CharDelimiterSplit', delimiter: ' ' } }, /pre_tokenizer .*CharDelimiterSplit/],
    [{ ...bert, post_processor: { type: 'Nothing' } }, /post_processor .*Nothing/],
    [{ ...bert, decoder: { type: 'CTC' } }, /decoder .*CTC/],
    [{ ...bert, model: { ...bert.model, unk_token: '[NONE]' } }, /lacks "\[NONE\]"/],
    [{ ...t5, model: { ...t5.model, unk_id: null } }, /unk_id/],
    [{ ...t5, model: { ...t5.model, unk_id: 99 } }, /not in the vocabulary/],
    [{ ...t5, normalizer: { type: 'Precompiled', precompiled_charsmap: 'AAAA' } }, /not a character map/],
    [{ ...llama, model: { ...llama.model, dropout: 0.1 } }, /dropout/],
    [{ ...llama, model: { ...llama.model, merges: [['q', 'q']] } }, /lacks "qq"/],
    [{ ...llama, model: { ...llama.model, end_of_word_suffix: '</w>' } }, /end_of_word_suffix/],
  ]
  for (const [file, message] of refusals) assert.throws(() => load(file), { code: 'SLUICE_TOKENIZER_FILE', message })
  const words = { type: 'Split', pattern: { Regex: '\\w+' }, behavior: 'Isolated', invert: false }
  assert.throws(() => load({ ...bert, pre_tokenizer: words }), { code: 'SLUICE_TOKENIZER_PATTERN' })
})

test('damaged files end in an error of ours', () => {
  const json = JSON.stringify(t5)
  fc.assert(
    fc.property(fc.nat({ max: json.length }), fc.nat({ max: 40 }), fc.string({ maxLength: 4 }), (at, length, patch) => {
      try {
        createTokenizer('damaged', parseTokenizerJson(json.slice(0, at) + patch + json.slice(at + length)), '').encode('the end')
      } catch (error) {
        assert.ok(error instanceof SluiceError, String(error))
      }
    }),
    { numRuns: 300 },
  )
})
