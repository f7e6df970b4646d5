// Reading WARC: MB of pages a CPU second, ours and warcio (npm), the same generated file, readers by turns.
// node --conditions=source bench/warc.ts [MB to generate, or a .warc.gz file]

import { createReadStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { WARCParser } from 'warcio'
import { openBytes } from '../src/io/open-bytes.ts'
import { decodeBody, parseHttpResponse } from '../src/warc/http.ts'
import { readWarc } from '../src/warc/reader.ts'
import { WarcWriter } from '../src/warc/writer.ts'

const [, , input = '60'] = process.argv
const REPEATS = 5

interface Reading {
  readonly records: number
  readonly bytes: number
}

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

async function generate(path: string, megabytes: number): Promise<void> {
  const date = '2024-05-01T00:00:00Z'
  await using writer = await WarcWriter.create(path, { date, seed: 'bench' })
  for (let seed = 0, bytes = 0; bytes < megabytes * 1e6; seed++) {
    const body = page(seed)
    const url = `https://example.org/${seed}`
    await writer.write({
      type: 'request',
      date,
      url,
      contentType: 'application/http; msgtype=request',
      block: Buffer.from(`GET /${seed} HTTP/1.1\r\nHost: example.org\r\n\r\n`),
    })
    await writer.writeResponse({ url, date, contentType: 'text/html', body })
    bytes += body.length
  }
  await writer.close()
}

async function ours(path: string): Promise<Reading> {
  let records = 0,
    bytes = 0
  for await (const record of readWarc(await openBytes(path), { damaged: ({ message }) => fail(message) })) {
    records++
    const response = record.type === 'response' ? parseHttpResponse(record.block) : undefined
    bytes += response ? decodeBody(response, 1 << 30).bytes.length : 0
  }
  return { records, bytes }
}

async function warcio(path: string): Promise<Reading> {
  let records = 0,
    bytes = 0
  for await (const record of new WARCParser(createReadStream(path))) {
    records++
    const payload = await record.readFully(true)
    if (record.warcType === 'response') bytes += payload.length
  }
  return { records, bytes }
}

function fail(message: string): never {
  throw new Error(message)
}

const folder = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
try {
  const path = /^\d+$/.test(input) ? join(folder, 'bench.warc.gz') : input
  if (path !== input) await generate(path, Number(input))
  const { size } = await openBytes(path)
  console.log(`${cpus()[0].model}, Node ${process.version}; ${(size / 1e6).toFixed(1)} MB gzip`)
  const readers = { sluice: ours, warcio }
  const readings: Reading[] = []
  const seconds: Record<string, number[]> = { sluice: [], warcio: [] }
  for (let repeat = -1; repeat < REPEATS; repeat++) {
    for (const [name, read] of Object.entries(readers)) {
      const start = process.cpuUsage()
      const reading = await read(path)
      const { user, system } = process.cpuUsage(start)
      if (repeat >= 0) seconds[name].push((user + system) / 1e6)
      else readings.push(reading)
    }
  }
  for (const [index, [name, times]] of Object.entries(seconds).entries()) {
    times.sort((a, b) => a - b)
    const { records, bytes } = readings[index]
    const rate = (time: number) => (bytes / 1e6 / time).toFixed(0)
    console.log(
      `${name}: best ${rate(times[0])}, median ${rate(times[REPEATS >> 1])} MB of page bytes a CPU second (${records} records, ${bytes} bytes)`,
    )
  }
} finally {
  await rm(folder, { recursive: true })
}
