// MinHash signatures. Broder 1997, "On the resemblance and containment of documents", in datatrove's definition:
// P(minima[k] is equal for two documents) ≈ Jaccard similarity of their sets of shingles. The words come from the caller.

import assert from 'node:assert/strict'
import { sha1Head, xxh32, xxh64 } from './hash.ts'
import { instantiateMinhash } from './kernel.ts'
import { drawPermutations, mersennePrime, type Permutations } from './permutations.ts'
import { WordTable } from './word-table.ts'

export interface MinhashParameters {
  /** Words a shingle, 1 to 32. */
  readonly shingleWords: number
  readonly bands: number
  /** bands · hashesPerBand is at most 1024. */
  readonly hashesPerBand: number
  /** Of the permutations, 0 to 2^32 − 1. */
  readonly seed: number
  readonly hash: 'xxhash' | 'sha1'
  /** Bits of the shingles' hashes and of the minima. 32 signs 1.4 times as fast and estimates as well. */
  readonly precision: 32 | 64
}

/** As FineWeb: a pair of Jaccard similarity s shares a band with probability 1 − (1 − s^8)^14, one half at about 0.72. */
export const fineWebParameters: MinhashParameters = {
  shingleWords: 5,
  bands: 14,
  hashesPerBand: 8,
  seed: 1,
  hash: 'xxhash',
  precision: 64,
}

export interface Signer {
  /**
   * Signs a document. Words must not be empty or hold blanks: one blank joins them in a shingle.
   *
   * @returns false where there are fewer words than one shingle needs: no signature, like nothing
   */
  readonly sign: (words: readonly string[]) => boolean
  /** The same of words given by number, `words[ids[i]]`, where the array of all words is kept from call to call and only grows. */
  readonly signIds: (words: readonly string[], ids: Int32Array) => boolean
  /** The same of words that are one text already, one blank between two. */
  readonly signJoined: (text: string) => boolean
  /** u64[bands · hashesPerBand] of the document signed last, copied. */
  readonly minima: () => BigUint64Array
  /** u32[2 · bands], low half first: a 64-bit hash of each band of the document signed last. Borrowed until the next call. */
  readonly bandHashes: () => Uint32Array
}

const encoder = new TextEncoder()

/** A signer of its own state, in WASM. `minhashReference` is the same in plain TypeScript. */
export function createSigner(parameters: MinhashParameters): Signer {
  const { shingleWords, bands, hashesPerBand, seed, precision } = parameters
  const kernel = instantiateMinhash()
  const m = bands * hashesPerBand
  const padded = Math.ceil(m / 8) * 8
  const { a, b } = drawPermutations(seed, m)
  const memory = kernel.parameters(2 * padded).fill(0n)
  memory.set(a)
  memory.set(b, padded)
  kernel.prepare(padded, precision)
  const table = new WordTable(kernel)
  const kind = (parameters.hash === 'sha1' ? 2 : 0) + (precision === 32 ? 1 : 0)
  const countWords = (text: string) => {
    const at = table.end
    const { written } = encoder.encodeInto(text, kernel.textSpace(text.length * 3, at))
    return kernel.sign(at, written, shingleWords, kind, padded)
  }
  return {
    sign: (words) => {
      const counted = countWords(words.join(' '))
      assert.equal(counted, words.length, 'words to sign hold blanks')
      return counted >= shingleWords
    },
    signIds: (words, ids) => {
      const { at, bytes } = table.join(words, ids)
      return kernel.sign(at, bytes, shingleWords, kind, padded) >= shingleWords
    },
    signJoined: (text) => countWords(text) >= shingleWords,
    minima: () => kernel.parameters(6 * padded).slice(5 * padded, 5 * padded + m),
    bandHashes: () => {
      kernel.hashBands(bands, hashesPerBand, padded)
      return kernel.bands(2 * bands)
    },
  }
}

/** Hashes of all windows of words: u64[n], n = words − shingleWords + 1, at least 0. */
export function shingleHashes(words: readonly string[], parameters: MinhashParameters): BigUint64Array {
  const n = Math.max(0, words.length - parameters.shingleWords + 1)
  const hash = hashFunction(parameters)
  return BigUint64Array.from({ length: n }, (_, i) => hash(encoder.encode(words.slice(i, i + parameters.shingleWords).join(' '))))
}

function hashFunction({ hash, precision }: MinhashParameters): (bytes: Uint8Array) => bigint {
  if (hash === 'xxhash') return precision === 64 ? xxh64 : (bytes) => BigInt(xxh32(bytes))
  return precision === 64 ? sha1Head : (bytes) => sha1Head(bytes) & 0xffffffffn
}

/**
 * The plain signature: minima[k] = min over x of ((x·a[k] + b[k]) mod 2^64) mod (2^61 − 1), of which 32 bits are kept
 * before the minimum where the precision is 32.
 *
 * @param shingles u64[n], n ≥ 1; order and repeats do not matter
 */
export function minhashReference(shingles: BigUint64Array, { a, b }: Permutations, precision: 32 | 64): BigUint64Array {
  const mask = precision === 32 ? 0xffffffffn : mersennePrime
  return a.map((factor, k) => {
    let minimum = mask
    for (const x of shingles) {
      const value = (BigInt.asUintN(64, x * factor + b[k]) % mersennePrime) & mask
      if (value < minimum) minimum = value
    }
    return minimum
  })
}
