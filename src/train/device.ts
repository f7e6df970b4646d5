// Which device a run computes on: what the user asked for, or the GPU where there is one.

import { SluiceError } from '../core/errors.ts'
import type { CudaOptions } from '../tensor/cuda/cuda-device.ts'
import { openDriver } from '../tensor/cuda/driver.ts'
import { findLibraries, findLibrary } from '../tensor/cuda/libraries.ts'
import type { TrainSettings } from './settings.ts'

/** @throws SluiceError SLUICE_CUDA_LIBRARY where CUDA is asked for, or a GPU is there, and a library is missing */
export function deviceOf({ device, precision }: Pick<TrainSettings, 'device' | 'precision'>): 'cpu' | CudaOptions {
  if (device === 'cpu' || (device === 'auto' && !hasGpu())) return 'cpu'
  return { libraries: findLibraries(), precision }
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
