// Matrix products by machine code: its encodings, and that every tier of this machine gives the bits of the one below.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { createCpuDevice } from '../../src/tensor/cpu/cpu-device.ts'
import { Assembler, r9, r11, rax, rcx, rdi, rsi } from '../../src/tensor/cpu/native/assembler.ts'
import { type CpuTier, cpuTiers, hasBf16, isAvailable, isVectors } from '../../src/tensor/cpu/native/tier.ts'
import { CONTROL_WORDS, joinTeam } from '../../src/tensor/cpu/team.ts'
import type { Device } from '../../src/tensor/device.ts'
import type { OpRecord } from '../../src/tensor/graph.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { noise } from './harness.ts'
import { noiseOf, productsOf, resultsOn, size } from './products.ts'

const tiers = cpuTiers.filter(isVectors)

const hex = (assembler: Assembler) => Buffer.from(assembler.finish()).toString('hex')

test('kernels of another version are refused in a sentence', () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true })
  const control = new Int32Array(new SharedArrayBuffer(4 * CONTROL_WORDS))
  const module = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0)) // exports nothing
  for (const tier of ['wasm', ...tiers.filter(isAvailable)] as const)
    assert.throws(() => joinTeam({ module, memory, control, threads: 1, tier, precision: 'f32', blas: [], scratch: 0 }), {
      code: 'SLUICE_KERNEL_MISSING',
    })
})

test('instructions are encoded as other assemblers encode them', () => {
  const avx512 = new Assembler('avx512')
  avx512.multiplyAdd(0, 1, 2) // vfmadd231ps zmm0, zmm1, zmm2
  avx512.multiplyAdd(17, 18, 3) // vfmadd231ps zmm17, zmm18, zmm3
  avx512.broadcast(18, rsi, 4) // vbroadcastss zmm18, [rsi+4]
  avx512.zero(31) // vpxord zmm31, zmm31, zmm31
  assert.equal(hex(avx512), '62f27548b8c2' + '62e26d40b8cb' + '62e27d48189604000000' + '62010540efff')
  const bf16 = new Assembler('avx512')
  bf16.multiplyAddPairs(17, 18, 3) // vdpbf16ps zmm17, zmm18, zmm3
  bf16.roundPairs(0, 17, 2) // vcvtne2ps2bf16 zmm0, zmm17, zmm2
  bf16.permuteWords(20, 31, 4) // vpermw zmm20, zmm31, zmm4
  bf16.roundPairsMemory(20, 16, rsi, 64) // vcvtne2ps2bf16 zmm20, zmm16, [rsi+64]
  assert.equal(hex(bf16), '62e26e4052cb' + '62f2774072c2' + '62e285408de4' + '62e27f4072a640000000')
  const parts = new Assembler('avx512')
  parts.interleave('lower', 16, 1, 17) // vunpcklps zmm16, zmm1, zmm17
  parts.interleavePairs('upper', 3, 20, 18) // vunpckhpd zmm3, zmm20, zmm18
  parts.quarters('odd', 8, 16, 24) // vshuff32x4 zmm8, zmm16, zmm24, 0xdd
  parts.storeHalf('upper', 17, r11, 32) // vextractf64x4 [r11+32], zmm17, 1
  parts.prefetch(rsi, r9, 64) // prefetcht0 [rsi+r9+64]
  parts.prefetchLater(r9, 64) // prefetcht1 [r9+64]
  parts.multiplyAddMemory(17, 2, rsi, 64) // vfmadd231ps zmm17, zmm2, [rsi+64]
  assert.equal(
    hex(parts),
    '62a17448' +
      '14c1' +
      '62b1dd4015da' +
      '6213' +
      '7d4023c0dd' +
      '62c3fd481b8b2000000001' +
      '420f188c0e40000000' +
      '410f189140000000' +
      '62e26d48b88e40000000',
  )
  const avx2 = new Assembler('avx2')
  avx2.multiplyAdd(0, 1, 2) // vfmadd231ps ymm0, ymm1, ymm2
  avx2.loadVector(12, r11, 32) // vmovups ymm12, [r11+32]
  avx2.addMemory(3, rdi, 64) // vaddps ymm3, ymm3, [rdi+64]
  assert.equal(hex(avx2), 'c4e275b8c2' + 'c4417c10a320000000' + 'c4e164589f40000000')
  const general = new Assembler('avx2')
  general.load(rax, rdi, 8) // mov rax, [rdi+8]
  general.copy(r11, rax) // mov r11, rax
  general.subtractNumber(rax, 1) // sub rax, 1
  assert.equal(hex(general), '488b8708000000' + '4989c3' + '4881e801000000')
})

