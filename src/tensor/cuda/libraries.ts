// Where NVIDIA's libraries lie: where the system's loader knows them, in CUDA_HOME, or in the folders of Python wheels, which a
// machine with PyTorch has. Nothing is loaded that is not asked for.

import { execFileSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { SluiceError } from '../../core/errors.ts'
import { loadLibrary } from '../../core/native.ts'

/** A name that the system's loader knows, or a path. */
export interface CudaLibraries {
  readonly driver: string
  readonly cublasLt: string
  readonly nvrtc: string
}

/** Versions that we know to have what we call; wheels have no name without one. */
const sonames: Readonly<Record<keyof CudaLibraries, readonly string[]>> = {
  driver: ['libcuda.so.1'],
  cublasLt: ['libcublasLt.so.13', 'libcublasLt.so.12'],
  nvrtc: ['libnvrtc.so.13', 'libnvrtc.so.12'],
}

const fixes: Readonly<Record<keyof CudaLibraries, string>> = {
  driver: "install NVIDIA's driver, or train with --device cpu",
  cublasLt: 'install CUDA 12 or newer and name its folder in CUDA_HOME, or pip install nvidia-cublas, or train with --device cpu',
  nvrtc: 'install CUDA 12 or newer and name its folder in CUDA_HOME, or pip install nvidia-cuda-nvrtc, or train with --device cpu',
}

/** The first place where the library loads, or undefined. */
export function findLibrary(which: keyof CudaLibraries): string | undefined {
  const names = sonames[which]
  const home = process.env.CUDA_HOME ?? process.env.CUDA_PATH
  const loads = (path: string) => loadLibrary([path]) !== undefined
  return (
    names.find(loads) ??
    (home ? names.map((name) => join(home, 'lib64', name)).find(loads) : undefined) ??
    (which === 'driver' ? undefined : inWheels(names).find(loads))
  )
}

/** @throws SluiceError SLUICE_CUDA_LIBRARY naming the first that is missing */
export function findLibraries(): CudaLibraries {
  return { driver: require('driver'), cublasLt: require('cublasLt'), nvrtc: require('nvrtc') }
}

function require(which: keyof CudaLibraries): string {
  const path = findLibrary(which)
  if (!path) throw new SluiceError('SLUICE_CUDA_LIBRARY', `${sonames[which].join(' or ')} is not found`, { fix: fixes[which] })
  return path
}

/** `nvidia/cu13/lib` of CUDA 13, `nvidia/cublas/lib` and the like before. */
function inWheels(names: readonly string[]): string[] {
  return sitePackages().flatMap((folder) => names.flatMap((name) => globSync(join(folder, 'nvidia', '*', 'lib', name))))
}

function sitePackages(): string[] {
  const program = 'import site; print("\\n".join([*site.getsitepackages(), site.getusersitepackages()]))'
  try {
    return execFileSync('python3', ['-c', program], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
      .trim()
      .split('\n')
  } catch {
    return []
  }
}
