// How the threads of the CPU device walk a list of launches together. They share one WebAssembly memory that holds the
// arena, the launches and each thread's scratch, and a few control words. Every thread walks the same list: it takes blocks
// of the current launches from a counter until none are left, then waits for the others. One wake-up a program, none a launch.

import { SluiceError } from '../../core/errors.ts'
import type { CpuPrecision } from '../precision.ts'
import { KERNELS, type Launch, type WasmKernel } from './launch.ts'
import { nativeAttention } from './native/attention.ts'
import { nativeAttentionRow } from './native/attention-row.ts'
import { blasGemm } from './native/blas.ts'
import { nativeCurves } from './native/curves.ts'
import { nativeGemm } from './native/gemm.ts'
import { multiplierName } from './native/multiplier.ts'
import { nativeRows, rowsProducts } from './native/rows.ts'
import { type CpuTier, hasAmx, isVectors } from './native/tier.ts'

/** Control words, an Int32Array over a SharedArrayBuffer. */
export const RUN = 0 // counts programs; workers sleep on it
export const FIRST = 1 // where the first launch is
export const COUNT = 2 // launches to walk; 0 sends the workers home
const NEXT_BLOCK = 16 // each on a cache line of its own
const ARRIVED = 32
const ROUND = 48 // counts barriers
export const CONTROL_WORDS = 64

/** Words of a launch: index of its kernel, number of blocks, whether it joins the one before, then its arguments. */
export const LAUNCH_WORDS = 24
const BLOCKS = 1
const JOINS = 2
const ARGUMENTS = 3

/** How often a thread looks before it sleeps at a barrier: some 20 µs, the price of a wake-up. */
const SPINS = 4000

export interface TeamSetup {
  readonly module: WebAssembly.Module
  readonly memory: WebAssembly.Memory
  readonly control: Int32Array<SharedArrayBuffer>
  readonly threads: number
  /** What multiplies matrices. */
  readonly tier: CpuTier
  readonly precision: CpuPrecision
  /** Where the tier accelerate finds a BLAS: the first of these that loads. */
  readonly blas: readonly string[]
  /** Where this thread's scratch is, in words of 4 bytes. */
  readonly scratch: number
}

type Kernel = (words: number, block: number, scratch: number) => void

/** One thread's part of the team. */
export interface Member {
  /** Walks the launches from a word on; returns when every thread is through. `launchMs` is added to, one number a launch. */
  walk(first: number, count: number, launchMs?: Float64Array): void
}

export function joinTeam(setup: TeamSetup): Member {
  const { memory, control, threads, scratch } = setup
  const kernels = kernelsOf(setup)
  const words = new Int32Array(memory.buffer)

  function barrier(): void {
    const round = Atomics.load(control, ROUND)
    if (Atomics.add(control, ARRIVED, 1) === threads - 1) {
      Atomics.store(control, ARRIVED, 0)
      Atomics.store(control, NEXT_BLOCK, 0)
      Atomics.add(control, ROUND, 1)
      Atomics.notify(control, ROUND)
      return
    }
    for (let spin = 0; spin < SPINS; spin++) if (Atomics.load(control, ROUND) !== round) return
    while (Atomics.load(control, ROUND) === round) Atomics.wait(control, ROUND, round)
  }

  /** Blocks of joined launches are numbered through; a thread that is through with one launch goes on with the next. */
  function walk(first: number, count: number, launchMs?: Float64Array): void {
    let before = launchMs ? performance.now() : 0
    let block = Atomics.add(control, NEXT_BLOCK, 1)
    let base = 0
    for (let i = 0; i < count; i++) {
      const launch = first + i * LAUNCH_WORDS
      const kernel = kernels[words[launch]]
      const end = base + words[launch + BLOCKS]
      for (; block < end; block = Atomics.add(control, NEXT_BLOCK, 1)) kernel(launch + ARGUMENTS, block - base, scratch)
      base = end
      const isLast = i + 1 === count
      if (!isLast && words[launch + LAUNCH_WORDS + JOINS]) continue
      barrier()
      if (launchMs) {
        const now = performance.now()
        launchMs[i] += now - before
        before = now
      }
      if (isLast) return
      block = Atomics.add(control, NEXT_BLOCK, 1)
      base = 0
    }
  }
  return { walk }
}

