// Attention by machine code (AVX-512): called like the kernels of WASM, block by block, and with the same results up to the order
// of sums. Where scores are capped or have a bias, the kernels of WASM do it.

import { loadKoffi } from '../../../core/native.ts'
import { attentionCode, attentionParameterCount, attentionParameters } from './attention-code.ts'
import { LANES, pitchOf, SIGHT_BYTES } from './attention-parts.ts'
import { makeExecutable, type NativeFunction } from './executable.ts'

type Kernel = (words: number, block: number, scratch: number) => void

/** What machine code does not do itself: kernels/wasm/tensor/attention.ts and attention-backward.ts. */
export interface AttentionKernels {
  readonly attention: Kernel
  readonly attentionBackward: Kernel
  readonly attentionSights: (lo: number, hi: number, T: number, offset: number, K: number, window: number, out: number) => void
}

const panelsOf = (rows: number) => Math.ceil(rows / LANES)

/** Places in scratch, in bytes from its start. */
function forwardScratch(T: number, K: number, headSize: number) {
  const matrix = panelsOf(K) * LANES * pitchOf(headSize)
  const panel = LANES * pitchOf(headSize)
  let end = 0
  const take = (bytes: number) => {
    end += bytes
    return end - bytes
  }
  return {
    packedKeys: take(matrix),
    packedValues: take(matrix),
    scores: take(panelsOf(K) * LANES * LANES * 4),
    panel: take(panel),
    turned: take(panel),
    state: take(LANES * 4),
    sums: take(panelsOf(T) * LANES * 4),
    sights: take(panelsOf(T) * SIGHT_BYTES),
    end: take(0),
  }
}

/** Arguments of a launch of `attention` by position, see kernels/wasm/tensor/attention.ts. */
const [
  Q,
  K,
  V,
  QUERY_STRIDE,
  KEY_STRIDE,
  LO,
  HI,
  BIAS,
  POSITION,
  Y,
  LSE,
  LENGTH,
  KEY_LENGTH,
  HEADS,
  GROUPS,
  HEAD_SIZE,
  SCALE,
  WINDOW,
  SOFTCAP,
] = Array.from({ length: 19 }, (_, i) => i)

/** The kernels of a thread. */
export function nativeAttention(memory: WebAssembly.Memory, kernels: AttentionKernels) {
  return { attention: forward(memory, kernels) }
}

function forward(memory: WebAssembly.Memory, kernels: AttentionKernels): Kernel {
  const { run, parameters, floatParameters, native, words, floats } = machine(memory, attentionCode, attentionParameterCount)

  return (argumentsAt, block, scratch) => {
    const int = (name: number) => words[(argumentsAt >>> 2) + name]
    const address = (name: number) => int(name) >>> 0
    if (int(BIAS) || int(SOFTCAP)) return kernels.attention(argumentsAt, block, scratch)
    const [T, heads, headSize, queryStride, keyStride] = [int(LENGTH), int(HEADS), int(HEAD_SIZE), int(QUERY_STRIDE), int(KEY_STRIDE)]
    const [row, head] = [Math.floor(block / heads), block % heads]
    const offset = address(POSITION) ? words[(address(POSITION) >>> 2) + row] : 0
    const keys = address(POSITION) ? Math.min(int(KEY_LENGTH), offset + T) : int(KEY_LENGTH)
    const group = Math.floor(head / (heads / int(GROUPS)))
    const keyAt = 4 * (row * int(KEY_LENGTH) * keyStride + group * headSize)
    const places = forwardScratch(T, keys, headSize)
    const ofRow = (name: number) => (address(name) ? address(name) + 4 * row * T : 0)
    kernels.attentionSights(ofRow(LO), ofRow(HI), T, offset, keys, int(WINDOW), scratch + places.sights)

    parameters[attentionParameters.queries] = native(address(Q) + 4 * (row * T * queryStride + head * headSize))
    parameters[attentionParameters.keys] = native(address(K) + keyAt)
    parameters[attentionParameters.values] = native(address(V) + keyAt)
    parameters[attentionParameters.outputs] = native(address(Y) + 4 * headSize * (row * T * heads + head))
    parameters[attentionParameters.queryStride] = BigInt(4 * queryStride)
    parameters[attentionParameters.keyStride] = BigInt(4 * keyStride)
    parameters[attentionParameters.outputStride] = BigInt(4 * heads * headSize)
    parameters[attentionParameters.keyCount] = BigInt(keys)
    parameters[attentionParameters.panels] = BigInt(panelsOf(T))
    floatParameters[2 * attentionParameters.factor] = floats[(argumentsAt >>> 2) + SCALE] * Math.LOG2E
    for (const name of ['sights', 'sums', 'packedKeys', 'packedValues', 'scores', 'panel', 'turned', 'state'] as const)
      parameters[attentionParameters[name]] = native(scratch + places[name])
    parameters[attentionParameters.lastRows] = BigInt((panelsOf(keys) - 1) * LANES * pitchOf(headSize))
    run(headSize)

    if (!address(LSE)) return
    const [lse, sums] = [(address(LSE) >>> 2) + row * T * heads + head, (scratch + places.sums) >>> 2]
    for (let t = 0; t < T; t++) floats[lse + t * heads] = floats[sums + t]
  }
}

/** Bytes of scratch that machine code needs. */
export function nativeAttentionScratchBytes(T: number, K: number, headSize: number): number {
  return forwardScratch(T, K, headSize).end
}

/** The memory of WASM and the parameters as machine code sees them, and the code for each head size, made when it is first asked for. */
function machine(memory: WebAssembly.Memory, codeOf: (headSize: number) => Uint8Array, parameterCount: number) {
  const base = loadKoffi()?.address(new Uint8Array(memory.buffer)) ?? 0n
  const parameters = new BigInt64Array(parameterCount)
  const made = new Map<number, NativeFunction>()
  const make = (headSize: number) => {
    const code = makeExecutable(codeOf(headSize))
    if (!code) throw new TypeError('the system no longer lets memory be executable')
    made.set(headSize, code)
    return code
  }
  return {
    run: (headSize: number) => (made.get(headSize) ?? make(headSize))(parameters),
    parameters,
    floatParameters: new Float32Array(parameters.buffer),
    native: (address: number) => base + BigInt(address),
    words: new Int32Array(memory.buffer),
    floats: new Float32Array(memory.buffer),
  }
}
