// The MinHash kernel (kernels/wasm/minhash.ts) as TypeScript calls it: one instance a thread, made at the first use.

import { SluiceError } from '../core/errors.ts'
import { loadKernel } from '../core/kernels.ts'

export interface MinhashKernel {
  /** Address from which on the memory is the caller's. */
  readonly text: number
  /** Makes room at an address, `text` where left out; calls may move the memory, so the view is good until the next. */
  readonly textSpace: (bytes: number, at?: number) => Uint8Array
  /** The memory from PARAMETERS on; see the kernel for what lies there. */
  readonly parameters: (length: number) => BigUint64Array
  readonly bands: (length: number) => Uint32Array
  readonly prepare: (hashes: number, bits: number) => void
  readonly sign: (text: number, textBytes: number, window: number, kind: number, hashes: number) => number
  readonly hashBands: (bands: number, hashesPerBand: number, hashes: number) => void
  /** See the kernel; addresses of the ids, of the starts and bytes of all words, and of the text to write. */
  readonly measureWords: (ids: number, count: number, starts: number) => number
  readonly joinWords: (ids: number, count: number, starts: number, words: number, text: number) => void
  /** Hash of the text space's first bytes, as two's complement. */
  readonly hash: (name: 'xxh64' | 'sha1', bytes: number) => bigint
  readonly hash32: (bytes: number) => number
  /** xxh64 of the text space's first bytes, into the first of the bands. */
  readonly hashText: (bytes: number) => void
}

const pageBytes = 65536
/** The kernel reads a little behind the end of the text. */
const slackBytes = 128
let shared: WebAssembly.Module | undefined

/** A kernel of its own memory: what was prepared in it stays. */
export function instantiateMinhash(): MinhashKernel {
  shared ??= loadKernel('minhash')
  const { exports } = new WebAssembly.Instance(shared, { env: { abort: () => undefined } })
  const { memory, sign, prepare, hashBands, hashText, measureWords, joinWords, xxh64, xxh32, sha1, TEXT, PARAMETERS, BANDS } = exports
  if (
    !(memory instanceof WebAssembly.Memory && TEXT instanceof WebAssembly.Global) ||
    !(PARAMETERS instanceof WebAssembly.Global && BANDS instanceof WebAssembly.Global) ||
    !(typeof sign === 'function' && typeof prepare === 'function' && typeof hashBands === 'function') ||
    !(typeof hashText === 'function' && typeof measureWords === 'function' && typeof joinWords === 'function') ||
    !(typeof xxh64 === 'function' && typeof xxh32 === 'function' && typeof sha1 === 'function')
  )
    throw new SluiceError('SLUICE_KERNEL_MISSING', 'the WASM kernel minhash is of another version', { fix: 'run npm run build:kernels' })
  const text: number = TEXT.value
  const textSpace = (bytes: number, at = text) => {
    const missing = at + bytes + slackBytes - memory.buffer.byteLength
    if (missing > 0) memory.grow(Math.ceil(missing / pageBytes))
    return new Uint8Array(memory.buffer, at)
  }
  return {
    text,
    textSpace,
    parameters: (length) => new BigUint64Array(memory.buffer, PARAMETERS.value, length),
    bands: (length) => new Uint32Array(memory.buffer, BANDS.value, length),
    prepare: (hashes, bits) => prepare(hashes, bits),
    sign: (at, textBytes, window, kind, hashes) => sign(at, textBytes, window, kind, hashes),
    hashBands: (bands, hashesPerBand, hashes) => hashBands(bands, hashesPerBand, hashes),
    measureWords: (ids, count, starts) => measureWords(ids, count, starts),
    joinWords: (ids, count, starts, words, at) => joinWords(ids, count, starts, words, at),
    hash: (name, bytes) => (name === 'xxh64' ? xxh64(text, bytes) : sha1(text, bytes)),
    hash32: (bytes) => xxh32(text, bytes),
    hashText: (bytes) => hashText(bytes),
  }
}

/** A function that hashes a text's UTF-8 with xxh64 into two words, the high one first. They are borrowed until the next call. */
export function createTextHasher(): (text: string) => Uint32Array {
  const kernel = instantiateMinhash()
  const encoder = new TextEncoder()
  const words = new Uint32Array(2)
  return (text) => {
    const { written } = encoder.encodeInto(text, kernel.textSpace(text.length * 3))
    kernel.hashText(written)
    const [low, high] = kernel.bands(2)
    words[0] = high
    words[1] = low
    return words
  }
}
