import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import type { Document } from '../../src/core/document.ts'
import type { Stage, Statistics } from '../../src/core/stage.ts'
import { aloneContext } from '../../src/engine/standalone.ts'
import { splitLines } from '../../src/text/lines.ts'
import { splitSentences } from '../../src/text/sentences.ts'
import { c4BadWords } from '../../stages/c4-bad-words.ts'
import { c4Paragraph } from '../../stages/c4-paragraph.ts'
import { c4Quality, c4QualityOptions, measureC4Quality } from '../../stages/c4-quality.ts'
import { filter } from '../../stages/filter.ts'
import { fineWebQuality, fineWebQualityLimits, fineWebQualityOptions, measureFineWebQuality } from '../../stages/fineweb-quality.ts'
import { gopherQuality, gopherQualityLimits, gopherQualityOptions, measureGopherQuality } from '../../stages/gopher-quality.ts'
import { gopherRepetition } from '../../stages/gopher-repetition.ts'
import { language } from '../../stages/language.ts'
import { map } from '../../stages/map.ts'
import { sample } from '../../stages/sample.ts'
import { splitHost, urlFilter } from '../../stages/url-filter.ts'

function documentOf(text: string, more: Partial<Document> = {}): Document {
  return { id: '0'.repeat(32), source: 'test', offset: 0, length: 0, metadata: {}, text, ...more }
}

/** What a stage makes of documents: those that go on, the reasons of the others, and the statistics of all. */
async function judge(stage: Stage<Document>, documents: Document[], seed = 0) {
  const reasons: string[] = []
  const statistics: Statistics[] = []
  const context = aloneContext({
    seed,
    dropped: (_, reason) => void reasons.push(reason),
    recorded: (_, numbers) => void statistics.push(numbers),
  })
  const run = await stage.open(context)
  const kept = await run.process(documents)
  await run.close?.()
  return { kept, reasons, statistics }
}

const reasonOf = async (stage: Stage<Document>, text: string, more: Partial<Document> = {}) =>
  (await judge(stage, [documentOf(text, more)])).reasons[0]

const sentence = 'The people of the town have gone to the market with their baskets and come home again.'
const prose = Array.from({ length: 8 }, (_, i) => `${sentence.replace('town', `${'abcdefgh'[i]}town`)}`).join('\n')

// ---- Gopher ----

test('gopherQuality names the first rule that fails', async () => {
  const stage = gopherQuality()
  assert.equal(await reasonOf(stage, prose), undefined)
  assert.equal(await reasonOf(stage, sentence), 'gopher_short_doc')
  assert.equal(await reasonOf(stage, 'a I '.repeat(60)), 'gopher_below_avg_threshold')
  assert.equal(await reasonOf(stage, 'incomprehensibilities '.repeat(60)), 'gopher_above_avg_threshold')
  assert.equal(await reasonOf(stage, `${prose} ${'# '.repeat(40)}`), 'gopher_too_many_hashes')
  assert.equal(await reasonOf(stage, `${prose} ${'... '.repeat(40)}`), 'gopher_too_many_ellipsis')
  assert.equal(await reasonOf(stage, prose.replace(/^/gm, '• ')), 'gopher_too_many_bullets')
  assert.equal(await reasonOf(stage, prose.replace(/$/gm, '…')), 'gopher_too_many_end_ellipsis')
  assert.equal(await reasonOf(stage, `${prose} ${'123 '.repeat(80)}`), 'gopher_below_alpha_threshold')
  assert.equal(await reasonOf(stage, 'word '.repeat(60)), 'gopher_enough_stop_words')
})

test('null and 0 switch a rule of gopherQuality off; a value at the limit passes', async () => {
  assert.equal(await reasonOf(gopherQuality({ minDocWords: null }), sentence), undefined)
  assert.equal(await reasonOf(gopherQuality({ minDocWords: 0 }), sentence), undefined)
  const words = measureGopherQuality({ text: sentence }, new Set(), { alphaOfWords: false }).n_non_symbol_words
  assert.equal(await reasonOf(gopherQuality({ minDocWords: words, maxDocWords: words }), sentence), undefined)
  assert.equal(await reasonOf(gopherQuality({ minDocWords: words + 1 }), sentence), 'gopher_short_doc')
})

