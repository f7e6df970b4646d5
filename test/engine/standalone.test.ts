// Stages, sources and sinks as Node streams, outside a run.

import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type TestContext, test } from 'node:test'
import { asReadable, asTransform, asWritable, type Document } from 'sluice'
import { exactDedup, filter, jsonl, jsonlShards } from 'sluice/stages'

function scratch(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

function documents(texts: readonly string[]): Document[] {
  return texts.map((text, offset) => ({ id: String(offset), source: 'test', offset, length: 0, metadata: {}, text }))
}

test('a source, a map stage, a barrier and a sink compose with stream.pipeline', async (t) => {
  const folder = scratch(t)
  writeFileSync(
    join(folder, 'in.jsonl'),
    ['a long text', 'b', 'a long text', 'another text'].map((text) => `${JSON.stringify({ text })}\n`).join(''),
  )
  await pipeline(
    asReadable(jsonl({ path: join(folder, 'in.jsonl') })),
    asTransform(filter<Document>('long', ({ text }) => text.length > 3)),
    asTransform(exactDedup()),
    asWritable(jsonlShards({ path: join(folder, 'out'), compression: 'none' })),
  )
  const shards = readdirSync(join(folder, 'out')).map((name) => readFileSync(join(folder, 'out', name), 'utf8'))
  assert.deepEqual(
    shards
      .join('')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).text),
    ['a long text', 'another text'],
  )
})

test('a listener hears drops and measurements; a stage that throws throws out of the stream', async () => {
  const dropped: string[] = []
  const stage = asTransform(
    filter<Document>('even', ({ offset }) => offset % 2 === 0),
    { dropped: ({ id }, reason) => dropped.push(`${id} ${reason}`) },
  )
  const kept = await Readable.from([documents(['a', 'b', 'c'])])
    .compose(stage)
    .toArray()
  assert.deepEqual(
    kept.flat().map(({ id }) => id),
    ['0', '2'],
  )
  assert.deepEqual(dropped, ['1 even'])

  const broken = asTransform(
    filter<Document>('broken', () => {
      throw new Error('made by the test')
    }),
  )
  await assert.rejects(
    Readable.from([documents(['a'])])
      .compose(broken)
      .toArray(),
    /made by the test/,
  )
})

test('a slow reader makes a source wait: a few batches are alive, not all', async () => {
  let made = 0
  const source = Readable.from(
    (function* () {
      for (; made < 200; made++) yield documents(['x'])
    })(),
    { objectMode: true, highWaterMark: 1 },
  )
  const stage = asTransform(filter<Document>('all', () => true))
  const reader = source.pipe(stage)[Symbol.asyncIterator]()
  await reader.next()
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.ok(made < 10, `${made} batches were made for one that was read`)
  await reader.return?.()
})
