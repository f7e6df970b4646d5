// A training step on the CPU device: tokens/s, and where the time goes by operation. The first shape is that of llm.c's CPU
// program (GPT-2 124M, 4 rows of 64 tokens), the others those of the quickstart; GPT-2 355M, beyond 4 GiB, only by its name.
// node --conditions=source bench/train-step.ts [--threads 2] [--only quickstart] [--precision bf16] [--json]

import { parseArgs } from 'node:util'
import { z } from 'zod'
import type { TokenBatch } from '../src/model/batch.ts'
import { type DecoderConfig, decoderConfig } from '../src/model/config.ts'
import { initialValues } from '../src/model/init.ts'
import { preset } from '../src/model/presets.ts'
import { traceTraining } from '../src/model/trace.ts'
import { createTrainable } from '../src/model/trainable.ts'
import { createCpuDevice } from '../src/tensor/cpu/cpu-device.ts'
import { differentiate } from '../src/tensor/differentiate.ts'
import type { OpRecord } from '../src/tensor/graph.ts'
import { type OpName, operations } from '../src/tensor/operations.ts'
import { addresses, placeActivations, placePersistent } from '../src/tensor/plan.ts'
import { cpuPrecisions } from '../src/tensor/precision.ts'
import { uniform } from '../src/tensor/rng.ts'

const { values: options } = parseArgs({
  options: {
    threads: { type: 'string', default: '2' },
    only: { type: 'string' },
    precision: { type: 'string', default: 'f32' },
    json: { type: 'boolean', default: false },
  },
})
const threads = Number(options.threads)
const precision = z.enum(cpuPrecisions).parse(options.precision)

interface Shape {
  readonly config: DecoderConfig
  readonly rows: number
  readonly length: number
  readonly steps: number
  /** Measured only where it is named. */
  readonly isLarge?: boolean
}

const shapes: Readonly<Record<string, Shape>> = {
  quickstart: {
    config: decoderConfig.parse({ vocabularySize: 4096, contextLength: 256, layers: 6, width: 192, heads: 6 }),
    rows: 8,
    length: 256,
    steps: 8,
  },
  'quickstart, vocabulary 8192': {
    config: decoderConfig.parse({ vocabularySize: 8192, contextLength: 256, layers: 4, width: 192, heads: 6 }),
    rows: 8,
    length: 256,
    steps: 8,
  },
  'gpt2-124m': { config: preset('gpt2-124m'), rows: 4, length: 64, steps: 4 },
  'gpt2-124m, 4 × 256': { config: preset('gpt2-124m'), rows: 4, length: 256, steps: 3 },
  'gpt2-355m, 4 × 256': { config: preset('gpt2-355m'), rows: 4, length: 256, steps: 2, isLarge: true },
}

const results = []
for (const [name, shape] of Object.entries(shapes)) {
  if (options.only ? options.only !== name : shape.isLarge) continue
  const step = await stepsPerSecond(shape)
  const table = await timeTable(shape)
  results.push({ name, threads, ...step, table })
  if (options.json) continue
  console.log(`${name}, ${threads} threads: ${describe(step)}`)
  console.table(table)
}
if (options.json) console.log(JSON.stringify(results))

function describe({ parameters, tokensPerSecond, gflops, gflopsOfCpuTime, arenaMB }: Awaited<ReturnType<typeof stepsPerSecond>>): string {
  return `${(parameters / 1e6).toFixed(1)} M parameters, best ${tokensPerSecond} tokens/s, ${gflops} GFLOP/s, ${gflopsOfCpuTime} a second of CPU time, arena ${arenaMB} MB`
}

function noise({ config, rows, length }: Shape): TokenBatch {
  const ids = Int32Array.from({ length: rows * length }, (_, i) => Math.floor(uniform(1, 0, 0, i) * config.vocabularySize))
  return { kind: 'tokens', rows, length, ids, targets: ids.map((_, i) => ids[(i + 1) % ids.length]), lo: new Int32Array(rows * length) }
}

