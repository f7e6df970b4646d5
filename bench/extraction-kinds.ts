// Pages that are no articles: forums, products, documentation, lists, services. Two sets.
//
//   npm run bench extraction-kinds [-- --peers]   44 labelled pages out of the real archives beside the checkout
//                                              (test/html/kinds.json); also as the extractors of extraction-speed.ts read them
//   npm run bench extraction-kinds -- --wcxb   WCXB's 2,008 pages of seven kinds (Foley 2026, CC BY 4.0), by its own rule, beside
//                                              trafilatura on the same pages; bench/peers/install.sh fetches both
//
// Labels of the first set are segments chosen by reading the pages: of each only the number of its words and their hash are kept.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { z } from 'zod'
import { decodeHtml } from '../src/html/encoding.ts'
import { extract, extractDefaults } from '../src/html/extract.ts'
import { asReadable } from '../src/index.ts'
import { warc } from '../stages/warc.ts'
import { runPinned, saveResult } from './lib/harness.ts'

export const ARCHIVES = fileURLToPath(new URL('../../shared/data/warc/real', import.meta.url))
const WCXB = fileURLToPath(new URL('peers/installed/wcxb/', import.meta.url))
const PYTHON = fileURLToPath(new URL('peers/installed/extraction/bin/python', import.meta.url))

/** Words of a segment, and the first half of the SHA-256 of them, a blank between two. */
const segment = z.tuple([z.int(), z.string()])
const labelled = z.array(z.object({ page: z.string(), kind: z.string(), wanted: z.array(segment), unwanted: z.array(segment) }))
export type LabelledPage = z.output<typeof labelled>[number]

export function readLabels(): LabelledPage[] {
  return labelled.parse(JSON.parse(readFileSync(new URL('../test/html/kinds.json', import.meta.url), 'utf8')))
}

export const wordsOf = (text: string): string[] => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []

export function hashOf(words: readonly string[]): string {
  return createHash('sha256').update(words.join(' ')).digest('hex').slice(0, 32)
}

export interface Found {
  readonly wanted: number
  readonly ofWanted: number
  readonly unwanted: number
  readonly ofUnwanted: number
}

/** How many of a page's segments a text holds. */
export function judge(page: LabelledPage, text: string): Found {
  const words = wordsOf(text)
  const windows = new Map<number, Set<string>>()
  const has = ([length, hash]: LabelledPage['wanted'][number]) => {
    let hashes = windows.get(length)
    if (!hashes) {
      hashes = new Set(Array.from({ length: Math.max(0, words.length - length + 1) }, (_, i) => hashOf(words.slice(i, i + length))))
      windows.set(length, hashes)
    }
    return hashes.has(hash)
  }
  return {
    wanted: page.wanted.filter(has).length,
    ofWanted: page.wanted.length,
    unwanted: page.unwanted.filter(has).length,
    ofUnwanted: page.unwanted.length,
  }
}

/** The labelled pages' markup by the hash of their bytes, out of the archives. */
export async function readPages(): Promise<Map<string, string>> {
  const pages = new Map<string, string>()
  for (const file of readdirSync(ARCHIVES).sort())
    for await (const batch of asReadable(warc({ path: `${ARCHIVES}/${file}` })))
      for (const { html, contentType } of batch)
        pages.set(createHash('sha256').update(html).digest('hex').slice(0, 16), decodeHtml(html, contentType).text)
  return pages
}

export function sum(found: readonly Found[]): Found {
  const total = (of: (one: Found) => number) => found.reduce((all, one) => all + of(one), 0)
  return {
    wanted: total((f) => f.wanted),
    ofWanted: total((f) => f.ofWanted),
    unwanted: total((f) => f.unwanted),
    ofUnwanted: total((f) => f.ofUnwanted),
  }
}

async function scoreLabelled(withPeers: boolean): Promise<void> {
  const pages = await readPages()
  const labels = readLabels()
  const byKind = Object.groupBy(labels, ({ kind }) => kind)
  const texts: Record<string, (page: string) => string> = { sluice: (page) => extract(pages.get(page) ?? '').text }
  if (withPeers) Object.assign(texts, textsOfPeers(labels, pages))
  const rows = Object.entries({ ...byKind, all: labels }).map(([kind, some = []]) => {
    const cells = Object.entries(texts).map(([name, textOf]) => {
      const found = sum(some.map((label) => judge(label, textOf(label.page))))
      return [name, `${found.wanted} of ${found.ofWanted}, ${found.unwanted} of ${found.ofUnwanted}`]
    })
    return { kind, pages: some.length, ...Object.fromEntries(cells) }
  })
  console.log('segments that come out: wanted, unwanted')
  console.table(rows)
}

