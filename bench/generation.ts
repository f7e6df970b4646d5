// Writing with a model: tokens/s of a prompt as it is read, and of tokens as they are written, one text or several at once, with
// what sampling adds. The fastest of all passes counts, so that other work on the machine shows little.
// node --conditions=source bench/generation.ts [--threads 2] [--only gpt2-124m]

import { parseArgs } from 'node:util'
import type { ModelConfig } from '../src/model/config.ts'
import { sample } from '../src/model/generate.ts'
import { createInference } from '../src/model/inference.ts'
import { type PresetName, preset } from '../src/model/presets.ts'
import { createSequenceInference } from '../src/model/sequence.ts'
import { saveResult } from './lib/harness.ts'
import { newWeights } from './lib/new-weights.ts'

const { values: options } = parseArgs({ options: { threads: { type: 'string', default: '2' }, only: { type: 'string' } } })
const threads = Number(options.threads)
const PROMPT = 128
const WRITTEN = 24
const models: readonly PresetName[] = ['mini', 'gpt2-124m', 'smollm2-135m', 't5-small']

const rates = []
for (const name of models)
  for (const rows of [1, 8])
    if (options.only === undefined || options.only === name) rates.push({ model: name, rows, ...(await measure(preset(name, {}), rows)) })
saveResult('generation', { threads, promptTokens: PROMPT, rates })

async function measure(config: ModelConfig, rows: number) {
  const size = { rows, threads, context: PROMPT + WRITTEN }
  const weights = newWeights(config)
  const isPair = config.architecture === 'encoder-decoder'
  const inference = isPair ? await createSequenceInference(weights, { ...size, length: PROMPT }) : await createInference(weights, size)
  const V = config.vocabularySize
  const prompt = Array.from({ length: PROMPT }, (_, i) => (i * 7919) % V)
  const choice = { temperature: 0.8, topK: 0, topP: 0.95, minP: 0 }
  const best = { read: Infinity, write: Infinity, sample: Infinity }
  for (let round = 0; round < 3; round++) {
    let tokens: number[][] = []
    let logits = new Float32Array()
    keepLeast(best, 'read', () => {
      tokens = Array.from({ length: rows }, (_, row) => [...inference.begin(row, prompt)])
      logits = Float32Array.from(inference.next(tokens))
    })
    for (let written = 0; written < WRITTEN; written++) {
      keepLeast(best, 'sample', () => {
        tokens = tokens.map((_, row) => [sample(logits.subarray(row * V, (row + 1) * V), choice, 0.5)])
      })
      if (written + 1 < WRITTEN)
        keepLeast(best, 'write', () => {
          logits = inference.next(tokens).slice()
        })
    }
  }
  await inference.dispose()
  const rate = (tokens: number, seconds: number) => Math.round(tokens / seconds)
  return {
    readTokensPerSecond: rate(rows * PROMPT, best.read),
    writtenTokensPerSecond: rate(rows, best.write + best.sample),
    sampleMs: Math.round(1e4 * (best.sample / rows)) / 10,
  }
}

function keepLeast<K extends string>(best: Record<K, number>, what: K, body: () => void): void {
  const start = performance.now()
  body()
  best[what] = Math.min(best[what], (performance.now() - start) / 1e3)
}