test('instructions of attention are encoded as other assemblers encode them', () => {
  const code = new Assembler('avx512')
  code.store(r9, rsi, 8) // mov [rsi+8], r9
  code.addLoaded(rcx, rdi, 8) // add rcx, [rdi+8]
  code.multiplyNumber(r11, 256) // imul r11, r11, 256
  code.number(rax, 7) // mov eax, 7
  code.number(r9, 7) // mov r9d, 7
  assert.equal(hex(code), '4c898e08000000' + '48038f08000000' + '4d69db00010000' + 'b807000000' + '41b907000000')
  const vectors = new Assembler('avx512')
  vectors.subtractVectors(1, 2, 19) // vsubps zmm1, zmm2, zmm19
  vectors.multiplyVectors(17, 2, 3) // vmulps zmm17, zmm2, zmm3
  vectors.multiplyMemory(17, 2, rsi, 64) // vmulps zmm17, zmm2, [rsi+64]
  vectors.maximum(1, 20, 3) // vmaxps zmm1, zmm20, zmm3
  vectors.multiplyThenAdd(1, 20, 3) // vfmadd213ps zmm1, zmm20, zmm3
  vectors.round(1, 16) // vrndscaleps zmm1, zmm16, 8
  vectors.scalePower(0, 2, 17) // vscalefps zmm0, zmm2, zmm17
  vectors.exponent(4, 20) // vgetexpps zmm4, zmm20
  vectors.mantissa(20, 4) // vgetmantps zmm20, zmm4, 3
  assert.equal(
    hex(vectors),
    '62b16c485ccb' +
      '62e16c4859cb' +
      '62e16c48598e40000000' +
      '62f15c405fcb' +
      '62f25d40a8cb' +
      '62b37d4808c808' +
      '62b26d482cc1' +
      '62b27d4842e4' +
      '62e37d4826e403',
  )
  const masks = new Assembler('avx512')
  masks.maskFrom(2, r9) // kmovw k2, r9d
  masks.loadMasked(3, 1, rsi, 64) // vmovups zmm3{k1}{z}, [rsi+64]
  masks.storeMasked(19, 1, rsi, 64) // vmovups [rsi+64]{k1}, zmm19
  masks.choose(5, 2, 5, 27) // vblendmps zmm5{k2}, zmm27, zmm5
  masks.divideMasked(0, 2, 20, 29) // vdivps zmm0{k2}{z}, zmm20, zmm29
  masks.scalePowerMasked(0, 2, 2, 17) // vscalefps zmm0{k2}{z}, zmm2, zmm17
  assert.equal(
    hex(masks),
    'c4c17892d1' + '62f17cc9109e40000000' + '62e17c49119e40000000' + '62f2254265ed' + '62915cc25ec5' + '62b26dca2cc1',
  )
  const integers = new Assembler('avx512')
  integers.spread(3, r9) // vpbroadcastd zmm3, r9d
  integers.addIntegers(29, 29, 31) // vpaddd zmm29, zmm29, zmm31
  integers.subtractIntegers(29, 29, 30) // vpsubd zmm29, zmm29, zmm30
  integers.maskBelow(2, 29, 30) // vpcmpltud k2, zmm29, zmm30
  assert.equal(hex(integers), '62d27d487cd9' + '62011540feef' + '62011540faee' + '629315401ed601')
})

/** Bytes that the products of one property run may use. */
const ARENA = 1 << 24
const devices = new Map<CpuTier, Device>()
before(async () => {
  for (const tier of cpuTiers)
    if (isAvailable(tier)) devices.set(tier, await createCpuDevice({ arenaBytes: ARENA, threads: 2, records: [], tier }))
})
after(async () => {
  for (const device of devices.values()) await device.dispose()
})

