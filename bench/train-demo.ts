// Bits per byte of held-out documents under the model that `make train-demo` trains, beside what compresses text without one:
// gzip -9, zstd -19 (alone, and after it has read the training documents), and an interpolated modified Kneser-Ney 5-gram model
// of the same tokens, which scores the end of each document too, as the transformer does.
// node --conditions=source bench/train-demo.ts [--model models/train-demo] [--tokens quickstart/tokens]

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { constants, gzipSync, zstdCompressSync } from 'node:zlib'
import { sampleFraction } from '../src/core/identity.ts'
import { loadNgramScorer } from '../src/ngram/model.ts'
import { trainNgram } from '../src/ngram/train.ts'
import { loadTokenizer } from '../src/tokenizer/tokenizer.ts'
import { openCorpus } from '../src/tokens/corpus.ts'
import { openCheckpoint } from '../src/train/checkpoint.ts'
import { saveResult } from './lib/harness.ts'

const { values } = parseArgs({
  options: { model: { type: 'string', default: 'models/train-demo' }, tokens: { type: 'string', default: 'quickstart/tokens' } },
})
const ORDER = 5
const { ZSTD_c_compressionLevel, ZSTD_c_enableLongDistanceMatching, ZSTD_c_windowLog } = constants

const { state } = await openCheckpoint(values.model)
const { evaluation, settings } = state
if (!evaluation) throw new RangeError('the model was not measured on held-out documents')
const { training, heldOut, text, trainingText } = await splitDocuments(settings.validationShare)
const held = Buffer.concat(text)
const bitsPerByte = (bytes: number) => (8 * bytes) / held.length
const table = {
  'gzip -9': bitsPerByte(gzipSync(held, { level: 9 }).length),
  'zstd -19': bitsPerByte(zstd(held)),
  'zstd -19, training documents read first': bitsPerByte(zstd(Buffer.concat([...trainingText, held])) - zstd(Buffer.concat(trainingText))),
  'Kneser-Ney 5-gram of the same tokens': (await ngramBits()) / held.length,
  'sluice train': evaluation.bitsPerByte ?? Number.NaN,
}
saveResult('train-demo', {
  heldOut: { documents: heldOut.length, bytes: held.length, tokens: heldOut.reduce((sum, { length }) => sum + length, 0) },
  training: { documents: training.length, tokens: training.reduce((sum, { length }) => sum + length, 0) },
  model: { parameters: state.parameterCount, trainedTokens: state.seenTokens, nats: evaluation.loss, targets: evaluation.targets },
  bitsPerByte: table,
})
console.error(
  Object.entries(table)
    .map(([name, bits]) => `${name.padEnd(42)} ${bits.toFixed(3)} bits per byte`)
    .join('\n'),
)

/** Token ids and text of all documents, parted as the trainer parts them. */
async function splitDocuments(validationShare: number) {
  const corpus = await openCorpus(values.tokens)
  const tokenizer = await loadTokenizer(corpus.tokenizerFile ?? '')
  const parts: Record<'training' | 'heldOut', (Uint16Array | Uint32Array)[]> = { training: [], heldOut: [] }
  for (const group of corpus.rowGroups) {
    const { ids, tokens } = await corpus.readRows(group)
    ids.forEach((id, i) => {
      const part = sampleFraction(id, 'validation') < validationShare ? parts.heldOut : parts.training
      part.push(tokens[i].at(-1) === corpus.vocabulary.endOfText ? tokens[i].subarray(0, -1) : tokens[i])
    })
  }
  const textOf = (documents: readonly (Uint16Array | Uint32Array)[]) => documents.map((tokens) => tokenizer.decodeBytes(tokens))
  return { ...parts, text: textOf(parts.heldOut), trainingText: textOf(parts.training) }
}

/** Bytes, with a window over everything. */
function zstd(bytes: Buffer): number {
  const params = { [ZSTD_c_compressionLevel]: 19, [ZSTD_c_windowLog]: 27, [ZSTD_c_enableLongDistanceMatching]: 1 }
  return zstdCompressSync(bytes, { params }).length
}

/** A document is a line of token ids. */
async function ngramBits(): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-demo-'))
  try {
    const path = join(folder, 'model.arpa')
    const lines = async function* () {
      for (const tokens of training) yield tokens.join(' ')
    }
    await trainNgram(lines(), path, { order: ORDER, prune: [0], memoryBytes: 2 ** 30, signal: new AbortController().signal, comments: [] })
    const scorer = await loadNgramScorer(path)
    return heldOut.reduce((bits, tokens) => bits - scorer.scoreText(tokens.join(' ')).logProbability * Math.log2(10), 0)
  } finally {
    await rm(folder, { recursive: true })
  }
}
