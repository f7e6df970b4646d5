// Published weights beside transformers: SmolLM2-135M-Instruct, packed as GGUF, and all-MiniLM-L6-v2. Token ids, logits and hidden
// states of every position, the likeliest tokens one by one. The peers: bench/peers/install.sh.
// npm run bench published-models

import { execFileSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { generate } from '../src/model/generate.ts'
import { createReader } from '../src/model/reader.ts'
import type { Weights } from '../src/model/weights.ts'
import { elements } from '../src/tensor/shape.ts'
import { parseTokenizerJson } from '../src/tokenizer/formats.ts'
import { createTokenizer, type LoadedTokenizer, loadTokenizer } from '../src/tokenizer/tokenizer.ts'
import { parameterShapes, readPretrained } from '../src/train/pretrained.ts'
import { readGgufModel } from '../src/train/pretrained-gguf.ts'
import { lastJson, modelPython, requirePeers, saveResult } from './lib/harness.ts'
import { Comparison } from './lib/value-comparison.ts'

const script = fileURLToPath(new URL('peers/published_models.py', import.meta.url))
requirePeers(modelPython)

const texts = [
  'Gravity is',
  'The quick brown fox jumps over the lazy dog, and in 1984 it cost $12.50.',
  'Water boils at 100 degrees Celsius at sea level. At the top of a mountain, where the pressure of the air is lower, it boils',
  'def fibonacci(n):\n    if n < 2:\n        return n\n    return',
  'Ein Text, der nicht englisch ist: Übermäßig große Äpfel kosten 3 Euro.',
  'Once upon a time there was a miller who had three sons, a mill, a donkey and a cat. When he died, the sons divided what he left.\n\nThe eldest took the mill,',
]

const peerSchema = z.object({
  torch: z.string(),
  transformers: z.string(),
  smollm2: z.object({ file: z.string(), ids: z.array(z.array(z.int())), written: z.array(z.array(z.int())) }),
  minilm: z.object({ file: z.string(), ids: z.array(z.array(z.int())) }),
})

const folder = await mkdtemp(join(tmpdir(), 'sluice-published-'))
try {
  const textFile = join(folder, 'texts.json')
  await writeFile(textFile, JSON.stringify(texts))
  const output = execFileSync(modelPython, [script, textFile, folder], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  const peer = peerSchema.parse(lastJson(output))
  const result = {
    peers: { torch: peer.torch, transformers: peer.transformers },
    texts: texts.length,
    smollm2: await compareSmolLm2(peer.smollm2),
    minilm: await compareMiniLm(peer.minilm),
  }
  saveResult('published-models', result)
} finally {
  await rm(folder, { recursive: true })
}

async function theirs(name: string, index: number): Promise<Float32Array> {
  return new Float32Array(new Uint8Array(await readFile(join(folder, `${name}-${index}.f32`))).buffer)
}

async function compareSmolLm2(peer: z.output<typeof peerSchema>['smollm2']) {
  const model = await readGgufModel(peer.file)
  const json = JSON.stringify(model.tokenizer)
  const tokenizer = createTokenizer('smollm2', parseTokenizerJson(json, { file: peer.file }), '')
  const length = Math.max(...peer.ids.map((ids) => ids.length))
  const reader = await createReader(model, { rows: 1, length })
  const total = new Comparison(model.config.vocabularySize)
  let sameTexts = 0
  for (const [index, ids] of peer.ids.entries()) {
    const own = reader.logits(tokensBatch(ids))
    total.add(own, await theirs('smollm2', index))
    if (await writesTheSame(model, ids, peer.written[index])) sameTexts++
  }
  await reader.dispose()
  return { ...sameIds(tokenizer, peer.ids, 'plain'), ...total.result(), textsGoneOnAlike: sameTexts }
}

function tokensBatch(ids: readonly number[]) {
  const { length } = ids
  const row = Int32Array.from(ids)
  return { kind: 'tokens' as const, rows: 1, length, ids: row, targets: new Int32Array(length).fill(-1), lo: new Int32Array(length) }
}

async function writesTheSame(model: Weights, prompt: readonly number[], expected: readonly number[]): Promise<boolean> {
  const own: number[] = []
  for await (const token of generate(model, [...prompt], { temperature: 0, maxTokens: expected.length })) own.push(token)
  return own.join() === expected.join()
}

async function compareMiniLm(peer: z.output<typeof peerSchema>['minilm']) {
  const model = await readPretrained(peer.file)
  const tokenizer = await loadTokenizer(join(peer.file, 'tokenizer.json'))
  const length = Math.max(...peer.ids.map((ids) => ids.length))
  const reader = await createReader(withHead(model), { rows: 1, length, picks: 1 })
  const { width } = model.config
  const total = new Comparison(width)
  let leastCosine = 1
  for (const [index, ids] of peer.ids.entries()) {
    const row = Int32Array.from(ids)
    const hi = new Int32Array(ids.length).fill(ids.length)
    const batch = { kind: 'picked' as const, rows: 1, length: ids.length, ids: row, lo: new Int32Array(ids.length), hi }
    const own = reader.hidden({ ...batch, picked: Int32Array.of(0), targets: Int32Array.of(0) })
    const other = await theirs('minilm', index)
    total.add(own, other)
    leastCosine = Math.min(leastCosine, cosine(mean(own, width), mean(other, width)))
  }
  await reader.dispose()
  return { ...sameIds(tokenizer, peer.ids, 'framed'), ...total.result(), leastCosineOfSentences: leastCosine }
}

/** A body that came without its head, which hidden states do not ask for. */
function withHead({ config, weights }: Weights): Weights {
  const missing = [...parameterShapes(config)].filter(([name]) => !weights.has(name))
  return { config, weights: new Map([...weights, ...missing.map(([name, shape]) => [name, new Float32Array(elements(shape))] as const)]) }
}

/** Texts whose ids are the same; of those, `framed` have what the model expects around a text. */
function sameIds(tokenizer: LoadedTokenizer, expected: readonly (readonly number[])[], kind: 'plain' | 'framed') {
  const { before, after } = kind === 'framed' ? tokenizer.frame : { before: [], after: [] }
  const own = texts.map((text) => [...before, ...tokenizer.encode(text), ...after].join())
  return { textsOfTheSameIds: own.filter((ids, i) => ids === expected[i].join()).length }
}

/** Of all positions: a sentence's embedding. */
function mean(values: Float32Array, width: number): Float64Array {
  const out = new Float64Array(width)
  for (let i = 0; i < values.length; i++) out[i % width] += values[i]
  return out
}

function cosine(a: Float64Array, b: Float64Array): number {
  let [ab, aa, bb] = [0, 0, 0]
  for (let i = 0; i < a.length; i++) {
    ab += a[i] * b[i]
    aa += a[i] ** 2
    bb += b[i] ** 2
  }
  return ab / Math.sqrt(aa * bb)
}
