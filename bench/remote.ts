// Reading over a network, from a server on this machine: whole objects by file, http, https, s3 and through the cache; single
// records of a crawl file, by the gap up to which neighbours share a request, from a server as far away as a real one; and
// the plan of a selection, over an invented index with the columns of a real one.
// npm run bench remote

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { gzipSync } from 'node:zlib'
import { DuckDBInstance } from '@duckdb/node-api'
import { type OpenOptions, readBytes } from '../src/io/byte-source.ts'
import { mapAhead } from '../src/io/host.ts'
import { openBytes } from '../src/io/open-bytes.ts'
import { type Place, stretchesOf } from '../src/sources/crawl-records.ts'
import { commonCrawl } from '../stages/common-crawl.ts'

const OBJECT_BYTES = 256 << 20
const ROUNDS = 5
/** As a crawl file lies: a response of 15 kB every 40 kB, requests and metadata between. */
const RECORD_BYTES = 15_000
const STRIDE_BYTES = 40_000
/** A server on the same continent, and what one connection to it carries. */
const LATENCY_MS = 60
const CONNECTION_BYTES_PER_MS = 30_000
const INDEX_FILES = 4
const INDEX_ROWS = 1_000_000
const CRAWL = 'CC-MAIN-2024-22'

const [, , role, folder = ''] = process.argv
if (role === '--serve') await serve(folder)
else if (role === '--read') await readAll(folder)
else await main()

