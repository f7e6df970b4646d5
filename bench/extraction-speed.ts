// Speed and quality of extraction beside trafilatura, resiliparse (C++) and Mozilla Readability over linkedom, on the pages of
// both shared sets in one run: fresh processes in turn on the same core, CPU time with decoding, best pass of each.
//   bench/peers/install.sh && npm run bench extraction-speed
//   npm run bench extraction-speed -- --parsers   trees alone: linkedom, parse5, htmlparser2, and sluice's own

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { decodeHtml } from '../src/html/encoding.ts'
import { extract } from '../src/html/extract.ts'
import { parseHtml } from '../src/html/tree.ts'
import { readFirstSet, readSecondSet, type SegmentPage, scorePage, scoreSegments, summarize } from './extraction.ts'
import { median, pairedRounds, runPinned, runSelf, saveResult } from './lib/harness.ts'

const ROUNDS = 3
const PASSES = 8
const PEERS = fileURLToPath(new URL('peers/', import.meta.url))
const PYTHON = `${PEERS}installed/extraction/bin/python`

type Run = (texts: string) => number

const [, , mode, ...words] = process.argv
if (mode === '--only') time(words[0], words[1], words[2])
else compare(mode === '--parsers' ? 'tree' : 'extract')

/** Prints the seconds of the first pass, on code not yet compiled, and of the best one. */
function time(what: string, folder: string, texts: string): void {
  const run = (html: string) => (what === 'tree' ? String(parseHtml(html).count) : extract(html).text)
  const pages = readdirSync(folder)
    .filter((name) => name.endsWith('.html'))
    .map((name) => ({ name: name.slice(0, -5), html: readFileSync(`${folder}/${name}`) }))
  const seconds = Array.from({ length: PASSES }, (_, pass) => {
    const start = process.cpuUsage()
    const done = pages.map(({ name, html }) => [name, run(decodeHtml(html).text)])
    const { user, system } = process.cpuUsage(start)
    if (pass === 0) writeFileSync(texts, JSON.stringify(Object.fromEntries(done)))
    return (user + system) / 1e6
  })
  console.log(JSON.stringify({ first: seconds[0], seconds: Math.min(...seconds) }))
}

function compare(what: 'extract' | 'tree'): void {
  const scratch = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const folder = join(scratch, 'pages')
  mkdirSync(folder)
  const first = readFirstSet()
  const second = readSecondSet()
  for (const { id, html } of [...first.map(({ id, html }) => ({ id, html })), ...second.map(({ file, html }) => ({ id: file, html }))])
    writeFileSync(join(folder, `${id}.html`), html)
  const bytes = [...first, ...second].reduce((sum, { html }) => sum + html.length, 0)
  let cold = 0
  const sluice: Run = (texts) => {
    const { first: firstPass, seconds } = runSelf(import.meta.url, ['--only', what, folder, texts])
    cold = firstPass
    return seconds
  }
  const node =
    (tool: string): Run =>
    (texts) =>
      runPinned(process.execPath, [`${PEERS}extraction.mjs`, tool, folder, texts]).seconds
  const python =
    (tool: string): Run =>
    (texts) =>
      runPinned(PYTHON, [`${PEERS}extraction.py`, tool, folder, texts]).seconds
  const peers: Record<string, Run> =
    what === 'tree'
      ? { linkedom: node('linkedom'), parse5: node('parse5'), htmlparser2: node('htmlparser2') }
      : {
          trafilatura: python('trafilatura'),
          'trafilatura, with metadata': python('trafilatura-metadata'),
          resiliparse: python('resiliparse'),
          'Readability, linkedom': node('readability'),
        }
  const rate = (seconds: number) => bytes / seconds / 1e6
  const quality = (texts: string) => (what === 'tree' ? {} : scoreTexts(first, second, texts))
  const ours = join(scratch, 'sluice.json')
  const rows = Object.entries(peers).map(([name, run]) => {
    const theirs = join(scratch, `${name}.json`)
    const rounds = pairedRounds(
      ROUNDS,
      () => sluice(ours),
      () => run(theirs),
    )
    return {
      name,
      megabytesPerSecond: rate(median(rounds.map(({ peer }) => peer))),
      sluiceMegabytesPerSecond: rate(median(rounds.map((round) => round.sluice))),
      ratio: median(rounds.map((round) => round.peer / round.sluice)),
      ...quality(theirs),
    }
  })
  const result = {
    pages: first.length + second.length,
    bytes,
    sluice: { coldMegabytesPerSecond: rate(cold), ...quality(ours) },
    peers: rows,
  }
  rmSync(scratch, { recursive: true })
  saveResult(what === 'tree' ? 'extraction-parsers' : 'extraction-speed', result)
}

/** F1 of the first set and F of the second, each by its own rule. */
function scoreTexts(
  first: ReturnType<typeof readFirstSet>,
  second: readonly SegmentPage[],
  file: string,
): { first: number; second: number } {
  const texts = z.record(z.string(), z.string()).parse(JSON.parse(readFileSync(file, 'utf8')))
  const scores = first.map(({ id, wanted }) => scorePage(id, wanted, texts[id] ?? ''))
  return { first: summarize(scores).f1, second: scoreSegments(second, ({ file: name }) => texts[name] ?? '').f1 }
}