test('an empty text is dropped where the reference divides by zero', async () => {
  assert.equal(await reasonOf(gopherQuality({ minDocWords: null }), ''), 'empty')
  assert.equal(await reasonOf(gopherRepetition(), ''), 'empty')
  assert.equal(await reasonOf(fineWebQuality(), ' \n '), 'empty')
})

test('gopherRepetition names what repeats', async () => {
  const off = { dupParaFrac: null, dupParaCharFrac: null, dupLineFrac: null, dupLineCharFrac: null }
  assert.equal(await reasonOf(gopherRepetition(), 'a\n\nb\n\na\n\nb'), 'dup_para_frac')
  assert.equal(await reasonOf(gopherRepetition({ dupParaFrac: 0 }), 'aaaa\n\nb\n\naaaa'), 'dup_para_char_frac')
  assert.equal(await reasonOf(gopherRepetition(), 'a\nb\na\nb'), 'dup_line_frac')
  assert.equal(await reasonOf(gopherRepetition({ dupLineFrac: null }), 'aaaa\nb\naaaa'), 'dup_line_char_frac')
  assert.equal(await reasonOf(gopherRepetition(), 'two words'), 'top_2_gram')
  assert.equal(await reasonOf(gopherRepetition({ ...off, topNGrams: [] }), `${sentence} `.repeat(3)), 'duplicated_5_n_grams')
})

test('quirks of the references can be switched off', async () => {
  const dotted = `${prose} ${'! '.repeat(60)}`
  assert.equal(await reasonOf(gopherQuality(), dotted), 'gopher_below_alpha_threshold')
  assert.equal(await reasonOf(gopherQuality({ alphaOfWords: true }), dotted), undefined)
  assert.equal(await reasonOf(gopherRepetition(), 'two words'), 'top_2_gram')
  assert.equal(await reasonOf(gopherRepetition({ onlyRepeated: true }), 'two words'), undefined)
  assert.equal(await reasonOf(gopherRepetition({ onlyRepeated: true }), 'two words two words'), 'top_2_gram')
  const cited = prose.replaceAll('again.', 'again. [1]')
  assert.equal(await reasonOf(c4Quality(), cited), 'too_few_sentences')
  assert.equal((await judge(c4Quality({ trimCitations: true }), [documentOf(cited)])).kept[0].text, prose)
})

test('filters of words see those of a language without spaces', async () => {
  const chinese = '我们今天去市场买菜，晚上回家做饭。孩子们在学校学习数学和历史。'
  const text = Array.from({ length: 6 }, (_, i) => `${chinese}第${'一二三四五六'[i]}天。`).join('\n')
  const limits = { minAvgWordLength: 1, maxAvgWordLength: 5, minStopWords: 0 }
  assert.equal(await reasonOf(gopherQuality(limits), text), 'gopher_short_doc')
  assert.equal(await reasonOf(gopherQuality(limits), text, { language: 'zh' }), undefined)
  const { statistics } = await judge(c4Quality({ filterNoTerminalPunct: false }), [documentOf(text), documentOf(text, { language: 'zh' })])
  assert.deepEqual(
    statistics.map((counts) => counts.line_filter_too_few_words),
    [6, 0],
  )
})

// ---- C4 ----

test('c4Quality takes out lines, drops documents, and gives back the same document where nothing changed', async () => {
  const stage = c4Quality()
  const document = documentOf(prose)
  assert.equal((await judge(stage, [document])).kept[0], document)
  const { kept, statistics } = await judge(stage, [
    documentOf(`Menu\n${prose}\nPlease enable JavaScript to go on.\nWe use cookies, see our cookie policy.`),
  ])
  assert.equal(kept[0].text, prose)
  assert.deepEqual(
    [
      statistics[0].line_total,
      statistics[0].line_kept,
      statistics[0].line_filter_no_terminal_punc,
      statistics[0].line_filter_javascript,
      statistics[0].line_filter_policy,
    ],
    [11, 8, 1, 1, 1],
  )
  assert.equal(await reasonOf(stage, sentence), 'too_few_sentences')
  assert.equal(await reasonOf(stage, `${prose}\nLorem ipsum dolor sit amet.`), 'lorem_ipsum')
  assert.equal(await reasonOf(stage, `${prose}\nIt says { and stops.`), 'curly_bracket')
  assert.equal(await reasonOf(stage, `${prose}\n{ x }`), undefined, 'a line that was taken out anyway does not drop the document')
})

