// From WARC files to filtered text, sluice and datatrove on the same files, the same core, in one run:
//
//   npm run quickstart:input && bench/peers/install.sh && npm run bench end-to-end
//
// Both: extraction, Gopher repetition and quality, C4 quality (without the end-mark rule), FineWeb quality, JSON lines out.
// Words are split by spaCy's English rules in both; datatrove extracts with trafilatura. The language filter is left out
// (the peer's model is a download); sluice keeps its statistics. Each process first runs over one half of the pages, which
// loads and warms what it needs (a crawl file is twenty times as long as these), then the clock runs over the other half.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { asReadable, pipeline, type Source, WarcWriter, type WebPage } from 'sluice'
import * as s from 'sluice/stages'
import { defaultChoices } from '../src/engine/choices.ts'
import { makePlan } from '../src/engine/plan.ts'
import { RunFolder } from '../src/engine/run-folder.ts'
import { type Reporter, runPlan } from '../src/engine/runner.ts'
import { inlineExecutor } from '../src/executors/inline.ts'
import { lockFolder } from '../src/io/folder-lock.ts'
import { median, pairedRounds, peerPython, peerVersions, requirePeers, runPinned, runSelf, saveResult } from './lib/harness.ts'

const FILES = ['manual', 'mail'].map((name) => `quickstart/input/${name}.warc.gz`)
const ROUNDS = 3

const [, , mode, ...folders] = process.argv
if (mode === '--only') console.log(JSON.stringify(await runHalves(folders)))
else await compare()

async function compare(): Promise<void> {
  requirePeers()
  const scratch = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const halves = await writeHalves(scratch)
  const counts = { sluiceKept: 0, peerKept: 0, pages: 0 }
  const rounds = pairedRounds(
    ROUNDS,
    () => {
      const { seconds, kept, documents } = runSelf(import.meta.url, ['--only', ...halves])
      Object.assign(counts, { sluiceKept: kept, pages: documents })
      return seconds
    },
    () => {
      const { seconds, kept } = runPinned(peerPython, ['bench/peers/datatrove_end_to_end.py', ...halves, join(scratch, 'peer')])
      counts.peerKept = kept
      return seconds
    },
  )
  rmSync(scratch, { recursive: true })
  saveResult('end-to-end', {
    input: `every second page of ${FILES.join(' and ')}; the others warm up`,
    splitter: 'spaCy English rules in both',
    core: 'one, pinned',
    peer: peerVersions('datatrove', 'trafilatura', 'spacy'),
    rounds,
    ...counts,
    sluicePagesPerSecond: counts.pages / median(rounds.map(({ sluice }) => sluice)),
    peerPagesPerSecond: counts.pages / median(rounds.map(({ peer }) => peer)),
    ratio: median(rounds.map(({ sluice, peer }) => peer / sluice)),
  })
}

/** Two folders with a WARC file each: the odd pages to warm up on, the even ones to time. */
async function writeHalves(scratch: string): Promise<string[]> {
  const halves = ['warm', 'timed'].map((name) => join(scratch, name))
  const options = { gzip: true, seed: 'bench', date: '2026-01-01T00:00:00Z' }
  for (const half of halves) mkdirSync(half)
  const writers = await Promise.all(halves.map((half) => WarcWriter.create(join(half, 'pages.warc.gz'), options)))
  let page = 0
  for (const path of FILES) {
    const source: Source<WebPage> = s.warc({ path })
    for await (const batch of asReadable(source)) {
      for (const { url = '', date = options.date, contentType = 'text/html', html } of batch) {
        await writers[page++ % 2].writeResponse({ url, date, contentType, body: html })
      }
    }
  }
  for (const writer of writers) await writer.close()
  return halves
}

/** Seconds of the last of these folders, in the process that ran over the ones before. */
async function runHalves(halves: readonly string[]): Promise<{ seconds: number; documents: number; kept: number }> {
  let last = { seconds: 0, documents: 0, kept: 0 }
  for (const half of halves) last = await runOurs(half)
  return last
}

async function runOurs(half: string) {
  const scratch = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const built = pipeline('end-to-end')
    .from(s.warc({ path: join(half, '*.warc.gz') }))
    .pipe(s.extractText({ mode: 'precision' }))
    .pipe(s.gopherRepetition())
    .pipe(s.gopherQuality())
    .pipe(s.c4Quality({ filterNoTerminalPunct: false }))
    .pipe(s.fineWebQuality())
    .to(s.jsonlShards({ path: join(scratch, 'out'), compression: 'none' }))
  const plan = await makePlan(built, import.meta.filename, {}, defaultChoices)
  const folder = new RunFolder(join(scratch, 'run'))
  await using _lock = await lockFolder(folder.path)
  const { signal } = new AbortController()
  using executor = inlineExecutor(plan, folder, signal)
  const silent: Reporter = { phaseStarted: () => {}, taskDone: () => {}, mergeStarted: () => {}, phaseDone: () => {} }
  const start = performance.now()
  const { summary } = await runPlan(plan, folder, executor, silent, { signal, partitionBytes: 1e9, memoryBytes: 1e9, maxErrorRate: 1 })
  const seconds = (performance.now() - start) / 1000
  if (process.env.STAGES)
    for (const { name, in: count, kept, seconds: spent } of summary.stages) console.error(name, count, kept, spent.toFixed(3))
  rmSync(scratch, { recursive: true })
  return { seconds, documents: summary.documents, kept: summary.kept }
}
