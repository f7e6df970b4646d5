import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomFillSync } from 'node:crypto'
import { mkdtempSync, readdirSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { SluiceError } from '../../src/core/errors.ts'
import { type OpenOptions, readBytes } from '../../src/io/byte-source.ts'
import { onNotice } from '../../src/io/notices.ts'
import { openBytes } from '../../src/io/open-bytes.ts'
import { serve } from './faulty-server.ts'

const content = randomFillSync(Buffer.alloc(300_000))
const http = { attempts: 4, firstDelayMs: 1, longestDelayMs: 5, idleTimeoutMs: 500 }
const folders: string[] = []
after(async () => {
  for (const folder of folders) await rm(folder, { recursive: true })
})

function emptyCache(maxBytes = 1e9) {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-cache-'))
  folders.push(folder)
  return { folder, maxBytes }
}

/** Files with bytes of objects, oldest use first. */
function keptFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\d+-\d+$/.test(name))
    .map((name) => join(folder, name))
    .sort((a, b) => statSync(a).mtimeMs - statSync(b).mtimeMs)
}

const bounds = (file: string) => file.slice(file.lastIndexOf('/') + 1)

test('what was read once is read again without a byte from the server', async () => {
  const cache = emptyCache()
  await using server = await serve({ a: content })
  const first = await openBytes(`${server.url}a`, { http, cache })
  assert.ok((await readBytes(first)).equals(content))
  const requests = server.requests.length
  const again = await openBytes(`${server.url}a`, { http, cache, version: first.version })
  assert.ok((await readBytes(again)).equals(content))
  assert.ok((await readBytes(again, 500, 70_000)).equals(content.subarray(500, 70_000)))
  assert.equal(server.requests.length, requests, 'a known version is not asked for')
  await readBytes(await openBytes(`${server.url}a`, { http, cache }))
  assert.deepEqual(
    server.requests.slice(requests).map(({ range }) => range),
    ['bytes=0-0'],
    'only whether it is still that version',
  )
})

test('only what is missing is fetched, and any ranges in any order give the right bytes', async () => {
  await using server = await serve({ a: content.subarray(0, 5000) })
  const range = fc.tuple(fc.nat(5200), fc.nat(1500)).map(([start, length]) => [start, start + length] as const)
  await fc.assert(
    fc.asyncProperty(fc.array(range, { minLength: 1, maxLength: 6 }), async (ranges) => {
      const cache = emptyCache()
      const source = await openBytes(`${server.url}a`, { http, cache })
      const before = server.requests.length
      const wanted = new Set<number>()
      for (const [start, end] of ranges) {
        assert.ok((await readBytes(source, start, end)).equals(content.subarray(start, Math.min(end, 5000))))
        for (let at = start; at < Math.min(end, 5000); at++) wanted.add(at)
      }
      const fetched = server.requests.slice(before).map(({ range }) => /(\d+)-(\d+)/.exec(range ?? '') ?? [])
      assert.equal(
        fetched.reduce((sum, [, start, end]) => sum + Number(end) - Number(start) + 1, 0),
        wanted.size,
      )
    }),
    { numRuns: 50 },
  )
})

test('a changed object is fetched anew, and the old version is not mixed in', async () => {
  const cache = emptyCache()
  let tag = '"one"'
  const files = { a: content }
  await using server = await serve(files, { etag: () => tag })
  const old = await openBytes(`${server.url}a`, { http, cache })
  assert.ok((await readBytes(old, 0, 1000)).equals(content.subarray(0, 1000)))
  tag = '"two"'
  files.a = Buffer.from(content).reverse()
  assert.ok((await readBytes(await openBytes(`${server.url}a`, { http, cache }))).equals(files.a))
  const changed = (error: unknown) => error instanceof SluiceError && error.code === 'SLUICE_INPUT_CHANGED'
  await assert.rejects(readBytes(old), changed, 'what is missing of the old version is gone')
  assert.ok((await readBytes(old, 10, 900)).equals(content.subarray(10, 900)), 'what is there of it is right')
  await assert.rejects(openBytes(`${server.url}a`, { http, cache, version: '"three"' }), changed)
})

