// The CPU device: WASM kernels with relaxed SIMD over one shared memory, on the calling thread and threads − 1 workers; matrix
// products by machine code where the machine has wider vectors, or by the system's BLAS (native/).
// Results have the same bits for any number of threads on one machine, but for the BLAS, whose blocks and whose order of sums
// are not ours; between machines relaxed_madd may or may not fuse.

import { once } from 'node:events'
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { SluiceError } from '../../core/errors.ts'
import { formatCount } from '../../core/format.ts'
import { loadKernel } from '../../core/kernels.ts'
import { machineMemoryBytes, unaskedMemoryBytes } from '../../core/machine-memory.ts'
import type { Device, InputArrays, Intake, Program } from '../device.ts'
import type { CpuPrecision } from '../precision.ts'
import { elements, rowCount } from '../shape.ts'
import type { Launch } from './launch.ts'
import { launchesOf } from './launches.ts'
import { createMemory, MOST_MEMORY_BYTES, requireCountable } from './memory.ts'
import { nativeAttentionScratchBytes } from './native/attention.ts'
import { accelerate, inColumns } from './native/blas.ts'
import { nativeScratchFloats } from './native/gemm.ts'
import { multiplierName, multipliers } from './native/multiplier.ts'
import { type CpuTier, chooseTier, hasAmx, isVectors, requirePrecision } from './native/tier.ts'
import { wasmTile } from './product.ts'
import { CONTROL_WORDS, COUNT, FIRST, joinTeam, LAUNCH_WORDS, RUN, type TeamSetup, writeLaunches } from './team.ts'

/** Below this the kernels keep data of their own. */
const LAUNCH_START = 65536
/**
 * Launches of all programs together, 96 bytes each, which the system gives when they are first touched. A thousand layers have
 * some 80,000, and 150,000 more where Muon updates them.
 */
const LAUNCH_CAPACITY = 2 ** 18
const ARENA_START = LAUNCH_START + LAUNCH_CAPACITY * LAUNCH_WORDS * 4

export interface CpuProgram extends Program {
  /** Where its launches begin, in words of 4 bytes. */
  readonly first: number
  readonly launches: readonly Launch[]
  /** The record that each launch belongs to. */
  readonly recordOf: readonly number[]
}

export interface CpuDeviceOptions {
  /** Bytes that plans may use, from ARENA_START on. */
  readonly arenaBytes: number
  readonly threads: number
  /** What will be compiled: the largest scratch that any of it needs is set aside for each thread. */
  readonly records: Program['records']
  /** What multiplies matrices; the fastest that the machine has where left out. */
  readonly tier?: CpuTier
  /** What operands of matrix products are rounded to; default f32: as they are. */
  readonly precision?: CpuPrecision
  /** Libraries where the tier accelerate looks for a BLAS; default: macOS's. */
  readonly blas?: readonly string[]
}

export const cpuArenaStart = ARENA_START

/** Room for a thread's scratch, more than rows of usual length need. */
const SCRATCH_BYTES = 2 ** 24

/**
 * What a plan may count on.
 *
 * @param askedBytes given as far as they can be addressed and the machine has them; where left out, four fifths of the machine's
 */
export function largestArenaBytes(threads: number, askedBytes?: number): number {
  const besideBytes = ARENA_START + threads * SCRATCH_BYTES
  const mostBytes = Math.min(MOST_MEMORY_BYTES, machineMemoryBytes()) - besideBytes
  return Math.max(0, Math.min(mostBytes, askedBytes ?? unaskedMemoryBytes() - besideBytes))
}

const tierNames: Readonly<Record<CpuTier, string>> = { wasm: 'WASM SIMD', accelerate: 'Accelerate', avx2: 'AVX2', avx512: 'AVX-512' }

