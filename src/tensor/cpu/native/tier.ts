// How the CPU device multiplies matrices: by WASM, which is always there, or by machine code for wider vectors, where the
// processor and the system have it, or by macOS's Accelerate. Products of f32 have the same bits with all of these but
// Accelerate, which sums in an order of its own; attention and activations differ in their last digits.

import { readFileSync } from 'node:fs'
import { SluiceError } from '../../../core/errors.ts'
import { loadKoffi } from '../../../core/native.ts'
import type { CpuPrecision } from '../../precision.ts'
import { type Vectors, vectorBytes } from './assembler.ts'
import { accelerate, hasBlas } from './blas.ts'
import { makeExecutable } from './executable.ts'
import { gemmCode } from './gemm-code.ts'
import { allowTiles, tilesMultiply } from './tiles.ts'

export const cpuTiers = ['avx512', 'avx2', 'accelerate', 'wasm'] as const
export type CpuTier = (typeof cpuTiers)[number]

/** Whether the tier is machine code of ours. */
export const isVectors = (tier: CpuTier): tier is Vectors => tier === 'avx512' || tier === 'avx2'

/** Flags of /proc/cpuinfo that a tier asks for. */
const neededFlags: Readonly<Record<Vectors, readonly string[]>> = { avx512: ['avx512f'], avx2: ['avx2', 'fma'] }

/** The fastest tier of this machine, or the one that SLUICE_CPU names. */
export function chooseTier(): CpuTier {
  const wanted = process.env.SLUICE_CPU
  if (wanted === undefined || wanted === '') return cpuTiers.find((tier) => isAvailable(tier)) ?? 'wasm'
  const tier = cpuTiers.find((name) => name === wanted)
  if (!tier)
    throw new SluiceError('SLUICE_CPU', `SLUICE_CPU is ${wanted}, which is no way to compute`, {
      fix: `set it to one of ${cpuTiers.join(', ')}`,
    })
  if (!isAvailable(tier))
    throw new SluiceError('SLUICE_CPU', `SLUICE_CPU asks for ${tier}, which this machine does not have`, {
      fix: `set it to one of ${cpuTiers.filter((name) => isAvailable(name)).join(', ')}, or leave it out`,
    })
  return tier
}

export function isAvailable(tier: CpuTier): boolean {
  return whyNot(tier) === undefined
}

/** Why this machine does not have a tier, for people; undefined where it has. */
export function whyNot(tier: CpuTier): string | undefined {
  if (tier === 'wasm') return undefined
  if (tier === 'accelerate' && process.platform !== 'darwin') return 'for macOS only'
  if (isVectors(tier) && (process.platform !== 'linux' || process.arch !== 'x64')) return 'for Linux on x86-64 only'
  const missing = isVectors(tier) ? neededFlags[tier].filter((flag) => !processorFlags().has(flag)) : []
  if (missing.length > 0) return `the processor has no ${missing.join(', ')}`
  if (!loadKoffi()) return process.env.SLUICE_NATIVE === 'off' ? 'SLUICE_NATIVE is off' : 'koffi is not installed'
  if (!isVectors(tier)) return hasBlas(accelerate) ? undefined : 'the system does not load Accelerate'
  return probe(tier) ? undefined : 'the system refuses to make memory executable'
}

const bf16Flags = ['avx512_bf16', 'avx512bw']

/** Whether products of operands rounded to bf16 can be computed by this machine. */
export function hasBf16(): boolean {
  return bf16Flags.every((flag) => processorFlags().has(flag)) && isAvailable('avx512')
}

const amxFlags = ['amx_tile', 'amx_bf16']
let amx: boolean | undefined

/** Whether tiles multiply bf16 here: the processor has them, the system lets us use them, and they count right. */
export function hasAmx(): boolean {
  amx ??= amxFlags.every((flag) => processorFlags().has(flag)) && hasBf16() && allowTiles() && tilesMultiply()
  return amx
}

/** @throws SluiceError SLUICE_CPU_PRECISION where the tier cannot multiply operands of this precision */
export function requirePrecision(precision: CpuPrecision, tier: CpuTier): void {
  if (precision === 'f32' || (tier === 'avx512' && hasBf16())) return
  throw new SluiceError(
    'SLUICE_CPU_PRECISION',
    `bf16 products need a processor with AVX-512 BF16 and its tier avx512, here it is ${tier}`,
    {
      fix: 'train with f32',
    },
  )
}

let flags: ReadonlySet<string> | undefined

function processorFlags(): ReadonlySet<string> {
  if (flags) return flags
  let info = ''
  try {
    info = readFileSync('/proc/cpuinfo', 'utf8')
  } catch {
    // not Linux
  }
  flags = new Set(/^flags\s*:\s*(.*)$/m.exec(info)?.[1].split(' ') ?? [])
  return flags
}

const probed = new Map<Vectors, boolean>()

/** Whether the code may run: a policy may forbid pages that are made executable. */
function probe(vectors: Vectors): boolean {
  const known = probed.get(vectors)
  if (known !== undefined) return known
  const works = vectorBytes(vectors) > 0 && makeExecutable(gemmCode(vectors)) !== undefined
  probed.set(vectors, works)
  return works
}
