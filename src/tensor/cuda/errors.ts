// What the driver's error codes mean to somebody who trains.

import { SluiceError } from '../../core/errors.ts'

interface Meaning {
  readonly code: string
  readonly fix: string
}

const resume = 'the last checkpoint is intact: run the same command again to go on from it'

/** CUresult by number, as cuda.h has them. */
const meanings: Readonly<Record<number, Meaning>> = {
  2: {
    code: 'SLUICE_CUDA_MEMORY',
    fix: 'take fewer rows a pass, --precision bf16, --memory to compute activations twice, or a smaller model',
  },
  35: { code: 'SLUICE_CUDA_DRIVER', fix: "NVIDIA's driver is older than this CUDA: update the driver, or install an older CUDA" },
  100: { code: 'SLUICE_CUDA_DEVICE', fix: 'no GPU is visible: see CUDA_VISIBLE_DEVICES, or train with --device cpu' },
  209: { code: 'SLUICE_CUDA_ARCHITECTURE', fix: 'NVRTC compiles for another GPU than this: install the CUDA that fits its architecture' },
  214: { code: 'SLUICE_CUDA_LOST', fix: `the GPU reports an uncorrectable memory error; ${resume}` },
  222: { code: 'SLUICE_CUDA_DRIVER', fix: "NVIDIA's driver is older than this CUDA: update the driver, or install an older CUDA" },
  700: { code: 'SLUICE_CUDA_LOST', fix: `a kernel read or wrote where nothing is, which is a bug to report; ${resume}` },
  719: { code: 'SLUICE_CUDA_LOST', fix: `a kernel failed; ${resume}` },
  803: { code: 'SLUICE_CUDA_DRIVER', fix: "the driver's library and its kernel module differ: restart the machine after an update" },
}

export function cudaError(result: number, name: string, what: string): SluiceError {
  const { code, fix } = meanings[result] ?? { code: 'SLUICE_CUDA_LOST', fix: resume }
  return new SluiceError(code, `${what}: ${name} (${result})`, { fix })
}
