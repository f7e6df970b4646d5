import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { WebPage } from '../../src/core/document.ts'
import { SluiceError } from '../../src/core/errors.ts'
import { documentId } from '../../src/core/identity.ts'
import type { Damage, Partition } from '../../src/core/stage.ts'
import { stretchesOf } from '../../src/sources/crawl-records.ts'
import { type CommonCrawlOptions, commonCrawl, commonCrawlOptions } from '../../stages/common-crawl.ts'
import { type Faults, serve } from '../io/faulty-server.ts'
import { s3Keys, serveS3 } from '../io/s3-server.ts'
import { type Capture, makeCrawl } from './crawl.ts'

const CRAWL = 'CC-MAIN-2024-22'
const crawl = await makeCrawl(CRAWL)
const folder = await mkdtemp(join(tmpdir(), 'sluice-crawl-'))
after(() => rm(folder, { recursive: true }))
let caches = 0
const newCache = () => join(folder, `cache-${++caches}`)

type Options = CommonCrawlOptions & { kind?: 'warc' }

interface Found {
  readonly pages: WebPage[]
  readonly damages: Damage[]
  readonly ignored: Record<string, number>
  readonly partitions: Partition[]
  consumed: number
}

async function readAll(options: Options, partitionBytes = 256e6): Promise<Found> {
  const { signal } = new AbortController()
  const source = commonCrawl(options)
  const found: Found = { pages: [], damages: [], ignored: {}, partitions: await source.partitions({ signal, partitionBytes }), consumed: 0 }
  for (const partition of found.partitions) {
    const context = {
      signal,
      batchBytes: 10_000,
      begin: () => true,
      damaged: (damage: Damage) => found.damages.push(damage),
      ignored: (reason: string, count = 1) => {
        found.ignored[reason] = (found.ignored[reason] ?? 0) + count
      },
      consumed: (bytes: number) => {
        found.consumed += bytes
      },
    }
    for await (const batch of source.read(partition, context)) found.pages.push(...batch)
  }
  return found
}

const isPage = ({ fetch_status, content_mime_detected }: Capture) => fetch_status === 200 && content_mime_detected === 'text/html'
const urls = (pages: readonly { url?: string }[]) => pages.map(({ url }) => url)

test('where takes the captures that fulfil all conditions, in the order of the files', async () => {
  const cases: [NonNullable<Options['where']>, (capture: Capture) => boolean][] = [
    [{ host: 'www.site4.org' }, ({ url_host_name }) => url_host_name === 'www.site4.org'],
    [{ host: ['WWW.site4.org', 'site1.de'] }, ({ url_host_name }) => ['www.site4.org', 'site1.de'].includes(url_host_name)],
    [{ domain: 'site3.co.uk' }, ({ url_host_registered_domain }) => url_host_registered_domain === 'site3.co.uk'],
    [{ tld: ['is', 'uk'] }, ({ url_host_tld }) => ['is', 'uk'].includes(url_host_tld)],
    [{ language: 'deu' }, ({ content_languages }) => content_languages?.split(',').includes('deu') ?? false],
    [
      { mime: 'application/pdf', tld: 'org' },
      (capture) => capture.content_mime_detected === 'application/pdf' && capture.url_host_tld === 'org',
    ],
    [{ status: 206 }, ({ fetch_status }) => fetch_status === 206],
    [
      { language: ['isl', 'fra'], status: [200], mime: 'text/html', tld: 'is' },
      (capture) => /isl|fra/.test(capture.content_languages ?? '') && isPage(capture) && capture.url_host_tld === 'is',
    ],
  ]
  await using server = await serve(crawl.files)
  for (const [where, selects] of cases) {
    const expected = crawl.captures.filter(selects)
    const selection = { crawl: CRAWL, where, baseUrl: server.url, cache: newCache() }
    if (expected.length === 0) {
      await assert.rejects(readAll(selection), { code: 'SLUICE_CRAWL_EMPTY' })
      continue
    }
    const { pages, ignored, damages, consumed } = await readAll(selection)
    assert.deepEqual(urls(pages), urls(expected.filter(isPage)), JSON.stringify(where))
    assert.deepEqual(damages, [])
    assert.equal(
      Object.values(ignored).reduce((sum, count) => sum + count, 0),
      expected.length - pages.length,
    )
    assert.equal(
      consumed,
      expected.reduce((sum, { warc_record_length }) => sum + warc_record_length, 0),
    )
  }
})

