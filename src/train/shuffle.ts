// Seeded order of the corpus. An epoch's order is a function of (seed, epoch) alone: row groups are permuted, cut into
// windows that fit in memory, and the documents of a window are permuted again (src/train/window.ts). So any position can
// be found again without replaying what came before it.

import type { RowGroup } from '../tokens/corpus.ts'

/** xoshiro128** (Blackman & Vigna 2021, arxiv.org/abs/1805.01407), its state filled from the seed words by splitmix32. */
export function randomUint32(...seed: readonly number[]): () => number {
  let mixer = 0x9e3779b9
  const splitmix = () => {
    mixer = (mixer + 0x9e3779b9) | 0
    let z = mixer
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
    return z ^ (z >>> 16)
  }
  for (const word of seed) {
    mixer = (mixer ^ word) | 0
    mixer = splitmix()
  }
  let a = splitmix()
  let b = splitmix()
  let c = splitmix()
  let d = splitmix() | 1 // never all zero
  return () => {
    const product = Math.imul(b, 5)
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0
    const shifted = b << 9
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    d = (d << 11) | (d >>> 21)
    return result
  }
}

/** A uniform permutation of 0 … n−1 (Fisher–Yates). The same seed words give the same one. */
export function permutation(n: number, ...seed: readonly number[]): Uint32Array {
  const random = randomUint32(...seed)
  const order = new Uint32Array(n)
  for (let i = 0; i < n; i++) {
    const j = Math.floor((random() / 2 ** 32) * (i + 1))
    order[i] = order[j]
    order[j] = i
  }
  return order
}

/**
 * The windows of one epoch, in order: lists of row groups that are held in memory together, each at most `windowTokens`
 * long unless one row group alone is longer.
 */
export function planWindows(rowGroups: readonly RowGroup[], seed: number, epoch: number, windowTokens: number): RowGroup[][] {
  const windows: RowGroup[][] = []
  let tokens = Number.POSITIVE_INFINITY
  for (const index of permutation(rowGroups.length, seed, epoch, 0)) {
    const group = rowGroups[index]
    if (tokens + group.tokens > windowTokens) {
      windows.push([])
      tokens = 0
    }
    windows[windows.length - 1].push(group)
    tokens += group.tokens
  }
  return windows
}