async function main(): Promise<void> {
  const place = mkdtempSync(join(tmpdir(), 'sluice-remote-'))
  try {
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
    const files = ['-keyout', join(place, 'key.pem'), '-out', join(place, 'cert.pem')]
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...subject, ...files], { stdio: 'ignore' })
    const self = [...process.execArgv, '--conditions=source', import.meta.filename]
    const server = spawn(process.execPath, [...self, '--serve', place], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [ports] = await once(server.stdout, 'data')
    const [plain, secure] = String(ports).trim().split(' ')
    const environment = {
      NODE_EXTRA_CA_CERTS: join(place, 'cert.pem'),
      AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${plain}`,
      AWS_ACCESS_KEY_ID: 'key',
      AWS_SECRET_ACCESS_KEY: 'secret',
      PLAIN: plain,
      SECURE: secure,
    }
    const reader = spawn(process.execPath, [...self, '--read', place], { stdio: 'inherit', env: { ...process.env, ...environment } })
    await once(reader, 'exit')
    server.kill()
  } finally {
    rmSync(place, { recursive: true })
  }
}

// ---- the reader ----

async function readAll(place: string): Promise<void> {
  const file = join(place, 'object')
  writeFileSync(file, Buffer.alloc(OBJECT_BYTES, 'some bytes of an object '))
  const plain = `http://127.0.0.1:${process.env.PLAIN}/object`
  const caches = Array.from({ length: ROUNDS + 1 }, (_, round) => ({ folder: join(place, `cache-${round}`), maxBytes: 1e12 }))
  const ways: [name: string, url: string, options: (round: number) => OpenOptions][] = [
    ['local file', pathToFileURL(file).href, () => ({})],
    ['http', plain, () => ({})],
    ['https', `https://localhost:${process.env.SECURE}/object`, () => ({})],
    ['s3, signed', 's3://bench/object', () => ({})],
    ['http into an empty cache', plain, (round) => ({ cache: caches[round] })],
    ['http from the cache', plain, (round) => ({ cache: caches[round] })],
  ]
  const taken = new Map<string, { ms: number; cpuMs: number }[]>()
  for (let round = 0; round <= ROUNDS; round++)
    for (const [name, url, options] of ways) {
      const cpu = process.cpuUsage()
      const start = performance.now()
      let bytes = 0
      for await (const chunk of (await openBytes(url, options(round))).read()) bytes += chunk.length
      if (bytes !== OBJECT_BYTES) throw new Error(`${name} gave ${bytes} bytes`)
      const { user, system } = process.cpuUsage(cpu)
      if (round > 0) taken.set(name, [...(taken.get(name) ?? []), { ms: performance.now() - start, cpuMs: (user + system) / 1000 }]) // the first warms up
    }
  console.log(`whole objects of ${OBJECT_BYTES >> 20} MiB, median of ${ROUNDS} rounds, one after another`)
  for (const [name, rounds] of taken) {
    const rate = (values: number[]) => Math.round(OBJECT_BYTES / 1000 / (values.sort((a, b) => a - b)[values.length >> 1] ?? 0))
    console.log(`  ${name.padEnd(26)}${rate(rounds.map(({ ms }) => ms))} MB/s, ${rate(rounds.map(({ cpuMs }) => cpuMs))} MB a CPU second`)
  }
  await readRecords(`http://127.0.0.1:${process.env.PLAIN}/far`)
  await planSelections(place)
}

async function readRecords(url: string): Promise<void> {
  console.log(
    `\nrecords of a crawl file, ${LATENCY_MS} ms away, ${CONNECTION_BYTES_PER_MS / 1000} MB/s a connection: seconds, requests, MB fetched`,
  )
  const { signal } = new AbortController()
  for (const share of [0.002, 0.02, 0.2, 0.6]) {
    const records = Math.min(600 / share, OBJECT_BYTES / STRIDE_BYTES)
    const places: Place[] = []
    for (let n = 0; n < records; n++)
      if (((n * 2654435761) >>> 0) / 2 ** 32 < share) places.push({ url, offset: n * STRIDE_BYTES, length: RECORD_BYTES })
    for (const gapBytes of [0, 1 << 16, 1 << 18, 1 << 19, 1 << 21]) {
      const source = await openBytes(url)
      const stretches = stretchesOf(places, gapBytes)
      const start = performance.now()
      for await (const _bytes of mapAhead(
        stretches,
        () => url,
        ({ start, end }) => readBytes(source, start, end),
        signal,
        16,
      ));
      const seconds = ((performance.now() - start) / 1000).toFixed(2)
      const megabytes = (stretches.reduce((sum, { start, end }) => sum + end - start, 0) / 1e6).toFixed(1)
      console.log(
        `  ${share * 100} % of records (${places.length}), gap ${gapBytes >> 10} KiB: ${seconds} s, ${stretches.length}, ${megabytes}`,
      )
    }
  }
}

async function planSelections(place: string): Promise<void> {
  const indexBytes = await makeIndex(place)
  console.log(
    `\nplan of a selection, index of ${(INDEX_FILES * INDEX_ROWS) / 1e6} M rows in ${INDEX_FILES} files, ${Math.round(indexBytes / 1e6)} MB`,
  )
  const { signal } = new AbortController()
  const kept = { cache: join(place, 'selections'), baseUrl: `http://127.0.0.1:${process.env.PLAIN}` }
  for (const where of [{ domain: 'd777.org' }, { tld: 'is' }, { language: 'isl' }, { language: 'eng', mime: 'text/html' }])
    for (const time of ['first', 'again']) {
      const start = performance.now()
      const partitions = await commonCrawl({ crawl: CRAWL, where, ...kept }).partitions({ signal, partitionBytes: 256e6 })
      const records = partitions.reduce((sum, { records }) => sum + (records ? records.rows[1] - records.rows[0] : 0), 0)
      console.log(
        `  ${JSON.stringify(where)} ${time}: ${((performance.now() - start) / 1000).toFixed(2)} s, ${records} records in ${partitions.length} partitions`,
      )
    }
}

/** @returns bytes of its files */
async function makeIndex(place: string): Promise<number> {
  const folder = `cc-index/table/cc-main/warc/crawl=${CRAWL}/subset=warc`
  mkdirSync(join(place, 'www', folder), { recursive: true })
  mkdirSync(join(place, 'www', 'crawl-data', CRAWL), { recursive: true })
  const names = Array.from({ length: INDEX_FILES }, (_, file) => `${folder}/part-0000${file}.parquet`)
  const connection = await (await DuckDBInstance.create(':memory:')).connect()
  await connection.run(`create table captures as
    select tld as url_host_tld, 'd' || n // 50 % 20000 || '.' || tld as url_host_registered_domain, 'www.' || url_host_registered_domain as url_host_name,
      'https://' || url_host_name || '/page/' || md5(n::varchar) as url,
      case when tld = 'is' and n % 3 = 0 then 'isl' when n % 5 = 0 then 'deu,eng' when n % 7 = 0 then null else 'eng' end as content_languages,
      case when n % 40 = 0 then 'application/pdf' else 'text/html' end as content_mime_detected, 200::smallint as fetch_status,
      'crawl-data/${CRAWL}/segments/1/warc/' || (hash(n) % 9000)::varchar || '.warc.gz' as warc_filename,
      (hash(n + 1) % 1000000000)::integer as warc_record_offset, (5000 + hash(n + 2) % 30000)::integer as warc_record_length
    from (select n, case when n < ${INDEX_ROWS * 2} then 'com' when n % 100 = 0 then 'is' else 'org' end as tld from range(${INDEX_FILES * INDEX_ROWS}) t(n))`)
  for (const [file, name] of names.entries())
    await connection.run(`copy (select * from captures order by url_host_tld, url_host_registered_domain limit ${INDEX_ROWS} offset ${file * INDEX_ROWS})
      to '${join(place, 'www', name)}' (format parquet, codec gzip)`)
  connection.closeSync()
  writeFileSync(join(place, 'www', 'crawl-data', CRAWL, 'cc-index-table.paths.gz'), gzipSync(`${names.join('\n')}\n`))
  return names.reduce((sum, name) => sum + readFileSync(join(place, 'www', name)).length, 0)
}

// ---- the server, a process of its own ----

async function serve(place: string): Promise<void> {
  const object = Buffer.alloc(OBJECT_BYTES, 'some bytes of an object ')
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const path = join(place, 'www', request.url ?? '')
    const bytes = request.url !== '/' && existsSync(path) ? readFileSync(path) : object
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []
    const [start, end] = first === undefined ? [0, bytes.length] : [Number(first), Math.min(Number(last) + 1, bytes.length)]
    if (request.url === '/far') await sleep(LATENCY_MS + (end - start) / CONNECTION_BYTES_PER_MS)
    response.writeHead(206, { etag: '"1"', 'content-length': end - start, 'content-range': `bytes ${start}-${end - 1}/${bytes.length}` })
    response.end(bytes.subarray(start, end))
  }
  const keys = { key: readFileSync(join(place, 'key.pem')), cert: readFileSync(join(place, 'cert.pem')) }
  const listen = async (server: ReturnType<typeof createServer>) => {
    await once(server.listen(0), 'listening')
    const address = server.address()
    return typeof address === 'object' ? address?.port : undefined
  }
  console.log(await listen(createServer(answer)), await listen(createSecureServer(keys, answer)))
}
