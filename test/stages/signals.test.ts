import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Document, Item } from '../../src/core/document.ts'
import type { Stage, Statistics } from '../../src/core/stage.ts'
import { aloneContext } from '../../src/engine/standalone.ts'
import * as s from '../../stages/index.ts'

const line = 'The people of this town have gone to the market with baskets and come home.'
const prose = Array.from({ length: 8 }, (_, i) => `Day ${i}: ${line.replace('town', `${'abcdefgh'[i]}town`)}`).join('\n')

/** Short prose of one pattern repeats itself. */
const loose = {
  maxTop4Gram: null,
  maxTop3Gram: null,
  maxDupe5Grams: null,
  maxDupe6Grams: null,
  maxDupe7Grams: null,
  maxDupe8Grams: null,
  maxDupe9Grams: null,
  maxDupe10Grams: null,
}

function documentOf(text: string, more: Partial<Document> = {}): Document {
  return { id: '0'.repeat(32), source: 'test', offset: 0, length: 0, metadata: {}, text, ...more }
}

async function run<In extends Item, Out extends Item>(stage: Stage<In, Out>, ...documents: In[]) {
  const reasons: string[] = []
  const statistics: Statistics[] = []
  const context = aloneContext({
    dropped: (_, reason) => void reasons.push(reason),
    recorded: (_, numbers) => void statistics.push(numbers),
  })
  const kept = await (await stage.open(context)).process(documents)
  return { kept, reasons, statistics }
}

// ---- RedPajama ----

test('redPajamaSignals adds the signals to what was annotated before, and records those of the document', async () => {
  const document = documentOf('One {two}\nJavaScript, 3 THREE…', { annotations: { before: 1 } })
  const { kept, statistics } = await run(s.redPajamaSignals({ badWords: { en: ['two'] } }), document)
  const { annotations } = kept[0]
  assert.equal(annotations.rps_doc_word_count, 5)
  assert.equal(annotations.rps_doc_ldnoobw_words, 1)
  assert.equal(annotations.rps_doc_curly_bracket, 0.06666667)
  assert.deepEqual(annotations.rps_lines_javascript_counts, [0, 1])
  assert.equal(document.annotations?.before, 1)
  assert.equal(statistics[0].rps_doc_word_count, 5)
  assert.ok(!('rps_lines_num_words' in statistics[0]))
})

test('stop words and bad words are those of the document’s language', async () => {
  const stage = s.redPajamaSignals({ badWords: { de: ['haus'] }, defaultLanguage: 'de' })
  const text = 'und das Haus steht'
  const { kept } = await run(stage, documentOf(text), documentOf(text, { language: 'en' }))
  const numbers = kept.map(({ annotations: a }) => [a.rps_doc_stop_word_fraction, a.rps_doc_ldnoobw_words])
  assert.deepEqual(numbers, [
    [0.75, 1],
    [0, 0],
  ])
})

test('gopherRedPajama names the signal that breaks a rule', async () => {
  const reasonOf = async (text: string, options: s.GopherRedPajamaOptions = {}) =>
    (await run(s.gopherRedPajama(options), documentOf(text))).reasons[0]
  assert.equal(await reasonOf(prose, loose), undefined)
  assert.equal(await reasonOf(prose), 'rps_doc_frac_chars_top_4gram')
  assert.equal(await reasonOf(line), 'rps_doc_word_count')
  assert.equal(await reasonOf(''), 'rps_doc_word_count')
  assert.equal(await reasonOf('', { minWordCount: null }), undefined, 'a share among nothing breaks no rule')
  assert.equal(await reasonOf('a I '.repeat(60)), 'rps_doc_mean_word_length')
  assert.equal(await reasonOf(prose.replace(/^/gm, '– '), loose), 'bullet_lines')
  assert.equal(await reasonOf(prose.replace(/$/gm, '…'), loose), 'rps_doc_frac_lines_end_with_ellipsis')
  assert.equal(await reasonOf(`${prose} ${'# '.repeat(30)}`, loose), 'rps_doc_symbol_to_word_ratio')
  assert.equal(await reasonOf('мы живём здесь и там же '.repeat(10), { ...loose, maxTop2Gram: null }), 'rps_doc_frac_no_alph_words')
})

// ---- Dolma ----

test('dolmaTaggers writes what the taggers asked for find, numbers and stretches', async () => {
  const { kept, statistics } = await run(
    s.dolmaTaggers({
      taggers: ['c4_v1', 'c4_v2', 'char_length_with_paragraphs_v1', 'repetitions_v1', 'not_alphanum_paragraph_v1'],
      naughtyWords: ['grault'],
    }),
    documentOf('A line of words, grault.\n😀!\njavascripts ha ha ha ha'),
  )
  const { annotations: a } = kept[0]
  assert.equal(a.c4_v1__line_count, 3)
  assert.deepEqual(a.c4_v1__lines_with_no_ending_punctuation, [[28, 51, 1]])
  assert.deepEqual([a.c4_v1__has_javascript, a.c4_v2__has_javascript], [0, 1])
  assert.equal(a.c4_v1__has_naughty_word, 0, 'a word with its full stop is another word')
  assert.deepEqual(a.char_length_with_paragraphs_v1__paragraph, [
    [0, 25, 25],
    [25, 28, 3],
    [28, 51, 23],
  ])
  assert.deepEqual(a.repetitions_v1__repetition, [[39, 51, 4]])
  assert.deepEqual(a.not_alphanum_paragraph_v1__all_punct, [[25, 28, 1]])
  assert.equal(statistics[0].repetitions_v1__doc_max_score_repetition, 4)
  assert.ok(!Object.keys(a).some((name) => name.startsWith('gopher_v1')))
})

