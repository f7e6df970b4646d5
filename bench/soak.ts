// MinHash deduplication of more signatures than fit into memory: synthetic bands of N documents in which clusters are
// planted, collected, merged and clustered as a run does it, one task after another, and every verdict checked.
//
//   npm run soak                               50 million documents, 9 GB of disk, heap limited to 2 GB
//   npm run soak -- --documents 5000000

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { MergeContext } from '../src/core/stage.ts'
import { EarlierBuilds } from '../src/dedup/earlier-builds.ts'
import { bandWords, findClusters, findPairs, keyWords } from '../src/dedup/pairs.ts'
import { readSection } from '../src/dedup/verdicts.ts'
import { RecordWriter } from '../src/io/sorted-runs.ts'
import { treeBytes } from '../src/io/tree-bytes.ts'
import { saveResult } from './lib/harness.ts'

const { values } = parseArgs({
  options: { documents: { type: 'string', default: '50000000' }, folder: { type: 'string', default: tmpdir() } },
})
const documents = Number(values.documents)
const bands = 14
const partitionDocuments = 100_000
const memoryBytes = 1 << 30
/** Three documents in ten are planted in clusters, six to a cluster on average. */
const clusters = Math.floor(documents / 20)

const folder = mkdtempSync(join(values.folder, 'sluice-soak-'))
const definition = { stage: 'soak', parameters: null, words: bandWords, keyWords, sections: bands, countSections: 1 }
const noIndex = await EarlierBuilds.open(undefined, definition, 'soak')
const signal = new AbortController().signal
const seconds: Record<string, number> = {}
try {
  const collected = await timed('collect', collect)
  const diskBytes = await treeBytes(folder)
  const pairs = join(folder, 'pairs')
  mkdirSync(pairs)
  const context: MergeContext = { seed: 0, build: 'soak', signal, memoryBytes, collected, folder: pairs }
  await timed('pairs', async () => {
    for (let band = 0; band < bands; band++) await findPairs(context, band, noIndex)
  })
  const verdicts = join(folder, 'verdicts')
  mkdirSync(verdicts)
  await timed('clusters', () => findClusters({ ...context, folder: verdicts, previous: pairs }, bands, 'first', false))
  check(join(verdicts, 'verdicts'), collected.length)
  const microseconds = Object.fromEntries(
    Object.entries(seconds).map(([step, time]) => [step, Number(((time * 1e6) / documents).toFixed(2))]),
  )
  saveResult('soak', {
    command: `npm run soak${documents === 50e6 ? '' : ` -- --documents ${documents}`}`,
    documents,
    microsecondsPerDocument: microseconds,
    seconds,
    diskBytes,
    peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
  })
} finally {
  rmSync(folder, { recursive: true })
}

async function timed<T>(step: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now()
  const result = await work()
  seconds[step] = Math.round((performance.now() - start) / 10) / 100
  console.error(`${step}: ${seconds[step]} s`)
  return result
}

async function collect(): Promise<{ path: string; rows: number }[]> {
  const collected: { path: string; rows: number }[] = []
  const record = new Uint32Array(bandWords)
  for (let first = 0; first < documents; first += partitionDocuments) {
    const path = join(folder, `collected-${collected.length}`)
    const rows = Math.min(partitionDocuments, documents - first)
    const writer = new RecordWriter(path, bandWords, bands, memoryBytes / 4)
    for (let row = 0; row < rows; row++) {
      const cluster = clusterOf(first + row)
      for (let band = 0; band < bands; band++) {
        const isShared = cluster !== undefined && band === cluster % bands
        record[0] = isShared ? mix(cluster, 101) : mix(first + row, band)
        record[1] = isShared ? mix(cluster, 102) : mix(first + row, band + 50)
        record[2] = row
        writer.add(band, record)
      }
      if (writer.isFull) writer.flush()
    }
    writer.close()
    collected.push({ path, rows })
  }
  return collected
}

/** Undefined for a document that is in none. */
function clusterOf(document: number): number | undefined {
  return mix(document, 201) % 10 < 3 ? mix(document, 202) % clusters : undefined
}

/** MurmurHash3's last steps over two numbers. */
function mix(number: number, salt: number): number {
  let x = (Math.imul(number ^ Math.imul(salt, 0x9e3779b1), 0x85ebca6b) + salt) | 0
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return (x ^ (x >>> 16)) >>> 0
}

/** Every planted cluster is one group, with its first document as survivor, and nothing else is in a group. */
function check(file: string, partitions: number): void {
  const sizes = new Uint32Array(clusters)
  const first = new Uint32Array(clusters).fill(0xffffffff)
  for (let document = 0; document < documents; document++) {
    const cluster = clusterOf(document)
    if (cluster === undefined) continue
    sizes[cluster]++
    first[cluster] = Math.min(first[cluster], document)
  }
  let grouped = 0
  let wrong = 0
  for (let partition = 0; partition < partitions; partition++) {
    const records = readSection(file, partition)
    for (let at = 0; at < records.length; at += 4) {
      const cluster = clusterOf(partition * partitionDocuments + records[at])
      const survivor = records[at + 2] * partitionDocuments + records[at + 3]
      if (cluster === undefined || records[at + 1] !== sizes[cluster] || survivor !== first[cluster]) wrong++
      else grouped++
    }
  }
  const planted = sizes.reduce((sum, size) => sum + (size > 1 ? size : 0), 0)
  console.error(`${grouped} of ${planted} planted duplicates have the right verdict, ${wrong} other verdicts`)
  // 64-bit hashes of so many bands may agree by chance about once in a thousand runs.
  if (grouped !== planted || wrong > 0) throw new Error('the verdicts are wrong')
}
