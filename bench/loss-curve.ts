// The losses of a training run beside PyTorch's, step by step: GPT-2 of 3.5 million parameters on the quickstart's tokens from
// the same weights, each step a batch of its own, AdamW with decay, clipping, a warm-up and a cosine. What differs
// is rounding, and the rate is one at which that does not grow.
// node --conditions=source bench/loss-curve.ts [--steps 200] [--device cpu|cuda] [--threads 2] [--shards quickstart/tokens]

import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { SluiceError } from '../src/core/errors.ts'
import type { Batch } from '../src/model/batch.ts'
import { preset } from '../src/model/presets.ts'
import { createTrainable } from '../src/model/trainable.ts'
import { hasBf16 } from '../src/tensor/cpu/native/tier.ts'
import type { CpuPrecision } from '../src/tensor/precision.ts'
import { openCorpus } from '../src/tokens/corpus.ts'
import { deviceOf } from '../src/train/device.ts'
import { TokenLoader } from '../src/train/loader.ts'
import { learningRateAt } from '../src/train/schedule.ts'
import { lastJson, modelPython, requirePeers, saveResult } from './lib/harness.ts'
import { writeCheckpoint } from './lib/llmc-files.ts'

const { values } = parseArgs({
  options: {
    steps: { type: 'string', default: '200' },
    device: { type: 'string', default: 'cpu' },
    threads: { type: 'string', default: '2' },
    shards: { type: 'string', default: 'quickstart/tokens' },
  },
})
const steps = Number(values.steps)
const threads = Number(values.threads)
const device = z.enum(['cpu', 'cuda']).parse(values.device)
const ROWS = 8
const LENGTH = 256
const config = preset('gpt2-124m', { layers: 6, width: 192, heads: 6, vocabularySize: 4096, contextLength: LENGTH })
const course = { schedule: 'cosine', learningRate: 6e-4, finalShare: 0.1, warmupSteps: 40, steps, decayShare: 0.2 } as const
const rates = Array.from({ length: steps }, (_, i) => learningRateAt(course, i + 1))
const update = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, maxNorm: 1 }

const script = fileURLToPath(new URL('peers/loss_curve_torch.py', import.meta.url))
requirePeers(modelPython)
if (!existsSync(values.shards))
  throw new SluiceError('SLUICE_BENCH_INPUT', `there are no shards in ${values.shards}`, { fix: 'run make quickstart, or give --shards' })

const folder = await mkdtemp(join(tmpdir(), 'sluice-curve-'))
try {
  const stream = await readTokens(steps * ROWS * LENGTH + 1)
  await writeFile(join(folder, 'tokens.bin'), stream)
  await writeFile(join(folder, 'rates.json'), JSON.stringify(rates))
  const own = await runOwn(stream, 'f32')
  const torch = runPeer('f32')
  const ownBf16 = device === 'cuda' || hasBf16() ? await runOwn(stream, 'bf16') : undefined
  const torchBf16 = runPeer('bf16')
  saveResult('loss-curve', {
    ...{ steps, device, tokensPerStep: ROWS * LENGTH, torch: torch.version },
    f32: compared(own, torch.losses),
    bf16: ownBf16 && compared(ownBf16, torchBf16.losses),
    bf16ToF32: { sluice: ownBf16 && compared(ownBf16, own), torch: compared(torchBf16.losses, torch.losses) },
    losses: { sluice: own, torch: torch.losses, sluiceBf16: ownBf16, torchBf16: torchBf16.losses },
  })
} finally {
  await rm(folder, { recursive: true })
}

/** Training documents in the trainer's order. */
async function readTokens(count: number): Promise<Uint16Array> {
  const options = { rows: 1, length: LENGTH, packing: 'concatenate', seed: 1, validationShare: 0.01, windowTokens: 2 ** 24 } as const
  const loader = new TokenLoader(await openCorpus(values.shards), { ...options, split: 'train', epochs: 4 })
  const tokens: number[] = []
  while (tokens.length < count) {
    const batch = await loader.next()
    if (!batch) throw new SluiceError('SLUICE_BENCH_INPUT', `${values.shards} has too few tokens`, { fix: 'take fewer --steps' })
    tokens.push(...batch.ids)
  }
  return Uint16Array.from(tokens.slice(0, count))
}

async function runOwn(stream: Uint16Array, precision: CpuPrecision): Promise<number[]> {
  const model = await createTrainable(config, { rows: ROWS, length: LENGTH, threads, seed: 1, ...deviceOf({ device, precision }) })
  await writeCheckpoint(join(folder, 'gpt2_124M.bin'), model)
  const size = ROWS * LENGTH
  const losses = rates.map((learningRate, i) => {
    const tokens = Int32Array.from(stream.subarray(i * size, (i + 1) * size + 1))
    const lo = new Int32Array(size)
    const batch: Batch = { kind: 'tokens', rows: ROWS, length: LENGTH, ids: tokens.slice(0, -1), targets: tokens.slice(1), lo }
    model.backpropagate(batch, size)
    return model.step({ ...update, learningRate, step: i + 1 }).lossSum / size
  })
  await model.dispose()
  return losses
}

function runPeer(precision: CpuPrecision) {
  const words = [script, folder, ...[ROWS, LENGTH, threads].map(String), precision]
  const output = execFileSync(modelPython, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
  return z.object({ losses: z.array(z.number()), version: z.string() }).parse(lastJson(output))
}

function compared(a: readonly number[], b: readonly number[]) {
  const apart = a.map((loss, i) => Math.abs(loss - b[i]))
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  return {
    first: a[0],
    lastTen: mean(a.slice(-10)),
    lastTenOfOther: mean(b.slice(-10)),
    largestDifference: Math.max(...apart),
    mean: mean(apart),
  }
}
