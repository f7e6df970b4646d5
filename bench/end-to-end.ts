// From WARC files to filtered text, sluice and datatrove on the same files, the same core, in one run:
//
//   npm run quickstart:input && bench/peers/install.sh && npm run bench end-to-end
//
// Both: extraction, Gopher repetition and quality, C4 quality (without the end-mark rule), FineWeb quality, JSON lines out.
// Words are split by spaCy's English rules in both; datatrove extracts with trafilatura. The language filter is left out
// (the peer's model is a download); sluice keeps its statistics. Each is timed without its imports, in a fresh process.

import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'sluice'
import * as s from 'sluice/stages'
import { defaultChoices } from '../src/engine/choices.ts'
import { makePlan } from '../src/engine/plan.ts'
import { RunFolder } from '../src/engine/run-folder.ts'
import { type Reporter, runPlan } from '../src/engine/runner.ts'
import { inlineExecutor } from '../src/executors/inline.ts'
import { lockFolder } from '../src/io/folder-lock.ts'
import { median, pairedRounds, peerPython, peerVersions, requirePeers, runPinned, runSelf, saveResult } from './harness.ts'

const FILES = ['manual', 'mail'].map((name) => `quickstart/input/${name}.warc.gz`)
const ROUNDS = 3

if (process.argv[2] === '--only') console.log(JSON.stringify(await runOurs()))
else compare()

function compare(): void {
  requirePeers()
  const scratch = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const counts = { sluiceKept: 0, peerKept: 0, documents: 0 }
  const rounds = pairedRounds(
    ROUNDS,
    () => {
      const { seconds, kept, documents } = runSelf(import.meta.url, ['--only'])
      Object.assign(counts, { sluiceKept: kept, documents })
      return seconds
    },
    () => {
      const { seconds, kept } = runPinned(peerPython, ['bench/peers/datatrove_end_to_end.py', 'quickstart/input', scratch])
      counts.peerKept = kept
      return seconds
    },
  )
  rmSync(scratch, { recursive: true })
  saveResult('end-to-end', {
    input: `${FILES.join(', ')}: ${counts.documents} pages, ${FILES.reduce((sum, file) => sum + statSync(file).size, 0)} bytes of gzip`,
    splitter: 'spaCy English rules in both',
    core: 'one, pinned',
    peer: peerVersions('datatrove', 'trafilatura', 'spacy'),
    rounds,
    ...counts,
    sluiceSeconds: median(rounds.map(({ sluice }) => sluice)),
    peerSeconds: median(rounds.map(({ peer }) => peer)),
    ratio: median(rounds.map(({ sluice, peer }) => peer / sluice)),
  })
}

async function runOurs() {
  const scratch = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const built = pipeline('end-to-end')
    .from(s.warc({ path: FILES }))
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
  if (process.argv.includes('--stages'))
    for (const { name, in: count, kept, seconds: spent } of summary.stages) console.error(name, count, kept, spent.toFixed(3))
  rmSync(scratch, { recursive: true })
  return { seconds, documents: summary.documents, kept: summary.kept }
}