test('what a broken connection or an impatient reader leaves is gone on from', async () => {
  const cache = emptyCache()
  await using server = await serve({ a: content }, { cuts: 1, cutBytes: 100_000 })
  const options: OpenOptions = { http: { ...http, attempts: 1 }, cache }
  await assert.rejects(readBytes(await openBytes(`${server.url}a`, options)))
  for await (const _chunk of (await openBytes(`${server.url}a`, options)).read(200_000)) break
  assert.ok((await readBytes(await openBytes(`${server.url}a`, options))).equals(content))
  const ranges = server.requests.map(({ range }) => range).filter((range) => range !== 'bytes=0-0')
  assert.deepEqual(ranges.slice(0, 2), ['bytes=0-299999', 'bytes=200000-299999'])
  assert.match(ranges[2] ?? '', /^bytes=[1-9]\d*-199999$/, 'not from the start, and not what is there')
})

test('the folder keeps to its size: what was used longest ago goes first', async () => {
  const cache = emptyCache(1_000_000)
  const files = Object.fromEntries(Array.from({ length: 12 }, (_, n) => [`f${n}`, content.subarray(0, 100_000)]))
  await using server = await serve(files)
  const read = async (name: string) => await readBytes(await openBytes(server.url + name, { http, cache }))
  for (let n = 0; n < 8; n++) await read(`f${n}`)
  for (const [age, file] of keptFiles(cache.folder).reverse().entries())
    utimesSync(file, Date.now() / 1000 - 1000 - age, Date.now() / 1000 - 1000 - age)
  await read('f0') // used again, so that others go before it
  for (let n = 8; n < 12; n++) await read(`f${n}`)
  const bytes = keptFiles(cache.folder).reduce((sum, file) => sum + statSync(file).size, 0)
  assert.ok(bytes <= 1_000_000 && bytes >= 700_000, `${bytes} bytes`)
  const before = server.requests.length
  for (const name of ['f0', 'f11', 'f1']) assert.ok((await read(name)).equals(files[name]))
  const fetched = server.requests.slice(before).filter(({ range }) => range !== 'bytes=0-0')
  assert.deepEqual([...new Set(fetched.map(({ path }) => path))], ['f1'])
})

test('files that are cut short or not finished are not believed', async () => {
  const cache = emptyCache()
  await using server = await serve({ a: content })
  const read = async () => await readBytes(await openBytes(`${server.url}a`, { http, cache }))
  await read()
  const [file] = keptFiles(cache.folder)
  assert.equal(bounds(file), `0-${content.length}`)
  truncateSync(file, 1000)
  writeFileSync(join(file, '..', '0.abcd.tmp'), 'half')
  writeFileSync(join(file, '..', 'object.json'), '{"url":')
  assert.ok((await read()).equals(content))
  assert.ok((await read()).equals(content))
})

test('a cache that cannot be written is told of, and reading goes on', async () => {
  const heard: string[] = []
  using _notices = onNotice((message) => heard.push(message))
  const folder = join(emptyCache().folder, 'file')
  writeFileSync(folder, '')
  await using server = await serve({ a: content })
  assert.ok((await readBytes(await openBytes(`${server.url}a`, { http, cache: { folder, maxBytes: 1e9 } }))).equals(content))
  await new Promise((resolve) => setTimeout(resolve, 20))
  assert.match(heard[0], /cannot be written/)
})

test('several processes share a folder, and one that is killed leaves nothing wrong', async () => {
  const cache = emptyCache()
  await using server = await serve({ a: content }, { latencyMs: 2 })
  const script = `
    const { openBytes } = await import(${JSON.stringify(new URL('../../src/io/open-bytes.ts', import.meta.url).href)})
    for (;;) for (let at = 0; at < 300000; at += 1000)
      for await (const _ of (await openBytes(${JSON.stringify(`${server.url}a`)}, { cache: ${JSON.stringify(cache)} })).read(at, at + 3000)) {}`
  const child = () => spawn(process.execPath, ['--conditions=source', '--input-type=module', '-e', script], { stdio: 'ignore' })
  const children = [child(), child()]
  while (keptFiles(cache.folder).length < 20) await new Promise((resolve) => setTimeout(resolve, 20))
  for (const killed of children) killed.kill('SIGKILL')
  assert.ok((await readBytes(await openBytes(`${server.url}a`, { http, cache }))).equals(content))
})
