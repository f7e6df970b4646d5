// Scores main-content extraction on two public sets of real pages, beside the stored outputs of other extractors.
// Sets, rules and origins: ../shared/data/README.md, parts `extraction` and `extraction-trafilatura`.
//   npm run bench extraction [-- --mode precision] [--json FILE]
// Whether the figures are luck: extraction-proof.ts. Pages of other kinds: extraction-kinds.ts. Speed: extraction-speed.ts.

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { z } from 'zod'
import { decodeHtml } from '../src/html/encoding.ts'
import { type ExtractOptions, extract, extractDefaults } from '../src/html/extract.ts'

const DATA = fileURLToPath(new URL('../../shared/data/', import.meta.url))

/** Where the two sets lie; tests that need them name it when it is missing. */
export const EXTRACTION_DATA = `${DATA}extraction`

const readGzip = (path: string) => gunzipSync(readFileSync(path))

// ---- the first set, by the rule of article-extraction-benchmark's evaluate.py ----

/** Shares of one page's shingles: they sum to 1. */
export interface PageScore {
  readonly id: string
  readonly truePositives: number
  readonly falsePositives: number
  readonly falseNegatives: number
  readonly isEqual: boolean
}

export interface Summary {
  readonly f1: number
  readonly precision: number
  readonly recall: number
  /** Share of pages whose words are exactly those wanted. */
  readonly accuracy: number
}

function wordsOf(text: string): string[] {
  return text.match(/[\p{L}\p{N}_]+/gu) ?? []
}

function shinglesOf(words: readonly string[]): Map<string, number> {
  const shingles = new Map<string, number>()
  if (words.length === 0) return shingles
  for (let i = 0; i < Math.max(1, words.length - 3); i++) {
    const shingle = words.slice(i, i + 4).join(' ')
    shingles.set(shingle, (shingles.get(shingle) ?? 0) + 1)
  }
  return shingles
}

/** Compares a text with the wanted one by word 4-grams, as multisets. */
export function scorePage(id: string, wanted: string, found: string): PageScore {
  const wantedWords = wordsOf(wanted)
  const foundWords = wordsOf(found)
  const wantedShingles = shinglesOf(wantedWords)
  const foundShingles = shinglesOf(foundWords)
  let both = 0
  let missed = 0
  let extra = 0
  for (const [shingle, count] of wantedShingles) {
    const same = Math.min(count, foundShingles.get(shingle) ?? 0)
    both += same
    missed += count - same
  }
  for (const [shingle, count] of foundShingles) extra += Math.max(0, count - (wantedShingles.get(shingle) ?? 0))
  const sum = both + missed + extra || 1
  return {
    id,
    truePositives: both / sum,
    falsePositives: extra / sum,
    falseNegatives: missed / sum,
    isEqual: wantedWords.join(' ') === foundWords.join(' '),
  }
}

export function summarize(scores: readonly PageScore[]): Summary {
  const precision = meanOf(scores, (s) => s.truePositives / (s.truePositives + s.falsePositives))
  const recall = meanOf(scores, (s) => s.truePositives / (s.truePositives + s.falseNegatives))
  return { f1: harmonic(precision, recall), precision, recall, accuracy: meanOf(scores, (s) => Number(s.isEqual)) }
}

/** Mean over the pages on which the value is defined. */
function meanOf(scores: readonly PageScore[], value: (score: PageScore) => number): number {
  const values = scores.map(value).filter((one) => !Number.isNaN(one))
  return values.length === 0 ? 0 : values.reduce((a, b) => a + b, 0) / values.length
}

function harmonic(a: number, b: number): number {
  return a + b === 0 ? 0 : (2 * a * b) / (a + b)
}

const truthSchema = z.record(z.string(), z.object({ articleBody: z.string() }))
const outputSchema = z.object({ output: truthSchema })

export interface Page {
  readonly id: string
  readonly html: Uint8Array
  readonly wanted: string
}

/** @param folder of the benchmark's own layout */
export function readFirstSet(folder = EXTRACTION_DATA): Page[] {
  const truth = truthSchema.parse(JSON.parse(readFileSync(`${folder}/ground-truth.json`, 'utf8')))
  return Object.entries(truth).map(([id, { articleBody }]) => ({
    id,
    html: readGzip(`${folder}/html/${id}.html.gz`),
    wanted: articleBody,
  }))
}

function scoreFirstSet(pages: readonly Page[], options: ExtractOptions): PageScore[] {
  return pages.map((page) => scorePage(page.id, page.wanted, extract(decodeHtml(page.html).text, options).text))
}

export function peerScores(pages: readonly Pick<Page, 'id' | 'wanted'>[], folder = EXTRACTION_DATA): Map<string, PageScore[]> {
  const scores = new Map<string, PageScore[]>()
  for (const file of readdirSync(`${folder}/output`)) {
    const path = `${folder}/output/${file}`
    const { output } = outputSchema.parse(JSON.parse((file.endsWith('.gz') ? readGzip(path) : readFileSync(path)).toString()))
    scores.set(
      file.replace(/\.json(?:\.gz)?$/, ''),
      pages.map((page) => scorePage(page.id, page.wanted, output[page.id]?.articleBody ?? '')),
    )
  }
  return scores
}

// ---- resampling ----

