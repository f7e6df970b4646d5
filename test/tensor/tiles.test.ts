// Products with AMX: the encodings, and the code itself, run by a decoder of its bytes over operands that the real packing made.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { loadKernel } from '../../src/core/kernels.ts'
import { loadKoffi } from '../../src/core/native.ts'
import { Assembler, r8, r12, rax, rbp, rcx, rdx, rsi, type Vectors } from '../../src/tensor/cpu/native/assembler.ts'
import { gemmParameters } from '../../src/tensor/cpu/native/gemm-code.ts'
import { multipliers } from '../../src/tensor/cpu/native/multiplier.ts'
import { type PackKernels, packedDepth, packerOf } from '../../src/tensor/cpu/native/pack.ts'
import { hasBf16 } from '../../src/tensor/cpu/native/tier.ts'
import { tileConfiguration } from '../../src/tensor/cpu/native/tile-code.ts'
import { tileProbe } from '../../src/tensor/cpu/native/tiles.ts'
import { noise } from './harness.ts'
import { runTileCode } from './tile-machine.ts'

test('instructions of tiles are encoded as other assemblers encode them', () => {
  const code = new Assembler('avx512')
  code.configureTiles(rax) // ldtilecfg [rax]
  code.releaseTiles() // tilerelease
  code.zeroTile(3) // tilezero tmm3
  code.loadTile(4, rsi, rbp, 64) // tileloadd tmm4, [rsi+rbp+64]
  code.loadTile(7, rdx, r12, 0x40000000) // tileloadd tmm7, [rdx+r12+0x40000000]
  code.storeTile(1, rcx, r8, 0) // tilestored [rcx+r8], tmm1
  code.multiplyAddTiles(3, 5, 7) // tdpbf16ps tmm3, tmm5, tmm7
  assert.equal(
    Buffer.from(code.finish()).toString('hex'),
    'c4e2784980' +
      '00000000' +
      'c4e27849c0' +
      'c4e27b49d8' +
      'c4e27b4ba42e40000000' +
      'c4a27b4bbc2200000040' +
      'c4a27a4b8c0100000000' +
      'c4e2425cdd',
  )
})

const { a: formatA, b: formatB, code, tile } = multipliers['amx-bf16']

/** Where things lie in the memory, bytes. */
const [PARAMETERS, CONFIGURATION, OPERAND_A, OPERAND_B, PACKED_A, PACKED_B, SUMS] = [1, 2, 16, 32, 48, 64, 80].map((n) => n * 65536)

function machine() {
  const memory = new WebAssembly.Memory({ initial: 128, maximum: 128, shared: true })
  new Uint8Array(memory.buffer).set(tileConfiguration, CONFIGURATION)
  return { memory, floats: new Float32Array(memory.buffer), words: new BigInt64Array(memory.buffer) }
}

function run({ memory, words }: ReturnType<typeof machine>, given: Partial<Record<keyof typeof gemmParameters, number>>): void {
  const all = { panelsOfA: PACKED_A, panelsOfB: PACKED_B, c: SUMS, tiles: CONFIGURATION, ...given }
  for (const name of Object.keys(gemmParameters) as (keyof typeof gemmParameters)[])
    words[PARAMETERS / 8 + gemmParameters[name]] = BigInt(all[name] ?? 0)
  runTileCode(code(), memory.buffer, PARAMETERS)
}

test('the product that is asked for before tiles are trusted comes out as expected', () => {
  const { rows, pairs, c } = tileProbe()
  const at = machine()
  new Uint8Array(at.memory.buffer).set(new Uint8Array(rows.buffer), PACKED_A)
  new Uint8Array(at.memory.buffer).set(new Uint8Array(pairs.buffer), PACKED_B)
  run(at, { depth: 32, rowBytes: 128, aPanels: 1, bPanels: 1 })
  assert.deepEqual(at.floats.subarray(SUMS / 4, SUMS / 4 + c.length), c)
})

const waysToPack: readonly Vectors[] = ['avx2', 'avx512']
for (const vectors of waysToPack)
  test(`products of all shapes and transposes, operands packed ${vectors === 'avx2' ? 'by WASM' : 'by AVX-512'}`, {
    skip: vectors === 'avx2' || hasBf16() ? false : 'no AVX-512 BF16 here',
  }, () => {
    const size = fc.integer({ min: 1, max: 100 })
    fc.assert(
      fc.property(size, size, size, fc.boolean(), fc.boolean(), fc.boolean(), (M, N, K, isTurnedA, isTurnedB, adds) => {
        const at = machine()
        const base = loadKoffi()?.address(new Uint8Array(at.memory.buffer)) ?? 0n
        const [a, b] = [noise(M * K, 1), noise(K * N, 2)]
        at.floats.set(a, OPERAND_A / 4)
        at.floats.set(b, OPERAND_B / 4)
        const kernels = packKernels(at.memory)
        const ofA = isTurnedA ? { laneStride: 1, stepStride: M } : { laneStride: K, stepStride: 1 }
        const ofB = isTurnedB ? { laneStride: K, stepStride: 1 } : { laneStride: 1, stepStride: N }
        packerOf(vectors, formatA, kernels, base)({ address: OPERAND_A / 4, ...ofA }, M, K, PACKED_A / 4)
        packerOf(vectors, formatB, kernels, base)({ address: OPERAND_B / 4, ...ofB }, N, K, PACKED_B / 4)
        const [aPanels, bPanels] = [Math.ceil(M / tile.rows), Math.ceil(N / tile.columns)]
        const rowFloats = bPanels * tile.columns + 16
        at.floats.fill(1, SUMS / 4, SUMS / 4 + aPanels * tile.rows * rowFloats)
        run(at, { depth: packedDepth(K, formatA.depthMultiple), rowBytes: 4 * rowFloats, aPanels, bPanels, adds: Number(adds) })
        for (let i = 0; i < M; i++)
          for (let j = 0; j < N; j++) {
            let [sum, sizes] = [Number(adds), Number(adds)]
            for (let k = 0; k < K; k++) {
              const product = a[i * ofA.laneStride + k * ofA.stepStride] * b[j * ofB.laneStride + k * ofB.stepStride]
              sum += product
              sizes += Math.abs(product)
            }
            assert.ok(Math.abs(at.floats[SUMS / 4 + i * rowFloats + j] - sum) <= 0.01 * sizes, `${M}×${N}×${K} at ${i}, ${j}`)
          }
      }),
      { numRuns: 12 },
    )
  })

function packKernels(memory: WebAssembly.Memory): PackKernels {
  const { exports } = new WebAssembly.Instance(loadKernel('tensor'), { env: { memory } })
  const kernel = (name: keyof PackKernels) => {
    const exported = exports[name]
    if (typeof exported !== 'function') throw new TypeError(`the tensor kernels export no ${name}`)
    return (...words: number[]): void => exported(...words)
  }
  return { packPanel: kernel('packPanel'), packPairs: kernel('packPairs'), packRows: kernel('packRows') }
}
