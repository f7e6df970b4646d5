// Attention of single queries, as when text is written: the kernel attentionRow of a thread, whose products of the heads that
// share keys and values are those of few rows (native/rows.ts). Capped or biased scores, other head sizes and few keys are WASM's.

import { LANES } from './assembler.ts'
import type { RowsProducts } from './rows.ts'

type Kernel = (words: number, block: number, scratch: number) => void

/** kernels/wasm/tensor/attention-row.ts */
export interface AttentionRowKernels {
  readonly attentionRow: Kernel
  /** Turns scores into weights; returns the logarithm of their sum. */
  readonly weighLine: (line: number, n: number, scale: number) => number
}

export function nativeAttentionRow(memory: WebAssembly.Memory, { dots, sums }: RowsProducts, wasm: AttentionRowKernels): Kernel {
  const words = new Int32Array(memory.buffer)
  const floats = new Float32Array(memory.buffer)

  return (at, block, scratch) => {
    const [q, k, v, , , lo, hi, bias, position, y, lse] = Array.from(words.subarray(at, at + 11), (address) => address >>> 0)
    const [queryStride, keyStride] = words.subarray(at + 3, at + 5)
    const [K, heads, groups, depth] = words.subarray(at + 12, at + 16)
    const [window, softcap] = words.subarray(at + 17, at + 19)
    const [row, group] = [Math.floor(block / groups), block % groups]
    const place = position ? words[position + row] : 0
    const from = Math.max(lo ? words[lo + row] : 0, window > 0 ? place - window + 1 : 0)
    const to = Math.min(K, hi ? words[hi + row] : place + 1, window > 0 ? place + window : K)
    const [keys, rows] = [to - from, heads / groups]
    // scratch has room for the scores of two rows for each float of a head
    const isOurs = !bias && !softcap && depth % LANES === 0 && rows <= 2 * LANES && keys >= LANES && (hi || place < K)
    if (!isOurs) return wasm.attentionRow(at, block, scratch)

    const head = group * rows
    const first = (row * K + from) * keyStride + group * depth
    // scores of a head lie K apart, so that it is one code for any number of keys
    const [scores, stride] = [scratch, K]
    const query = q + row * queryStride + head * depth
    const products = { rows, wStride: keyStride, bias: 0 }
    dots({ ...products, depth, outputs: keys, x: query, xStride: depth, w: k + first, y: scores, yStride: stride })
    for (let i = 0; i < rows; i++) {
      const sum = wasm.weighLine(scores + i * stride, keys, floats[at + 16])
      if (lse) floats[lse + row * heads + head + i] = sum
    }
    const output = y + (row * heads + head) * depth
    sums({ ...products, depth: keys, outputs: depth, x: scores, xStride: stride, w: v + first, y: output, yStride: depth })
  }
}
