// Finds the WASM kernels that `npm run build:kernels` made from kernels/wasm: build/kernels beside the sources, or the
// same place inside the published package.

import { readFileSync } from 'node:fs'
import { SluiceError } from './errors.ts'

/** The compiled module of kernels/wasm/<name>.ts. Compile once per process, instantiate once per thread. */
export function loadKernel(name: string): WebAssembly.Module {
  const file = new URL(`../../build/kernels/${name}.wasm`, import.meta.url)
  try {
    return new WebAssembly.Module(readFileSync(file))
  } catch (cause) {
    throw new SluiceError('SLUICE_KERNEL_MISSING', `the WASM kernel ${name} is not built`, {
      where: { file: file.pathname },
      fix: 'run npm run build:kernels',
      cause,
    })
  }
}
