// The file between two phases gives back exactly what it got.

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import type { Document, Item } from '../../src/core/document.ts'
import { SluiceError } from '../../src/core/errors.ts'
import { ItemFileWriter, readItemFile } from '../../src/io/item-file.ts'

const folder = await mkdtemp(join(tmpdir(), 'sluice-items-'))
after(() => rm(folder, { recursive: true }))
const path = join(folder, 'items')

const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constant('\uFEFFmark'), fc.string({ unit: 'grapheme' }))
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
const common = {
  id: fc.string({ unit: 'binary' }),
  source: fc.webUrl(),
  offset: fc.maxSafeNat(),
  length: fc.maxSafeNat(),
  url: maybe(text),
  date: maybe(text),
  metadata: fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer(), fc.boolean())),
}
const vocabulary = fc.record({ hash: text, size: fc.nat(), endOfText: fc.nat(), file: text }, { noNullPrototype: true })
const item: fc.Arbitrary<Item> = fc.oneof(
  fc.record({ ...common, html: fc.uint8Array({ maxLength: 300 }), contentType: maybe(text) }),
  fc.record({
    ...common,
    text,
    language: maybe(text),
    languageScore: maybe(fc.double({ noNaN: true, noDefaultInfinity: true })),
    annotations: maybe(fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.double({ noNaN: true, noDefaultInfinity: true })))),
  }),
  fc.record({
    ...common,
    vocabulary,
    tokens: fc.oneof(fc.uint16Array({ maxLength: 50 }), fc.uint32Array({ maxLength: 50 })),
    mask: maybe(fc.uint8Array({ maxLength: 50 })),
  }),
)

/** Absent and undefined are the same; JSON turns -0 into 0. */
function plain(value: Item) {
  const entries = Object.entries(value).filter(([, field]) => field !== undefined)
  return Object.fromEntries(
    entries.map(([key, field]) => [key, key === 'metadata' || key === 'annotations' ? JSON.parse(JSON.stringify(field)) : field]),
  )
}

async function roundTrip(items: readonly Item[], cut: number, batchBytes: number): Promise<Item[]> {
  const writer = await ItemFileWriter.create(path)
  await writer.write(items.slice(0, cut))
  await writer.write(items.slice(cut))
  const { rows, bytes } = await writer.close()
  assert.equal(rows, items.length)
  assert.equal(bytes, (await readFile(path)).length)
  const back: Item[] = []
  for await (const batch of readItemFile(path, batchBytes)) {
    assert.equal(batch.firstRow, back.length)
    assert.ok(batch.items.length > 0)
    back.push(...batch.items)
  }
  return back
}

test('items of every kind, mixed, come back equal', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(item, { maxLength: 30 }), fc.nat(30), fc.integer({ min: 1, max: 5000 }), async (items, cut, batchBytes) => {
      assert.deepEqual((await roundTrip(items, cut, batchBytes)).map(plain), items.map(plain))
    }),
    { numRuns: 100 },
  )
})

test('an annotation that could not be measured is NaN again, not null, which every limit from below would let pass', async () => {
  const annotations = { mean: Number.NaN, words: 0, lines: [1, 2], shares: { en: 1 }, note: 'null' }
  const document: Document = { id: 'a', source: 's', offset: 0, length: 1, metadata: {}, text: '', annotations }
  const [back] = await roundTrip([document], 1, 1000)
  assert.deepEqual('annotations' in back && back.annotations, annotations)
})

test('items of many blocks come back in batches of the size asked for', async () => {
  const items = Array.from({ length: 3000 }, (_, i) => ({
    id: `id ${i}`,
    source: 'file:///a',
    offset: i,
    length: 1,
    metadata: {},
    text: `${i} é`.repeat(700),
  }))
  const back = await roundTrip(items, 1000, 100_000)
  assert.deepEqual(back.map(plain), items.map(plain))
  for await (const batch of readItemFile(path, 100_000)) assert.ok(batch.items.length <= 100)
})

test('a file that is cut, changed or something else is refused by name', async () => {
  const items = Array.from({ length: 300 }, (_, i) => ({
    id: `${i}`,
    source: 's',
    offset: i,
    length: 1,
    metadata: {},
    text: `${i * 7919}`.repeat(500),
  }))
  await roundTrip(items, 0, 1e6)
  const whole = await readFile(path)
  const damaged: Record<string, Buffer> = {
    empty: Buffer.alloc(0),
    'something else': Buffer.from('{"text": "a line of JSON"}\n'),
    'cut in the middle': whole.subarray(0, whole.length >> 1),
    'cut at the end': whole.subarray(0, -3),
    changed: Buffer.from(whole).fill(0, whole.length >> 1, (whole.length >> 1) + 64),
  }
  for (const [what, bytes] of Object.entries(damaged)) {
    await writeFile(path, bytes)
    await assert.rejects(
      Array.fromAsync(readItemFile(path, 1e6)),
      (error) => error instanceof SluiceError && error.code === 'SLUICE_ITEMS_CORRUPT' && error.where?.file === path,
      what,
    )
  }
  await assert.rejects(
    Array.fromAsync(readItemFile(join(folder, 'none'), 1e6)),
    (error) => error instanceof SluiceError && error.code === 'SLUICE_FILE_MISSING',
  )
})

test('a full disk is an error that says what to do', async () => {
  const writer = await ItemFileWriter.create('/dev/full')
  const items = Array.from({ length: 100 }, (_, i) => ({ id: `${i}`, source: 's', offset: i, length: 1, metadata: {}, text: `${i}` }))
  await assert.rejects(
    async () => {
      await writer.write(items)
      await writer.close()
    },
    (error) => error instanceof SluiceError && error.code === 'SLUICE_DISK_FULL' && error.fix !== undefined,
  )
})
