// Linear classifiers beside fastText's Python package (C++), same texts, same options: dim 100, word bigrams, 2 threads for
// training (wall and CPU seconds, reading the text included, the start of the process not), one for prediction (CPU seconds).
// With --accuracy: the share of held-out lines that get their label, by loss, over several seeds of both programs.
//   node --conditions=source bench/classifier.ts [--accuracy] [--corpora mail,languages,reviews,quality]

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { evaluate, precision } from '../src/lang/evaluate.ts'
import { trainFastText } from '../src/lang/fasttext-train.ts'
import { createPredictor } from '../src/lang/kernel-predict.ts'
import { loadFastTextModel } from '../src/lang/read-fasttext.ts'
import { trainingOptions } from '../src/lang/training-options.ts'
import { saveFastTextModel } from '../src/lang/write-fasttext.ts'
import { median, peerPython, peerVersions, requirePeers, runPinned, runSelf, saveResult } from './lib/harness.ts'
import { fastTextLine, judgements, type LabelledText, languages, mails, reviews, shared, splitTexts } from './lib/labelled-texts.ts'

const { values, positionals } = parseArgs({
  options: {
    accuracy: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '5' },
    /** Which of mail, languages, reviews, quality. */
    corpora: { type: 'string', default: 'mail,languages,reviews,quality' },
    /** One measurement in a process of its own: train TEXT MODEL OPTIONS THREADS, predict MODEL TEXT, test MODEL TEXT. */
    only: { type: 'string' },
  },
  allowPositionals: true,
})
const THREADS = 2
const BOTH_CORES = '0,1'

// ---- one measurement of ours ----

async function measure(what: string, [first, second, options = '{}', threads = '1']: string[]): Promise<Record<string, number>> {
  if (what === 'train') return await timeTraining(first, second, options, Number(threads))
  return what === 'predict' ? timePrediction(first, second) : accuracyOf(first, second)
}

async function timeTraining(text: string, path: string, options: string, threads: number): Promise<Record<string, number>> {
  const start = performance.now()
  const cpuStart = process.cpuUsage()
  const { model } = await trainFastText(text, trainingOptions.parse(JSON.parse(options)), { threads })
  const { user, system } = process.cpuUsage(cpuStart)
  const times = { wall: (performance.now() - start) / 1e3, cpu: (user + system) / 1e6 }
  if (path !== '-') saveFastTextModel(path, model)
  return times
}

/** The median of five passes, one of warm-up before. */
function timePrediction(path: string, text: string): Record<string, number> {
  const predictor = createPredictor(loadFastTextModel(path))
  const lines = linesOf(text)
  const seconds: number[] = []
  let sink = 0
  for (let round = -1; round < 5; round++) {
    const start = process.cpuUsage()
    for (const line of lines) sink += predictor.predict(line, 1, 0).length
    const { user, system } = process.cpuUsage(start)
    if (round >= 0) seconds.push((user + system) / 1e6)
  }
  return { cpu: median(seconds), sink }
}

function accuracyOf(path: string, text: string): Record<string, number> {
  return { precision: precision(evaluate(loadFastTextModel(path), linesOf(text), 1, 0).all) }
}

function linesOf(file: string): string[] {
  return readFileSync(file, 'utf8').trimEnd().split('\n')
}

// ---- texts ----

interface Corpus {
  readonly train: string
  readonly test: string
  readonly lines: number
  readonly megabytes: number
}

/** Labelled texts; a fifth, chosen by hash, is held out. Those from ../shared are left out where it is missing. */
function writeCorpora(folder: string): Record<string, Corpus> {
  const corpora: Record<string, Corpus> = {}
  const wanted = values.corpora.split(',')
  const write = (name: string, texts: () => readonly LabelledText[]) => {
    if (!wanted.includes(name)) return
    const { training, heldOut } = splitTexts(texts())
    const parts = { train: training.map(fastTextLine), test: heldOut.map(fastTextLine) }
    const corpus = { train: join(folder, `${name}.train`), test: join(folder, `${name}.test`) }
    writeFileSync(corpus.train, `${parts.train.join('\n')}\n`)
    writeFileSync(corpus.test, `${parts.test.join('\n')}\n`)
    corpora[name] = { ...corpus, lines: parts.train.length, megabytes: readFileSync(corpus.train).length / 1e6 }
  }
  write('mail', mails)
  if (existsSync(shared)) {
    write('languages', languages)
    write('reviews', reviews)
    write('quality', judgements)
  } else console.error('no ../shared/data here: mail only')
  return corpora
}

