// Builds and loads the emulator (emulator.cpp) of a module: once for each source, kept under build/.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import koffi from 'koffi'
import type { KernelLaunch } from '../../../src/tensor/cuda/launch.ts'
import { definitionsOf, kernelsOf, type Module, modules, sourceOf } from '../../../src/tensor/cuda/modules.ts'
import type { Precision } from '../../../src/tensor/precision.ts'

const sources = ['emulator.cpp', 'halves.h'].map((name) => new URL(name, import.meta.url))
const [source] = sources
const kernels = new URL('../../../kernels/cuda/', import.meta.url)
const output = new URL('../../../build/emulator/', import.meta.url)

/** Why nothing can be emulated here, or false. */
export const noEmulator: string | false = (() => {
  try {
    execFileSync('g++', ['--version'], { stdio: 'ignore' })
    return false
  } catch {
    return 'no g++ here'
  }
})()

/** Runs one launch, its arguments in slots of 8 bytes. Throws where threads deadlock or arguments do not fit. */
export type Emulate = (launch: KernelLaunch, slots: BigUint64Array) => void

const loaded = new Map<string, Emulate>()

export function emulatorOf(name: string, precision: Precision): Emulate {
  const key = `${name} ${precision}`
  const known = loaded.get(key)
  if (known) return known
  const module = modules.find((candidate) => candidate.name === name)
  if (!module) throw new RangeError(`no module is named ${name}`)
  const library = koffi.load(build(module, precision))
  const run = library.func('const char *emulate(const char *, uint32_t *, uint64_t *, int)')
  const emulate: Emulate = (launch, slots) => {
    const dimensions = Uint32Array.of(...launch.grid, ...launch.block, launch.sharedBytes)
    const problem: unknown = run(launch.name, dimensions, slots, launch.arguments.length)
    if (problem !== null) throw new Error(`${launch.name}: ${problem}`)
  }
  loaded.set(key, emulate)
  return emulate
}

/** The path of the module's library, compiled where its source changed. */
export function build(module: Module, precision: Precision): string {
  const text = sourceOf(module)
  const definitions = [
    ...definitionsOf(module, precision),
    `-DSOURCE_COMMON="${fileURLToPath(new URL('common.h', kernels))}"`,
    `-DSOURCE="${fileURLToPath(new URL(`${module.file}.cu`, kernels))}"`,
    `-DENTRIES=${kernelsOf(text)
      .map((name) => `ENTRY(${name})`)
      .join(' ')}`,
  ]
  const flags = ['-O1', '-std=c++17', '-shared', '-fPIC', '-fvisibility=hidden', '-w', '-ffp-contract=off']
  const hash = createHash('sha256')
    .update(JSON.stringify([flags, definitions, text, ...sources.map((file) => readFileSync(file, 'utf8'))]))
    .digest('hex')
    .slice(0, 16)
  mkdirSync(output, { recursive: true })
  const library = fileURLToPath(new URL(`${module.name}-${precision}-${hash}.so`, output))
  if (!existsSync(library)) {
    const unfinished = `${library}.${process.pid}`
    execFileSync('g++', [...flags, ...definitions, '-x', 'c++', fileURLToPath(source), '-o', unfinished], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    renameSync(unfinished, library)
  }
  return library
}
