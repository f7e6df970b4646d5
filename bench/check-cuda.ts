// Compiles every CUDA kernel with the real compiler (bench/peers/cuda.sh installs it) for every architecture that we say we run
// on, and holds each to a budget of registers and of bytes spilled. Where the real cuBLASLt is there too (pip's nvidia-cublas beside
// it, or SLUICE_CUBLASLT), it must take the descriptors of all products of training steps. Needs no GPU.

import { existsSync, globSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { preset } from '../src/model/presets.ts'
import { traceTraining } from '../src/model/trace.ts'
import { openCublasLt } from '../src/tensor/cuda/cublaslt.ts'
import { fuse } from '../src/tensor/cuda/fusion.ts'
import { createLowering } from '../src/tensor/cuda/launches.ts'
import { definitionsOf, kernelsOf, modules, sourceOf } from '../src/tensor/cuda/modules.ts'
import { openNvrtc } from '../src/tensor/cuda/nvrtc.ts'
import { differentiate } from '../src/tensor/differentiate.ts'
import { precisions } from '../src/tensor/precision.ts'

/** Ampere, Hopper, Blackwell. */
const architectures = ['sm_80', 'sm_90a', 'sm_100']

/** Registers of a block of 256 threads: with 64 four of them share a multiprocessor, with 128 two. */
const registerBudgets: Readonly<Record<string, number>> = { attention: 128, flash: 255 }
const REGISTERS = 64
/** Where it is not tuned for, the compiler puts aside a value or two of a long kernel. */
const spillBudget = (architecture: string) => (architecture === 'sm_90a' ? 0 : 16)

interface Usage {
  readonly kernel: string
  readonly registers: number
  readonly spilledBytes: number
}

/** What ptxas says with -v: the name of a kernel, then what it needs. */
function usageIn(log: string): Usage[] {
  return log
    .split("Compiling entry function '")
    .slice(1)
    .map((part) => ({
      kernel: part.slice(0, part.indexOf("'")),
      registers: Number(/Used (\d+) registers/.exec(part)?.[1]),
      spilledBytes: Number(/(\d+) bytes spill stores/.exec(part)?.[1]),
    }))
}

function findLibrary(name: string, given: string | undefined): string | undefined {
  const installed = fileURLToPath(new URL('peers/installed/cuda/', import.meta.url))
  if (given) return given
  return existsSync(installed) ? globSync(`${installed}lib/*/site-packages/nvidia/*/lib/${name}.so.*`)[0] : undefined
}

/** Products of training steps of GPT-2 and of a Llama, forward and backward; returns how many. */
function describeProducts(path: string): number {
  const library = openCublasLt(path, 0n, 0n)
  let products = 0
  for (const name of ['gpt2-124m', 'llama-1b'] as const)
    for (const precision of precisions) {
      const config = preset(name, { vocabularySize: 50_304, contextLength: 1024 })
      const records = fuse(differentiate(traceTraining(config, { rows: 8, length: 1024 }).graph).records)
      for (const launch of records.flatMap(createLowering(records, precision).launchesOf)) {
        if (launch.kind !== 'product') continue
        library.prepare(launch, () => 4096n)
        products++
      }
    }
  console.log(`cuBLASLt ${library.version}: descriptors of ${products} products made`)
  library.dispose()
  return products
}

const path = findLibrary('libnvrtc', process.env.SLUICE_NVRTC)
if (!path) {
  console.error('no NVRTC here: run bench/peers/cuda.sh, or name the library in SLUICE_NVRTC')
  process.exit(1)
}
const nvrtc = openNvrtc(path)
let failures = 0
let passes = 0
for (const architecture of architectures)
  for (const module of modules)
    for (const precision of module.precisions) {
      const source = sourceOf(module)
      const options = [`--gpu-architecture=${architecture}`, '-std=c++17', '--ptxas-options=-v', ...definitionsOf(module, precision)]
      const { cubin, log } = nvrtc.compile(source, `${module.file}.cu`, options)
      const usage = usageIn(log)
      const problems = usage
        .filter(
          ({ registers, spilledBytes }) =>
            !(registers <= (registerBudgets[module.file] ?? REGISTERS) && spilledBytes <= spillBudget(architecture)),
        )
        .map(({ kernel, registers, spilledBytes }) => `${kernel}: ${registers} registers, ${spilledBytes} bytes spilled`)
      const missing = kernelsOf(source).filter((name) => !usage.some(({ kernel }) => kernel === name))
      if (missing.length > 0) problems.push(`not compiled: ${missing.join(', ')}`)
      if (log.includes('warning')) problems.push(log)
      failures += problems.length
      passes += usage.length
      const most = Math.max(...usage.map(({ registers }) => registers))
      console.log(`${architecture} ${module.name} ${precision}: ${usage.length} kernels, at most ${most} registers, ${cubin.length} bytes`)
      for (const problem of problems) console.error(`  ${problem}`)
    }
console.log(`NVRTC ${nvrtc.version}`)
const products = findLibrary('libcublasLt', process.env.SLUICE_CUBLASLT)
if (products) passes += describeProducts(products)
else console.log('no cuBLASLt here: the descriptors of products are not checked')
console.log(`${passes} passed, ${failures} failed`)
process.exit(failures > 0 ? 1 : 0)
