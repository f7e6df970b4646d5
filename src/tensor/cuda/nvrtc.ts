// NVIDIA's run-time compiler, called through koffi: sources to CUBINs, with no GPU, no driver and no headers.
// Where its library lies is for the caller to know.

import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { SluiceError } from '../../core/errors.ts'
import { loadKoffi } from '../../core/native.ts'

export interface Nvrtc {
  /** As 13.5. */
  readonly version: string
  /**
   * @param options as `--gpu-architecture=sm_90a`
   * @throws SluiceError SLUICE_CUDA_COMPILE with the compiler's log where the source does not compile, SLUICE_CUDA_ARCHITECTURE
   * where the compiler does not know the GPU
   */
  compile(source: string, name: string, options: readonly string[]): Compiled
}

export interface Compiled {
  readonly cubin: Uint8Array
  /** With `--ptxas-options=-v`, what each kernel needs. */
  readonly log: string
}

const INVALID_OPTION = 5

/** The log and the CUBIN are handed out as a size and then the bytes. */
type Sized = (program: bigint, out: BigUint64Array) => number
type Filled = (program: bigint, out: Uint8Array) => number

/**
 * @param path of libnvrtc.so.N, or its soname
 * @throws SluiceError SLUICE_CUDA_LIBRARY where the library cannot be loaded
 */
export function openNvrtc(path: string): Nvrtc {
  const koffi = loadKoffi()
  if (!koffi) throw new SluiceError('SLUICE_CUDA_LIBRARY', 'koffi has no binary for this platform', { fix: 'train with --device cpu' })
  const library = (() => {
    try {
      // NVRTC looks for its other half by name alone
      for (const builtins of builtinsBeside(path)) koffi.load(builtins, { global: true })
      return koffi.load(path)
    } catch (error) {
      throw new SluiceError('SLUICE_CUDA_LIBRARY', `${path} cannot be loaded: ${error instanceof Error ? error.message : error}`, {
        fix: 'install CUDA 12 or newer, or pip install nvidia-cuda-nvrtc',
      })
    }
  })()
  const version = library.func('int nvrtcVersion(int *, int *)')
  const create = library.func('int nvrtcCreateProgram(uint64_t *, const char *, const char *, int, void *, void *)')
  const compile = library.func('int nvrtcCompileProgram(uint64_t, int, const char **)')
  const destroy = library.func('int nvrtcDestroyProgram(uint64_t *)')
  const logSize: Sized = library.func('int nvrtcGetProgramLogSize(uint64_t, uint64_t *)')
  const log: Filled = library.func('int nvrtcGetProgramLog(uint64_t, void *)')
  const cubinSize: Sized = library.func('int nvrtcGetCUBINSize(uint64_t, uint64_t *)')
  const cubin: Filled = library.func('int nvrtcGetCUBIN(uint64_t, void *)')
  const errorString = library.func('const char *nvrtcGetErrorString(int)')
  const [major, minor] = [new Int32Array(1), new Int32Array(1)]
  version(major, minor)

  function check(code: number, what: string): void {
    if (code !== 0) throw new SluiceError('SLUICE_CUDA_COMPILE', `${what}: ${errorString(code)}`)
  }

  function read(program: bigint, size: Sized, fill: Filled): Uint8Array {
    const bytes = new BigUint64Array(1)
    check(size(program, bytes), 'NVRTC')
    const out = new Uint8Array(Number(bytes[0]))
    if (out.length > 0) check(fill(program, out), 'NVRTC')
    return out
  }

  return {
    version: `${major[0]}.${minor[0]}`,
    compile(source, name, options) {
      const handle = new BigUint64Array(1)
      check(create(handle, source, name, 0, null, null), name)
      try {
        const code: number = compile(handle[0], options.length, options)
        const text = new TextDecoder()
          .decode(read(handle[0], logSize, log))
          .replaceAll('\0', '')
          .trim()
        if (code === INVALID_OPTION)
          throw new SluiceError('SLUICE_CUDA_ARCHITECTURE', `NVRTC ${major[0]}.${minor[0]} refuses ${options.join(' ')}: ${text}`, {
            fix: 'install the CUDA that knows this GPU, or pip install a newer nvidia-cuda-nvrtc',
          })
        if (code !== 0) throw new SluiceError('SLUICE_CUDA_COMPILE', `${name} does not compile: ${errorString(code)}\n${text}`)
        return { cubin: read(handle[0], cubinSize, cubin), log: text }
      } finally {
        destroy(handle)
      }
    },
  }
}

function builtinsBeside(path: string): string[] {
  const folder = dirname(path)
  if (folder === '.' || !existsSync(folder)) return []
  return readdirSync(folder)
    .filter((name) => name.startsWith('libnvrtc-builtins.so'))
    .map((name) => join(folder, name))
}
