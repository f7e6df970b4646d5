// A training step on the CPU against llm.c's CPU program (train_gpt2.c, gcc -Ofast -march=native, OpenMP): the same GPT-2
// shape, the same weights, the same batch at every step, so that the losses must agree too. f32 on both sides; and products in
// bf16 on ours, where the processor has them.
// node --conditions=source bench/train-llmc.ts [--only small] [--rounds 3] [--steps 4] [--threads 2]

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { TokenBatch } from '../src/model/batch.ts'
import { preset } from '../src/model/presets.ts'
import { createTrainable, type Trainable } from '../src/model/trainable.ts'
import { hasBf16 } from '../src/tensor/cpu/native/tier.ts'
import { median, saveResult } from './lib/harness.ts'
import { writeCheckpoint, writeTokens } from './lib/llmc-files.ts'
import { buildLlmc, runLlmc } from './lib/llmc-program.ts'
import { oneBatch, randomBatch, type Shape, takeSteps } from './lib/training-step.ts'

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
  const ownBf16: Timing[] = []
  const peer: Timing[] = []
  let parameters = 0
  try {
    await writeTokens(folder, oneBatch(batch))
    for (let round = 0; round < rounds; round++) {
      const model = await createTrainable(config, { rows, length, threads, seed: 1 })
      parameters = model.parameterCount
      if (round === 0) await writeCheckpoint(join(folder, 'gpt2_124M.bin'), model)
      peer.push(await runPeer(folder, shape))
      own.push(runOwn(model, batch))
      await model.dispose()
      if (hasBf16()) {
        const half = await createTrainable(config, { rows, length, threads, seed: 1, precision: 'bf16' })
        ownBf16.push(runOwn(half, batch))
        await half.dispose()
      }
      const [f32, bf16, llmc] = [own, ownBf16, peer].map((timings) => timings.at(-1)?.tokensPerSecond.toFixed(0))
      console.error(`${name}: sluice ${f32}, in bf16 ${bf16 ?? 'not here'}, llm.c ${llmc} tokens/s`)
    }
  } finally {
    await rm(folder, { recursive: true })
  }
  return {
    parameters,
    rows,
    length,
    llmcTokensPerSecond: rate(peer),
    f32: compareTimings(own, peer),
    ...(ownBf16.length > 0 ? { bf16: compareTimings(ownBf16, peer) } : {}),
    losses: peer[0].losses,
  }
}

function rate(timings: readonly Timing[]): number {
  return Math.round(median(timings.map(({ tokensPerSecond }) => tokensPerSecond)))
}

/** Round by round. */
function compareTimings(own: readonly Timing[], peer: readonly Timing[]) {
  return {
    tokensPerSecond: rate(own),
    ratio: median(own.map(({ tokensPerSecond }, round) => tokensPerSecond / peer[round].tokensPerSecond)),
    largestDifferenceOfLosses: Math.max(...own[0].losses.map((loss, step) => Math.abs(loss - peer[0].losses[step]))),
  }
}

function runOwn(model: Trainable, batch: TokenBatch): Timing {
  const { losses, seconds } = takeSteps(model, batch, steps)
  return { losses, tokensPerSecond: (batch.rows * batch.length) / seconds }
}

/** Runs the program until it has printed enough steps: its main() would go on for 40 and then write text. */
async function runPeer(folder: string, { rows, length }: Shape): Promise<Timing> {
  const losses: number[] = []
  let milliseconds = Number.POSITIVE_INFINITY
  for await (const line of runLlmc(buildLlmc(rows, length), folder, threads)) {
    const match = /^step \d+: train loss ([\d.]+) \(took ([\d.]+) ms\)/.exec(line)
    if (!match) continue
    if (losses.push(Number(match[1])) > 1) milliseconds = Math.min(milliseconds, Number(match[2]))
    if (losses.length === steps) break
  }
  return { losses, tokensPerSecond: (rows * length * 1e3) / milliseconds }
}