test('a tagger that does not exist is refused', () => {
  const unknown: unknown = { taggers: ['gopher_v9'] }
  assert.equal(s.dolmaTaggersOptions.safeParse(unknown).success, false)
})

// ---- variants ----

test('a filter carries the name of its definition, which may be asked for and not be changed', () => {
  const named = { ...s }
  const variants: Record<string, unknown> = {}
  for (const [stage, options] of [
    ['gopherQuality', s.gopherQuality().options],
    ['gopherRepetition', s.gopherRepetition().options],
    ['gopherDolma', s.gopherDolma().options],
    ['gopherRedPajama', s.gopherRedPajama().options],
    ['c4Quality', s.c4Quality().options],
    ['c4Dolma', s.c4Dolma().options],
    ['fineWebQuality', s.fineWebQuality().options],
  ] as const) {
    assert.ok(stage in named)
    if (typeof options === 'object' && options !== null && 'variant' in options) variants[stage] = options.variant
  }
  assert.deepEqual(variants, {
    gopherQuality: 'gopher@datatrove-0.10',
    gopherRepetition: 'gopher@datatrove-0.10',
    gopherDolma: 'gopher@dolma-1',
    gopherRedPajama: 'gopher@redpajama-2',
    c4Quality: 'c4@datatrove-0.10',
    c4Dolma: 'c4@dolma-1',
    fineWebQuality: 'fineweb@datatrove-0.10',
  })
  assert.doesNotThrow(() => s.gopherDolma({ variant: 'gopher@dolma-1' }))
  assert.equal(s.gopherDolmaOptions.safeParse({ variant: 'gopher@dolma-2' }).success, false)
})

// ---- what every filter owes ----

test('every filter records its statistics for the documents it keeps and for those it drops', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-signals-'))
  writeFileSync(join(folder, 'words'), 'grault\n')
  const bad = documentOf('grault {\n'.repeat(3), { url: 'http://grault.com/', id: 'f'.repeat(32), language: 'de' })
  const good = documentOf(prose, { url: 'http://good.org/', id: '2'.repeat(32), language: 'en' })
  const filters: Stage<Document>[] = [
    s.gopherQuality(),
    s.gopherRepetition({ topNGrams: [[2, 0.2]], dupNGrams: [] }),
    s.gopherDolma({ mostCommonNgrams: [[2, 0.2]], duplicateNgrams: [] }),
    s.gopherRedPajama(loose),
    s.c4Quality(),
    s.c4Dolma(),
    s.c4Paragraph({ minParagraphLen: 20 }),
    s.c4BadWords({ lists: { en: { file: join(folder, 'words') }, de: ['grault'] } }),
    s.fineWebQuality(),
    s.language({ keep: 'en' }),
    s.paragraphLanguage({ keep: 'en' }),
    s.urlFilter({ extraDomains: ['grault.com'] }),
    s.sample({ rate: 0.5 }),
    s.filter('mine', ({ text }) => !text.includes('grault')),
  ]
  for (const stage of filters) {
    const { kept, reasons, statistics } = await run(stage, good, bad)
    assert.equal(kept.length, 1, stage.name)
    assert.equal(reasons.length, 1, stage.name)
    assert.equal(statistics.length, 2, stage.name)
    for (const numbers of statistics) assert.ok(Object.keys(numbers).length > 0, stage.name)
  }
  rmSync(folder, { recursive: true })
})

// ---- paragraphs ----

const german = 'Die Leute aus der Stadt sind mit ihren Körben auf den Markt gegangen und wieder heimgekehrt.'

test('paragraphLanguage annotates the share of each language and takes lines out; short lines go with the one before', async () => {
  const text = `Menu\n${line}\n\n${german}\nKurz\n`
  const all = await run(s.paragraphLanguage(), documentOf(text))
  const { language_shares: shares } = all.kept[0].annotations
  assert.deepEqual(Object.keys(shares), ['en', 'de'])
  assert.equal(shares.en, (line.length + 4) / (line.length + german.length + 8))
  assert.equal(all.kept[0].text, text)
  assert.equal(all.kept[0].language, 'de')
  assert.equal((await run(s.paragraphLanguage({ keep: 'de' }), documentOf(text))).kept[0].text, `${german}\nKurz`)
  assert.equal((await run(s.paragraphLanguage({ keep: ['en'] }), documentOf(text))).kept[0].text, `Menu\n${line}`)
  assert.deepEqual((await run(s.paragraphLanguage({ keep: 'fr' }), documentOf(text), documentOf(''))).reasons, ['language', 'language'])
})

test('a text of short lines only is judged whole', async () => {
  const { kept } = await run(s.paragraphLanguage(), documentOf(german.replaceAll(' ', '\n')))
  assert.deepEqual(kept[0].annotations.language_shares, { de: 1 })
})
