// A training step on the CPU beside PyTorch's (oneDNN and MKL; f32 and bf16 by autocast, fused attention and AdamW): the same
// weights, the same batch at every step, in turns, so that the losses must agree too.
// node --conditions=source bench/train-torch.ts [--only small] [--precision f32] [--rounds 3] [--steps 4] [--threads 2] [--compile]

import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import type { TokenBatch } from '../src/model/batch.ts'
import type { ModelConfig } from '../src/model/config.ts'
import { preset } from '../src/model/presets.ts'
import { createTrainable, type Trainable } from '../src/model/trainable.ts'
import { randomUint32 } from '../src/train/shuffle.ts'
import { median, saveResult } from './harness.ts'
import { writeCheckpoint, writeTokens } from './llmc-files.ts'

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    precision: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    steps: { type: 'string', default: '4' },
    threads: { type: 'string', default: '2' },
    compile: { type: 'boolean', default: false },
  },
})
const rounds = Number(values.rounds)
const steps = Number(values.steps)
const threads = Number(values.threads)

const python = fileURLToPath(new URL('peers/installed/models/bin/python', import.meta.url))
const script = fileURLToPath(new URL('peers/train_torch.py', import.meta.url))
if (!existsSync(python)) {
  console.error('PyTorch is not installed: run bench/peers/install.sh (Python 3.11 or newer)')
  process.exit(1)
}

interface Shape {
  readonly config: ModelConfig
  readonly rows: number
  readonly length: number
}

const shapes: Readonly<Record<string, Shape>> = {
  'gpt2-124m, 4 x 64': { config: preset('gpt2-124m'), rows: 4, length: 64 },
  'gpt2-124m, 4 x 256': { config: preset('gpt2-124m'), rows: 4, length: 256 },
  small: { config: preset('gpt2-124m', { layers: 6, width: 192, heads: 6, vocabularySize: 4096 }), rows: 8, length: 256 },
}

/** Of the fastest step, the first left out. CPU seconds are of all threads. */
const timing = z.object({ losses: z.array(z.number()), seconds: z.number(), cpuSeconds: z.number(), version: z.string() })
type Timing = z.output<typeof timing>

const results: Record<string, unknown> = {}
for (const [name, shape] of Object.entries(shapes)) if (!values.only || values.only === name) results[name] = await compare(name, shape)
saveResult('train-torch', { threads, mode: values.compile ? 'compile' : 'eager', ...results })

/** Alternates the two, so that a machine that drifts drifts for both. */
async function compare(name: string, shape: Shape) {
  const { config, rows, length } = shape
  const folder = await mkdtemp(join(tmpdir(), 'sluice-torch-'))
  const batch = randomBatch(shape)
  const tokens = Int32Array.from([...batch.ids, batch.targets[batch.targets.length - 1]])
  const rounded: { own: Timing; f32: Timing; bf16: Timing }[] = []
  try {
    await writeTokens(folder, { train: tokens, val: tokens })
    for (let round = 0; round < rounds; round++) {
      const model = await createTrainable(config, { rows, length, threads, seed: 1 })
      if (round === 0) await writeCheckpoint(join(folder, 'gpt2_124M.bin'), model)
      const own = runOwn(model, batch)
      await model.dispose()
      const one = { own, f32: runPeer(folder, shape, 'f32'), bf16: runPeer(folder, shape, 'bf16') }
      rounded.push(one)
      const rate = ({ seconds }: Timing) => ((rows * length) / seconds).toFixed(0)
      console.error(`${name}: tokens/s: sluice ${rate(one.own)}, PyTorch ${rate(one.f32)}, bf16 ${rate(one.bf16)}`)
    }
  } finally {
    await rm(folder, { recursive: true })
  }
  const [{ own, f32, bf16 }] = rounded
  const rate = (of: 'own' | 'f32' | 'bf16') => Math.round(median(rounded.map((round) => (rows * length) / round[of].seconds)))
  const cpu = (of: 'own' | 'f32' | 'bf16') => median(rounded.map((round) => round[of].cpuSeconds))
  return {
    rows,
    length,
    torch: f32.version,
    tokensPerSecond: { sluice: rate('own'), torch: rate('f32'), torchBf16: rate('bf16') },
    cpuSecondsPerStep: { sluice: cpu('own'), torch: cpu('f32'), torchBf16: cpu('bf16') },
    ratio: median(rounded.map((round) => round.f32.seconds / round.own.seconds)),
    ratioToBf16: median(rounded.map((round) => round.bf16.seconds / round.own.seconds)),
    ratioOfCpuTime: median(rounded.map((round) => round.f32.cpuSeconds / round.own.cpuSeconds)),
    ratioOfCpuTimeToBf16: median(rounded.map((round) => round.bf16.cpuSeconds / round.own.cpuSeconds)),
    largestDifferenceOfLosses: Math.max(...own.losses.map((loss, step) => Math.abs(loss - f32.losses[step]))),
    largestDifferenceOfLossesToBf16: Math.max(...own.losses.map((loss, step) => Math.abs(loss - bf16.losses[step]))),
  }
}

function randomBatch({ config, rows, length }: Shape): TokenBatch {
  const random = randomUint32(1)
  const stream = Int32Array.from({ length: rows * length + 1 }, () => random() % config.vocabularySize)
  return { kind: 'tokens', rows, length, ids: stream.slice(0, -1), targets: stream.slice(1), lo: new Int32Array(rows * length) }
}

function runOwn(model: Trainable, batch: TokenBatch): Timing {
  const tokens = batch.rows * batch.length
  const losses: number[] = []
  let [seconds, cpuSeconds] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  for (let step = 1; step <= steps; step++) {
    const [start, cpuStart] = [performance.now(), process.cpuUsage()]
    losses.push(model.accumulate(batch, tokens).lossSum / tokens)
    model.step({ learningRate: 1e-4, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxNorm: 0, step })
    if (step === 1) continue
    const { user, system } = process.cpuUsage(cpuStart)
    seconds = Math.min(seconds, (performance.now() - start) / 1e3)
    cpuSeconds = Math.min(cpuSeconds, (user + system) / 1e6)
  }
  return { losses, seconds, cpuSeconds, version: '' }
}

function runPeer(folder: string, { rows, length }: Shape, precision: 'f32' | 'bf16'): Timing {
  const words = [rows, length, steps, threads].map(String)
  const output = execFileSync(python, [script, folder, ...words, precision, values.compile ? 'compile' : 'eager'], { encoding: 'utf8' })
  return timing.parse(JSON.parse(output.trimEnd().split('\n').at(-1) ?? ''))
}
