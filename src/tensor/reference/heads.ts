// What attention is given besides queries, keys and values, as plain loops over f64: biases of distance, normalized heads.

import type { OpRecord } from '../graph.ts'
import { relativeBucket } from '../relative-bucket.ts'
import { rowCount, rowLength } from '../shape.ts'
import type { Tensor } from '../tensor.ts'

type View = (tensor: Tensor) => Float64Array

/** Visits each element of the bias, and the element of w that it comes from. */
function eachBias(w: Tensor, attributes: OpRecord['attributes'], body: (weight: number, index: number) => void): void {
  const { length, keyLength } = attributes
  const [buckets, H] = w.shape
  const columns = length + keyLength - 1
  for (let head = 0; head < H; head++)
    for (let i = 0; i < columns; i++) body(relativeBucket(i + 1 - length, buckets, attributes) * H + head, head * columns + i)
}

export function relativeBias({ reads, writes, attributes }: OpRecord, view: View): void {
  eachBias(reads.w, attributes, (weight, index) => {
    view(writes.y)[index] += view(reads.w)[weight]
  })
}

export function relativeBiasBackward({ reads, writes, attributes }: OpRecord, view: View): void {
  eachBias(writes.dw, attributes, (weight, index) => {
    view(writes.dw)[weight] += view(reads.dy)[index]
  })
}

export function headNorm({ reads, writes, attributes: { heads, kvHeads, headSize: D, epsilon } }: OpRecord, view: View): void {
  const x = view(reads.qkv)
  const y = view(writes.y)
  const width = rowLength(reads.qkv.shape)
  for (let i = 0; i < x.length; i++) {
    const head = Math.floor((i % width) / D)
    if (head >= heads + kvHeads) {
      y[i] += x[i]
      continue
    }
    const own = x.subarray(i - (i % D), i - (i % D) + D)
    const rstd = 1 / Math.sqrt(own.reduce((sum, value) => sum + value * value, 0) / D + epsilon)
    view(writes.rstd)[Math.floor(i / width) * (heads + kvHeads) + head] = rstd
    y[i] += x[i] * rstd * view(head < heads ? reads.wq : reads.wk)[i % D]
  }
}

export function headNormBackward({ reads, writes, attributes: { heads, kvHeads, headSize: D } }: OpRecord, view: View): void {
  const x = view(reads.qkv)
  const dy = view(reads.dy)
  const dx = view(writes.dqkv)
  const stride = heads + 2 * kvHeads
  for (let token = 0; token < rowCount(reads.qkv.shape); token++)
    for (let head = 0; head < stride; head++) {
      const at = (token * stride + head) * D
      if (head >= heads + kvHeads) {
        for (let d = 0; d < D; d++) dx[at + d] += dy[at + d]
        continue
      }
      const w = view(head < heads ? reads.wq : reads.wk)
      const dw = head < heads ? writes.dwq : writes.dwk
      const rstd = view(reads.rstd)[token * (heads + kvHeads) + head]
      let along = 0
      for (let d = 0; d < D; d++) along += (dy[at + d] * w[d] * x[at + d] * rstd) / D
      for (let d = 0; d < D; d++) {
        const h = x[at + d] * rstd
        dx[at + d] += rstd * (dy[at + d] * w[d] - h * along)
        if (dw) view(dw)[d] += dy[at + d] * h
      }
    }
}