function kernelsOf({ module, memory, tier, precision, blas }: TeamSetup): Kernel[] {
  const { exports } = new WebAssembly.Instance(module, { env: { memory } })
  const attention = {
    attention: kernelOf(exports, 'attention'),
    attentionBackward: kernelOf(exports, 'attentionBackward'),
    attentionSights: kernelOf(exports, 'attentionSights'),
  }
  const curves = {
    activation: kernelOf(exports, 'activation'),
    activationBackward: kernelOf(exports, 'activationBackward'),
    gated: kernelOf(exports, 'gated'),
    gatedBackward: kernelOf(exports, 'gatedBackward'),
  }
  const native: Partial<Record<WasmKernel, Kernel>> =
    tier === 'avx512'
      ? {
          ...nativeAttention(memory, attention),
          ...nativeCurves(memory, curves),
          ...ofFewRows(memory, exports),
        }
      : {}
  if (isVectors(tier)) {
    const edges = {
      packPanel: kernelOf(exports, 'packPanel'),
      packPairs: kernelOf(exports, 'packPairs'),
      packRows: kernelOf(exports, 'packRows'),
      fetchBlock: kernelOf(exports, 'fetchBlock'),
      storeBlock: kernelOf(exports, 'storeBlock'),
    }
    native.gemm = nativeGemm(multiplierName(tier, precision, hasAmx()), memory, edges)
  } else if (tier === 'accelerate') {
    native.gemm = blasGemm(blas, memory, { storeBlock: kernelOf(exports, 'storeBlock'), gemm: kernelOf(exports, 'gemm') })
  }
  if (tier !== 'wasm' && !native.gemm) throw new TypeError(`a thread of the CPU device cannot run code for ${tier}`)
  return KERNELS.map((name) => native[name] ?? kernelOf(exports, name))
}

function ofFewRows(memory: WebAssembly.Memory, exports: WebAssembly.Exports): Partial<Record<WasmKernel, Kernel>> {
  const products = rowsProducts(memory)
  if (!products) return {}
  const { weighLine } = exports
  if (typeof weighLine !== 'function') throw otherKernels('weighLine')
  const rowKernels = { attentionRow: kernelOf(exports, 'attentionRow'), weighLine: (...words: number[]) => Number(weighLine(...words)) }
  return {
    rowTimesMatrix: nativeRows(memory, products, kernelOf(exports, 'rowTimesMatrix')),
    attentionRow: nativeAttentionRow(memory, products, rowKernels),
  }
}

function kernelOf(exports: WebAssembly.Exports, name: string): (...words: number[]) => void {
  const exported = exports[name]
  if (typeof exported !== 'function') throw otherKernels(name)
  return (...words) => exported(...words)
}

/** A checkout that was brought up to date and not built again. */
function otherKernels(missing: string): SluiceError {
  return new SluiceError('SLUICE_KERNEL_MISSING', `the WASM kernel tensor is of another version: it has no ${missing}`, {
    fix: 'run npm run build:kernels',
  })
}

/** Writes launches to shared memory from a word on. */
export function writeLaunches(words: Int32Array, first: number, launches: readonly Launch[]): void {
  launches.forEach((launch, i) => {
    const start = first + i * LAUNCH_WORDS
    if (launch.words.length > LAUNCH_WORDS - ARGUMENTS) throw new RangeError(`${launch.kernel} has ${launch.words.length} arguments`)
    words[start] = KERNELS.indexOf(launch.kernel)
    words[start + BLOCKS] = launch.blocks
    words[start + JOINS] = Number(launch.joins ?? false)
    words.set(launch.words, start + ARGUMENTS)
  })
}
