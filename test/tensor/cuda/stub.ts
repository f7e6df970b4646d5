// Builds the library that stands in for the driver and cuBLASLt (stub.cpp), once for each source, kept under build/.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { CompileModule, CudaOptions } from '../../../src/tensor/cuda/cuda-device.ts'
import type { Precision } from '../../../src/tensor/precision.ts'
import { build } from './emulator.ts'

const [source, header] = ['stub.cpp', 'halves.h'].map((name) => fileURLToPath(new URL(name, import.meta.url)))
const output = new URL('../../../build/emulator/', import.meta.url)

export function buildStub(): string {
  const hash = createHash('sha256').update(readFileSync(source)).update(readFileSync(header)).digest('hex').slice(0, 16)
  mkdirSync(output, { recursive: true })
  const library = fileURLToPath(new URL(`stub-${hash}.so`, output))
  if (!existsSync(library)) {
    const unfinished = `${library}.${process.pid}`
    execFileSync('g++', ['-O2', '-std=c++17', '-shared', '-fPIC', source, '-ldl', '-o', unfinished])
    renameSync(unfinished, library)
  }
  return library
}

/** The stub loads an emulator's library where a driver loads machine code. */
const emulated: CompileModule = (module, precision) => new TextEncoder().encode(`${build(module, precision)}\0`)

export function stubOptions(precision: Precision): CudaOptions {
  const path = buildStub()
  return { libraries: { driver: path, cublasLt: path, nvrtc: path }, precision, compileModule: emulated, timesProducts: false }
}