/** @throws SluiceError SLUICE_TENSOR_MEMORY where the arena is more than can be had, see memory.ts; SLUICE_CPU_PRECISION without bf16 */
export async function createCpuDevice({
  arenaBytes,
  threads,
  records,
  tier = chooseTier(),
  precision = 'f32',
  blas = accelerate,
}: CpuDeviceOptions): Promise<Device<CpuProgram>> {
  requirePrecision(precision, tier)
  requireCountable(records)
  const scratchBytes = Math.ceil((4 * Math.max(scratchFloats(records, tier), isVectors(tier) ? nativeScratchFloats : 0)) / 64) * 64
  const arenaEnd = ARENA_START + arenaBytes
  const scratchStart = Math.ceil(arenaEnd / 64) * 64
  const { memory, module } = createMemory(scratchStart + threads * scratchBytes)
  const control = new Int32Array(new SharedArrayBuffer(CONTROL_WORDS * 4))
  const setupOf = (thread: number): TeamSetup => ({
    module,
    memory,
    control,
    threads,
    tier,
    precision,
    blas,
    scratch: (scratchStart + thread * scratchBytes) / 4,
  })
  const main = joinTeam(setupOf(0)) // first: what it refuses is told as it is, a worker's errors come as bare text
  const workers = await Promise.all(Array.from({ length: threads - 1 }, (_, i) => startWorker(setupOf(i + 1))))
  const words = new Int32Array(memory.buffer)
  const tile = isVectors(tier) ? multipliers[multiplierName(tier, precision, hasAmx())].tile : wasmTile
  const cut = (launch: Launch) => (tier === 'accelerate' && launch.kernel === 'gemm' ? inColumns(launch, threads) : launch)
  let nextLaunch = 0
  let isDisposed = false

  function compile(records: Program['records'], at: Parameters<Device['compile']>[1]): CpuProgram {
    const recordOf: number[] = []
    const launches = records.flatMap((record, index) => {
      const own = launchesOf(record, at, tile, threads).map(cut)
      for (let i = 0; i < own.length; i++) recordOf.push(index)
      // a record joins another of its kind only
      return own.map((launch, i) => (i > 0 || records[index - 1]?.kernel === record.kernel ? launch : { ...launch, joins: false }))
    })
    const total = nextLaunch + launches.length
    if (total > LAUNCH_CAPACITY)
      throw new SluiceError(
        'SLUICE_TENSOR_PROGRAM',
        `programs of ${formatCount(total)} launches do not fit ${formatCount(LAUNCH_CAPACITY)}`,
        {
          fix: 'take fewer rows a pass, or a model of fewer layers',
        },
      )
    const first = LAUNCH_START / 4 + nextLaunch * LAUNCH_WORDS
    writeLaunches(words, first, launches)
    nextLaunch = total
    return { records, launches, recordOf, first }
  }

  function run(program: CpuProgram, recordMs?: Float64Array): void {
    if (isDisposed) throw new TypeError('the device has been disposed of')
    if (program.launches.length === 0) return // a count of 0 sends the workers home
    const launchMs = recordMs ? new Float64Array(program.launches.length) : undefined
    if (threads > 1) {
      control[FIRST] = program.first
      control[COUNT] = program.launches.length
      Atomics.add(control, RUN, 1)
      Atomics.notify(control, RUN)
    }
    main.walk(program.first, program.launches.length, launchMs)
    if (recordMs && launchMs) for (let i = 0; i < launchMs.length; i++) recordMs[program.recordOf[i]] += launchMs[i]
  }

  return {
    kind: 'cpu',
    name: `cpu, ${tierNames[tier]}${precision === 'bf16' ? ' bf16' : ''}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`,
    arenaStart: ARENA_START,
    arenaEnd,
    compile,
    run,
    openIntake(inputs, at) {
      const arrays = Object.entries(inputs).map(
        ([name, tensor]) => [name, new Int32Array(memory.buffer, at(tensor), elements(tensor.shape))] as const,
      )
      return inPlace(Object.fromEntries(arrays))
    },
    upload(address, values) {
      if (values instanceof Float32Array) new Float32Array(memory.buffer, address, values.length).set(values)
      else new Int32Array(memory.buffer, address, values.length).set(values)
    },
    download(address, out) {
      out.set(new Float32Array(memory.buffer, address, out.length))
    },
    downloadDoubles(address, out) {
      out.set(new Float64Array(memory.buffer, address, out.length))
    },
    fill(address, count, value) {
      new Float32Array(memory.buffer, address, count).fill(value)
    },
    async dispose() {
      isDisposed = true
      control[COUNT] = 0
      Atomics.add(control, RUN, 1)
      Atomics.notify(control, RUN)
      await Promise.all(workers.map((worker) => worker.terminate()))
    },
  }
}

/** Nothing runs while the host writes. */
function inPlace(arrays: InputArrays): Intake {
  return {
    isAhead: false,
    send(fill) {
      fill(arrays)
      return () => {}
    },
  }
}

function scratchFloats(records: Program['records'], tier: CpuTier): number {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true })
  const { gemmScratchFloats, attentionScratchFloats } = new WebAssembly.Instance(loadKernel('tensor'), { env: { memory } }).exports
  if (typeof gemmScratchFloats !== 'function' || typeof attentionScratchFloats !== 'function')
    throw new TypeError('the tensor kernels do not say how much scratch they need')
  let most = Number(gemmScratchFloats())
  for (const { kernel, reads, attributes } of records) {
    if (!kernel.includes('attention')) continue
    const { length, keyLength = length, headSize } = attributes
    const keys = reads.position ? rowCount(reads.keys.shape) / elements(reads.position.shape) : keyLength
    most = Math.max(most, Number(attentionScratchFloats(length, keys, headSize, Number(kernel.endsWith('_backward')))))
    if (tier === 'avx512') most = Math.max(most, nativeAttentionScratchBytes(length, keys, headSize) / 4)
  }
  return most
}

/** Resolves when the thread waits for work. It does not keep the process alive. */
async function startWorker(setup: TeamSetup): Promise<Worker> {
  const worker = new Worker(new URL(`./worker${extname(import.meta.url)}`, import.meta.url), { workerData: setup })
  await once(worker, 'message')
  worker.unref()
  return worker
}
