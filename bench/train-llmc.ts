// A training step on the CPU against llm.c's CPU program (train_gpt2.c, gcc -Ofast -march=native, OpenMP): the same GPT-2
// shape, the same weights, the same batch at every step, so that the losses must agree too. f32 on both sides.
// node --conditions=source bench/train-llmc.ts [--rows 4 --length 64 --threads 2 --steps 4] [--layers 12 --width 768 …] [--json]

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { preset } from '../src/model/config.ts'
import { createTrainable, type TokenBatch, type Trainable } from '../src/model/trainable.ts'
import { randomUint32 } from '../src/train/shuffle.ts'

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '4' },
    length: { type: 'string', default: '64' },
    layers: { type: 'string', default: '12' },
    width: { type: 'string', default: '768' },
    heads: { type: 'string', default: '12' },
    vocabulary: { type: 'string', default: '50257' },
    steps: { type: 'string', default: '4' },
    threads: { type: 'string', default: '2' },
    json: { type: 'boolean', default: false },
  },
})
const rows = Number(values.rows)
const length = Number(values.length)
const steps = Number(values.steps)
const threads = Number(values.threads)
const config = preset('gpt2-124m', {
  layers: Number(values.layers),
  width: Number(values.width),
  heads: Number(values.heads),
  vocabularySize: Number(values.vocabulary),
})
/** Its kernels want a multiple of 128. */
const paddedVocabulary = Math.ceil(config.vocabularySize / 128) * 128

interface Timing {
  readonly losses: readonly number[]
  /** Of the fastest step, the first left out. */
  readonly tokensPerSecond: number
}

const folder = await mkdtemp(join(tmpdir(), 'sluice-llmc-'))
try {
  const model = await createTrainable(config, { rows, length, threads, seed: 1 })
  const batch = randomBatch()
  await writeCheckpoint(join(folder, 'gpt2_124M.bin'), model)
  await writeTokens(batch)
  const peer = await runPeer()
  const own = runOwn(model, batch)
  await model.dispose()
  const difference = Math.max(...own.losses.map((loss, step) => Math.abs(loss - peer.losses[step])))
  const ratio = own.tokensPerSecond / peer.tokensPerSecond
  const { parameterCount } = model
  if (values.json) console.log(JSON.stringify({ parameterCount, rows, length, threads, sluice: own, 'llm.c': peer, ratio, difference }))
  else {
    console.log(
      `${(parameterCount / 1e6).toFixed(1)} M parameters, ${rows} × ${length} tokens a step, ${threads} threads, Node ${process.version}`,
    )
    console.log(`llm.c  ${peer.tokensPerSecond.toFixed(0)} tokens/s, losses ${peer.losses.map((loss) => loss.toFixed(4)).join(' ')}`)
    console.log(`sluice ${own.tokensPerSecond.toFixed(0)} tokens/s, losses ${own.losses.map((loss) => loss.toFixed(4)).join(' ')}`)
    console.log(`ratio ${ratio.toFixed(2)}, largest difference of losses ${difference.toExponential(1)}`)
  }
} finally {
  await rm(folder, { recursive: true })
}

function randomBatch(): TokenBatch {
  const random = randomUint32(1)
  const stream = Int32Array.from({ length: rows * length + 1 }, () => random() % config.vocabularySize)
  return { rows, length, ids: stream.slice(0, -1), targets: stream.slice(1), lo: new Int32Array(rows * length) }
}

/** Steps as llm.c's main() takes them: its AdamW constants, no decay, no clipping. */
function runOwn(model: Trainable, batch: TokenBatch): Timing {
  const losses: number[] = []
  let seconds = Number.POSITIVE_INFINITY
  for (let step = 1; step <= steps; step++) {
    const start = performance.now()
    losses.push(model.accumulate(batch, rows * length).lossSum / (rows * length))
    model.step({ learningRate: 1e-4, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxNorm: 0, step })
    if (step > 1) seconds = Math.min(seconds, (performance.now() - start) / 1e3)
  }
  return { losses, tokensPerSecond: (rows * length) / seconds }
}

/** Runs the program until it has printed enough steps: its main() would go on for 40 and then write text. */
async function runPeer(): Promise<Timing> {
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
async function writeTokens({ ids, targets }: TokenBatch): Promise<void> {
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
  const { contextLength, vocabularySize, layers, heads, width } = config
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
