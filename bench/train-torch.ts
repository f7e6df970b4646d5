// A training step on the CPU beside PyTorch's (oneDNN and MKL; f32 and bf16 by autocast, fused attention and AdamW): the same
// weights, the same batch at every step, in turns, so that the losses must agree too. bf16 of ours where the processor has it.
// node --conditions=source bench/train-torch.ts [--only small] [--rounds 3] [--steps 4] [--threads 2] [--compile]

import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import type { TokenBatch } from '../src/model/batch.ts'
import { preset } from '../src/model/presets.ts'
import { createTrainable } from '../src/model/trainable.ts'
import { hasBf16 } from '../src/tensor/cpu/native/tier.ts'
import type { CpuPrecision } from '../src/tensor/precision.ts'
import { lastJson, median, modelPython, requirePeers, saveResult } from './lib/harness.ts'
import { writeCheckpoint, writeTokens } from './lib/llmc-files.ts'
import { oneBatch, randomBatch, type Shape, type StepTimes, takeSteps } from './lib/training-step.ts'

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    steps: { type: 'string', default: '4' },
    threads: { type: 'string', default: '2' },
    compile: { type: 'boolean', default: false },
  },
})
const roundCount = Number(values.rounds)
const steps = Number(values.steps)
const threads = Number(values.threads)

const script = fileURLToPath(new URL('peers/train_torch.py', import.meta.url))
requirePeers(modelPython)

const shapes: Readonly<Record<string, Shape>> = {
  'gpt2-124m, 4 x 64': { config: preset('gpt2-124m'), rows: 4, length: 64 },
  'gpt2-124m, 4 x 256': { config: preset('gpt2-124m'), rows: 4, length: 256 },
  small: { config: preset('gpt2-124m', { layers: 6, width: 192, heads: 6, vocabularySize: 4096 }), rows: 8, length: 256 },
}

/** As `takeSteps` measures. */
const timing = z.object({ losses: z.array(z.number()), seconds: z.number(), cpuSeconds: z.number(), version: z.string() })
interface Round extends Readonly<Record<'own' | 'ownBf16', StepTimes>> {
  readonly torch: z.output<typeof timing>
  readonly torchBf16: z.output<typeof timing>
}

const results: Record<string, unknown> = {}
for (const [name, shape] of Object.entries(shapes)) if (!values.only || values.only === name) results[name] = await compare(name, shape)
saveResult('train-torch', { threads, mode: values.compile ? 'compile' : 'eager', ...results })

/** Alternates the two, so that a machine that drifts drifts for both. */
async function compare(name: string, shape: Shape) {
  const { rows, length } = shape
  const folder = await mkdtemp(join(tmpdir(), 'sluice-torch-'))
  const batch = randomBatch(shape)
  const rounds: Round[] = []
  try {
    await writeTokens(folder, oneBatch(batch))
    for (let round = 0; round < roundCount; round++) {
      const own = await runOwn(shape, batch, 'f32', round === 0 ? join(folder, 'gpt2_124M.bin') : undefined)
      const torch = runPeer(folder, shape, 'f32')
      const ownBf16 = hasBf16() ? await runOwn(shape, batch, 'bf16') : own
      const times: Round = { own, torch, ownBf16, torchBf16: runPeer(folder, shape, 'bf16') }
      rounds.push(times)
      const rates = Object.entries(times).map(([who, { seconds }]) => `${who} ${((rows * length) / seconds).toFixed(0)}`)
      console.error(`${name}: tokens/s: ${rates.join(', ')}`)
    }
  } finally {
    await rm(folder, { recursive: true })
  }
  const of = (value: (round: Round) => number) => median(rounds.map(value))
  const ofEach = (value: (timing: StepTimes) => number) => ({
    sluice: of(({ own }) => value(own)),
    torch: of(({ torch }) => value(torch)),
    sluiceBf16: hasBf16() ? of(({ ownBf16 }) => value(ownBf16)) : undefined,
    torchBf16: of(({ torchBf16 }) => value(torchBf16)),
  })
  const ratios = (value: (timing: StepTimes) => number) => ({
    f32: of(({ own, torch }) => value(torch) / value(own)),
    bf16: of(({ ownBf16, torchBf16 }) => value(torchBf16) / value(ownBf16)),
    f32ToTorchBf16: of(({ own, torchBf16 }) => value(torchBf16) / value(own)),
  })
  const [{ own, torch, ownBf16, torchBf16 }] = rounds
  const apart = (a: StepTimes, b: StepTimes) => Math.max(...a.losses.map((loss, step) => Math.abs(loss - b.losses[step])))
  return {
    rows,
    length,
    torch: torch.version,
    tokensPerSecond: ofEach(({ seconds }) => Math.round((rows * length) / seconds)),
    cpuSecondsPerStep: ofEach(({ cpuSeconds }) => cpuSeconds),
    ratio: ratios(({ seconds }) => seconds),
    ratioOfCpuTime: ratios(({ cpuSeconds }) => cpuSeconds),
    largestDifferenceOfLosses: { f32: apart(own, torch), sluiceBf16: apart(own, ownBf16), torchBf16: apart(own, torchBf16) },
  }
}

async function runOwn(
  { config, rows, length }: Shape,
  batch: TokenBatch,
  precision: CpuPrecision,
  checkpoint?: string,
): Promise<StepTimes> {
  const model = await createTrainable(config, { rows, length, threads, precision, seed: 1 })
  if (checkpoint) await writeCheckpoint(checkpoint, model)
  const times = takeSteps(model, batch, steps)
  await model.dispose()
  return times
}

function runPeer(folder: string, { rows, length }: Shape, precision: 'f32' | 'bf16'): Round['torch'] {
  const words = [rows, length, steps, threads].map(String)
  const output = execFileSync(modelPython, [script, folder, ...words, precision, values.compile ? 'compile' : 'eager'], {
    encoding: 'utf8',
  })
  return timing.parse(lastJson(output))
}