/** Extractors run on the labelled pages, as UTF-8. */
function textsOfPeers(labels: readonly LabelledPage[], pages: ReadonlyMap<string, string>): Record<string, (page: string) => string> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const out = join(folder, 'texts.json')
  for (const { page } of labels) writeFileSync(join(folder, `${page}.html`), `<meta charset=utf-8>${pages.get(page) ?? ''}`)
  const commands: readonly (readonly [tool: string, program: string, script: string])[] = [
    ['trafilatura', PYTHON, 'peers/extraction.py'],
    ['resiliparse', PYTHON, 'peers/extraction.py'],
    ['readability', process.execPath, 'peers/extraction.mjs'],
  ]
  const entries = commands.map(([tool, program, script]) => {
    runPinned(program, [fileURLToPath(new URL(script, import.meta.url)), tool, folder, out])
    const texts = z.record(z.string(), z.string()).parse(JSON.parse(readFileSync(out, 'utf8')))
    return [tool, (page: string) => texts[page] ?? '']
  })
  rmSync(folder, { recursive: true })
  return Object.fromEntries(entries)
}

// ---- WCXB: word-level precision and recall, their means over pages ----

const truth = z.object({
  url: z.string().nullish(),
  _internal: z.object({ page_type: z.union([z.string(), z.object({ primary: z.string() })]) }),
  ground_truth: z.object({ main_content: z.string().nullish() }),
})

function scoreWcxb(): void {
  const result: Record<string, unknown> = {}
  for (const split of ['dev', 'test']) {
    const files = readdirSync(`${WCXB}${split}/ground-truth`).sort()
    const pages = files.map((file) => {
      const { url, _internal, ground_truth } = truth.parse(JSON.parse(readFileSync(`${WCXB}${split}/ground-truth/${file}`, 'utf8')))
      const type = typeof _internal.page_type === 'string' ? _internal.page_type : _internal.page_type.primary
      const html = gunzipSync(readFileSync(`${WCXB}${split}/html/${file.replace('.json', '.html.gz')}`))
      const ours = extract(decodeHtml(html, 'text/html; charset=utf-8').text, { ...extractDefaults, url: url ?? undefined }).text
      return {
        id: file.replace('.json', ''),
        kind: type === 'category' ? 'collection' : type,
        wanted: ground_truth.main_content ?? '',
        ours,
      }
    })
    const peer = peerTexts(`${WCXB}${split}/html`)
    const kinds = Object.groupBy(pages, ({ kind }) => kind)
    result[split] = Object.fromEntries(
      Object.entries({ all: pages, ...kinds }).map(([kind, some = []]) => [
        kind,
        {
          pages: some.length,
          sluice: means(some.map((page) => score(page.ours, page.wanted))),
          trafilatura: means(some.map((page) => score(peer[page.id] ?? '', page.wanted))),
        },
      ]),
    )
  }
  saveResult('extraction-kinds', { set: 'WCXB: github.com/Murrough-Foley/web-content-extraction-benchmark', ...result })
}

type Score = readonly [f1: number, precision: number, recall: number]

function score(found: string, wanted: string): Score {
  const [a, b] = [found, wanted].map((text) => text.toLowerCase().match(/[\p{L}\p{N}_]+/gu) ?? [])
  if (a.length === 0 || b.length === 0) return a.length === b.length ? [1, 1, 1] : [0, 0, 0]
  const left = new Map<string, number>()
  for (const word of b) left.set(word, (left.get(word) ?? 0) + 1)
  let common = 0
  for (const word of a) {
    const count = left.get(word) ?? 0
    if (count === 0) continue
    common++
    left.set(word, count - 1)
  }
  const [precision, recall] = [common / a.length, common / b.length]
  return [common === 0 ? 0 : (2 * precision * recall) / (precision + recall), precision, recall]
}

function means(scores: readonly Score[]) {
  const mean = (at: 0 | 1 | 2) => Math.round((scores.reduce((all, one) => all + one[at], 0) / scores.length) * 1e4) / 1e4
  return { f1: mean(0), precision: mean(1), recall: mean(2) }
}

function peerTexts(folder: string): Record<string, string> {
  const script = fileURLToPath(new URL('peers/trafilatura_folder.py', import.meta.url))
  const output = execFileSync(PYTHON, [script, folder], { encoding: 'utf8', maxBuffer: 1e9, stdio: ['ignore', 'pipe', 'ignore'] })
  return z.record(z.string(), z.string()).parse(JSON.parse(output))
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({ options: { wcxb: { type: 'boolean' }, peers: { type: 'boolean', default: false } } })
  if (values.wcxb) scoreWcxb()
  else await scoreLabelled(values.peers)
}
