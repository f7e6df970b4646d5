// Block lists are exact: what was put in is found with its place, nothing else is; from memory, from another thread, from disk.

import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { keepShares } from '../../src/core/share.ts'
import { BlockListBuilder, openBlockList } from '../../src/lists/block-list.ts'
import { loadBlockList } from '../../src/lists/load-list.ts'

function scratch(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'))
  const before = process.env.XDG_CACHE_HOME
  process.env.XDG_CACHE_HOME = join(folder, 'cache')
  t.after(() => {
    if (before === undefined) delete process.env.XDG_CACHE_HOME
    else process.env.XDG_CACHE_HOME = before
    rmSync(folder, { recursive: true })
  })
  return folder
}

/** Large enough to be kept on disk. */
function largeList(count = 300_000, prefix = 'd'): string {
  return Array.from({ length: count }, (_, i) => `${prefix}${i.toString(36)}.example${i % 97}.com\n`).join('')
}

test('a list finds what is in it, at its first place, and nothing else', () => {
  const text = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 40 }), fc.constantFrom('', 'a', 'b', 'bad.com', 'évil.рф'))
  fc.assert(
    fc.property(fc.array(text, { maxLength: 300 }), fc.array(text, { maxLength: 50 }), (entries, others) => {
      const builder = new BlockListBuilder()
      const places = new Map<string, { list: number; line: number }>()
      for (const [i, entry] of entries.entries()) {
        const place = { list: 1 + (i % 200), line: 1 + i * 40_000 }
        builder.add(entry, place)
        if (!places.has(entry)) places.set(entry, place)
      }
      const list = builder.finish()
      assert.equal(list.entries, places.size)
      for (const entry of [...entries, ...others]) assert.deepEqual(list.find(entry), places.get(entry))
    }),
    { numRuns: 200 },
  )
})

test('entries of any length are found: longer than a chunk, longer than what is looked up', () => {
  const builder = new BlockListBuilder()
  const lengths = [0, 1, 126, 127, 128, 4096, 5_000_000]
  for (const [i, length] of lengths.entries()) builder.add('x'.repeat(length), { list: 1, line: i + 1 })
  const list = builder.finish()
  for (const [i, length] of lengths.entries()) assert.equal(list.find('x'.repeat(length))?.line, i + 1)
  assert.equal(list.find('x'.repeat(5_000_001)), undefined)
  assert.equal(list.find('é'.repeat(63)), undefined, 'as long in bytes as an entry, but another')
})

test('a buffer that holds something else is no list', () => {
  assert.equal(openBlockList(new SharedArrayBuffer(32)), undefined)
})

test('files are read plain and compressed, comments and empty lines left out, and say where an entry stands', async (t) => {
  const folder = scratch(t)
  writeFileSync(join(folder, 'a'), '# comment\r\n\r\nbad.com \r\nlast.com')
  writeFileSync(join(folder, 'b.gz'), gzipSync('worse.com\nbad.com\n'))
  const list = await loadBlockList(
    [
      { name: 'a', lines: { file: join(folder, 'a') } },
      { name: 'b', lines: { file: join(folder, 'b.gz') } },
      { name: 'inline', lines: ['third.com'] },
    ],
    'exact',
    5,
  )
  assert.deepEqual(
    ['bad.com', 'last.com', 'worse.com', 'third.com', '# comment', ''].map((name) => list.find(name)),
    [{ list: 5, line: 3 }, { list: 5, line: 4 }, { list: 6, line: 1 }, { list: 7, line: 1 }, undefined, undefined],
  )
})

test('a damaged list is refused: half of it would let pages through', async (t) => {
  const folder = scratch(t)
  const file = join(folder, 'cut.gz')
  writeFileSync(file, gzipSync(largeList(2000)).subarray(0, 3000))
  await assert.rejects(loadBlockList([{ name: 'cut', lines: { file } }], 'exact'), { code: 'SLUICE_LIST_UNREADABLE' })
})

test('a large list is built once and read back from disk, by its content; a torn copy is built again', async (t) => {
  const folder = scratch(t)
  const load = (name: string) => loadBlockList([{ name, lines: { file: join(folder, name) } }], 'exact')
  const kept = () => readdirSync(join(folder, 'cache', 'sluice', 'block-lists'))
  writeFileSync(join(folder, 'one'), largeList())
  const built = await load('one')
  const [name] = kept()
  const onDisk = readFileSync(join(folder, 'cache', 'sluice', 'block-lists', name))
  assert.ok(onDisk.subarray(0, -16).equals(Buffer.from(new Uint8Array(built.buffer))))

  const old = new Date('2026-01-01')
  utimesSync(join(folder, 'cache', 'sluice', 'block-lists', name), old, old)
  writeFileSync(join(folder, 'copy'), largeList())
  const read = await load('copy')
  assert.deepEqual(kept(), [name], 'the same content, under another name')
  assert.deepEqual([read.entries, read.find('d0.example0.com')], [300_000, { list: 1, line: 1 }])

  onDisk[onDisk.length >> 1] ^= 1
  writeFileSync(join(folder, 'cache', 'sluice', 'block-lists', name), onDisk)
  writeFileSync(join(folder, 'again'), largeList())
  const again = await load('again')
  for (let i = 0; i < 300_000; i += 101) assert.equal(again.find(`d${i.toString(36)}.example${i % 97}.com`)?.line, i + 1)
})

test('a list that no run has used for a month is forgotten when another one is kept', async (t) => {
  const folder = scratch(t)
  const cache = join(folder, 'cache', 'sluice', 'block-lists')
  mkdirSync(cache, { recursive: true })
  writeFileSync(join(cache, 'old.list'), '')
  utimesSync(join(cache, 'old.list'), new Date('2026-01-01'), new Date('2026-01-01'))
  writeFileSync(join(folder, 'new'), largeList(300_000, 'other'))
  await loadBlockList([{ name: 'new', lines: { file: join(folder, 'new') } }], 'exact')
  assert.equal(readdirSync(cache).length, 1)
  assert.ok(!readdirSync(cache).includes('old.list'))
})

test('threads of a process share one copy', async (t) => {
  const folder = scratch(t)
  const file = join(folder, 'list')
  writeFileSync(file, 'bad.com\nworse.com\n')
  keepShares()
  const module = new URL('../../src/lists/load-list.ts', import.meta.url).href
  const source = `
    import { parentPort } from 'node:worker_threads'
    import { loadBlockList } from ${JSON.stringify(module)}
    const list = await loadBlockList([{ name: 'list', lines: { file: ${JSON.stringify(file)} } }], 'exact')
    const unread = new Uint32Array(list.buffer, 28, 1) // a word of the header
    parentPort.postMessage([list.find('worse.com'), unread[0]++])`
  const ask = () => {
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`))
    return new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
  }
  assert.deepEqual(await ask(), [{ list: 1, line: 2 }, 0])
  assert.deepEqual(await ask(), [{ list: 1, line: 2 }, 1], 'what the first wrote into the buffer')
})
