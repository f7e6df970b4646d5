// A training step of GPT-2 on an NVIDIA GPU beside PyTorch's (bf16 by autocast, torch.compile, flash attention, fused AdamW): the
// same shapes on the same GPU in turns, tokens a second and the share of the GPU's dense bf16 arithmetic (MFU).
// npm run bench:gpu [-- --only 124M --steps 20 --python python3]; --pack FILE.tar.gz writes what a machine with PyTorch and without
// Node needs (then: tar xzf FILE.tar.gz && sluice-gpu/run-bench); --dry-run goes through it all at a tiny size, on the stand-in.

import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { describeError, SluiceError } from '../src/core/errors.ts'
import { decoderConfig } from '../src/model/config.ts'
import { preset } from '../src/model/presets.ts'
import { flopsPerToken } from '../src/model/size.ts'
import { createTrainable } from '../src/model/trainable.ts'
import type { CudaOptions } from '../src/tensor/cuda/cuda-device.ts'
import { openDriver } from '../src/tensor/cuda/driver.ts'
import { findLibraries } from '../src/tensor/cuda/libraries.ts'
import { pack } from './lib/gpu-archive.ts'
import { lastJson, median, saveResult } from './lib/harness.ts'
import { randomBatch, type Shape } from './lib/training-step.ts'

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    steps: { type: 'string', default: '20' },
    rounds: { type: 'string', default: '3' },
    python: { type: 'string', default: 'python3' },
    pack: { type: 'string' },
    'dry-run': { type: 'boolean', default: false },
    /** Set for the process that trains. */
    own: { type: 'string' },
  },
})
const isDry = values['dry-run']
const steps = isDry ? 3 : Number(values.steps)
const peer = fileURLToPath(new URL('peers/train_torch_gpu.py', import.meta.url))

/** A vocabulary that is a multiple of 64, as PyTorch's users pad it. */
function shape(name: 'gpt2-124m' | 'gpt2-355m' | 'gpt2-1.5b', rows: number, length: number): Shape {
  return { config: preset(name, { vocabularySize: 50_304, contextLength: length }), rows, length }
}

const real: Readonly<Record<string, Shape>> = {
  '124M, 32 x 1024': shape('gpt2-124m', 32, 1024),
  '124M, 16 x 2048': shape('gpt2-124m', 16, 2048),
  '350M, 16 x 1024': shape('gpt2-355m', 16, 1024),
  '350M, 8 x 2048': shape('gpt2-355m', 8, 2048),
  '1.5B, 8 x 1024': shape('gpt2-1.5b', 8, 1024),
  '1.5B, 4 x 2048': shape('gpt2-1.5b', 4, 2048),
}
const tiny: Readonly<Record<string, Shape>> = {
  'tiny, 2 x 16': {
    config: decoderConfig.parse({ ...presetShape(), vocabularySize: 64, contextLength: 16, layers: 1, width: 32, heads: 2 }),
    rows: 2,
    length: 16,
  },
}
const shapes = isDry ? tiny : real

function presetShape() {
  const { norm, positions, activation, biases } = preset('gpt2-124m')
  return { norm, positions, activation, biases }
}

/** Dense bf16 operations a second, from NVIDIA's data sheets. The first that matches counts. */
const peaks: readonly (readonly [RegExp, number])[] = [
  [/H100 PCIe/, 756e12],
  [/H100|H200|GH200/, 989e12],
  [/B200/, 2250e12],
  [/A100/, 312e12],
]

const timing = z.object({ secondsPerStep: z.array(z.number()).min(1), firstLoss: z.number(), lastLoss: z.number(), version: z.string() })
type Timing = z.output<typeof timing>

try {
  if (values.pack !== undefined) pack(values.pack)
  else if (values.own !== undefined) console.log(JSON.stringify(await trainOwn(shapes[values.own])))
  else await compareAll()
} catch (error) {
  if (!(error instanceof SluiceError)) throw error
  console.error(describeError(error))
  if (values.pack === undefined) console.error('  for a machine that has a GPU: npm run bench:gpu -- --pack sluice-gpu.tar.gz')
  process.exitCode = 1
}