for (const tier of tiers)
  test(`${tier}: products of all shapes and transposes, added and with a bias, have the bits of WASM`, {
    skip: isAvailable(tier) ? false : `no ${tier} here`,
  }, () => {
    fc.assert(
      fc.property(size, size, size, fc.boolean(), fc.boolean(), (N, K, M, adds, isInOut) => {
        const { tensors, records } = productsOf(N, K, M, adds, isInOut)
        const results = ['wasm' as const, tier].map((name) => resultsOn(devices.get(name), Object.values(tensors), records))
        assert.deepEqual(results[1], results[0])
      }),
      { numRuns: 25 },
    )
  })

test('avx512: products of few rows, which read the matrix where it lies, have the bits of WASM', {
  skip: isAvailable('avx512') ? false : 'no avx512 here',
}, () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), size, size, fc.boolean(), fc.boolean(), (N, K, M, isInOut, hasBias) => {
      const { tensors, records } = productsOf(N, K, M, false, isInOut)
      const { b, ...reads } = records[0].reads
      const product = { ...records[0], reads: hasBias ? { ...reads, b } : reads }
      const results = (['wasm', 'avx512'] as const).map((name) => resultsOn(devices.get(name), Object.values(tensors), [product]))
      assert.deepEqual(results[1], results[0])
    }),
    { numRuns: 100 },
  )
})

/** Products of fewer rows are not rounded. */
const manyRows = size.filter((N) => N > 8)

test('bf16: products are those of operands rounded to the nearest even, for any number of threads', {
  skip: hasBf16() ? false : 'no AVX-512 BF16 here',
}, async () => {
  const create = (threads: number) => createCpuDevice({ arenaBytes: ARENA, threads, records: [], precision: 'bf16' })
  const [one, two] = await Promise.all([create(1), create(2)])
  fc.assert(
    fc.property(manyRows, size, size, fc.boolean(), fc.boolean(), (N, K, M, adds, isInOut) => {
      const { tensors, records } = productsOf(N, K, M, adds, isInOut)
      const all = Object.values(tensors)
      const results = resultsOn(one, all, records)
      assert.deepEqual(resultsOn(two, all, records), results)
      const [x, w] = [noise(N * K, 1), noise(K * M, 2)].map((values) => values.map(roundToBf16))
      const b = noise(M, 3)
      const y = results[tensors.y.id]
      for (let i = 0; i < 20; i++) {
        const [row, column] = [(i * 31) % N, (i * 17) % M]
        let [sum, sizes] = [b[column], Math.abs(b[column])]
        for (let k = 0; k < K; k++) {
          const product = x[row * K + k] * w[isInOut ? k * M + column : column * K + k]
          sum += product
          sizes += Math.abs(product)
        }
        assert.ok(Math.abs(y[row * M + column] - sum) <= 1e-5 * sizes, `y[${row},${column}] of ${N}×${K}×${M}`)
      }
    }),
    { numRuns: 25 },
  )
  await Promise.all([one.dispose(), two.dispose()])
})

const floatBits = new DataView(new ArrayBuffer(4))

/** As the hardware: the nearest bf16, of two the even one. */
function roundToBf16(value: number): number {
  floatBits.setFloat32(0, value)
  const bits = floatBits.getUint32(0)
  floatBits.setUint32(0, ((bits + 0x7fff + ((bits >>> 16) & 1)) & 0xffff0000) >>> 0)
  return floatBits.getFloat32(0)
}

test('bf16 is refused where the tier cannot multiply it', async () => {
  await assert.rejects(createCpuDevice({ arenaBytes: ARENA, threads: 1, records: [], tier: 'wasm', precision: 'bf16' }), {
    code: 'SLUICE_CPU_PRECISION',
  })
})

