// Matrix products by a BLAS: a stand-in for Accelerate (blas.c) against WASM. Sums run in another order, so bits may differ.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { machineMemoryBytes } from '../../src/core/machine-memory.ts'
import { createCpuDevice } from '../../src/tensor/cpu/cpu-device.ts'
import { accelerate, blasGemm, hasBlas, inColumns } from '../../src/tensor/cpu/native/blas.ts'
import { isAvailable, whyNot } from '../../src/tensor/cpu/native/tier.ts'
import { gemm, rowMajor, transposed } from '../../src/tensor/cpu/product.ts'
import { noiseOf, productsOf, resultsOn, size } from './products.ts'

const ARENA = 1 << 24
const noCompiler = (() => {
  try {
    execFileSync('cc', ['--version'], { stdio: 'ignore' })
    return false
  } catch {
    return 'no cc here'
  }
})()

/** The stand-in, compiled once for each source and kept under build/. */
function buildBlas(): string {
  const source = fileURLToPath(new URL('blas.c', import.meta.url))
  const folder = new URL('../../build/blas/', import.meta.url)
  const hash = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 16)
  const library = fileURLToPath(new URL(`blas-${hash}.so`, folder))
  if (existsSync(library)) return library
  mkdirSync(folder, { recursive: true })
  const unfinished = `${library}.${process.pid}`
  execFileSync('cc', ['-O2', '-shared', '-fPIC', source, '-o', unfinished])
  renameSync(unfinished, library)
  return library
}

/** Products by WASM on two threads and by a BLAS on some. */
async function devicesOf(threads: number, blas: readonly string[]) {
  const common = { arenaBytes: ARENA, records: [] }
  const wasm = await createCpuDevice({ ...common, threads: 2, tier: 'wasm' })
  return { wasm, blas: await createCpuDevice({ ...common, threads, tier: 'accelerate', blas }) }
}

function checkProducts(threads: number, blas: readonly string[]) {
  return async () => {
    const devices = await devicesOf(threads, blas)
    let differing = 0
    fc.assert(
      fc.property(size, size, size, fc.boolean(), fc.boolean(), (N, K, M, adds, isInOut) => {
        const { tensors, records } = productsOf(N, K, M, adds, isInOut)
        const all = Object.values(tensors)
        const [wasm, mine] = [devices.wasm, devices.blas].map((device) => resultsOn(device, all, records))
        // all of it is sums of products: of sizes, it gives the sums of their sizes
        const sizes = resultsOn(devices.wasm, all, records, (tensor) => noiseOf(tensor).map(Math.abs))
        all.forEach(({ name }, tensor) => {
          mine[tensor].forEach((value, i) => {
            if (value !== wasm[tensor][i]) differing++
            if (!(Math.abs(value - wasm[tensor][i]) <= 1e-5 * sizes[tensor][i]))
              assert.fail(`${name}[${i}] of ${N}×${K}×${M} is ${value}, by WASM ${wasm[tensor][i]}`)
          })
        })
      }),
      { numRuns: 25 },
    )
    assert.ok(differing > 0, 'WASM has computed it all')
    await Promise.all([devices.wasm.dispose(), devices.blas.dispose()])
  }
}

for (const threads of [1, 3])
  test(
    `products of all shapes and transposes, added and with a bias, are those of WASM but for the order of sums, ${threads === 1 ? 'one thread' : `${threads} threads`}`,
    {
      skip: noCompiler,
    },
    () => checkProducts(threads, [buildBlas()])(),
  )

test('beyond 8 GiB a BLAS gives the bits that it gives below', {
  skip: noCompiler || (machineMemoryBytes() < 9 * 2 ** 30 ? 'this machine has less than 9 GiB' : false),
}, async () => {
  const blas = [buildBlas()]
  const create = (arenaBytes: number) => createCpuDevice({ arenaBytes, threads: 2, records: [], tier: 'accelerate', blas })
  const [below, beyond] = [await create(ARENA), await create(8.5 * 2 ** 30)]
  const { tensors, records } = productsOf(61, 130, 77, true, false)
  const all = Object.values(tensors)
  const high = { ...beyond, arenaStart: beyond.arenaStart + 8.25 * 2 ** 30 }
  assert.deepEqual(resultsOn(high, all, records), resultsOn(below, all, records))
  await Promise.all([below.dispose(), beyond.dispose()])
})

test('Accelerate: products are those of WASM but for the order of sums', {
  skip: isAvailable('accelerate') ? false : 'no Accelerate here',
}, async () => {
  return checkProducts(2, accelerate)()
})

test('each thread has a block of columns at most, and narrow products are one block', () => {
  const launch = (N: number) => gemm({ M: 100, N, K: 50, a: rowMajor(0, 50), b: transposed(0, 50), c: 0, adds: 0 })
  for (const [N, threads, blocks] of [
    [1000, 3, 3],
    [1000, 1, 1],
    [60, 8, 1],
    [130, 8, 3],
  ])
    assert.equal(inColumns(launch(N), threads).blocks, blocks, `${N} columns, ${threads} threads`)
})

test('operands with gaps both ways are left to WASM', { skip: noCompiler }, () => {
  const spread = gemm({ M: 8, N: 8, K: 8, a: { address: 0, row: 20, column: 2 }, b: rowMajor(4096, 8), c: 8192, adds: 0 })
  assert.equal(inColumns(spread, 2), spread)
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true })
  new Int32Array(memory.buffer).set([...spread.words, 8, 8], 4096)
  const calls: number[][] = []
  const storeBlock = () => assert.fail('nothing to store')
  blasGemm([buildBlas()], memory, { storeBlock, gemm: (...given) => calls.push(given) })?.(16384, 0, 32768)
  assert.deepEqual(calls, [[16384, 0, 32768]])
})

test('a library that is not there, or is no BLAS, is none; bf16 is refused', { skip: noCompiler }, async () => {
  assert.equal(hasBlas([buildBlas()]), true)
  assert.equal(hasBlas(['libnothing-of-the-kind.so']), false)
  assert.equal(hasBlas(['libc.so.6', 'libc.musl-x86_64.so.1', '/usr/lib/libSystem.B.dylib']), false)
  const common = { arenaBytes: ARENA, threads: 1, records: [], tier: 'accelerate' as const }
  await assert.rejects(createCpuDevice({ ...common, blas: [] }), /cannot run code for accelerate/)
  await assert.rejects(createCpuDevice({ ...common, precision: 'bf16' }), { code: 'SLUICE_CPU_PRECISION' })
  if (process.platform !== 'darwin') assert.equal(whyNot('accelerate'), 'for macOS only')
})
