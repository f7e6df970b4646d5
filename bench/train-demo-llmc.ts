// What llm.c's CPU program reaches on the training documents of `make train-demo` in a million tokens, in a GPT-2 of as many
// blocks of the same width, beside the demo's own recipe on as many tokens; both measured on all held-out documents.
// Its main() is a fine-tuning of 40 steps at a constant rate of 1e-4: the copy built here takes as many steps as asked, at 1e-3.
// node --conditions=source bench/train-demo-llmc.ts [--tokens 1000000] [--rate 1e-3]   (bench/peers/llmc.sh fetches llm.c)

import { execFileSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { openTokenizer } from '../src/cli/trainer-tokenizer.ts'
import { preset } from '../src/model/presets.ts'
import { createTrainable } from '../src/model/trainable.ts'
import { openCorpus } from '../src/tokens/corpus.ts'
import { TokenLoader } from '../src/train/loader.ts'
import { train } from '../src/train/train.ts'
import { saveResult } from './lib/harness.ts'
import { writeCheckpoint, writeTokens } from './lib/llmc-files.ts'
import { buildLlmc, runLlmc } from './lib/llmc-program.ts'

const { values } = parseArgs({
  options: {
    tokens: { type: 'string', default: '1000000' },
    rate: { type: 'string', default: '1e-3' },
    shards: { type: 'string', default: 'quickstart/tokens' },
  },
})
const THREADS = 2
const ROWS = 8
const LENGTH = 256
const steps = Math.round(Number(values.tokens) / (ROWS * LENGTH))
const config = preset('gpt2-124m', { layers: 5, width: 160, heads: 5, vocabularySize: 4096, contextLength: LENGTH })

const folder = await mkdtemp(join(tmpdir(), 'sluice-llmc-'))
try {
  const own = await runOwn()
  const peer = await runPeer(own.validationShare)
  saveResult('train-demo-llmc', { threads: THREADS, tokens: steps * ROWS * LENGTH, sluice: own, llmc: peer })
} finally {
  await rm(folder, { recursive: true })
}

/** The settings of the Makefile's train-demo. */
async function runOwn() {
  const out = join(folder, 'sluice')
  const amount = { steps, batchTokens: ROWS * LENGTH, evaluationTokens: 1e6, evaluateEvery: steps, saveEvery: steps }
  const rates = { learningRate: 2e-3, embeddingRate: 75, headRate: 4, vectorRate: 4, weightDecay: 0.01 }
  const rule = { optimizer: 'muon', schedule: 'linear', finalShare: 0.02 } as const
  const model = fileURLToPath(new URL('../pipelines/train-demo.json', import.meta.url))
  const { state, tokensPerSecond } = await train(
    { shards: values.shards, model, out, threads: THREADS, ...amount, ...rates, ...rule },
    { openTokenizer, onNotice: console.error },
  )
  const { evaluation, parameterCount, settings } = state
  const { validationShare } = settings
  return { parameters: parameterCount, validationShare, nats: evaluation?.loss, bitsPerByte: evaluation?.bitsPerByte, tokensPerSecond }
}

async function runPeer(validationShare: number) {
  const corpus = await openCorpus(values.shards)
  const stream = async (split: 'train' | 'validation', most: number) => {
    const options = {
      rows: 1,
      length: LENGTH,
      packing: 'concatenate',
      seed: 1,
      validationShare,
      split,
      windowTokens: 2 ** 24,
      epochs: 1,
    } as const
    const loader = new TokenLoader(corpus, options)
    const tokens: number[] = []
    for (let batch = await loader.next(); batch && tokens.length < most; batch = await loader.next()) tokens.push(...batch.ids)
    return tokens
  }
  const held = await stream('validation', Number.POSITIVE_INFINITY)
  await writeTokens(folder, { train: await stream('train', steps * ROWS * LENGTH + 1), val: held })
  const model = await createTrainable(config, { rows: 1, length: LENGTH, threads: 1, seed: 1 })
  await writeCheckpoint(join(folder, 'gpt2_124M.bin'), model)
  const { parameterCount } = model
  await model.dispose()
  const program = await buildPeer(Math.floor((held.length - 1) / (ROWS * LENGTH)))
  const start = performance.now()
  const nats = await finalLoss(program)
  const bytes = await textBytes(held)
  const tokensPerSecond = (1e3 * steps * ROWS * LENGTH) / (performance.now() - start)
  return {
    parameters: parameterCount,
    rate: Number(values.rate),
    nats,
    bitsPerByte: (nats * held.length) / Math.LN2 / bytes,
    tokensPerSecond,
  }
}

async function textBytes(tokens: readonly number[]): Promise<number> {
  const { tokenBytes } = await openTokenizer(join(values.shards, 'tokenizer.json'))
  return tokens.reduce((sum, token) => sum + tokenBytes[token], 0)
}

/** A copy of the program with another main(): as many steps, that rate, one validation at the end, no text. */
async function buildPeer(validationBatches: number): Promise<string> {
  const source = `${buildLlmc(ROWS, LENGTH)}.c`
  const changes: readonly (readonly [string, string])[] = [
    ['step <= 40', `step <= ${steps}`],
    ['step % 10 == 0', `step == ${steps}`],
    ['step > 0 && step % 20 == 0', '0'],
    ['val_num_batches = 5', `val_num_batches = ${validationBatches}`],
    ['1e-4f', `${values.rate}f`],
  ]
  const code = changes.reduce(
    (text, [from, to]) => {
      if (!text.includes(from)) throw new RangeError(`llm.c's main() has no ${from}`)
      return text.replace(from, to)
    },
    await readFile(source, 'utf8'),
  )
  const path = join(folder, 'train_gpt2_demo.c')
  await writeFile(path, code)
  const program = path.slice(0, -2)
  execFileSync('gcc', ['-Ofast', '-march=native', '-fopenmp', '-DOMP', '-w', `-I${dirname(source)}`, path, '-lm', '-o', program])
  return program
}

/** The last validation loss that it prints; it is stopped then. */
async function finalLoss(program: string): Promise<number> {
  let loss = Number.NaN
  for await (const line of runLlmc(program, folder, THREADS)) {
    const step = /^step (\d+)00: train loss (.*)/.exec(line)
    if (step) console.error(`llm.c ${line}`)
    const match = /^val loss ([\d.]+)/.exec(line)
    if (!match) continue
    loss = Number(match[1])
    break
  }
  return loss
}
