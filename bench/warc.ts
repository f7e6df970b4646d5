// Reading web archives, one core, CPU time: every record with its HTTP head parsed and its payload, beside warcio (npm; bodies
// decoded) and FastWARC (bodies as stored), each in a process of its own, in paired rounds; by libdeflate and by zlib.
// The input: the real crawls of ../shared/data, or generated pages where they are not there.
//   node --conditions=source bench/warc.ts [--rounds 3] [--generated]
//   node --conditions=source bench/warc.ts --profile    where the time goes

import { createReadStream, existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { Profiler } from 'node:inspector'
import { Session } from 'node:inspector/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { WARCParser } from 'warcio'
import { libdeflate } from '../src/io/libdeflate.ts'
import { openBytes } from '../src/io/open-bytes.ts'
import { decodeBody, parseHttpResponse } from '../src/warc/http.ts'
import { readWarc } from '../src/warc/reader.ts'
import type { WarcRecord } from '../src/warc/record.ts'
import { WarcWriter } from '../src/warc/writer.ts'
import { median, pairedRounds, peerPython, peerVersions, requirePeers, runPinned, runSelf, saveResult } from './lib/harness.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    generated: { type: 'boolean', default: false },
    profile: { type: 'boolean', default: false },
    /** Prints the seconds of one reader, on `--file`. */
    only: { type: 'string' },
    file: { type: 'string', default: '' },
  },
})
const REPEATS = 3
/** Times that the real crawls, 8.8 MB together, are repeated. */
const COPIES = 8
const GENERATED_BYTES = 200e6
const real = fileURLToPath(new URL('../../shared/data/warc/real/', import.meta.url))

interface Reading {
  readonly records: number
  readonly bytes: number
}

// ---- readers ----

async function sluice(path: string, payload: (record: WarcRecord) => number): Promise<Reading> {
  let records = 0,
    bytes = 0
  for await (const record of readWarc(await openBytes(path), { damaged: ({ message }) => fail(message) })) {
    records++
    bytes += payload(record)
  }
  return { records, bytes }
}

function storedBytes(record: WarcRecord): number {
  return (record.type === 'response' ? parseHttpResponse(record.block)?.body : undefined)?.length ?? record.block.length
}

function decodedBytes(record: WarcRecord): number {
  const response = record.type === 'response' ? parseHttpResponse(record.block) : undefined
  return response ? decodeBody(response, 1 << 30).bytes.length : record.block.length
}

async function warcio(path: string): Promise<Reading> {
  let records = 0,
    bytes = 0
  for await (const record of new WARCParser(createReadStream(path))) {
    records++
    bytes += (await record.readFully(true)).length
  }
  return { records, bytes }
}

const readers: Readonly<Record<string, (path: string) => Promise<Reading>>> = {
  decoded: (path) => sluice(path, decodedBytes),
  stored: (path) => sluice(path, storedBytes),
  warcio,
}

function fail(message: string): never {
  throw new Error(message)
}

/** Median CPU time, after one pass to warm up. */
async function secondsOf(read: () => Promise<Reading>): Promise<{ seconds: number } & Reading> {
  const seconds: number[] = []
  let reading: Reading = { records: 0, bytes: 0 }
  for (let repeat = -1; repeat < REPEATS; repeat++) {
    const start = process.cpuUsage()
    reading = await read()
    const { user, system } = process.cpuUsage(start)
    if (repeat >= 0) seconds.push((user + system) / 1e6)
  }
  return { seconds: median(seconds), ...reading }
}

// ---- input ----

const words = Array.from({ length: 4000 }, (_, index) => ((index * 2654435761) >>> 0).toString(36).slice(0, 2 + (index % 8)))

/** Pages of 2 to 120 kB from a seed; text from a skewed vocabulary, so that gzip finds about what it finds in real pages. */
function page(seed: number): Buffer {
  let state = seed * 747796405 + 1
  const next = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32
  const parts = ['<!doctype html><html><head><title>page</title></head><body>']
  for (let count = 20 + 1200 * next() ** 3; count > 0; count--) {
    parts.push('<p class="text">')
    for (let length = 4 + 30 * next(); length > 0; length--) parts.push(words[Math.floor(words.length * next() ** 2)], ' ')
    parts.push('</p>\n')
  }
  return Buffer.from(parts.join(''))
}

async function generate(path: string): Promise<void> {
  const date = '2024-05-01T00:00:00Z'
  await using writer = await WarcWriter.create(path, { date, seed: 'bench' })
  for (let seed = 0, bytes = 0; bytes < GENERATED_BYTES; seed++) {
    const body = page(seed)
    const url = `https://example.org/${seed}`
    const block = Buffer.from(`GET /${seed} HTTP/1.1\r\nHost: example.org\r\n\r\n`)
    await writer.write({ type: 'request', date, url, contentType: 'application/http; msgtype=request', block })
    await writer.writeResponse({ url, date, contentType: 'text/html', body })
    bytes += body.length
  }
  await writer.close()
}

