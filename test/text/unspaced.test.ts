// The sentences were written for these tests.

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { documentWords, keepAnalysis } from '../../src/text/analysis.ts'
import { splitSentences } from '../../src/text/sentences.ts'
import { spaceWords } from '../../src/text/unspaced.ts'
import { splitWords } from '../../src/text/words.ts'

const sentences: Record<string, [text: string, words: string]> = {
  zh: ['我们今天去市场买菜，晚上回家。', '我们|今天|去|市场|买菜|，|晚上|回家|。'],
  ja: ['私はNode.jsを使って、「はい」と言った。', '私|は|Node.js|を|使って|、|「|はい|」|と|言った|。'],
  th: ['ฉันไปตลาดกับแม่', 'ฉัน|ไป|ตลาด|กับ|แม่'],
  lo: ['ຂ້ອຍຢາກໄປຕະຫຼາດ', 'ຂ້ອຍ|ຢາກ|ໄປ|ຕະຫຼາດ'],
  km: ['ខ្ញុំទៅផ្សារ។', 'ខ្ញុំ|ទៅ|ផ្សារ|។'],
  my: ['ဒီနေ့ဈေးကိုသွားချင်ပါတယ်။', 'ဒီ|နေ့|ဈေး|ကို|သွား|ချင်|ပါ|တယ်|။'],
  bo: ['ང་དེ་རིང་ཁྲོམ་ལ་འགྲོ།', 'ང|དེ|རིང|ཁྲོམ|ལ|འགྲོ|།'],
}

test('words of languages without spaces are found; punctuation, Latin words and numbers among them are words', () => {
  for (const [language, [text, words]] of Object.entries(sentences)) {
    const found = splitWords(text, language)
    assert.equal(found.join('').replaceAll('་', ''), text.replaceAll('་', ''), `${language}: nothing is lost`)
    // Dictionaries differ between versions of ICU: most words, not each.
    const wanted = words.split('|')
    const agreed = wanted.filter((word) => found.includes(word)).length
    assert.ok(agreed >= 0.7 * wanted.length, `${language}: ${found.join('|')}`)
    assert.ok(splitWords(text).length < found.length / 2, `${language}: without the language it is hardly split`)
  }
})

test('sentences of such a text join to the text, and end at its own marks', () => {
  assert.deepEqual(splitSentences('今天下雨。我们在家！你呢？', 'zh'), ['今天下雨。', '我们在家！', '你呢？'])
  assert.deepEqual(splitSentences('မိုးရွာတယ်။ အိမ်ပြန်တယ်။', 'my'), ['မိုးရွာတယ်။', ' အိမ်ပြန်တယ်။'])
  const pieces = fc.constantFrom(
    '我们今天',
    'ฉันไปตลาด',
    '。',
    '！',
    ' ',
    '\n',
    'word',
    'Node.js',
    '12',
    '་',
    'ང་',
    '、',
    'a. B',
    '(',
    '々',
    'ー',
  )
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 20 }), fc.constantFrom('zh', 'ja', 'th', 'bo'), (parts, language) => {
      const text = parts.join('')
      assert.equal(splitSentences(text, language).join(''), text)
      const { text: spaced, inserted } = spaceWords(text, language)
      assert.equal(spaced.length, text.length + inserted.length)
      assert.equal(splitWords(text, language).join('').replace(/\s/g, ''), text.replaceAll('་', '').replace(/\s/g, ''))
    }),
  )
})

test('a text in another script is split alike, whatever its language is said to be', () => {
  const text = 'It\'s a "test" of e.g. U.S. words: don\'t split (them) otherwise...  and so on.\n'
  assert.deepEqual(splitWords(text, 'zh'), splitWords(text))
  assert.deepEqual(splitSentences(text, 'ja'), splitSentences(text))
})

test('words are split anew where the language stage says that a text has no spaces', () => {
  const before = { text: sentences.zh[0] }
  assert.ok(documentWords(before).length < 6)
  assert.ok(documentWords(keepAnalysis(before, { ...before, language: 'zh' })).length > 6)
})

const declarations = '../shared/data/langid/udhr2.tsv.gz'

test('the Universal Declaration in Chinese, Thai and Dzongkha has words of usual lengths', {
  skip: !existsSync(declarations) && `no ${declarations}`,
}, () => {
  const texts = new Map<string, string>()
  for (const line of gunzipSync(readFileSync(declarations)).toString().split('\n')) {
    const [code, , , text] = line.split('\t')
    texts.set(code, `${texts.get(code) ?? ''}${text}\n`)
  }
  for (const [code, language, least, most] of [
    ['cmn', 'zh', 1.2, 2.2],
    ['tha', 'th', 2.5, 5],
    ['dzo', 'dz', 1.5, 4],
  ] as const) {
    const words = splitWords(texts.get(code) ?? '', language).filter((word) => /\p{L}/u.test(word))
    const mean = words.reduce((sum, word) => sum + word.length, 0) / words.length
    assert.ok(mean > least && mean < most, `${language}: ${mean}`)
  }
})
