// The URL filter with a block list of ten million domains, one thread: bytes an entry, time to build it, to read it back
// from disk, and addresses a second, half of them listed. Times are of the CPU, so that a busy machine counts less.
//
//   npm run bench url-filter
//   npm run bench url-filter -- --entries 1000000
//
// A JavaScript Set of the same strings, each thread's own, is measured beside it.

import { mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { loadBlockList } from '../src/lists/load-list.ts'
import { decideUrl, loadBlocklists, measureUrl, urlFilterOptions } from '../stages/url-filter.ts'
import { median, runSelf, saveResult } from './lib/harness.ts'

const { values } = parseArgs({
  options: { entries: { type: 'string', default: '10000000' }, only: { type: 'string' }, file: { type: 'string', default: '' } },
})
const ENTRIES = Number(values.entries)
const LOOKUPS = 1_000_000
const ROUNDS = 5

const SYLLABLES = ['ba', 'ro', 'shop', 'me', 'tu', 'li', 'web', 'ka', 'no', 'ver', 'dis', 'on', 'net', 'pla', 'cy', 'ster']
const SUFFIXES = ['.com', '.com', '.com', '.net', '.org', '.de', '.ru', '.co.uk', '.com.br', '.info']

/** The i-th domain: of 8 to 30 characters, as the domains of UT1 are; all different. */
function domainOf(i: number): string {
  const mixed = Math.imul(i, 0x9e3779b1) >>> 0 // odd, so a permutation
  let name = ''
  for (let rest = mixed; rest > 0 || name === ''; rest >>>= 4) name += SYLLABLES[rest & 15]
  return name + SUFFIXES[mixed % SUFFIXES.length]
}

if (values.only === 'build' || values.only === 'read') console.log(JSON.stringify(await measureLoad(values.file)))
else if (values.only === 'lookup') console.log(JSON.stringify(await measureLookups(values.file)))
else if (values.only === 'set') console.log(JSON.stringify(measureSet()))
else compare()

async function measureLoad(file: string) {
  const start = process.cpuUsage()
  const wall = performance.now()
  const list = await loadBlockList([{ name: 'bench', lines: { file } }], 'exact')
  const { user, system } = process.cpuUsage(start)
  return {
    entries: list.entries,
    bytes: list.buffer.byteLength,
    cpuSeconds: (user + system) / 1e6,
    seconds: (performance.now() - wall) / 1000,
  }
}

async function measureLookups(file: string) {
  const limits = urlFilterOptions.parse({ extraDomains: { file } })
  const blocked = await loadBlocklists(limits)
  const list = blocked.domains
  const names = Array.from({ length: LOOKUPS }, (_, i) => domainOf(i % 2 === 0 ? i * 7 : ENTRIES + i))
  const find = timed(() => names.reduce((count, name) => count + Number(list?.find(name) !== undefined), 0))
  const urls = names.map((name, i) => `https://www.${name}/a/page-${i}.html`)
  const filter = timed(() => urls.reduce((count, url) => count + Number(!decideUrl(measureUrl(url, blocked), limits).keep), 0))
  return { found: find.result, dropped: filter.result, lookupsPerSecond: LOOKUPS / find.seconds, urlsPerSecond: LOOKUPS / filter.seconds }
}

/** Two rounds of warm-up, then the median. */
function timed(work: () => number): { seconds: number; result: number } {
  const seconds: number[] = []
  let result = 0
  for (let round = -2; round < ROUNDS; round++) {
    const start = process.cpuUsage()
    result = work()
    if (round >= 0) seconds.push(process.cpuUsage(start).user / 1e6)
  }
  return { seconds: median(seconds), result }
}

function measureSet() {
  const before = process.memoryUsage.rss()
  const set = new Set<string>()
  for (let i = 0; i < ENTRIES; i++) set.add(Buffer.from(domainOf(i)).toString('latin1')) // flat, as a line read from a file is
  return { entries: set.size, bytes: process.memoryUsage.rss() - before }
}

function compare(): void {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  process.env.XDG_CACHE_HOME = join(folder, 'cache')
  const file = join(folder, 'domains')
  const out = openSync(file, 'w')
  for (let i = 0; i < ENTRIES; i += 10_000)
    writeSync(out, Array.from({ length: Math.min(10_000, ENTRIES - i) }, (_, k) => `${domainOf(i + k)}\n`).join(''))
  const part = (only: string) => runSelf(import.meta.url, ['--only', only, '--file', file, '--entries', String(ENTRIES)])
  const build = part('build')
  const read = part('read')
  const lookup = part('lookup')
  const set = part('set')
  const fileBytes = statSync(file).size
  rmSync(folder, { recursive: true })
  saveResult('url-filter', {
    input: `${ENTRIES} synthetic domains, ${(fileBytes / ENTRIES - 1).toFixed(1)} bytes on average`,
    core: 'one, pinned',
    bytesPerEntry: build.bytes / build.entries,
    bytesPerEntryOfASet: set.bytes / set.entries,
    buildSeconds: build.seconds,
    buildCpuSeconds: build.cpuSeconds,
    readBackSeconds: read.seconds,
    readBackCpuSeconds: read.cpuSeconds,
    lookupsPerSecond: Math.round(lookup.lookupsPerSecond),
    urlsPerSecond: Math.round(lookup.urlsPerSecond),
    found: lookup.found,
    dropped: lookup.dropped,
  })
}
