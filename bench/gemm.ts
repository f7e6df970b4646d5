// Matrix products on the CPU device in GFLOP/s, with 1 and 2 threads: square ones, and those of a training step, whose
// operands are transposed in every way. A result of each is checked against f64.
// node --conditions=source bench/gemm.ts [--json]

import { createCpuDevice } from '../src/tensor/cpu/cpu-device.ts'
import type { OpRecord } from '../src/tensor/graph.ts'
import { addresses, placePersistent } from '../src/tensor/plan.ts'
import { normalInto } from '../src/tensor/rng.ts'
import { elements } from '../src/tensor/shape.ts'
import type { Tensor } from '../src/tensor/tensor.ts'

const SECONDS = 0.4
const ROUNDS = 4

/** y[N,M] = x[N,K]·wᵀ, then dx = dy·w, then dw = dyᵀ·x. */
const shapes: readonly (readonly [name: string, N: number, K: number, M: number])[] = [
  ...[64, 128, 256, 512, 768, 1024, 1536, 2048].map((n) => [`${n}³`, n, n, n] as const),
  ['width 192, qkv', 2048, 192, 576],
  ['width 192, down', 2048, 512, 192],
  ['width 192, head', 512, 192, 8192],
  ['GPT-2 124M, qkv', 256, 768, 2304],
  ['GPT-2 124M, up', 256, 768, 3072],
]

interface Row {
  readonly shape: string
  readonly product: string
  readonly threads: number
  readonly gflops: number
  readonly error: number
}

const rows: Row[] = []
for (const threads of [1, 2]) for (const [name, N, K, M] of shapes) rows.push(...(await measure(name, N, K, M, threads)))
if (process.argv.includes('--json')) console.log(JSON.stringify(rows))
else console.table(rows)

async function measure(shape: string, N: number, K: number, M: number, threads: number): Promise<Row[]> {
  const tensors = Object.entries({ x: [N, K], w: [M, K], y: [N, M], dx: [N, K], dw: [M, K] }).map(
    ([name, shape], id): Tensor => ({ id, name, shape, dtype: 'f32', role: 'state' }),
  )
  const [x, w, y, dx, dw] = tensors
  const record = (kernel: 'linear' | 'linear_backward', writes: OpRecord['writes']): OpRecord => ({
    kernel,
    reads: { x, w, dy: y },
    writes,
    adds: [],
    scratch: {},
    attributes: { inOut: 0 },
  })
  const { endBytes } = placePersistent(tensors, 0)
  const device = await createCpuDevice({ arenaBytes: endBytes, threads, records: [] })
  const at = addresses(placePersistent(tensors, device.arenaStart))
  for (const tensor of [x, w]) {
    const values = new Float32Array(elements(tensor.shape))
    normalInto(1, 0, tensor.id, 1, values)
    device.upload(at(tensor), values)
  }
  const measured = (['y = x wᵀ', 'dx = dy w', 'dw = dyᵀ x'] as const).map((product, i) => {
    const records = [record('linear', { y }), record('linear_backward', { dx }), record('linear_backward', { dw })]
    const program = device.compile([records[i]], at)
    const gflops = (2 * N * K * M) / best(() => device.run(program)) / 1e9
    return { shape, product, threads, gflops: Math.round(gflops * 10) / 10, error: 0 }
  })
  const values = (tensor: Tensor) => {
    const out = new Float32Array(elements(tensor.shape))
    device.download(at(tensor), out)
    return out
  }
  const [vx, vw, vy, vdx, vdw] = tensors.map(values)
  await device.dispose()
  // relative to the size of a sum of that many random products
  const errors = [
    worst(N, M, K, (i, j, k) => vx[i * K + k] * vw[j * K + k], vy) / Math.sqrt(K),
    worst(N, K, M, (i, j, k) => vy[i * M + k] * vw[k * K + j], vdx) / Math.sqrt(K * M),
    worst(M, K, N, (i, j, k) => vy[k * M + i] * vx[k * K + j], vdw) / Math.sqrt(K * N),
  ]
  return measured.map((row, i) => {
    if (!(errors[i] < 1e-5)) throw new Error(`${row.shape}, ${row.product} is wrong by ${errors[i]}`)
    return { ...row, error: Number(errors[i].toExponential(1)) }
  })
}

/** Seconds of one call in the best of a few rounds, after one to warm up. */
function best(run: () => void): number {
  let seconds = Infinity
  for (let round = 0; round <= ROUNDS; round++) {
    const start = performance.now()
    let calls = 0
    let elapsed = 0
    do {
      run()
      calls++
      elapsed = (performance.now() - start) / 1e3
    } while (elapsed < SECONDS / ROUNDS)
    if (round > 0) seconds = Math.min(seconds, elapsed / calls)
  }
  return seconds
}

/** Largest difference of a few elements from their f64 sum. */
function worst(rows: number, columns: number, depth: number, term: (i: number, j: number, k: number) => number, c: Float32Array): number {
  let largest = 0
  for (const i of [0, rows >> 1, rows - 1])
    for (const j of [0, 5, columns >> 1, columns - 1]) {
      let sum = 0
      for (let k = 0; k < depth; k++) sum += term(i, j, k)
      largest = Math.max(largest, Math.abs(sum - c[i * columns + j]))
    }
  return largest
}