test('the tier can be chosen, and without native code it is WASM', () => {
  const script = `import { chooseTier } from ${JSON.stringify(new URL('../../src/tensor/cpu/native/tier.ts', import.meta.url).href)}
    try { console.log(chooseTier()) } catch (error) { console.log(error.code, error.message) }`
  const tierWith = (env: Record<string, string>) =>
    execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      env: { ...process.env, SLUICE_CPU: '', ...env },
    }).trim()
  assert.equal(tierWith({ SLUICE_NATIVE: 'off' }), 'wasm')
  assert.equal(tierWith({ SLUICE_CPU: 'wasm' }), 'wasm')
  assert.match(tierWith({ SLUICE_CPU: 'sse' }), /^SLUICE_CPU .*sse/)
  assert.match(tierWith({ SLUICE_CPU: 'avx2', SLUICE_NATIVE: 'off' }), /^SLUICE_CPU .*does not have/)
})

test('where the system refuses to make memory executable, the tier is WASM, and the reason is told', (t) => {
  const module = (path: string) => JSON.stringify(new URL(`../../src/${path}`, import.meta.url).href)
  // PR_SET_MDWE (65): no page that was not executable becomes so, in a process of its own
  const script = `import { loadLibrary } from ${module('core/native.ts')}
    import { chooseTier, whyNot } from ${module('tensor/cpu/native/tier.ts')}
    const prctl = loadLibrary(['libc.so.6', 'libc.musl-x86_64.so.1'])?.func('int prctl(int, ulong, ulong, ulong, ulong)')
    console.log(prctl?.(65, 1, 0, 0, 0) ?? -1, chooseTier(), '/', whyNot('avx2'))`
  const isLinux = process.platform === 'linux' && process.arch === 'x64'
  if (!isLinux || !isAvailable('avx2')) return t.skip('no avx2 here')
  const out = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    env: { ...process.env, SLUICE_CPU: '' },
  })
  if (!out.startsWith('0 ')) return t.skip('this kernel cannot forbid executable memory')
  assert.match(out, /^0 wasm \/ the system refuses/)
})

test('avx512: activations and gates are those of WASM, also far from 0, in gradients that are added, and for what is no number', {
  skip: isAvailable('avx512') ? false : 'no avx512 here',
}, () => {
  const near = (mine: Float32Array, wasm: Float32Array) =>
    mine.forEach((value, i) => {
      if (Number.isNaN(wasm[i])) assert.ok(Number.isNaN(value))
      else assert.ok(Math.abs(value - wasm[i]) <= 2e-6 * (1 + Math.abs(wasm[i])), `${value}, by WASM ${wasm[i]}`)
    })
  fc.assert(
    fc.property(
      fc.constantFrom(0, 1),
      fc.integer({ min: 1, max: 70 }),
      fc.constantFrom(16, 48, 60, 320),
      fc.boolean(),
      (kind, N, F, adds) => {
        const { tensors, records } = curvesOf(kind, N, F, adds)
        const special = [1e9, -1e9, 1e4, -1e4, 90, -90, 0, -0, Number.NaN, 1e-30]
        const inputOf = (tensor: Tensor) => {
          const values = noiseOf(tensor)
          if (tensor === tensors[0]) values.set(special)
          return values
        }
        const [wasm, mine] = ['wasm' as const, 'avx512' as const].map((name) => resultsOn(devices.get(name), tensors, records, inputOf))
        mine.forEach((values, i) => {
          near(values, wasm[i])
        })
      },
    ),
    { numRuns: 25 },
  )
})

/** An activation and a gate over the same numbers, forward and backward. */
function curvesOf(kind: number, N: number, F: number, adds: boolean) {
  const shapes = { x: [N, 2 * F], a: [N, 2 * F], da: [N, 2 * F], dx: [N, 2 * F], y: [N, F], dy: [N, F], dgate: [N, 2 * F] }
  const tensors = Object.entries(shapes).map(([name, shape], id): Tensor => ({ id, name, shape, dtype: 'f32', role: 'state' }))
  const [x, a, da, dx, y, dy, dgate] = tensors
  const common = { adds: adds ? ['dx'] : [], scratch: {}, attributes: { kind } }
  const records: OpRecord[] = [
    { kernel: 'activation', reads: { x }, writes: { y: a }, ...common },
    { kernel: 'activation_backward', reads: { x, dy: da }, writes: { dx }, ...common },
    { kernel: 'gated', reads: { x }, writes: { y }, ...common },
    { kernel: 'gated_backward', reads: { x, dy }, writes: { dx: dgate }, ...common },
  ]
  return { tensors, records }
}
