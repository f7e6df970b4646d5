import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { Document, Item } from '../../src/core/document.ts'
import type { Stage } from '../../src/core/stage.ts'
import { examineAll, type Outcome } from '../../src/engine/standalone.ts'
import { embeddingSimilarity } from '../../stages/embedding-similarity.ts'
import { type AnswerRule, readAnswer, type ScoreWithModelOptions, scoreWithModel } from '../../stages/score-with-model.ts'
import { serveModel } from './model-server.ts'

const root = mkdtempSync(join(tmpdir(), 'sluice-endpoint-'))
after(() => rmSync(root, { recursive: true }))

let caches = 0
const newCache = () => join(root, `cache-${caches++}.sqlite`)

function documents(...texts: string[]): Document[] {
  return texts.map((text, i) => ({ id: String(i), source: 'file:texts', offset: i, length: 0, metadata: {}, text }))
}

async function run(stage: Stage<Document>, batch: Document[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  const batches = (async function* () {
    yield batch
  })()
  for await (const some of examineAll(stage, batches)) outcomes.push(...some)
  return outcomes
}

const isDocument = (item: Item | undefined): item is Document => item !== undefined && 'text' in item
const annotationsOf = (outcomes: Outcome[]) => outcomes.map(({ item }) => (isDocument(item) ? item.annotations : undefined))
const scored = (baseUrl: string, options: Partial<ScoreWithModelOptions> = {}) =>
  scoreWithModel({ baseUrl, model: 'judge', cache: newCache(), pauseMs: 5, ...options })
/** The model counts the exclamation marks of the page. */
const countMarks = (question: string) => `There are some.\nScore: ${question.split('!').length - 1}`

test('each document gets its score, low ones are dropped, and what was answered is not asked again', async () => {
  await using server = await serveModel(countMarks)
  const cache = newCache()
  const batch = documents('none', 'one!', 'three!!!', 'a $& {text} of its own!')
  const outcomes = await run(scored(server.baseUrl, { cache, minScore: 1 }), batch)
  assert.deepEqual(
    outcomes.map(({ verdict, reason, statistics }) => [verdict, reason, statistics.model_score]),
    [
      ['drop', 'model_score', 0],
      ['keep', undefined, 1],
      ['keep', undefined, 3],
      ['keep', undefined, 1],
    ],
  )
  assert.deepEqual(annotationsOf(outcomes)[2], { model_score: 3 })
  assert.equal(server.requests.length, 4)
  assert.ok(
    server.requests.some(({ body }) => body.includes('a $& {text} of its own!')),
    'the document goes in as it is',
  )
  // Another parser, another threshold, another server: the question is the same.
  await using other = await serveModel(() => 'Score: 5')
  const again = await run(scored(other.baseUrl, { cache, minScore: null, annotation: 'marks', concurrency: 2 }), batch)
  assert.deepEqual(
    annotationsOf(again),
    [0, 1, 3, 1].map((marks) => ({ marks })),
  )
  assert.equal(other.requests.length, 0)
  // Another prompt is another question.
  await run(scored(other.baseUrl, { cache, prompt: 'How good is {text}?' }), batch)
  assert.equal(other.requests.length, 4)
})

test('answers are read strictly: a wrong or ambiguous one is an error', () => {
  const number: AnswerRule = { kind: 'number', min: 0, max: 5 }
  const label: AnswerRule = { kind: 'label', labels: ['good', 'bad', 'not sure'] }
  const json: AnswerRule = { kind: 'json', field: 'score', min: 0, max: 1 }
  const read: [answer: string, rule: AnswerRule, value: number | string | undefined][] = [
    ['Score: 3', number, 3],
    ['It has 2 parts and 7 pictures.\n**Score:** 4/5', number, 4],
    ['First I thought score: 1. Score: 2.5', number, 2.5],
    ['4', number, 4],
    ['The score is 3.', number, 3],
    ['Score: 6', number, undefined],
    ['between 3 and 4', number, undefined],
    ['I cannot judge this.', number, undefined],
    ['', number, undefined],
    ['Good.', label, 'good'],
    ['"bad"', label, 'bad'],
    ['I would say it is good', label, 'good'],
    ['I am not sure', label, 'not sure'],
    ['good or bad', label, undefined],
    ['goodness', label, undefined],
    ['{"score": 0.5, "why": "…"}', json, 0.5],
    ['```json\n{"score": 1}\n```', json, 1],
    ['{"score": 2}', json, undefined],
    ['{"score": "1"}', json, undefined],
    ['{"score": 1', json, undefined],
  ]
  for (const [answer, rule, value] of read) {
    if (value === undefined) assert.throws(() => readAnswer(answer, rule), { code: 'SLUICE_ENDPOINT_ANSWER' }, answer)
    else assert.equal(readAnswer(answer, rule), value, answer)
  }
})

test('a busy, broken or babbling server is asked again', async () => {
  const nonsense = ['{"choices":[]}', 'not JSON', '{"choices":[{"message":{"content":null}}]}']
  await using server = await serveModel(countMarks, { cuts: 1, busy: [200, 429, 503, 500], nonsense })
  const outcomes = await run(scored(server.baseUrl, { attempts: 9, concurrency: 1 }), documents('two!!'))
  assert.deepEqual(annotationsOf(outcomes), [{ model_score: 2 }])
  assert.equal(server.requests.length, 8)
})

test('Retry-After is honoured, and a server that wants too long a pause ends the run', async () => {
  await using server = await serveModel(countMarks, { busy: [429], retryAfter: '2' })
  const start = performance.now()
  await run(scored(server.baseUrl), documents('one!'))
  assert.ok(performance.now() - start >= 1950)
  await using closed = await serveModel(countMarks, { busy: [429], retryAfter: '86400' })
  await assert.rejects(run(scored(closed.baseUrl), documents('one!')), { code: 'SLUICE_ENDPOINT_DOWN' })
})

test('a document that the server chokes on is set aside or kept unscored, the others go on', async () => {
  for (const status of [400, 500]) {
    await using server = await serveModel(countMarks, { allergy: { to: 'peanut', status } })
    const batch = documents('one!', 'peanut!', 'two!!')
    const outcomes = await run(scored(server.baseUrl, { attempts: 2 }), batch)
    assert.deepEqual(
      outcomes.map(({ verdict, error }) => [verdict, error?.code]),
      [
        ['keep', undefined],
        ['error', 'SLUICE_ENDPOINT_REQUEST'],
        ['keep', undefined],
      ],
    )
    const kept = await run(scored(server.baseUrl, { attempts: 1, onFailure: 'keep-unscored' }), batch)
    assert.deepEqual(annotationsOf(kept), [{ model_score: 1 }, undefined, { model_score: 2 }])
  }
})

test('an answer that comes too late concerns its document', async () => {
  await using server = await serveModel(countMarks, { delayMs: 400 })
  const [outcome] = await run(scored(server.baseUrl, { timeoutMs: 100, attempts: 2 }), documents('one!'))
  assert.equal(outcome.error?.code, 'SLUICE_ENDPOINT_REQUEST')
  assert.match(outcome.error?.message ?? '', /no answer within 100 ms, 2 times/)
})

test('a server that is not there, refuses the key or knows no such model ends the run', async () => {
  const gone = await serveModel(countMarks)
  await gone[Symbol.asyncDispose]()
  await assert.rejects(run(scored(gone.baseUrl, { attempts: 2 }), documents('one!')), { code: 'SLUICE_ENDPOINT_DOWN' })
  for (const status of [401, 403, 404]) {
    await using server = await serveModel(countMarks, { busy: [status] })
    await assert.rejects(run(scored(server.baseUrl), documents('one!')), { code: 'SLUICE_ENDPOINT_REFUSED' })
    assert.equal(server.requests.length, 1)
  }
})

test('the key comes from the environment, goes to the server, and nowhere else', async () => {
  process.env.SLUICE_TEST_KEY = 'secret-1234\r\n' // as read from a file
  await using server = await serveModel(() => 'Score: 9 for secret-1234')
  const cache = newCache()
  const stage = scored(server.baseUrl, { keyVariable: 'SLUICE_TEST_KEY', cache })
  const [outcome] = await run(stage, documents('one!'))
  assert.equal(server.requests[0].authorization, 'Bearer secret-1234')
  assert.doesNotMatch(JSON.stringify(stage.options), /secret/)
  assert.equal(outcome.error?.code, 'SLUICE_ENDPOINT_ANSWER')
  await using refusing = await serveModel(countMarks, { busy: [400] })
  const [refused] = await run(scored(refusing.baseUrl, { keyVariable: 'SLUICE_TEST_KEY' }), documents('one!'))
  assert.doesNotMatch(JSON.stringify(refused.error), /secret/)
  delete process.env.SLUICE_TEST_KEY
  await run(scored(server.baseUrl, { keyVariable: 'SLUICE_TEST_KEY' }), documents('one!'))
  assert.equal(server.requests[1].authorization, undefined)
})

test('nothing is asked beyond the budget, which outlives the stage', async () => {
  await using server = await serveModel(countMarks)
  const batch = documents(...Array.from({ length: 10 }, (_, i) => `${i}!`))
  const cache = newCache()
  const bounded = (budget: ScoreWithModelOptions['budget'], onBudget: 'stop' | 'keep-unscored') =>
    scored(server.baseUrl, { cache, budget, onBudget })
  const first = await run(bounded({ requests: 4 }, 'keep-unscored'), batch)
  assert.equal(server.requests.length, 4)
  assert.equal(annotationsOf(first).filter((annotations) => annotations !== undefined).length, 4)
  await assert.rejects(run(bounded({ requests: 4 }, 'stop'), batch), { code: 'SLUICE_ENDPOINT_BUDGET' })
  assert.equal(server.requests.length, 4, 'what is answered is known, the rest is not asked')
  // 110 tokens a request: 440 are spent, so that of 500 one more request is left at once, and none afterwards.
  await assert.rejects(run(scored(server.baseUrl, { cache, budget: { tokens: 500 }, concurrency: 1 }), batch), {
    code: 'SLUICE_ENDPOINT_BUDGET',
  })
  assert.equal(server.requests.length, 5)
  // 500 questions and 50 answers of tokens are spent: 0.0005 · 2 + 0.00005 · 4 = 0.0012
  const priced = (cost: number) => ({ cost, inputPrice: 2, outputPrice: 4 })
  await assert.rejects(run(bounded(priced(0.0012), 'stop'), batch), { code: 'SLUICE_ENDPOINT_BUDGET' })
  await run(scored(server.baseUrl, { cache, budget: { name: 'tonight', requests: 5 } }), batch)
  assert.equal(server.requests.length, 10)
})

test('an address with a key or a password in it, or of no web server, is refused', () => {
  for (const baseUrl of ['http://user:secret@localhost/v1', 'https://sk-secret@localhost/v1', 'ftp://localhost/v1', 'localhost'])
    assert.throws(() => scoreWithModel({ model: 'judge', baseUrl }), { name: 'ZodError' })
})

test('a cache that cannot be used is said so', async () => {
  const file = join(root, 'text.sqlite')
  writeFileSync(file, 'Call me Ishmael. '.repeat(100))
  const stage = scoreWithModel({ model: 'judge', cache: file })
  await assert.rejects(run(stage, documents('one')), { code: 'SLUICE_ENDPOINT_CACHE' })
  assert.match(readFileSync(file, 'utf8'), /^Call me Ishmael/)
  await assert.rejects(run(scoreWithModel({ model: 'judge', cache: join(root, 'no', 'folder') }), documents('one')), {
    code: 'SLUICE_ENDPOINT_CACHE',
  })
})

test('documents are compared with the mean of the references, many to a request, in whatever order the answers come', async () => {
  await using server = await serveModel(countMarks, { reversed: true })
  const cache = newCache()
  const stage = () =>
    embeddingSimilarity({
      baseUrl: server.baseUrl,
      model: 'embedder',
      cache,
      references: ['aa', 'b'],
      documentsPerRequest: 3,
      minSimilarity: 0.5,
    })
  const batch = documents('ab', 'a', 'c', 'ab', 'nothing', 'bbb', 'abcd')
  const outcomes = await run(stage(), batch)
  const values = annotationsOf(outcomes).map((annotations) => annotations?.embedding_similarity)
  const half = Math.SQRT1_2
  assert.deepEqual(
    outcomes.map(({ verdict }) => verdict),
    ['keep', 'keep', 'drop', 'keep', 'drop', 'keep', 'keep'],
  )
  for (const [i, expected] of [1, half, undefined, 1, undefined, half, half].entries()) {
    if (expected === undefined) assert.equal(values[i], undefined)
    else assert.ok(Math.abs(Number(values[i]) - expected) < 1e-6, `${batch[i].text}: ${values[i]}`)
  }
  assert.equal(outcomes[4].statistics.embedding_similarity, 0)
  assert.deepEqual(
    server.requests.map(({ body }) => JSON.parse(body).input),
    [
      ['aa', 'b'],
      ['ab', 'a', 'c'],
      ['nothing', 'bbb', 'abcd'],
    ],
  )
  await run(stage(), batch)
  assert.equal(server.requests.length, 3)
})

test('embeddings that are too few, too short or refused concern their documents', async () => {
  const two = JSON.stringify({ data: [0, 1].map((index) => ({ index, embedding: [1, 0, 0, 0] })) })
  const doubled = JSON.stringify({ data: [0, 0, 1].map((index) => ({ index, embedding: [1, 0, 0, 0] })) })
  const huge = JSON.stringify({ data: [0, 1, 2].map((index) => ({ index, embedding: [1e39, 0, 0, 0] })) }) // no number that is kept
  const references = ['a']
  const reference = JSON.stringify({ data: [{ index: 0, embedding: [1, 0, 0, 0] }] })
  {
    await using server = await serveModel(countMarks, { nonsense: [reference, two, doubled, huge] })
    const outcomes = await run(
      embeddingSimilarity({ baseUrl: server.baseUrl, model: 'm', cache: newCache(), pauseMs: 5, references, concurrency: 1 }),
      documents('d', 'b', 'ac'),
    )
    assert.deepEqual(
      outcomes.map(({ verdict }) => verdict),
      ['keep', 'keep', 'keep'],
    )
    assert.equal(server.requests.length, 5)
  }
  {
    const short = JSON.stringify({ data: [{ index: 0, embedding: [1, 0] }] })
    await using server = await serveModel(countMarks, { nonsense: [reference, short] })
    const [outcome] = await run(
      embeddingSimilarity({ baseUrl: server.baseUrl, model: 'm', cache: newCache(), pauseMs: 5, references }),
      documents('b'),
    )
    assert.equal(outcome.error?.code, 'SLUICE_ENDPOINT_ANSWER')
  }
  await using server = await serveModel(countMarks, { allergy: { to: 'peanut', status: 400 } })
  const outcomes = await run(
    embeddingSimilarity({ baseUrl: server.baseUrl, model: 'm', cache: newCache(), pauseMs: 5, references }),
    documents('a', 'peanut', 'b'),
  )
  assert.deepEqual(
    outcomes.map(({ verdict }) => verdict),
    ['keep', 'error', 'keep'],
  )
})