// ---- comparisons ----

function peer(words: readonly string[], cores?: string): Record<string, number> {
  return runPinned(peerPython, [`${import.meta.dirname}/peers/classifier.py`, ...words], cores)
}

function sluice(words: readonly string[], cores?: string): Record<string, number> {
  return runSelf(import.meta.url, ['--only', ...words], cores)
}

function withCorpora(work: (corpora: Record<string, Corpus>, folder: string) => void): void {
  requirePeers()
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  try {
    work(writeCorpora(folder), folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** The peer's and ours in turns. */
function compareSpeed(): void {
  withCorpora((corpora, folder) => {
    const results = Object.entries(corpora)
      .filter(([name]) => name !== 'quality')
      .map(([name, { train, lines, megabytes }]) => {
        const options = { dim: 100, wordNgrams: 2, epoch: 10, lr: 0.1 }
        const models = { sluice: join(folder, 'sluice.bin'), peer: join(folder, 'peer.bin') }
        const rounds = Array.from({ length: Number(values.rounds) }, (_, round) => {
          const isLast = round === Number(values.rounds) - 1
          const own = sluice(['train', train, isLast ? models.sluice : '-', JSON.stringify(options), String(THREADS)], BOTH_CORES)
          const other = peer(['train', train, isLast ? models.peer : '-', JSON.stringify({ ...options, thread: THREADS })], BOTH_CORES)
          console.error(`${name}, training: sluice ${own.wall.toFixed(2)} s, peer ${other.wall.toFixed(2)} s`)
          return { own, other }
        })
        const asked = Array.from({ length: 3 }, () => ({
          own: sluice(['predict', models.peer, train]).cpu,
          other: peer(['predict', models.peer, train]).cpu,
        }))
        const ratio = (of: (round: (typeof rounds)[number]) => number) => median(rounds.map(of))
        return [
          name,
          {
            lines,
            megabytes,
            trainingSeconds: { sluice: ratio(({ own }) => own.wall), peer: ratio(({ other }) => other.wall) },
            trainingCpuSeconds: { sluice: ratio(({ own }) => own.cpu), peer: ratio(({ other }) => other.cpu) },
            trainingTimeRatio: ratio(({ own, other }) => own.wall / other.wall),
            trainingCpuRatio: ratio(({ own, other }) => own.cpu / other.cpu),
            predictionCpuSeconds: { sluice: median(asked.map(({ own }) => own)), peer: median(asked.map(({ other }) => other)) },
            predictionRatio: median(asked.map(({ own, other }) => own / other)),
          },
        ]
      })
    saveResult('classifier', { versions: peerVersions('fasttext-numpy2-wheel'), threads: THREADS, corpora: Object.fromEntries(results) })
  })
}

const SEEDS = [1, 2, 3]

/** Mean and spread over the seeds: with two threads both programs also race. */
function compareAccuracy(): void {
  withCorpora((corpora, folder) => {
    const path = join(folder, 'model')
    console.log(`held-out lines that get their label, mean of ${SEEDS.length} seeds ± standard deviation`)
    for (const [name, { train, test }] of Object.entries(corpora))
      for (const loss of ['softmax', 'ns', 'hs', 'ova']) {
        const options = { dim: 100, wordNgrams: 2, epoch: 25, lr: 0.5, loss, bucket: 200_000 }
        const scores = SEEDS.map((seed) => {
          sluice(['train', train, path, JSON.stringify({ ...options, seed }), String(THREADS)], BOTH_CORES)
          const own = sluice(['test', path, test]).precision
          peer(['train', train, path, JSON.stringify({ ...options, seed, thread: THREADS })], BOTH_CORES)
          return { own, other: peer(['test', path, test]).precision }
        })
        const text = (values: readonly number[]) => {
          const mean = values.reduce((sum, value) => sum + value, 0) / values.length
          const spread = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1))
          return `${(100 * mean).toFixed(1)} ± ${(100 * spread).toFixed(1)}`
        }
        console.log(
          `${name.padEnd(10)} ${loss.padEnd(8)} sluice ${text(scores.map(({ own }) => own))}   C++ ${text(scores.map(({ other }) => other))}`,
        )
      }
  })
}

if (values.only) console.log(JSON.stringify(await measure(values.only, positionals)))
else if (values.accuracy) compareAccuracy()
else compareSpeed()
