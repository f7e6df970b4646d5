// Reading over a network, from a server on this machine: whole objects by file, http, https, s3 and through the cache; and
// single records of a crawl file, by the gap up to which neighbours share a request, from a server as far away as a real one.
// npm run bench remote

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { type OpenOptions, readBytes } from '../src/io/byte-source.ts'
import { mapAhead } from '../src/io/host.ts'
import { openBytes } from '../src/io/open-bytes.ts'
import { type Place, stretchesOf } from '../stages/crawl-records.ts'

const OBJECT_BYTES = 256 << 20
const ROUNDS = 5
/** As a crawl file lies: a response of 15 kB every 40 kB, requests and metadata between. */
const RECORD_BYTES = 15_000
const STRIDE_BYTES = 40_000
/** A server on the same continent, and what one connection to it carries. */
const LATENCY_MS = 60
const CONNECTION_BYTES_PER_MS = 30_000

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

// ---- the server, a process of its own ----

async function serve(place: string): Promise<void> {
  const bytes = Buffer.alloc(OBJECT_BYTES, 'some bytes of an object ')
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
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