/** Forward, backward and update; the best step after two to warm up. */
async function stepsPerSecond(shape: Shape) {
  const { config, rows, length, steps } = shape
  const model = await createTrainable(config, { rows, length, threads, precision, seed: 1 })
  const batch = noise(shape)
  const adamw = { learningRate: 1e-4, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, maxNorm: 1 }
  let [seconds, cpuSeconds] = [Infinity, Infinity]
  for (let step = 1; step <= steps + 2; step++) {
    const [start, before] = [performance.now(), process.cpuUsage()]
    model.accumulate(batch, rows * length)
    model.step({ ...adamw, step })
    if (step <= 2) continue
    const { user, system } = process.cpuUsage(before)
    seconds = Math.min(seconds, (performance.now() - start) / 1e3)
    cpuSeconds = Math.min(cpuSeconds, (user + system) / 1e6)
  }
  await model.dispose()
  return {
    parameters: model.parameterCount,
    tokensPerSecond: Math.round((rows * length) / seconds),
    gflops: Math.round((model.flopsPerToken * rows * length) / seconds / 1e9),
    gflopsOfCpuTime: Math.round((model.flopsPerToken * rows * length) / cpuSeconds / 1e9),
    arenaMB: Math.round(model.arenaBytes / 1e6),
  }
}

/** Milliseconds of forward and backward by operation, mean of the steps. */
async function timeTable(shape: Shape) {
  const { config, rows, length, steps } = shape
  const tape = traceTraining(config, { rows, length })
  const { records } = differentiate(tape.graph)
  const persistent = placePersistent(tape.graph.tensors, 0)
  const { endBytes } = placeActivations(records, new Set([tape.losses]), persistent.endBytes)
  const device = await createCpuDevice({ arenaBytes: endBytes, threads, records, precision })
  const start = device.arenaStart
  const moved = placePersistent(tape.graph.tensors, start)
  const at = addresses(moved, placeActivations(records, new Set([tape.losses]), moved.endBytes))
  tape.parameters.forEach((block, i) => {
    device.upload(at(block.tensor), initialValues(block, i, 1))
  })
  const batch = noise(shape)
  device.upload(at(tape.inputs.ids), batch.ids)
  device.upload(at(tape.targets), batch.targets)
  device.upload(
    at(tape.inputs.positions),
    batch.ids.map((_, i) => i % length),
  )
  const program = device.compile(records, at)
  for (let i = 0; i < 2; i++) device.run(program)
  const times = new Float64Array(records.length)
  for (let i = 0; i < steps; i++) device.run(program, times)
  await device.dispose()

  const sums = new Map<string, { ms: number; flops: number }>()
  records.forEach((record, i) => {
    const sum = sums.get(record.kernel) ?? { ms: 0, flops: 0 }
    sum.ms += times[i] / steps
    sum.flops += flopsOf(record)
    sums.set(record.kernel, sum)
  })
  const total = [...sums.values()].reduce((ms, sum) => ms + sum.ms, 0)
  return [...sums]
    .sort((a, b) => b[1].ms - a[1].ms)
    .map(([kernel, { ms, flops }]) => ({
      kernel,
      ms: Math.round(ms * 100) / 100,
      percent: Math.round((1000 * ms) / total) / 10,
      gflops: flops ? Math.round(flops / ms / 1e6) : undefined,
    }))
}

function flopsOf({ kernel, reads, attributes }: OpRecord): number {
  const backward = kernel.endsWith('_backward')
  const name = backward ? kernel.slice(0, -'_backward'.length) : kernel
  if (!isOperation(name)) return 0
  const definition = operations[name]
  return (definition.flops?.(reads, attributes) ?? 0) * (backward ? (definition.fusesForward ? 3 : 2) : 1)
}

function isOperation(name: string): name is OpName {
  return name in operations
}
