// Attention by machine code (AVX-512): called like the kernels of WASM, block by block, and with the same results up to the order
// of sums. Where scores are capped or have a bias, the kernels of WASM do it.

import { loadKoffi } from '../../../core/native.ts'
import { LANES } from './assembler.ts'
import { attentionBackwardCode } from './attention-backward-code.ts'
import { attentionCode } from './attention-code.ts'
import { type AttentionParameter, attentionParameterCount, attentionParameters, pitchOf, SIGHT_BYTES } from './attention-parts.ts'
import { makeExecutable, type NativeFunction } from './executable.ts'

type Kernel = (words: number, block: number, scratch: number) => void

/** What machine code does not do itself: kernels/wasm/tensor/attention.ts and attention-backward.ts. */
export interface AttentionKernels {
  readonly attention: Kernel
  readonly attentionBackward: Kernel
  readonly attentionSights: (lo: number, hi: number, T: number, offset: number, K: number, window: number, out: number) => void
}

const panelsOf = (rows: number) => Math.ceil(rows / LANES)

/** What lies in scratch, and its bytes; the last five backward only. */
function scratchSizes(T: number, K: number, headSize: number) {
  const matrix = panelsOf(K) * LANES * pitchOf(headSize)
  const panel = LANES * pitchOf(headSize)
  return [
    ['packedKeys', matrix],
    ['packedValues', matrix],
    ['scores', panelsOf(K) * LANES * 2 * LANES * 4],
    ['panel', panel],
    ['turned', panel],
    ['state', 2 * LANES * 4],
    ['sums', panelsOf(T) * LANES * 4],
    ['sights', panelsOf(T) * SIGHT_BYTES],
    ['packedKeySlopes', matrix],
    ['packedValueSlopes', matrix],
    ['outputPanel', panel],
    ['slopePanel', panel],
    ['turnedSlopes', panel],
  ] as const
}

/** Arguments of a launch of `attention` by position, see kernels/wasm/tensor/attention.ts. */
const ofForward = {
  q: 0,
  k: 1,
  v: 2,
  queryStride: 3,
  keyStride: 4,
  lo: 5,
  hi: 6,
  bias: 7,
  position: 8,
  y: 9,
  lse: 10,
  length: 11,
  keyLength: 12,
  heads: 13,
  groups: 14,
  headSize: 15,
  scale: 16,
  window: 17,
  softcap: 18,
} as const

/** Those of `attentionBackward`, see kernels/wasm/tensor/attention-backward.ts. */
const ofBackward = {
  q: 0,
  k: 1,
  dq: 2,
  dk: 3,
  queryStride: 4,
  keyStride: 5,
  lo: 6,
  hi: 7,
  bias: 8,
  y: 9,
  lse: 10,
  dy: 11,
  parts: 12,
  length: 13,
  keyLength: 14,
  heads: 15,
  groups: 16,
  headSize: 17,
  scale: 18,
  window: 19,
  softcap: 20,
} as const

/** The kernels of a thread. */
export function nativeAttention(memory: WebAssembly.Memory, kernels: AttentionKernels) {
  return { attention: forward(memory, kernels), attentionBackward: backward(memory, kernels) }
}

function forward(memory: WebAssembly.Memory, kernels: AttentionKernels): Kernel {
  const { run, set, setNumber, setFloat, setScratch, words, floats, floatsAt } = machine(memory, attentionCode)

  return (argumentsAt, block, scratch) => {
    const int = (name: keyof typeof ofForward) => words[argumentsAt + ofForward[name]]
    const address = (name: keyof typeof ofForward) => int(name) >>> 0
    if (int('bias') || int('softcap')) return kernels.attention(argumentsAt, block, scratch)
    const [T, K, heads, headSize] = [int('length'), int('keyLength'), int('heads'), int('headSize')]
    const [row, head] = [Math.floor(block / heads), block % heads]
    const offset = address('position') ? words[address('position') + row] : 0
    const keys = address('position') ? Math.min(K, offset + T) : K
    const group = Math.floor(head / (heads / int('groups')))
    const keyAt = row * K * int('keyStride') + group * headSize
    const { sights, sums } = setScratch(scratch, T, keys, headSize)
    const ofRow = (name: 'lo' | 'hi') => (address(name) ? address(name) + row * T : 0)
    kernels.attentionSights(ofRow('lo'), ofRow('hi'), T, offset, keys, int('window'), sights)

    set('queries', address('q') + row * T * int('queryStride') + head * headSize)
    set('keys', address('k') + keyAt)
    set('values', address('v') + keyAt)
    set('outputs', address('y') + headSize * (row * T * heads + head))
    setNumber('queryStride', 4 * int('queryStride'))
    setNumber('keyStride', 4 * int('keyStride'))
    setNumber('outputStride', 4 * heads * headSize)
    setNumber('keyCount', keys)
    setNumber('panels', panelsOf(T))
    setFloat('factor', floats[argumentsAt + ofForward.scale] * Math.LOG2E)
    setNumber('lastRows', (panelsOf(keys) - 1) * LANES * pitchOf(headSize))
    run(headSize)

    if (!address('lse')) return
    const [from, to] = [floatsAt(sums, T), floatsAt(address('lse') + row * T * heads, T * heads)]
    for (let t = 0; t < T; t++) to[t * heads + head] = from[t]
  }
}

