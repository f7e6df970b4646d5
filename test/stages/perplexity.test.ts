import assert from 'node:assert/strict'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Document, Item } from '../../src/core/document.ts'
import { examineAll, type Outcome } from '../../src/engine/standalone.ts'
import { loadNgramScorer, perplexityOf } from '../../src/ngram/model.ts'
import { normalizeLine } from '../../src/ngram/normalize.ts'
import { type PerplexityOptions, perplexity } from '../../stages/perplexity.ts'
import { type PerplexityBucketsOptions, perplexityBuckets } from '../../stages/perplexity-buckets.ts'
import { runBarrier } from '../dedup/run-barrier.ts'

const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/ngram/${name}`, import.meta.url))
const model = fixture('model.arpa')

function document(text: string, more: Partial<Document> = {}): Document {
  return { id: text, source: 'file:texts', offset: 0, length: 0, metadata: {}, text, ...more }
}

async function run(options: PerplexityOptions, batch: Document[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  const batches = (async function* () {
    yield batch
  })()
  for await (const some of examineAll(perplexity(options), batches)) outcomes.push(...some)
  return outcomes
}

const isDocument = (item: Item | undefined): item is Document => item !== undefined && 'text' in item
const annotationsOf = ({ item }: Outcome) => (isDocument(item) ? item.annotations : undefined)

test('lines are normalized as CCNet does it', () => {
  // Each pair is what cc_net's text_normalizer.normalize gives.
  const cases: [line: string, normalized: string][] = [
    ['  It’s ÉTÉ 2019…\t', "it's ete 0000..."],
    ['«Straße» — １２３ ٣', '"straße"  -  000 0'],
    ['\u0000a\u0007b\u0085', 'ab'],
    ['（全角）！', '(全角)!'],
    ['İ', 'i'],
    ['\ufeffx', '\ufeffx'],
    ['ﬁ A\u030angstro\u0308m', 'ﬁ angstrom'],
    ['', ''],
    ['\u00a0\u2003', ''],
  ]
  for (const [line, normalized] of cases) assert.equal(normalizeLine(line), normalized, JSON.stringify(line))
})

test('a document gets the perplexity of its normalized lines, and its bucket', async () => {
  const texts = ['The heron sees the river.'.replace('.', ''), 'THE HERON SEES THE RIVER', 'albatross zebra quince\nnobody', '']
  const scorer = await loadNgramScorer(model)
  const expected = texts.map((text) => perplexityOf(scorer.scoreText(text.toLowerCase())))
  const outcomes = await run(
    { model, headBelow: 20, tailFrom: 60 },
    texts.map((text) => document(text)),
  )
  assert.deepEqual(outcomes.map(annotationsOf), [
    { perplexity: expected[0], perplexity_bucket: 'head' },
    { perplexity: expected[0], perplexity_bucket: 'head' },
    { perplexity: expected[2], perplexity_bucket: 'tail' },
    { perplexity: expected[3], perplexity_bucket: expected[3] < 60 ? 'middle' : 'tail' },
  ])
  assert.deepEqual(outcomes[2].statistics, { perplexity: expected[2], perplexity_tokens: 6, unknown_ratio: 0.5 })
})

test('limits and buckets drop, each with its reason', async () => {
  const batch = [document('the heron sees the river'), document('albatross zebra quince')]
  const reasons = async (options: Partial<PerplexityOptions>) => (await run({ model, ...options }, batch)).map(({ reason }) => reason)
  assert.deepEqual(await reasons({ maxPerplexity: 60 }), [undefined, 'perplexity_high'])
  assert.deepEqual(await reasons({ minPerplexity: 60 }), ['perplexity_low', undefined])
  assert.deepEqual(await reasons({ headBelow: 30, tailFrom: 60, keep: ['middle', 'tail'] }), ['perplexity_bucket', undefined])
})

test('each language has its own model; a document without one passes as bucket "all"', async () => {
  const batch = [
    document('the heron sees', { language: 'en' }),
    document('der Reiher sieht', { language: 'de' }),
    document('nothing known'),
  ]
  const outcomes = await run({ model: { en: model }, headBelow: 1, tailFrom: 2, keep: ['tail'] }, batch)
  assert.deepEqual(
    outcomes.map((outcome) => annotationsOf(outcome)?.perplexity_bucket),
    ['tail', 'all', 'all'],
  )
  assert.equal(annotationsOf(outcomes[1])?.perplexity, undefined)
})

test('options that contradict each other are refused', () => {
  for (const options of [{ headBelow: 5 }, { headBelow: 5, tailFrom: 4 }, { keep: ['head' as const] }, { normalise: 'ccnet' }])
    assert.throws(() => perplexity({ model, ...options }), { name: 'ZodError' })
  assert.throws(() => perplexityBuckets({ head: 0.6, tail: 0.6 }), { name: 'ZodError' })
})

/** Perplexities in disorder, in two languages and without one. */
const corpus = Array.from({ length: 90 }, (_, i) => {
  const value = ((i * 37) % 90) + 1
  return document(`${i}`, { language: i % 3 === 0 ? 'de' : 'en', annotations: { perplexity: i % 3 === 0 ? 1000 * value : value } })
})

async function bucketsOf(options: PerplexityBucketsOptions, partitions: Document[][]) {
  const { kept, dropped } = await runBarrier(perplexityBuckets(options), partitions, { memoryBytes: 1 << 20 })
  return { buckets: new Map(kept.flat().map(({ id, annotations }) => [id, annotations?.perplexity_bucket])), dropped }
}

test('each language is cut by itself into head, middle and tail of the shares asked for', async () => {
  const { buckets } = await bucketsOf({}, [corpus])
  for (const language of ['de', 'en']) {
    const sorted = corpus
      .filter((one) => one.language === language)
      .sort((a, b) => Number(a.annotations?.perplexity) - Number(b.annotations?.perplexity))
    const third = sorted.length / 3
    assert.deepEqual(
      sorted.map(({ id }) => buckets.get(id)),
      sorted.map((_, i) => (i < third ? 'head' : i < 2 * third ? 'middle' : 'tail')),
    )
  }
})

test('buckets do not depend on how the corpus is divided; what is not kept is dropped; what has no perplexity stays', async () => {
  const whole = await bucketsOf({ head: 0.5, tail: 0.1 }, [corpus])
  const divided = await bucketsOf({ head: 0.5, tail: 0.1 }, [corpus.slice(0, 10), [], corpus.slice(10, 11), corpus.slice(11)])
  assert.deepEqual(divided, whole)
  assert.equal([...whole.buckets.values()].filter((bucket) => bucket === 'tail').length, 9)
  const { buckets, dropped } = await bucketsOf({ keep: ['head'] }, [[...corpus, document('unscored')]])
  assert.deepEqual(
    [buckets.size, dropped.size, dropped.get(corpus[89].id) ?? 'kept'],
    [31, 60, buckets.has(corpus[89].id) ? 'kept' : 'perplexity_bucket'],
  )
  assert.equal(buckets.get('unscored'), 'all')
})

test('equal perplexities share a bucket, and a corpus of one document or none has its cut-offs', async () => {
  const same = Array.from({ length: 6 }, (_, i) => document(`${i}`, { annotations: { perplexity: 7 } }))
  assert.deepEqual([...(await bucketsOf({}, [same])).buckets.values()], Array(6).fill('tail'))
  assert.equal((await bucketsOf({ head: 1, tail: 0 }, [same.slice(0, 1)])).buckets.get('0'), 'head')
  assert.equal((await bucketsOf({}, [[]])).buckets.size, 0)
})

test('another model file is another plan, and so is another tokenizer; a missing one is refused before anything runs', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-perplexity-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const [own, tokenizer] = [join(folder, 'own.arpa'), join(folder, 'tokenizer.json')]
  copyFileSync(model, own)
  writeFileSync(tokenizer, '{}')
  const plan = () =>
    JSON.stringify([{ model: own }, { model: { en: own } }, { model, tokens: tokenizer }].map((o) => perplexity(o).options))
  const first = plan()
  assert.equal(plan(), first)
  writeFileSync(own, readFileSync(model))
  utimesSync(own, 1, 1) // a model trained anew is as long, often
  const second = plan()
  assert.notEqual(second, first)
  writeFileSync(tokenizer, '[]')
  assert.notEqual(plan(), second)
  for (const missing of [join(folder, 'none.arpa'), folder, { en: model, de: 'none.arpa' }])
    assert.throws(() => perplexity({ model: missing }), { code: 'SLUICE_FILE_MISSING' })
  assert.throws(() => perplexity({ model, tokens: 'gpt-2' }), { code: 'SLUICE_TOKENIZER_UNKNOWN' })
})
