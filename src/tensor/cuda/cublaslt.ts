// Matrix products by cuBLASLt, called through koffi. It thinks in columns: our row-major c = a·b is its cᵀ = bᵀ·aᵀ, so the
// operands change places and nothing is transposed. One descriptor for each call; in which way it is computed others choose.

import { SluiceError } from '../../core/errors.ts'
import { loadKoffi } from '../../core/native.ts'
import type { Handle } from './driver.ts'
import type { ElementType, Matrix, Operand, ProductLaunch } from './launch.ts'

export interface CublasLt {
  /** Of cublasLtGetVersion. */
  readonly version: number
  /** Everything that can be done once; needs no GPU. */
  prepare(launch: ProductLaunch, addressOf: (operand: Operand) => Handle): Product
  dispose(): void
}

/** What the library calls an algorithm, with its tiles and splits; means something to the same version alone. */
export type Way = Uint8Array

/** A product of matrices that lie somewhere. */
export interface Product {
  /** Types, shapes, strides, alignment and ending: two of one key can be computed in the same ways, added to c or not. */
  readonly key: string
  /** The best by the library's own estimate first; none where it has no such product. */
  ways(most: number): Way[]
  isTaken(way: Way): boolean
  /** Asks the GPU for it. */
  requestOf(way: Way): () => void
}

/** cudaDataType. */
const types: Readonly<Record<ElementType, number>> = { f32: 0, f16: 2, bf16: 14 }
const COMPUTE_F32 = 68
const TRANSPOSE_A = 3
const TRANSPOSE_B = 4
const EPILOGUE = 7
const BIAS_POINTER = 8
/** Where GELU's input goes or is, in the type of the result, and how long its rows are. */
const AUX_POINTER = 11
const AUX_STRIDE = 12
const BIAS_TYPE = 26
const EPILOGUE_NONE = 1
const EPILOGUE_BIAS = 4
const EPILOGUE_GELU = 32
const EPILOGUE_SLOPE = 64
const EPILOGUE_AUX = 128
const MOST_WORKSPACE = 1
/** Of the operands a, b, c and d: the library counts on 256 bytes where it is not told. */
const ALIGNMENTS = [5, 6, 7, 8]
/** No way of computing asks for more. */
const MOST_ALIGNMENT = 16n
/** cublasLtMatmulHeuristicResult_t: the way, bytes of workspace, then whether the rest is valid. */
const RESULT_BYTES = 96
const WAY_BYTES = 64
const STATE_OFFSET = 72

/** CUBLAS_STATUS_NOT_SUPPORTED. */
const NOT_SUPPORTED = 15

function epilogueOf({ bias, gelu }: ProductLaunch): number {
  const ending = gelu ? (gelu.pass === 'forward' ? EPILOGUE_GELU : EPILOGUE_SLOPE) | (gelu.pre ? EPILOGUE_AUX : 0) : 0
  return ending | (bias ? EPILOGUE_BIAS : 0) || EPILOGUE_NONE
}

/** What NVIDIA recommends for Hopper. */
export const LT_WORKSPACE_BYTES = 32 * 2 ** 20