function backward(memory: WebAssembly.Memory, kernels: AttentionKernels): Kernel {
  const { run, set, setNumber, setFloat, setScratch, words, floats, floatsAt } = machine(memory, attentionBackwardCode)

  return (argumentsAt, block, scratch) => {
    const int = (name: keyof typeof ofBackward) => words[argumentsAt + ofBackward[name]]
    const address = (name: keyof typeof ofBackward) => int(name) >>> 0
    if (int('bias') || int('softcap')) return kernels.attentionBackward(argumentsAt, block, scratch)
    const [T, K, heads, groups, headSize] = [int('length'), int('keyLength'), int('heads'), int('groups'), int('headSize')]
    const [row, group] = [Math.floor(block / groups), block % groups]
    const share = heads / groups
    const scale = floats[argumentsAt + ofBackward.scale]
    const keyAt = row * K * int('keyStride') + group * headSize
    const valueAt = keyAt + groups * headSize
    const { sights, sums } = setScratch(scratch, T, K, headSize)
    const ofRow = (name: 'lo' | 'hi') => (address(name) ? address(name) + row * T : 0)
    kernels.attentionSights(ofRow('lo'), ofRow('hi'), T, 0, K, int('window'), sights)

    set('keys', address('k') + keyAt)
    set('values', address('k') + valueAt)
    set('keySlopes', address('dk') + keyAt)
    set('valueSlopes', address('dk') + valueAt)
    setNumber('queryStride', 4 * int('queryStride'))
    setNumber('keyStride', 4 * int('keyStride'))
    setNumber('outputStride', 4 * heads * headSize)
    setNumber('keyCount', K)
    setNumber('keyTiles', panelsOf(K))
    setNumber('lastRows', (panelsOf(K) - 1) * LANES * pitchOf(headSize))
    setFloat('factor', scale * Math.LOG2E)
    setFloat('scale', scale)
    for (let head = group * share; head < (group + 1) * share; head++) {
      const queryAt = row * T * int('queryStride') + head * headSize
      const outputAt = headSize * (row * T * heads + head)
      set('queries', address('q') + queryAt)
      set('querySlopes', address('dq') + queryAt)
      set('outputs', address('y') + outputAt)
      set('outputSlopes', address('dy') + outputAt)
      setNumber('panels', panelsOf(T))
      setNumber('begins', Number(head === group * share))
      setNumber('ends', Number(head + 1 === (group + 1) * share))
      setScratch(scratch, T, K, headSize)
      const [from, to] = [floatsAt(address('lse') + row * T * heads, T * heads), floatsAt(sums, T)]
      for (let t = 0; t < T; t++) to[t] = from[t * heads + head]
      run(headSize)
    }
  }
}

/** Bytes of scratch that machine code needs. */
export function nativeAttentionScratchBytes(T: number, K: number, headSize: number): number {
  return scratchSizes(T, K, headSize).reduce((sum, [, bytes]) => sum + bytes, 0)
}

/** The memory of WASM and the parameters as machine code sees them, and the code for each head size, made when it is first asked for. */
function machine(memory: WebAssembly.Memory, codeOf: (headSize: number) => Uint8Array) {
  const base = loadKoffi()?.address(new Uint8Array(memory.buffer)) ?? 0n
  const parameters = new BigInt64Array(attentionParameterCount)
  const floatParameters = new Float32Array(parameters.buffer)
  const made = new Map<number, NativeFunction>()
  const make = (headSize: number) => {
    const code = makeExecutable(codeOf(headSize))
    if (!code) throw new TypeError('the system no longer lets memory be executable')
    made.set(headSize, code)
    return code
  }
  /** To an address in the memory, in words of 4 bytes. */
  const set = (name: AttentionParameter, address: number) => {
    parameters[attentionParameters[name]] = base + BigInt(4 * address)
  }
  /** Gives each part its place; of what is read here too, where. */
  const setScratch = (scratch: number, T: number, K: number, headSize: number) => {
    const places = { sights: 0, sums: 0 }
    let next = scratch
    for (const [name, bytes] of scratchSizes(T, K, headSize)) {
      if (name === 'sights' || name === 'sums') places[name] = next
      set(name, next)
      next += bytes / 4
    }
    return places
  }
  return {
    run: (headSize: number) => (made.get(headSize) ?? make(headSize))(parameters),
    set,
    setScratch,
    setNumber: (name: AttentionParameter, number: number) => {
      parameters[attentionParameters[name]] = BigInt(number)
    },
    setFloat: (name: AttentionParameter, number: number) => {
      floatParameters[2 * attentionParameters[name]] = number
    },
    words: new Int32Array(memory.buffer),
    floats: new Float32Array(memory.buffer),
    /** For many: beyond 2³¹ an index is a number of the slow kind, forty times as slow. */
    floatsAt: (address: number, count: number) => new Float32Array(memory.buffer, 4 * address, count),
  }
}