test('a selected page is the page that reading the whole file gives', async () => {
  await using server = await serve(crawl.files)
  const whole = await readAll({ crawl: CRAWL, baseUrl: server.url })
  const { pages } = await readAll({ crawl: CRAWL, where: { tld: 'org' }, baseUrl: server.url, cache: newCache() })
  assert.deepEqual(
    pages,
    whole.pages.filter(({ url }) => /\.org\//.test(url ?? '')),
  )
  assert.equal(pages[0].id, documentId(pages[0].source, pages[0].offset))
})

test('partitions are cut by the records alone, and their pieces make the whole', async () => {
  await using server = await serve(crawl.files)
  const options = { crawl: CRAWL, where: { language: 'eng' }, baseUrl: server.url }
  const whole = await readAll({ ...options, cache: newCache() })
  const pieces = await readAll({ ...options, cache: newCache() }, 5_000_000)
  assert.equal(whole.partitions.length, 1)
  assert.ok(pieces.partitions.length > 3, `${pieces.partitions.length} partitions`)
  assert.deepEqual(pieces.pages, whole.pages)
  assert.deepEqual((await readAll({ ...options, cache: newCache() }, 5_000_000)).partitions, pieces.partitions)
  assert.equal(
    pieces.partitions.reduce((sum, { bytes = 0 }) => sum + bytes, 0),
    whole.consumed,
  )
})

test('only the records are fetched, neighbours together, each file of the index once', async () => {
  await using server = await serve(crawl.files)
  const options = { crawl: CRAWL, where: { domain: 'site5.is' }, baseUrl: server.url, cache: newCache() }
  const { pages, partitions } = await readAll(options)
  const warcRequests = server.requests.filter(({ path }) => path.endsWith('.warc.gz'))
  const files = new Set(urls(pages).map((url) => crawl.captures.find((capture) => capture.url === url)?.warc_filename))
  assert.equal(warcRequests.length, files.size, 'a request a file: all of its records lie within the gap')
  const before = server.requests.length
  assert.deepEqual((await readAll(options)).partitions, partitions)
  const again = server.requests.slice(before)
  assert.ok(
    again.every(({ path, range }) => path.endsWith('.paths.gz') || range === 'bytes=0-0'),
    'the second time only versions are asked for',
  )
})

test('row groups that cannot hold a match are not fetched', async () => {
  const { files } = await makeCrawl('CC-MAIN-2024-26', { warcFiles: 1, pages: 9000 })
  await using server = await serve(files)
  const fetchedBy = async (where: NonNullable<Options['where']>) => {
    const before = server.requests.length
    const { signal } = new AbortController()
    await commonCrawl({ crawl: 'CC-MAIN-2024-26', where, baseUrl: server.url, cache: newCache() }).partitions({
      signal,
      partitionBytes: 1e12,
    })
    return server.requests.slice(before).reduce((sum, { path, range }) => {
      const [, start, end] = /(\d+)-(\d+)/.exec(range ?? '') ?? []
      return path.endsWith('.parquet') && end !== undefined ? sum + Number(end) - Number(start) + 1 : sum
    }, 0)
  }
  const all = await fetchedBy({ mime: 'text/html' })
  const one = await fetchedBy({ domain: 'site3.de' })
  assert.ok(one < all / 2, `${one} bytes of ${all}`)
})

test('the same pages come from a server on its worst day', async () => {
  const options = { crawl: CRAWL, where: { tld: 'is' } }
  const expected = urls(crawl.captures.filter((capture) => isPage(capture) && capture.url_host_tld === 'is'))
  const days: Faults[] = [
    { busyEvery: 4 },
    { bears: 1, latencyMs: 3 },
    { cuts: 3, cutBytes: 900, how: 'reset' },
    { cuts: 3, cutBytes: 700, how: 'end' },
    { ignoresRanges: true, busyEvery: 9, busyStatus: 429 },
  ]
  const readOn = async (faults: Faults) => {
    await using server = await serve(crawl.files, faults)
    const { pages, damages } = await readAll({ ...options, baseUrl: server.url, cache: newCache() }, 10_000_000)
    assert.deepEqual(urls(pages), expected, JSON.stringify(faults))
    assert.deepEqual(damages, [])
  }
  await Promise.all(days.map(readOn))
})

test('a crawl is read from a bucket by the same options, ids included', async () => {
  await using store = await serveS3(crawl.files, { cuts: 3, cutBytes: 1000 })
  Object.assign(process.env, {
    AWS_ENDPOINT_URL_S3: store.endpoint,
    AWS_ACCESS_KEY_ID: s3Keys.accessKeyId,
    AWS_SECRET_ACCESS_KEY: s3Keys.secretAccessKey,
    AWS_REGION: 'us-east-1',
  })
  await using server = await serve(crawl.files)
  for (const chosen of [{ segments: 2 }, { where: { tld: 'is' } }]) {
    const bucket = await readAll({ crawl: CRAWL, ...chosen, baseUrl: `s3://${store.bucket}`, cache: newCache() })
    const web = await readAll({ crawl: CRAWL, ...chosen, baseUrl: server.url, cache: newCache() })
    assert.ok(bucket.pages.length > 0)
    assert.deepEqual(
      bucket.pages.map(({ id }) => id),
      web.pages.map(({ id }) => id),
    )
    assert.deepEqual(
      bucket.pages.map(({ html }) => html),
      web.pages.map(({ html }) => html),
    )
  }
})

test('a record that is not where the index says is damage at its place', async () => {
  const files = { ...crawl.files }
  const [first, second] = crawl.captures.filter((capture) => isPage(capture) && capture.url_host_tld === 'is')
  const bytes = Buffer.from(files[first.warc_filename])
  bytes.fill(0, first.warc_record_offset, first.warc_record_offset + 8)
  files[first.warc_filename] = bytes
  await using server = await serve(files)
  const { pages, damages } = await readAll({ crawl: CRAWL, where: { tld: 'is' }, baseUrl: server.url, cache: newCache() })
  assert.equal(pages[0].url, second.url)
  assert.deepEqual(
    damages.map(({ offset, length, source }) => [offset, length, source]),
    [[first.warc_record_offset, first.warc_record_length, server.url + first.warc_filename]],
  )
})

test('the cache spares the second run every byte, whole files too', async () => {
  await using server = await serve(crawl.files)
  const options = { crawl: CRAWL, segments: 2, baseUrl: server.url, cache: newCache() }
  const first = await readAll(options)
  const before = server.requests.length
  assert.deepEqual((await readAll(options)).pages, first.pages)
  assert.deepEqual(
    server.requests
      .slice(before)
      .map(({ path, range }) => [path.endsWith('.paths.gz'), range])
      .filter(([isList, range]) => !isList && range !== 'bytes=0-0'),
    [],
  )
})

test('what cannot be is refused with advice', async () => {
  await using server = await serve(crawl.files)
  const rejected = async (options: Options, code: string, fix: RegExp) =>
    await assert.rejects(
      readAll({ ...options, baseUrl: server.url, cache: newCache() }),
      (error) => error instanceof SluiceError && error.code === code && fix.test(error.fix ?? ''),
    )
  await rejected({ crawl: 'CC-MAIN-2024-23' }, 'SLUICE_INPUT_MISSING', /CC-MAIN-2024-22; https:\/\/commoncrawl\.org\/get-started/)
  await rejected({ crawl: 'CC-NEWS/2024/05', where: { tld: 'org' } }, 'SLUICE_INPUT_MISSING', /leave `where` out/)
  await rejected({ crawl: CRAWL, where: { host: 'site4' } }, 'SLUICE_CRAWL_EMPTY', /full name/)
  await using closed = await serve({}, { status: 403 })
  await assert.rejects(
    readAll({ crawl: CRAWL, baseUrl: closed.url }),
    (error) =>
      error instanceof SluiceError && error.code === 'SLUICE_PERMISSION' && /no such crawl: crawls are named/.test(error.fix ?? ''),
  )
  const problems = (options: unknown) =>
    commonCrawlOptions
      .safeParse(options)
      .error?.issues.map(({ message }) => message)
      .join('; ') ?? ''
  assert.match(problems({ crawl: CRAWL, paths: ['a'], where: { tld: 'org' } }), /give one of them/)
  assert.match(problems({ crawl: CRAWL, segments: 1, where: { tld: 'org' } }), /give one of them/)
  assert.match(problems({ crawl: CRAWL, kind: 'wet', where: { tld: 'org' } }), /no WET files/)
  assert.match(problems({ crawl: CRAWL, where: {} }), /at least one condition/)
  assert.match(problems({ crawl: CRAWL, where: { language: 'en' } }), /three letters/)
  assert.match(problems({ crawl: CRAWL, where: { host: 'https://example.org/' } }), /a name alone/)
  assert.match(problems({ crawl: CRAWL, where: { hosts: 'example.org' } }), /hosts/)
  assert.match(problems({ crawl: 'CC MAIN' }), /named like/)
  assert.match(problems({ crawl: CRAWL, baseUrl: 'ftp://host' }), /s3:\/\//)
})

test('a damaged index is an error of ours, with advice', async () => {
  const path = Object.keys(crawl.files).find((name) => name.endsWith('subset=warc/part-00000.parquet')) ?? ''
  const pages = Buffer.from(crawl.files[path])
  pages.fill(7, 4, pages.length - 8 - pages.readUInt32LE(pages.length - 8)) // all but the footer
  for (const [bytes, code] of [
    [crawl.files[path].subarray(0, 500), 'SLUICE_PARQUET_INVALID'],
    [pages, 'SLUICE_CRAWL_INDEX'],
  ] as const) {
    await using server = await serve({ ...crawl.files, [path]: bytes })
    await assert.rejects(readAll({ crawl: CRAWL, where: { tld: 'is' }, baseUrl: server.url, cache: newCache() }), { code })
  }
})

test('a list that is not there any more is asked for by name', async () => {
  await using server = await serve(crawl.files)
  const cache = newCache()
  const source = commonCrawl({ crawl: CRAWL, where: { tld: 'is' }, baseUrl: server.url, cache })
  const { signal } = new AbortController()
  const [partition] = await source.partitions({ signal, partitionBytes: 1e9 })
  assert.deepEqual(
    (await readdir(join(cache, 'crawl-index'))).filter((name) => name.startsWith('work-')),
    [],
    'nothing is left behind',
  )
  await rm(join(cache, 'crawl-index'), { recursive: true })
  const context = { signal, batchBytes: 1, begin: () => true, damaged: () => {}, ignored: () => {}, consumed: () => {} }
  await assert.rejects(Array.fromAsync(source.read(partition, context)), { code: 'SLUICE_CRAWL_LIST_MISSING' })
})

test('neighbours share a request up to a gap and a size, and never across files', () => {
  const place = (url: string, offset: number, length: number) => ({ url, offset, length })
  const places = [
    place('a', 0, 100),
    place('a', 150, 50),
    place('a', 301, 10),
    place('b', 320, 10),
    place('b', 330, 3 << 20),
    place('b', 330 + (3 << 20), 5),
  ]
  assert.deepEqual(
    stretchesOf(places, 100).map(({ url, start, end, places }) => [url, start, end, places.length]),
    [
      ['a', 0, 200, 2],
      ['a', 301, 311, 1],
      ['b', 320, 330, 1],
      ['b', 330, 330 + (3 << 20), 1],
      ['b', 330 + (3 << 20), 335 + (3 << 20), 1],
    ],
  )
})
