// Attention of a causal decoder on one thread, forward and backward: machine code (AVX-512) beside WASM, in turns, the best of
// some rounds of each.
// node --conditions=source bench/attention.ts [--rounds 25] [--json]

import { parseArgs } from 'node:util'
import { createCpuDevice } from '../src/tensor/cpu/cpu-device.ts'
import type { CpuTier } from '../src/tensor/cpu/native/tier.ts'
import type { OpRecord } from '../src/tensor/graph.ts'
import { uniform } from '../src/tensor/rng.ts'
import { elements } from '../src/tensor/shape.ts'
import type { Tensor } from '../src/tensor/tensor.ts'

const { values: options } = parseArgs({ options: { rounds: { type: 'string', default: '25' }, json: { type: 'boolean', default: false } } })
const tiers = ['wasm', 'avx512'] as const

const shapes = [
  { rows: 2, length: 256, heads: 6, headSize: 32 },
  { rows: 1, length: 256, heads: 12, headSize: 64 },
  { rows: 1, length: 1024, heads: 4, headSize: 64 },
  { rows: 1, length: 64, heads: 12, headSize: 64 },
]
type Shape = (typeof shapes)[number]

const results = []
for (const shape of shapes) {
  const { rows, length, heads, headSize } = shape
  const timers = await Promise.all(tiers.map((tier) => timerOf(shape, tier)))
  const best = tiers.map(() => [Infinity, Infinity])
  for (let round = 0; round < Number(options.rounds); round++)
    for (const [i, timer] of timers.entries()) best[i] = timer.run().map((ms, k) => Math.min(ms, best[i][k]))
  for (const { dispose } of timers) await dispose()
  const flops = 2 * rows * heads * headSize * length * (length + 1)
  for (const [k, name] of ['forward', 'backward'].entries())
    results.push({
      shape: `${rows} × ${length}, ${heads} heads of ${headSize}`,
      pass: name,
      wasmMs: round3(best[0][k]),
      nativeMs: round3(best[1][k]),
      ratio: round3(best[0][k] / best[1][k]),
      nativeGflops: Math.round(((k + 1) * flops) / best[1][k] / 1e6),
    })
}
if (options.json) console.log(JSON.stringify(results))
else console.table(results)

function round3(value: number): number {
  return Number(value.toPrecision(3))
}

async function timerOf(shape: Shape, tier: CpuTier) {
  const records = recordsOf(shape)
  const places = new Map<Tensor, number>()
  let bytes = 0
  for (const tensor of records.flatMap(({ reads, writes }) => [...Object.values(reads), ...Object.values(writes)]))
    if (!places.has(tensor)) {
      places.set(tensor, bytes)
      bytes += Math.ceil((4 * elements(tensor.shape)) / 64) * 64
    }
  const device = await createCpuDevice({ arenaBytes: bytes, threads: 1, records, tier })
  const at = (tensor: Tensor) => device.arenaStart + (places.get(tensor) ?? 0)
  for (const tensor of places.keys())
    if (tensor.dtype === 'f32')
      device.upload(
        at(tensor),
        Float32Array.from({ length: elements(tensor.shape) }, (_, i) => uniform(1, 0, 0, i)),
      )
  const program = device.compile(records, at)
  return {
    /** Milliseconds forward and backward. */
    run(): number[] {
      const times = new Float64Array(records.length)
      device.run(program, times)
      return [...times]
    },
    dispose: () => device.dispose(),
  }
}

function recordsOf({ rows, length, heads, headSize }: Shape): OpRecord[] {
  const N = rows * length
  let id = 0
  const tensor = (name: string, shape: number[], dtype: 'f32' | 'i32' = 'f32'): Tensor => ({ id: id++, name, shape, dtype, role: 'state' })
  const [qkv, dqkv] = [tensor('qkv', [N, 3 * heads * headSize]), tensor('dqkv', [N, 3 * heads * headSize])]
  const [y, dy] = [tensor('y', [N, heads * headSize]), tensor('dy', [N, heads * headSize])]
  const [lo, lse] = [tensor('lo', [N], 'i32'), tensor('lse', [N, heads])]
  const attributes = { heads, kvHeads: heads, headSize, length, causal: 1, scale: 1 / Math.sqrt(headSize), window: 0, softcap: 0 }
  const common = { adds: [], scratch: {}, attributes }
  return [
    { kernel: 'attention', reads: { qkv, lo }, writes: { y, lse }, ...common },
    { kernel: 'attention_backward', reads: { qkv, lo, y, lse, dy }, writes: { dqkv }, ...common },
  ]
}
