// Which device a run computes on: what the user asked for, or the GPU where there is one.

import { SluiceError } from '../core/errors.ts'
import type { CudaOptions } from '../tensor/cuda/cuda-device.ts'
import { openDriver } from '../tensor/cuda/driver.ts'
import { findLibraries, findLibrary } from '../tensor/cuda/libraries.ts'
import type { CpuPrecision } from '../tensor/precision.ts'
import type { TrainSettings } from './settings.ts'

/** What to compute on, as createTrainable takes it. */
export type ChosenDevice = { readonly device: 'cpu'; readonly precision: CpuPrecision } | { readonly device: CudaOptions }

/**
 * @param onNotice is told what the GPU does before the first step, and what has changed on the machine
 * @throws SluiceError SLUICE_CUDA_LIBRARY where CUDA is asked for, or a GPU is there, and a library is missing;
 *   SLUICE_TRAIN_PRECISION where the CPU is asked for what it has no arithmetic for
 */
export function deviceOf(
  { device, precision }: Pick<TrainSettings, 'device' | 'precision'>,
  onNotice?: (line: string) => void,
): ChosenDevice {
  if (device !== 'cpu' && (device === 'cuda' || hasGpu())) return { device: { libraries: findLibraries(), precision, onNotice } }
  if (precision !== 'f16') return { device: 'cpu', precision }
  throw new SluiceError('SLUICE_TRAIN_PRECISION', 'f16 is computed on NVIDIA GPUs alone, and this run is on the CPU', {
    fix: 'train with --device cuda, or with --precision bf16 or f32',
  })
}

function hasGpu(): boolean {
  const path = findLibrary('driver')
  if (!path) return false
  try {
    openDriver(path).dispose()
    return true
  } catch (error) {
    if (error instanceof SluiceError) return false
    throw error
  }
}
