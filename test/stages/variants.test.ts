import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Document } from '../../src/core/document.ts'
import type { Stage, Statistics } from '../../src/core/stage.ts'
import { aloneContext } from '../../src/engine/standalone.ts'
import { c4Dolma } from '../../stages/c4-dolma.ts'
import { fixText, fixTextOptions, mendText } from '../../stages/fix-text.ts'
import { gopherDolma } from '../../stages/gopher-dolma.ts'
import { summaryStats } from '../../stages/summary-stats.ts'
import { symbolLines } from '../../stages/symbol-lines.ts'

async function judge(stage: Stage<Document>, text: string) {
  const reasons: string[] = []
  const statistics: Statistics[] = []
  const context = aloneContext({
    dropped: (_, reason) => void reasons.push(reason),
    recorded: (_, numbers) => void statistics.push(numbers),
  })
  const document: Document = { id: '0'.repeat(32), source: 'test', offset: 0, length: 0, metadata: {}, text }
  const [kept] = await (await stage.open(context)).process([document])
  return { text: kept?.text, reason: reasons[0], statistics: statistics[0], isSame: kept === document }
}

const line = 'The people of this town have gone to the market with baskets and come home.'
const prose = Array.from({ length: 5 }, (_, i) => `Day ${i}: ${line.replace('town', `${'abcde'[i]}town`)}`).join('\n')

test('gopherDolma counts as Dolma does: medians, every copy of a line, occurrences of required words', async () => {
  assert.equal((await judge(gopherDolma(), prose)).reason, 'fraction_of_characters_in_most_common_4grams')
  const { reason, statistics } = await judge(gopherDolma({ mostCommonNgrams: [], duplicateNgrams: [] }), `${prose}\n\n\n\n\n\n`)
  assert.equal(reason, 'fraction_of_duplicate_lines')
  assert.equal(statistics.fraction_of_duplicate_lines, 6 / 11)
  assert.equal(
    (await judge(gopherDolma({ mostCommonNgrams: [], duplicateNgrams: [], ignoreEmptyLines: true }), `${prose}\n\n\n\n`)).reason,
    undefined,
  )
  assert.equal((await judge(gopherDolma(), line)).reason, 'word_count')
})

test('c4Dolma takes lines out with their breaks and drops by whole words', async () => {
  const stage = c4Dolma({ naughtyWords: ['grault', 'foo bar'] })
  assert.equal((await judge(stage, `Menu\n${line}\nhome (page)\nNo.\n${line}`)).text, `${line}\n${line}`)
  assert.equal((await judge(stage, line)).isSame, true)
  assert.equal((await judge(stage, 'All javascripts are here now.')).reason, undefined)
  assert.equal((await judge(stage, 'All JavaScript is here now.')).reason, 'has_javascript')
  assert.equal((await judge(stage, 'menu {')).reason, 'has_curly_brace')
  assert.equal((await judge(stage, 'a foo bars it')).reason, 'has_naughty_word')
})

test('summaryStats keeps everything and measures it', async () => {
  const { isSame, statistics } = await judge(summaryStats(), 'One TWO three…\n\n- x²')
  assert.equal(isSame, true)
  assert.deepEqual(
    [
      statistics.length,
      statistics.n_lines,
      statistics.n_words,
      statistics.n_paragraphs,
      statistics.n_sentences,
      statistics.bullet_point_lines_ratio,
    ],
    [20, 3, 6, 2, 1, 1 / 3],
  )
  assert.equal(statistics.digit_ratio, 1 / 20)
})

test('symbolLines leaves one replacement for a run of symbol lines, and blank lines as they are', async () => {
  assert.equal((await judge(symbolLines({ replaceChar: '***' }), 'a\n---\n= = =\n\nb\n')).text, 'a\n***\n\nb')
  assert.equal((await judge(symbolLines({ symbolsToRemove: ['-'] }), 'a\n---\n===')).text, 'a\n===')
})

// ---- mended text ----

test('text decoded by the wrong encoding, even twice, is read again; sound text stays', async () => {
  const mangle = (text: string, label: string) => new TextDecoder(label).decode(Buffer.from(text))
  for (const sound of ['fiancée’s café', 'Привет, мир', '日本語', 'Zażółć gęślą jaźń', 'à la carte', '“déjà vu” — 100 %']) {
    assert.equal((await judge(fixText(), sound)).isSame, true, sound)
    assert.equal((await judge(fixText(), mangle(sound, 'windows-1252'))).text, sound)
    assert.equal((await judge(fixText(), mangle(mangle(sound, 'windows-1252'), 'windows-1252'))).text, sound)
  }
})

test('entities are decoded unless the text has markup; escapes and control characters go', async () => {
  const mended = async (text: string) => (await judge(fixText(), text)).text
  assert.equal(await mended('&lt;3 &eacute;&EACUTE;&#x1F600;&#128; &notit; &foo; &#59;'), '<3 éÉ😀€ &notit; &foo; &#59;')
  assert.equal(await mended('&amp; <b>\n&amp;'), '&amp; <b>\n&amp;')
  assert.equal(await mended('\x1b[31mred\x1b[0m\x07\ufeff'), 'red')
})

test('mended text needs no more mending', () => {
  const choices = fixTextOptions.parse({ unescapeHtml: false })
  const text = fc
    .array(fc.constantFrom('Ã©', 'â€™', 'é', 'Ã ', ' ', 'Ð', 'Ñ', 'a', '\x92', '€', '\u00a0', 'œ', '\n', '½', '’'))
    .map((parts) => parts.join(''))
  fc.assert(
    fc.property(text, (text) => {
      const mended = mendText(text, choices)
      assert.equal(mendText(mended, choices), mended)
    }),
  )
})
