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
