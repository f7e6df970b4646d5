import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type SentenceDedupOptions, sentenceDedup } from '../../stages/sentence-dedup.ts'
import { cutAt, documentsOf } from '../dedup/documents.ts'
import { runBarrier } from '../dedup/run-barrier.ts'

const anyLength = { minWords: 0, minSentences: 0 }

async function results(texts: readonly string[], options: SentenceDedupOptions, cuts: readonly number[] = []) {
  const { kept, dropped } = await runBarrier(sentenceDedup(options), cutAt(documentsOf(texts), cuts))
  const byId = new Map(kept.flat().map(({ id, text }) => [id, text]))
  return texts.map((_, i) => byId.get(String(i)) ?? dropped.get(String(i)))
}

const shared = 'The first is here. The second is here. The third is here.'

test('a span of three sentences stays where it comes first and goes elsewhere', async () => {
  const texts = [`Mine alone. ${shared} My end.`, `Yours alone. ${shared} Your end.`]
  assert.deepEqual(await results(texts, anyLength), [texts[0], 'Yours alone. Your end.'])
})

test('a repeat within one document goes too', async () => {
  assert.deepEqual(await results([`${shared} Between. ${shared}`], anyLength), [`${shared} Between.`])
})

test('two common sentences are no span', async () => {
  const texts = ['One. Two. Three.', 'Zero. One. Two.']
  assert.deepEqual(await results(texts, anyLength), texts)
  assert.deepEqual(await results(texts, { ...anyLength, sentences: 2 }), [texts[0], 'Zero.'])
})

test('of lines, spans are compared without case and punctuation', async () => {
  const texts = ['Home\nAbout us\nContact\nA story', 'Another story\nHOME\nAbout, us!\ncontact\nIts end']
  assert.deepEqual(await results(texts, { ...anyLength, split: 'lines' }), [texts[0], 'Another story\nIts end'])
})

test('what is left too short is dropped, each reason by its name; unchanged short documents stay', async () => {
  const texts = [shared, `${shared} One more.`, `${shared} And five words are left. Yes.`, shared, 'Short.', '']
  assert.deepEqual(await results(texts, { minWords: 4, minSentences: 3 }), [
    shared,
    'sentence_dedup_too_few_words',
    'sentence_dedup_too_few_sentences',
    'sentence_dedup_empty',
    'Short.',
    'sentence_dedup_empty',
  ])
})

test('the result does not depend on how the input is cut', async () => {
  const sentence = fc.constantFrom('A is.', 'B is!', 'C was?', 'D.', 'E goes on.', '3.5 e.g. no end')
  const text = fc.array(sentence, { maxLength: 9 }).map((sentences) => sentences.join(' '))
  await fc.assert(
    fc.asyncProperty(fc.array(text, { maxLength: 8 }), fc.array(fc.nat(8), { maxLength: 3 }), async (texts, cuts) => {
      assert.deepEqual(await results(texts, anyLength, cuts), await results(texts, anyLength))
    }),
    { numRuns: 25 },
  )
})