test('sentences of kept lines are those of each line alone', () => {
  const limits = c4QualityOptions.parse({
    filterNoTerminalPunct: false,
    minWordsPerLine: -1,
    minNumSentences: 0,
    filterCurlyBracket: false,
  })
  const text = fc.array(
    fc.constantFrom('One.', 'two', ' ', '\n', '?!', '"', 'a [1].', '\r\n', '\u2028', '  ', '...', 'Mr.', ')', ':', ' )'),
  )
  fc.assert(
    fc.property(text, (parts) => {
      const { statistics, text } = measureC4Quality({ text: parts.join('') }, limits)
      const expected = splitLines(parts.join('')).map((line) => splitSentences(line.trim().replaceAll('[1]', '')).length)
      assert.equal(
        statistics.n_sentences,
        expected.reduce((sum, count) => sum + count, 0),
        JSON.stringify(text),
      )
    }),
    { numRuns: 300 },
  )
})

test('c4Paragraph wants three long lines', async () => {
  assert.equal(await reasonOf(c4Paragraph(), `${'x'.repeat(200)}\n`.repeat(3)), undefined)
  assert.equal(await reasonOf(c4Paragraph(), `${'x'.repeat(200)}\n`.repeat(2)), '< 3 paragraphs')
})

test('c4BadWords matches whole words by language, and keeps a share that depends on ids only', async () => {
  const stage = c4BadWords({ lists: { en: ['grault'], ja: ['悪'] } })
  assert.equal(await reasonOf(stage, 'A GRAULT!'), 'document_removed_with_badwords')
  assert.equal(await reasonOf(stage, 'graults'), undefined)
  assert.equal(await reasonOf(stage, '最悪だ', { language: 'ja' }), 'document_removed_with_badwords')
  assert.equal(await reasonOf(stage, 'grault', { language: 'xx' }), 'missing_badwords_lang')
  assert.equal(await reasonOf(c4BadWords({ lists: {}, failOnMissingLanguage: false }), 'grault'), undefined)
  const documents = Array.from({ length: 2000 }, (_, i) => documentOf('grault', { id: i.toString(16).padStart(32, '0') }))
  const { kept } = await judge(c4BadWords({ lists: { en: ['grault'] }, keepFraction: 0.3 }), documents)
  // Four standard errors: 4·√(0.3·0.7·2000) ≈ 82
  assert.ok(Math.abs(kept.length - 600) < 82, `${kept.length} kept`)
})

// ---- FineWeb, URLs, languages ----

test('fineWebQuality names the first rule that fails', async () => {
  assert.equal(await reasonOf(fineWebQuality(), prose), undefined)
  assert.equal(await reasonOf(fineWebQuality(), 'no end\n'.repeat(3)), 'line_punct_ratio')
  assert.equal(await reasonOf(fineWebQuality({ linePunctExcludeZero: true }), 'no end\n'.repeat(3)), 'short_line_ratio')
  assert.equal(await reasonOf(fineWebQuality({ shortLineThr: 2 }), 'One two three.\n'.repeat(3)), 'char_dup_ratio')
  assert.equal(await reasonOf(fineWebQuality({ shortLineThr: 2 }), 'One.\nTwo.\nThree.'), 'list_ratio')
})

