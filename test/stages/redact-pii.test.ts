import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Document } from '../../src/core/document.ts'
import type { Statistics } from '../../src/core/stage.ts'
import { aloneContext } from '../../src/engine/standalone.ts'
import { type RedactPiiOptions, redactPii } from '../../stages/redact-pii.ts'
import { documentsOf } from '../dedup/documents.ts'

async function run(texts: string[], options?: RedactPiiOptions): Promise<{ documents: Document[]; statistics: Statistics[] }> {
  const statistics: Statistics[] = []
  const context = aloneContext({ recorded: (_, measured) => statistics.push(measured) })
  const stage = await redactPii(options).open(context)
  return { documents: await stage.process(documentsOf(texts)), statistics }
}

test('tags what is found, counts it by kind, and keeps it nowhere', async () => {
  const { documents, statistics } = await run(['a@b.org and a@b.org, 8.8.8.8', 'nothing'])
  assert.deepEqual(
    documents.map(({ text }) => text),
    ['<EMAIL> and <EMAIL>, <IP>', 'nothing'],
  )
  assert.deepEqual(statistics, [
    { email: 2, iban: 0, card: 0, ip: 1, phone: 0 },
    { email: 0, iban: 0, card: 0, ip: 0, phone: 0 },
  ])
})

test('addresses and metadata are redacted where asked for, and counted together with the text', async () => {
  const document: Document = {
    ...documentsOf(['a@b.org'])[0],
    url: 'https://bob:hunter2secret@example.com/?to=a@b.org',
    metadata: { author: 'a@b.org', count: 3, more: { tags: ['x', 'c@d.org', null] } },
  }
  const statistics: Statistics[] = []
  const context = aloneContext({ recorded: (_, measured) => statistics.push(measured) })
  const clean = async (options: RedactPiiOptions, given = document) => (await (await redactPii(options).open(context)).process([given]))[0]
  const { text, url, metadata } = await clean({ set: 'strict', fields: ['text', 'url', 'metadata'] })
  assert.equal(text, '<EMAIL>')
  assert.doesNotMatch(`${url}`, /hunter2secret|a@b/)
  assert.deepEqual(metadata, { author: '<EMAIL>', count: 3, more: { tags: ['x', '<EMAIL>', null] } })
  assert.equal(statistics[0].email, 4)
  const plain = { ...document, url: 'https://example.com/', text: 'x', metadata: { more: { tags: ['x'] } } }
  assert.equal(await clean({ fields: ['text', 'url', 'metadata'] }, plain), plain)
  assert.equal((await clean({})).url, document.url)
})

test('only the kinds asked for, as mask where asked', async () => {
  const { documents } = await run(['a@b.org 8.8.8.8'], { kinds: ['ip'], mode: 'mask' })
  assert.equal(documents[0].text, 'a@b.org *.*.*.*')
})

test('the set datatrove begins its replacements anew in each document, so that workers cannot change the output', async () => {
  const { documents, statistics } = await run(['a@b.c a@b.c', 'a@b.c 1.1.1.1'], { set: 'datatrove', emailReplacements: ['one', 'two'] })
  assert.deepEqual(
    documents.map(({ text }) => text),
    ['one two', 'one 22.214.171.124'],
  )
  assert.deepEqual(statistics[1], { email: 1, ip: 1 })
})

test('the set dolma replaces what its tagger marks, white space around included', async () => {
  const { documents, statistics } = await run(['Write to jo@acme.org, or call (555) 123-4567 now.'], { set: 'dolma' })
  assert.equal(documents[0].text, 'Write to |||EMAIL_ADDRESS||| or call |||PHONE_NUMBER|||  now.')
  assert.deepEqual(statistics, [{ email: 1, ip: 0, phone: 1 }])
})

test('an unchanged document is the same object', async () => {
  const documents = documentsOf(['plain'])
  const stage = await redactPii().open(aloneContext({}))
  assert.equal((await stage.process(documents))[0], documents[0])
})

test('options of the other set are refused by name', () => {
  assert.throws(() => redactPii({ onlyPublicIps: false }), /the set default has no such option/)
  assert.throws(() => redactPii({ set: 'datatrove', mode: 'mask' }), /the set datatrove has no such option/)
  assert.throws(() => redactPii({ set: 'datatrove', kinds: ['card'] }), /finds email, ip only/)
})

test('a document with more findings than allowed is dropped, and its numbers are counted all the same', async () => {
  const dropped: string[] = []
  const statistics: Statistics[] = []
  const context = aloneContext({ recorded: (_, measured) => statistics.push(measured) })
  const drop = (_: unknown, reason: string) => {
    dropped.push(reason)
    return false
  }
  const stage = await redactPii({ dropAbove: 1, kinds: ['email'] }).open({ ...context, drop })
  assert.deepEqual((await stage.process(documentsOf(['a@b.org c@d.org', 'a@b.org']))).length, 1)
  assert.deepEqual([dropped, statistics], [['pii_above_threshold'], [{ email: 2 }, { email: 1 }]])
})

test('surrogates need a key from the environment, which is named and never written', async () => {
  const options = { mode: 'surrogate', keyVariable: 'SLUICE_TEST_PII_KEY' } as const
  assert.throws(() => redactPii({ mode: 'surrogate' }), /need a key/)
  await assert.rejects(run(['x'], options), { code: 'SLUICE_PII_KEY', message: /SLUICE_TEST_PII_KEY/ })
  process.env.SLUICE_TEST_PII_KEY = 'a long and secret key of a test'
  const { documents } = await run(['jo@mail.example.org wrote jo@mail.example.org and Al@mail.example.org'], options)
  delete process.env.SLUICE_TEST_PII_KEY
  const [first, second, third] = documents[0].text.match(/\S+@\S+/g) ?? []
  assert.equal(first, second)
  assert.notEqual(first, third)
  assert.match(third, /^[A-Z][a-z]@[a-z]{4}\.[a-z]{7}\.[a-z]{3}$/)
  assert.ok(!JSON.stringify(redactPii(options).options).includes('secret'))
})

test('a detector of the user’s own finds what rules do not', async () => {
  const detector = (text: string) =>
    [...text.matchAll(/Zaphod/g)].map(({ index }) => ({ kind: 'name' as const, start: index, end: index + 6 }))
  const stage = redactPii({ kinds: ['email'] }, detector)
  assert.equal(stage.isUserCode, true)
  const run = await stage.open(aloneContext({}))
  const [document] = await run.process(documentsOf(['Zaphod: a@b.org']))
  assert.equal(document.text, '<NAME>: <EMAIL>')
})
