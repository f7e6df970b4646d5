// A training step on the CPU against llm.c's CPU program (train_gpt2.c, gcc -Ofast -march=native, OpenMP): the same GPT-2
// shape, the same weights, the same batch at every step, so that the losses must agree too. f32 on both sides.
// node --conditions=source bench/train-llmc.ts [--only small] [--rounds 3] [--steps 4] [--threads 2]

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { TokenBatch } from '../src/model/batch.ts'
import type { ModelConfig } from '../src/model/config.ts'
import { preset } from '../src/model/presets.ts'
import { createTrainable, type Trainable } from '../src/model/trainable.ts'
import { randomUint32 } from '../src/train/shuffle.ts'
import { median, saveResult } from './harness.ts'

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    steps: { type: 'string', default: '4' },
    threads: { type: 'string', default: '2' },
  },
})
const rounds = Number(values.rounds)
const steps = Number(values.steps)
const threads = Number(values.threads)

interface Shape {
  readonly config: ModelConfig
  readonly rows: number
  readonly length: number
}

const shapes: Readonly<Record<string, Shape>> = {
  // the shape of its README
  'gpt2-124m': { config: preset('gpt2-124m'), rows: 4, length: 64 },
  small: { config: preset('gpt2-124m', { layers: 6, width: 192, heads: 6, vocabularySize: 4096 }), rows: 8, length: 256 },
}

interface Timing {
  readonly losses: readonly number[]
  /** Of the fastest step, the first left out. */
  readonly tokensPerSecond: number
}

const results: Record<string, unknown> = {}
for (const [name, shape] of Object.entries(shapes)) if (!values.only || values.only === name) results[name] = await compare(name, shape)
saveResult('train-llmc', { threads, ...results })

/** Alternates the two, so that a machine that drifts drifts for both. */
async function compare(name: string, shape: Shape) {
  const { config, rows, length } = shape
  const folder = await mkdtemp(join(tmpdir(), 'sluice-llmc-'))
  const batch = randomBatch(shape)
  const own: Timing[] = []
  const peer: Timing[] = []
  let parameters = 0
  try {
    await writeTokens(folder, batch)
    for (let round = 0; round < rounds; round++) {
      const model = await createTrainable(config, { rows, length, threads, seed: 1 })
      parameters = model.parameterCount
      if (round === 0) await writeCheckpoint(join(folder, 'gpt2_124M.bin'), model)
      peer.push(await runPeer(folder, shape))
      own.push(runOwn(model, batch))
      await model.dispose()
      console.error(`${name}: sluice ${own[round].tokensPerSecond.toFixed(0)}, llm.c ${peer[round].tokensPerSecond.toFixed(0)} tokens/s`)
    }
  } finally {
    await rm(folder, { recursive: true })
  }
  const rate = (timings: readonly Timing[]) => Math.round(median(timings.map(({ tokensPerSecond }) => tokensPerSecond)))
  return {
    parameters,
    rows,
    length,
    sluiceTokensPerSecond: rate(own),
    llmcTokensPerSecond: rate(peer),
    ratio: median(own.map(({ tokensPerSecond }, round) => tokensPerSecond / peer[round].tokensPerSecond)),
    largestDifferenceOfLosses: Math.max(...own[0].losses.map((loss, step) => Math.abs(loss - peer[0].losses[step]))),
    losses: peer[0].losses,
  }
}

function randomBatch({ config, rows, length }: Shape): TokenBatch {
  const random = randomUint32(1)
  const stream = Int32Array.from({ length: rows * length + 1 }, () => random() % config.vocabularySize)
  return { kind: 'tokens', rows, length, ids: stream.slice(0, -1), targets: stream.slice(1), lo: new Int32Array(rows * length) }
}

/** Steps as llm.c's main() takes them: its AdamW constants, no decay, no clipping. */
function runOwn(model: Trainable, batch: TokenBatch): Timing {
  const tokens = batch.rows * batch.length
  const losses: number[] = []
  let seconds = Number.POSITIVE_INFINITY
  for (let step = 1; step <= steps; step++) {
    const start = performance.now()
    losses.push(model.accumulate(batch, tokens).lossSum / tokens)
    model.step({ learningRate: 1e-4, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxNorm: 0, step })
    if (step > 1) seconds = Math.min(seconds, (performance.now() - start) / 1e3)
  }
  return { losses, tokensPerSecond: tokens / seconds }
}