test('urlFilter looks at domain, host, address, words and parts of words, in this order', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-lists-'))
  const file = join(folder, 'domains')
  writeFileSync(file, '# blocked\nbad.com\nsub.partial.org\n10.9.8.7\n')
  const stage = urlFilter<Document>({
    extraDomains: { file },
    extraUrls: ['http://one.org/exact'],
    bannedWords: ['grault'],
    softBannedWords: ['thud', 'fred'],
    bannedSubwords: ['zort-zort'],
  })
  const reason = async (url?: string) => reasonOf(stage, '', { url })
  assert.equal(await reason('https://www.bad.com/a'), 'domain')
  assert.equal(await reason('https://BAD.com/a'), undefined)
  assert.equal(await reason('https://sub.partial.org.:80/a'), 'subdomain')
  assert.equal(await reason('http://10.9.8.7/'), undefined)
  assert.equal(await reason('http://one.org/exact'), 'url')
  assert.equal(await reason('http://one.org/a-grault-b'), 'hard_blacklisted')
  assert.equal(await reason('http://one.org/thud/thud'), undefined)
  assert.equal(await reason('http://one.org/thud/fred'), 'soft_blacklisted')
  assert.equal(await reason('http://one.org/xZORT_zortx'), 'blacklisted_subword')
  assert.equal(await reason(''), 'no_url')
  assert.equal(await reason(undefined), undefined, 'a text without an address is none of its business')
  rmSync(folder, { recursive: true })
})

test('urlFilter takes no line of which nothing is left for an entry: it would meet nearly everything', async () => {
  for (const covers of ['entry', 'below'] as const) {
    const stage = urlFilter<Document>({
      extraDomains: ['bad.com', '  '],
      extraUrls: ['\t'],
      bannedWords: ['слово', '---'],
      softBannedWords: ['...', 'thud'],
      bannedSubwords: ['***'],
      covers,
    })
    for (const url of ['https://good.com/', 'http://1.2.3.4/', 'http://localhost/thud/', 'no address', 'https://good.com/%20/'])
      assert.equal(await reasonOf(stage, '', { url }), undefined, url)
    assert.equal(await reasonOf(stage, '', { url: 'https://bad.com/' }), 'domain')
  }
})

test('urlFilter takes categories of UT1, and says which list and line it met', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-lists-'))
  t.after(() => rmSync(folder, { recursive: true }))
  for (const category of ['adult', 'chat']) mkdirSync(join(folder, category))
  writeFileSync(join(folder, 'adult', 'domains'), 'one.com\nbad.com\n10.9.8.7\n')
  writeFileSync(join(folder, 'adult', 'urls.gz'), gzipSync('two.org/~bad\n'))
  writeFileSync(join(folder, 'chat', 'domains'), 'bad.com\ntalk.example.org\n')
  const options = { extraDomains: ['own.net'], ut1: { folder, categories: ['adult', 'chat'] }, bannedWords: ['x', 'grault'] }
  const place = async (url: string, covers: 'entry' | 'below' = 'entry') => {
    const { reasons, statistics } = await judge(urlFilter<Document>({ ...options, covers }), [documentOf('', { url })])
    return [reasons[0], statistics[0].list, statistics[0].line]
  }
  const stage = urlFilter<Document>(options)
  assert.partialDeepStrictEqual(stage.options, {
    lists: ['extraDomains', 'ut1 adult/domains', 'ut1 chat/domains', 'ut1 adult/urls', 'bannedWords'],
  })
  assert.deepEqual(await place('http://own.net/'), ['domain', 1, 1])
  assert.deepEqual(await place('http://www.bad.com/'), ['domain', 2, 2], 'the first of two lists')
  assert.deepEqual(await place('http://talk.example.org/'), ['subdomain', 3, 2])
  assert.deepEqual(await place('http://one.org/grault'), ['hard_blacklisted', 5, 2])
  assert.deepEqual(await place('http://fine.org/'), [undefined, 0, 0])
  // As the reference compares, an address of UT1, which has no scheme, is never met, and neither are a sub-subdomain or an IP.
  for (const url of ['http://two.org/~bad', 'http://a.talk.example.org/', 'http://10.9.8.7/'])
    assert.deepEqual(await place(url), [undefined, 0, 0], url)
  assert.deepEqual(await place('https://www.TWO.org/~bad/more?x', 'below'), ['url', 4, 1])
  assert.deepEqual(await place('https://two.org/~badly', 'below'), [undefined, 0, 0])
  assert.deepEqual(await place('http://a.talk.example.org/', 'below'), ['subdomain', 3, 2])
  assert.deepEqual(await place('http://10.9.8.7:80/', 'below'), ['subdomain', 2, 3])
  assert.deepEqual(await place('http://www.BAD.com/', 'below'), ['domain', 2, 2])
  assert.throws(() => urlFilter({ ut1: { folder, categories: ['adlut'] } }), { code: 'SLUICE_LIST_UNREADABLE' })
})