/** Draws that a benchmark repeats exactly: xorshift32. */
function generator(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

/** Share of paired bootstrap draws in which the first has the higher F1. */
export function bootstrap(ours: readonly PageScore[], theirs: readonly PageScore[], draws: number): number {
  const draw = generator(20191125)
  let wins = 0
  for (let i = 0; i < draws; i++) {
    const sample = ours.map(() => draw(ours.length))
    if (summarize(sample.map((at) => ours[at])).f1 > summarize(sample.map((at) => theirs[at])).f1) wins++
  }
  return wins / draws
}

// ---- the second set, by the rule of trafilatura's eval_common.py ----

const segmentsSchema = z.record(z.string(), z.object({ file: z.string(), with: z.array(z.string()), without: z.array(z.string()) }))

export interface SegmentSummary {
  readonly f1: number
  readonly precision: number
  readonly recall: number
  readonly accuracy: number
  readonly pages: number
}

const oneLine = (text: string) => text.replace(/\s+/g, ' ').trim()

export interface SegmentPage {
  readonly file: string
  readonly html: Uint8Array
  readonly with: readonly string[]
  readonly without: readonly string[]
}

export function readSecondSet(): SegmentPage[] {
  const folder = `${DATA}extraction-trafilatura`
  const pages = Object.values(segmentsSchema.parse(JSON.parse(readFileSync(`${folder}/evaldata.json`, 'utf8'))))
  return pages.map((page) => ({ ...page, html: readGzip(`${folder}/html/${page.file}.gz`) }))
}

/** Counts which wanted and unwanted segments stand in the extracted texts. */
export function scoreSegments(pages: readonly SegmentPage[], textOf: (page: SegmentPage) => string): SegmentSummary {
  let [found, missed, extra, absent] = [0, 0, 0, 0]
  for (const page of pages) {
    const text = oneLine(textOf(page))
    for (const segment of page.with) text.includes(oneLine(segment)) ? found++ : missed++
    for (const segment of page.without) text.includes(oneLine(segment)) ? extra++ : absent++
  }
  const precision = found / (found + extra)
  const recall = found / (found + missed)
  const accuracy = (found + absent) / (found + absent + missed + extra)
  return { f1: harmonic(precision, recall), precision, recall, accuracy, pages: pages.length }
}

export const scoreSecondSet = (textOf: (html: Uint8Array) => string): SegmentSummary =>
  scoreSegments(readSecondSet(), ({ html }) => textOf(html))

// ---- speed ----

/** Megabytes of HTML that one core takes in a second, decoding included: the best of some rounds, by processor time. */
function speedOf(pages: readonly Page[], options: ExtractOptions): number {
  const bytes = pages.reduce((sum, page) => sum + page.html.length, 0)
  let best = 0
  for (let round = 0; round < 5; round++) {
    const start = process.cpuUsage()
    for (const page of pages) extract(decodeHtml(page.html).text, options)
    const used = process.cpuUsage(start)
    best = Math.max(best, bytes / (used.user + used.system))
  }
  return best
}

// ---- the table ----

const DRAWS = 1000

function main(): void {
  const { values } = parseArgs({ options: { mode: { type: 'string', default: 'balanced' }, json: { type: 'string' } } })
  if (!existsSync(EXTRACTION_DATA)) {
    console.error('no ../shared/data/extraction here: nothing to score')
    return
  }
  const mode = z.enum(['balanced', 'precision', 'recall']).parse(values.mode)
  const options = { ...extractDefaults, mode }
  const textOf = (html: Uint8Array) => extract(decodeHtml(html).text, options).text
  const pages = readFirstSet().toSorted((a, b) => (a.id < b.id ? -1 : 1))
  const ours = scoreFirstSet(pages, options)
  const summary = summarize(ours)
  const rows = [...peerScores(pages)].map(([name, scores]) => ({ name, ...summarize(scores), winsAgainst: bootstrap(ours, scores, DRAWS) }))
  rows.sort((a, b) => b.f1 - a.f1)
  print(`article-extraction-benchmark, ${pages.length} pages, mode ${mode}`)
  print(row('', 'F1', 'precision', 'recall', 'accuracy', '  sluice ahead in'))
  print(row('sluice', ...figures(summary)))
  for (const peer of rows) print(row(peer.name, ...figures(peer), `${(100 * peer.winsAgainst).toFixed(1)} %`))
  const second = scoreSecondSet(textOf)
  print(`\ntrafilatura's evaluation, ${second.pages} pages`)
  print(row('sluice', ...figures(second)))
  const speed = speedOf(pages, options)
  print(`\n${speed.toFixed(1)} MB of HTML per second on one core (${cpus()[0]?.model.trim() ?? 'unknown processor'})`)
  if (values.json !== undefined)
    writeFileSync(
      values.json,
      `${JSON.stringify({ mode, node: process.version, processor: cpus()[0]?.model, summary, peers: rows, second, megabytesPerSecond: speed }, null, 2)}\n`,
    )
}

function figures(summary: Summary): string[] {
  return [summary.f1, summary.precision, summary.recall, summary.accuracy].map((figure) => figure.toFixed(4))
}

function row(name: string, ...cells: string[]): string {
  return name.padEnd(24) + cells.map((cell) => cell.padStart(11)).join('')
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

if (import.meta.main) main()
