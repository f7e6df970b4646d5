// Training of a byte-level BPE tokenizer as a user waits for it, JSON lines in, tokenizer.json out: sluice and Hugging Face's
// tokenizers on the same file, with the same number of threads, and the same merges required. Wall seconds, paired rounds.
//
//   bench/peers/install.sh && npm run bench tokenizer-training -- --corpus docs.jsonl [--sizes 32768,262144] [--threads 1,2]
//
// The corpus is JSON lines with a `text`, 100 MB or more. Without one: the texts of this checkout's own packages.

import { execFileSync } from 'node:child_process'
import { closeSync, globSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { patternSources } from '../src/tokenizer/pretokenize.ts'
import { median, pairedRounds, peerPython, peerVersions, requirePeers, runPinned, saveResult } from './lib/harness.ts'

const { values } = parseArgs({
  options: {
    corpus: { type: 'string' },
    sizes: { type: 'string', default: '32768' },
    threads: { type: 'string', default: '1,2' },
    rounds: { type: 'string', default: '3' },
  },
})
const root = join(import.meta.dirname, '..')

requirePeers()
const scratch = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
try {
  const corpus = values.corpus ?? packageTexts(join(scratch, 'packages.jsonl'))
  const comparisons = numbers(values.sizes).flatMap((size) => numbers(values.threads).map((threads) => compare(corpus, size, threads)))
  saveResult('tokenizer-training', {
    corpus: values.corpus === undefined ? 'texts of node_modules' : 'given with --corpus',
    megabytes: statSync(corpus).size / 1e6,
    versions: peerVersions('tokenizers'),
    comparisons,
  })
} finally {
  rmSync(scratch, { recursive: true })
}

function compare(corpus: string, size: number, threads: number) {
  console.error(`vocabulary ${size}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`)
  const cores = threads === 1 ? '0' : `0-${threads - 1}`
  const theirFile = join(scratch, 'peer.json')
  let merges = { sluice: '', peer: '' }
  const rounds = pairedRounds(
    Number(values.rounds),
    () => {
      const { seconds, file } = ours(corpus, size, threads, cores)
      merges = { ...merges, sluice: mergesOf(file) }
      return seconds
    },
    () => {
      const { seconds } = runPinned(
        peerPython,
        [join(root, 'bench/peers/tokenizer_training.py'), corpus, String(size), String(threads), patternSources.gpt4, theirFile],
        cores,
      )
      merges = { ...merges, peer: mergesOf(theirFile) }
      return seconds
    },
  )
  if (merges.sluice !== merges.peer) throw new Error(`the merges differ: vocabulary ${size}`)
  return {
    size,
    threads,
    sluiceSeconds: median(rounds.map(({ sluice }) => sluice)),
    peerSeconds: median(rounds.map(({ peer }) => peer)),
    ratio: Number(median(rounds.map(({ sluice, peer }) => peer / sluice)).toFixed(2)),
  }
}

/** The command as a user runs it, with the start of Node and of its threads. */
function ours(corpus: string, size: number, threads: number, cores: string): { seconds: number; file: string } {
  const folder = mkdtempSync(join(scratch, 'run-'))
  const file = join(folder, 'train.ts')
  writeFileSync(
    file,
    `import { pipeline } from '${root}/src/index.ts'
import { jsonl, jsonlShards, sample, trainTokenizer } from '${root}/stages/index.ts'
export default pipeline('train')
  .from(jsonl({ path: ${JSON.stringify(corpus)} }))
  .pipe(trainTokenizer({ vocabSize: ${size} }))
  .pipe(sample({ rate: 1e-4 }))
  .to(jsonlShards({ path: ${JSON.stringify(join(folder, 'out'))} }))
`,
  )
  const command = [
    '--conditions=source',
    join(root, 'src/cli/main.ts'),
    'run',
    file,
    '--threads',
    String(threads),
    '--run',
    join(folder, 'run'),
  ]
  const start = performance.now()
  execFileSync('taskset', ['-c', cores, process.execPath, ...command], { stdio: 'ignore', cwd: folder })
  const seconds = (performance.now() - start) / 1000
  return { seconds, file: globSync(join(folder, 'run/**/tokenizer.json'))[0] }
}

/** As text, so that two files compare whatever way they spell a pair. */
function mergesOf(file: string): string {
  const pair = z.union([z.string(), z.tuple([z.string(), z.string()])])
  const { model } = z.looseObject({ model: z.looseObject({ merges: z.array(pair) }) }).parse(JSON.parse(readFileSync(file, 'utf8')))
  return model.merges.map((merge) => (typeof merge === 'string' ? merge : merge.join(' '))).join('\n')
}

function packageTexts(path: string): string {
  const output = openSync(path, 'w')
  for (const file of globSync('node_modules/**/*.{md,ts,js,json,html,css}', { cwd: root, exclude: ['**/*.min.js'] }).sort()) {
    const full = join(root, file)
    const stats = statSync(full)
    if (stats.isFile() && stats.size < 1e6) writeSync(output, `${JSON.stringify({ text: readFileSync(full, 'utf8').toWellFormed() })}\n`)
  }
  closeSync(output)
  return path
}

function numbers(list: string): number[] {
  return list.split(',').map(Number)
}