test('hosts are cut at the public suffix of registries, case kept', () => {
  assert.deepEqual(splitHost('//user@a.b.Example.CO.uk:80/x'), { registered: 'Example.CO.uk', full: 'a.b.Example.CO.uk' })
  assert.deepEqual(splitHost('blog.example.github.io'), { registered: 'github.io', full: 'blog.example.github.io' })
  for (const root of ['bad.com.', 'bad.com。', 'bad.com．｡']) assert.equal(splitHost(root).full, 'bad.com', root)
  for (const none of ['', 'http://', 'http://co.uk/', 'http://1.2.3.4/', 'http://[::1]/', 'http://localhost/']) {
    assert.deepEqual(splitHost(none), { registered: '', full: '' }, none)
  }
})

test('a list that cannot be read is refused before anything runs', () => {
  assert.throws(() => urlFilter({ extraDomains: { file: 'no/such/list' } }), { code: 'SLUICE_LIST_UNREADABLE' })
  assert.throws(() => c4BadWords({ lists: { en: { file: 'no/such/list' } } }), { code: 'SLUICE_LIST_UNREADABLE' })
})

test('language keeps what the model takes for a listed language, and writes language and score down', async () => {
  const german = 'Die Menschen der Stadt sind mit ihren Körben zum Markt gegangen und wieder nach Hause gekommen.'
  const { kept, reasons, statistics } = await judge(language({ keep: 'en' }), [documentOf(prose), documentOf(german)])
  assert.deepEqual([kept.length, kept[0].language, reasons], [1, 'en', ['language']])
  assert.ok((kept[0].languageScore ?? 0) > 0.65)
  assert.ok(statistics[1].language_score > 0.9 && statistics[1].kept_score < 0.1)
  const labelled = await judge(language({ labelOnly: true }), [documentOf(german)])
  assert.equal(labelled.kept[0].language, 'de')
})

// ---- users' own ----

test("users' functions keep, change and drop, and enter the plan hash unless they state a version", async () => {
  const vowels = filter<Document>('has-vowels', (document) => /[aeiou]/.test(document.text))
  assert.deepEqual(
    [vowels.isUserCode, filter('x', () => true, { version: 3 }).isUserCode, filter('x', () => true, { version: 3 }).version],
    [true, false, 3],
  )
  assert.equal(await reasonOf(vowels, 'xyz'), 'has-vowels')
  const upper = map<Document, Document>('upper', (document) =>
    document.text === '' ? undefined : { ...document, text: document.text.toUpperCase() },
  )
  const { kept, reasons } = await judge(upper, [documentOf('abc'), documentOf('')])
  assert.deepEqual([kept.map(({ text }) => text), reasons], [['ABC'], ['upper']])
})

test('sample keeps the same share of the same documents in every run with the same seed', async () => {
  const documents = Array.from({ length: 2000 }, (_, i) => documentOf('', { id: i.toString(16).padStart(32, '0') }))
  const once = await judge(sample({ rate: 0.2 }), documents, 7)
  const again = await judge(sample({ rate: 0.2 }), documents, 7)
  const other = await judge(sample({ rate: 0.2 }), documents, 8)
  assert.deepEqual(once.kept, again.kept)
  assert.notDeepEqual(once.kept, other.kept)
  // Four standard errors: 4·√(0.2·0.8·2000) ≈ 72
  assert.ok(Math.abs(once.kept.length - 400) < 72, `${once.kept.length} kept`)
})

test('every statistic and option that limits name is there', () => {
  const quality = measureGopherQuality({ text: prose }, new Set(), { alphaOfWords: false })
  const fineWeb = measureFineWebQuality({ text: prose }, fineWebQualityOptions.parse({}))
  for (const [limits, statistics, options] of [
    [gopherQualityLimits, quality, gopherQualityOptions.parse({})],
    [fineWebQualityLimits, fineWeb, fineWebQualityOptions.parse({})],
  ] as const) {
    for (const [statistic, names] of Object.entries(limits)) {
      assert.ok(statistic in statistics, statistic)
      for (const name of names) assert.ok(name in options, name)
    }
  }
})