async function withInput(use: (path: string) => void | Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
  try {
    const path = join(folder, 'bench.warc.gz')
    if (values.generated || !existsSync(real)) await generate(path)
    else {
      const files = readdirSync(real).filter((name) => name.endsWith('.gz'))
      const crawls = files.map((name) => readFileSync(real + name))
      await writeFile(path, Buffer.concat(Array.from({ length: COPIES }, () => crawls).flat()))
    }
    await use(path)
  } finally {
    await rm(folder, { recursive: true })
  }
}

// ---- what is printed ----

function compare(path: string): void {
  requirePeers()
  const ours = (name: string, inflater: 'libdeflate' | 'zlib') => {
    if (inflater === 'zlib') process.env.SLUICE_NATIVE = 'off'
    else delete process.env.SLUICE_NATIVE
    return runSelf(import.meta.url, ['--only', name, '--file', path])
  }
  const peers = {
    warcio: () => runSelf(import.meta.url, ['--only', 'warcio', '--file', path]),
    FastWARC: () => runPinned(peerPython, ['bench/peers/fastwarc_read.py', path]),
  }
  const comparisons: Record<string, unknown>[] = []
  for (const [name, peer] of [
    ['decoded', 'warcio'],
    ['stored', 'FastWARC'],
  ] as const)
    for (const inflater of libdeflate() ? (['libdeflate', 'zlib'] as const) : (['zlib'] as const)) {
      let read: Record<string, number> = {}
      const rounds = pairedRounds(
        Number(values.rounds),
        () => (read = ours(name, inflater)).seconds,
        () => peers[peer]().seconds,
      )
      const rate = (seconds: number) => Math.round(read.bytes / 1e6 / seconds)
      comparisons.push({
        bodies: name,
        inflater,
        peer,
        sluiceMBs: rate(median(rounds.map((round) => round.sluice))),
        peerMBs: rate(median(rounds.map((round) => round.peer))),
        ratio: Number(median(rounds.map((round) => round.peer / round.sluice)).toFixed(2)),
        records: read.records,
        payloadBytes: read.bytes,
      })
    }
  saveResult('warc', { input: values.generated ? 'generated' : 'real', versions: peerVersions('FastWARC'), comparisons })
}

/** Where a frame of a CPU profile counts: the first part that fits it. */
const parts: readonly (readonly [name: string, frame: RegExp])[] = [
  ['inflating members, checksums', /io\/libdeflate|gzip-member/],
  ['garbage collection', /garbage collector/],
  ['the file: reading, joining pieces', /file-source|byte-window|node:/],
  ['heads of WARC', /warc\/(?:record|arc)/],
  ['heads and bodies of HTTP', /warc\/http/],
  ['members and records', /src\/warc\//],
  ['all else: promises, this benchmark', /./],
]

/** One profile over some passes, so that the code is warm; parts add up to the whole. */
async function profile(path: string): Promise<void> {
  const session = new Session()
  session.connect()
  await readers.decoded(path)
  await session.post('Profiler.enable')
  await session.post('Profiler.start')
  for (let pass = 0; pass < 2 * REPEATS; pass++) await readers.decoded(path)
  const { profile } = await session.post('Profiler.stop')
  session.disconnect()
  const frames = ownFrames(profile.nodes)
  const micros = new Map<string, number>(parts.map(([name]) => [name, 0]))
  for (const [index, id] of (profile.samples ?? []).entries()) {
    const frame = frames.get(id) ?? ''
    if (/^\(idle\)|inspector/.test(frame)) continue
    const [name] = parts.find(([, pattern]) => pattern.test(frame)) ?? ['']
    micros.set(name, (micros.get(name) ?? 0) + (profile.timeDeltas?.[index] ?? 0))
  }
  const { records } = await readers.decoded(path)
  const sum = [...micros.values()].reduce((total, time) => total + time, 0)
  for (const [name, time] of micros)
    console.log(
      `${name.padEnd(46)} ${((time / sum) * 100).toFixed(1).padStart(5)} % ${(time / (2 * REPEATS * records)).toFixed(1).padStart(6)} µs a record`,
    )
  console.log(
    `${records} records, ${(sum / (2 * REPEATS) / 1e6).toFixed(2)} s; ${libdeflate() ? 'libdeflate' : 'zlib'}, Node ${process.version}`,
  )
}

/** By node: its function and file, or those of the nearest caller in a file of ours: what Node and koffi do is done for it. */
function ownFrames(nodes: readonly Profiler.ProfileNode[]): Map<number, string> {
  const frames = new Map<number, string>()
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const visit = (id: number, caller: string) => {
    const node = byId.get(id)
    if (!node) return
    const { functionName, url } = node.callFrame
    const frame = caller !== '' && !url.startsWith('file:') ? caller : `${functionName} ${url}`
    frames.set(id, frame)
    for (const child of node.children ?? []) visit(child, url.startsWith('file:') ? frame : caller)
  }
  visit(nodes[0].id, '')
  return frames
}

if (values.only !== undefined) console.log(JSON.stringify(await secondsOf(() => readers[values.only ?? ''](values.file))))
else await withInput(values.profile ? profile : compare)