export function openCublasLt(path: string, workspace: Handle, stream: Handle): CublasLt {
  const library = loadKoffi()?.load(path)
  if (!library) throw new SluiceError('SLUICE_CUDA_LIBRARY', 'koffi has no binary for this platform', { fix: 'train with --device cpu' })

  /** @param expected a status that is an answer, too */
  function declare(name: string, parameters: string, expected = 0): (...values: unknown[]) => void {
    const call = library?.func(`int ${name}(${parameters})`)
    return (...values) => {
      const status: unknown = call?.(...values)
      if (status !== 0 && status !== expected) throw new SluiceError('SLUICE_CUDA_PRODUCT', `${name} fails with status ${status}`)
    }
  }

  const createDescriptor = declare('cublasLtMatmulDescCreate', 'void *, int, int')
  const setDescriptor = declare('cublasLtMatmulDescSetAttribute', 'uint64_t, int, void *, size_t')
  const createLayout = declare('cublasLtMatrixLayoutCreate', 'void *, int, uint64_t, uint64_t, int64_t')
  const heuristic = declare(
    'cublasLtMatmulAlgoGetHeuristic',
    'uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, int, void *, void *',
    NOT_SUPPORTED,
  )
  const check = library.func('int cublasLtMatmulAlgoCheck(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, void *, void *)')
  const multiply = declare(
    'cublasLtMatmul',
    'uint64_t, uint64_t, void *, uint64_t, uint64_t, uint64_t, uint64_t, void *, uint64_t, uint64_t, uint64_t, uint64_t, void *, uint64_t, size_t, uint64_t',
  )
  const create = declare('cublasLtCreate', 'void *')
  const out = new BigUint64Array(1)
  declare('cublasLtMatmulPreferenceCreate', 'void *')(out)
  const preference = out[0]
  const prefer = declare('cublasLtMatmulPreferenceSetAttribute', 'uint64_t, int, void *, size_t')
  prefer(preference, MOST_WORKSPACE, BigUint64Array.of(BigInt(LT_WORKSPACE_BYTES)), 8)
  const destroy = declare('cublasLtDestroy', 'uint64_t')
  const one = Float32Array.of(1)
  const betas = [Float32Array.of(0), one] as const

  const layouts = new Map<string, Handle>()
  let handle: Handle | undefined

  /** Made when the GPU is asked for something for the first time. */
  function handleOf(): Handle {
    if (handle !== undefined) return handle
    create(out)
    handle = out[0]
    return handle
  }

  function layoutOf(type: ElementType, rows: number, columns: number, stride: number): Handle {
    const key = [type, rows, columns, stride].join()
    const known = layouts.get(key)
    if (known !== undefined) return known
    createLayout(out, types[type], rows, columns, stride)
    layouts.set(key, out[0])
    return out[0]
  }

  /** Our matrix of so many rows and columns, as it lies in memory. */
  const lying = ({ type, stride, isTransposed }: Matrix, rows: number, columns: number): Handle =>
    isTransposed ? layoutOf(type, rows, columns, stride) : layoutOf(type, columns, rows, stride)

  function describe(product: ProductLaunch, addressOf: (operand: Operand) => Handle): Handle {
    const { a, b, c, bias, gelu } = product
    createDescriptor(out, COMPUTE_F32, types.f32)
    const descriptor = out[0]
    const set = (attribute: number, value: number) => setDescriptor(descriptor, attribute, Int32Array.of(value), 4)
    const setLong = (attribute: number, value: bigint) => setDescriptor(descriptor, attribute, BigUint64Array.of(value), 8)
    set(TRANSPOSE_A, Number(b.isTransposed))
    set(TRANSPOSE_B, Number(a.isTransposed))
    set(EPILOGUE, epilogueOf(product))
    if (bias) {
      set(BIAS_TYPE, types[c.type])
      setLong(BIAS_POINTER, addressOf(bias))
    }
    if (gelu?.pre) {
      setLong(AUX_POINTER, addressOf(gelu.pre))
      setLong(AUX_STRIDE, BigInt(c.stride))
    }
    return descriptor
  }

  return {
    version: Number(library.func('size_t cublasLtGetVersion()')()),
    prepare(launch, addressOf) {
      const { M, N, K, a, b, c, beta } = launch
      const descriptor = describe(launch, addressOf)
      const [left, right, result] = [lying(b, K, N), lying(a, M, K), layoutOf(c.type, N, M, c.stride)]
      const [from, with_, to] = [addressOf(b.operand), addressOf(a.operand), addressOf(c.operand)]
      const alignments = [from, with_, to, to].map(alignmentOf)
      const lie = ({ type, stride, isTransposed }: Matrix) => [type, stride, isTransposed ? 't' : 'n']
      return {
        key: [M, N, K, ...lie(a), ...lie(b), ...lie(c), epilogueOf(launch), ...alignments].join(' '),
        ways(most) {
          ALIGNMENTS.forEach((attribute, index) => {
            prefer(preference, attribute, Uint32Array.of(alignments[index]), 4)
          })
          const found = new Uint8Array(RESULT_BYTES * most)
          const count = new Int32Array(1)
          heuristic(handleOf(), descriptor, left, right, result, result, preference, most, found, count)
          const results = Array.from({ length: count[0] }, (_, index) => found.subarray(index * RESULT_BYTES, (index + 1) * RESULT_BYTES))
          return results.filter((each) => each[STATE_OFFSET] === 0).map((each) => each.slice(0, WAY_BYTES))
        },
        isTaken: (way) =>
          way.length === WAY_BYTES && check(handleOf(), descriptor, left, right, result, result, way, new Uint8Array(RESULT_BYTES)) === 0,
        requestOf(way) {
          const operands = [one, from, left, with_, right, betas[beta], to, result, to, result]
          const values: unknown[] = [handleOf(), descriptor, ...operands, way, workspace, LT_WORKSPACE_BYTES, stream]
          return () => multiply(...values)
        },
      }
    },
    dispose() {
      if (handle !== undefined) destroy(handle)
    },
  }
}

function alignmentOf(address: Handle): number {
  const lowest = address & -address
  return Number(lowest < MOST_ALIGNMENT ? lowest : MOST_ALIGNMENT)
}