/** Runs the program until it has printed enough steps: its main() would go on for 40 and then write text. */
async function runPeer(folder: string, { rows, length }: Shape): Promise<Timing> {
  const script = fileURLToPath(new URL('peers/llmc.sh', import.meta.url))
  const program = execFileSync(script, [`${rows}`, `${length}`], { encoding: 'utf8' }).trim()
  const environment = { ...process.env, OMP_NUM_THREADS: `${threads}` }
  const child = spawn('stdbuf', ['-oL', program], { cwd: folder, env: environment, stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  const losses: number[] = []
  let milliseconds = Number.POSITIVE_INFINITY
  for await (const line of createInterface(child.stdout)) {
    const match = /^step \d+: train loss ([\d.]+) \(took ([\d.]+) ms\)/.exec(line)
    if (!match) continue
    if (losses.push(Number(match[1])) > 1) milliseconds = Math.min(milliseconds, Number(match[2]))
    if (losses.length === steps) break
  }
  child.kill('SIGKILL')
  await exited
  return { losses, tokensPerSecond: (rows * length * 1e3) / milliseconds }
}

/** Exactly one batch, so that every step reads the same; validation reads it too. */
async function writeTokens(folder: string, { ids, targets }: TokenBatch): Promise<void> {
  const tokens = Uint16Array.from([...ids, targets[targets.length - 1]])
  const header = new Int32Array(256)
  header.set([20240520, 1, tokens.length])
  const bytes = Buffer.concat([Buffer.from(header.buffer), Buffer.from(tokens.buffer)])
  const data = join(folder, 'dev/data/tinyshakespeare')
  await mkdir(data, { recursive: true })
  for (const split of ['train', 'val']) await writeFile(join(data, `tiny_shakespeare_${split}.bin`), bytes)
}

/** Its checkpoint: a header of 256 integers, then each kind of tensor for all layers, matrices as [out, in]. */
async function writeCheckpoint(path: string, model: Trainable): Promise<void> {
  const header = new Int32Array(256)
  const { contextLength, vocabularySize, layers, heads, width } = model.config
  const paddedVocabulary = Math.ceil(vocabularySize / 128) * 128 // its kernels want a multiple of 128
  header.set([20240326, 3, contextLength, vocabularySize, layers, heads, width, paddedVocabulary])
  const file = await open(path, 'w')
  const write = (values: Int32Array | Float32Array) => file.writeFile(Buffer.from(values.buffer, values.byteOffset, values.byteLength))
  await write(header)
  const embedding = new Float32Array(paddedVocabulary * width)
  embedding.set(model.read('weights', 'transformer.wte.weight'))
  await write(embedding)
  await write(model.read('weights', 'transformer.wpe.weight'))
  for (const part of ['ln_1', 'attn.c_attn', 'attn.c_proj', 'ln_2', 'mlp.c_fc', 'mlp.c_proj'])
    for (const kind of ['weight', 'bias'])
      for (let layer = 0; layer < layers; layer++) await write(outByIn(model, `transformer.h.${layer}.${part}.${kind}`))
  for (const kind of ['weight', 'bias']) await write(model.read('weights', `transformer.ln_f.${kind}`))
  await file.close()
}

/** A parameter with its matrix transposed: ours is [in, out], as Hugging Face's Conv1D. */
function outByIn(model: Trainable, name: string): Float32Array {
  const values = model.read('weights', name)
  const shape = model.parameters.find((parameter) => parameter.name === name)?.shape ?? []
  if (shape.length < 2) return values
  const [inputs, outputs] = shape
  const transposed = new Float32Array(values.length)
  for (let i = 0; i < inputs; i++) for (let o = 0; o < outputs; o++) transposed[o * inputs + i] = values[i * outputs + o]
  return transposed
}