async function compareAll(): Promise<void> {
  const { libraries } = await cudaOptions()
  const driver = openDriver(libraries.driver)
  const { name } = driver
  driver.dispose()
  const peak = peaks.find(([pattern]) => pattern.test(name))?.[1]
  const results: Record<string, unknown> = {}
  for (const key of Object.keys(shapes)) if (!values.only || key.startsWith(values.only)) results[key] = compare(key, peak)
  const result = { gpu: name, precision: 'bf16', peakFlops: peak, steps, ...results }
  if (isDry) console.log(JSON.stringify(result, undefined, 2))
  else saveResult('gpu', result)
}

/** Alternates the two in processes of their own, so that each has the GPU's memory for itself. */
function compare(key: string, peak: number | undefined) {
  const { config, rows, length } = shapes[key]
  const rounds = Array.from({ length: isDry ? 1 : Number(values.rounds) }, () => ({ sluice: runOwn(key), torch: runPeer(shapes[key]) }))
  const flops = flopsPerToken(config, { rows, length })
  const figures = (who: 'sluice' | 'torch') => {
    const timings = rounds.flatMap((round) => (typeof round[who] === 'string' ? [] : [round[who]]))
    if (timings.length === 0) return { failed: rounds[0][who] }
    const tokensPerSecond = (rows * length) / median(timings.map(({ secondsPerStep }) => median(secondsPerStep)))
    const { firstLoss, lastLoss, version } = timings[0]
    return {
      ...{ tokensPerSecond: Math.round(tokensPerSecond), mfu: peak ? (tokensPerSecond * flops) / peak : undefined },
      ...{ firstLoss, lastLoss, version: version || undefined },
    }
  }
  const [sluice, torch] = [figures('sluice'), figures('torch')]
  console.error(`${key}: sluice ${JSON.stringify(sluice)}, PyTorch ${JSON.stringify(torch)}`)
  return { rows, length, flopsPerToken: flops, sluice, torch }
}

function runOwn(key: string): Timing | string {
  const words = ['--own', key, '--steps', String(steps), ...(isDry ? ['--dry-run'] : [])]
  return lastLine(process.execPath, ['--conditions=source', fileURLToPath(import.meta.url), ...words])
}

function runPeer({ config: { layers, width, heads, vocabularySize }, rows, length }: Shape): Timing | string {
  const words = [layers, width, heads, vocabularySize, rows, length, steps].map(String)
  return lastLine(values.python, [peer, ...words, isDry ? 'cpu' : 'cuda'])
}

/** What the program measured, or why it could not: one that fails is no reason not to measure the other. */
function lastLine(command: string, words: readonly string[]): Timing | string {
  try {
    const output = execFileSync(command, words, { encoding: 'utf8', maxBuffer: 64e6, stdio: ['ignore', 'pipe', 'pipe'] })
    return timing.parse(lastJson(output))
  } catch (error) {
    return (error instanceof Error ? error.message : String(error)).slice(-2000)
  }
}

async function cudaOptions(): Promise<CudaOptions> {
  if (!isDry) return { libraries: findLibraries(), precision: 'bf16' }
  const { stubOptions } = await import('../test/tensor/cuda/stub.ts')
  return stubOptions('bf16')
}

/** The first steps compile, capture and choose: as many as are measured, at most five, are left out. */
async function trainOwn(shape: Shape): Promise<Timing> {
  const { config, rows, length } = shape
  const device = await cudaOptions()
  const batch = randomBatch(shape)
  const model = await createTrainable(config, { rows, length, threads: 1, seed: 1, device })
  const [secondsPerStep, losses]: [number[], number[]] = [[], []]
  const warmUp = Math.min(5, steps)
  for (let step = 1; step <= warmUp + steps; step++) {
    const start = performance.now()
    model.backpropagate(batch, rows * length)
    model.announce(batch)
    const { lossSum } = model.step({ learningRate: 1e-4, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, maxNorm: 1, step })
    losses.push(lossSum / (rows * length))
    if (step > warmUp) secondsPerStep.push((performance.now() - start) / 1e3)
  }
  await model.dispose()
  return { secondsPerStep, firstLoss: losses[0], lastLoss: losses[losses.length - 1], version: '' }
}
