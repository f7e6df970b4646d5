// The loss at a model's head as plain loops over f64, and its gradients on the way.

import type { OpRecord } from '../graph.ts'
import type { Tensor } from '../tensor.ts'

type View = (tensor: Tensor) => Float64Array

export function headLoss({ reads, writes, attributes }: OpRecord, view: View): void {
  const { softcap, zLoss, smoothing } = attributes
  const x = view(reads.x)
  const w = view(reads.w)
  const [V, C] = reads.w.shape
  const scale = view(reads.scale)[0]
  view(reads.targets).forEach((target, i) => {
    if (target < 0) return
    const logits = logitsOf(x.subarray(i * C, (i + 1) * C), w, reads.b && view(reads.b)).map((z) =>
      softcap ? softcap * Math.tanh(z / softcap) : z,
    )
    const top = Math.max(...logits)
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit - top), 0)
    const lse = Math.log(total) + top
    const mean = logits.reduce((a, b) => a + b, 0) / V
    view(writes.y)[i] += lse - (1 - smoothing) * logits[target] - smoothing * mean + zLoss * lse * lse
    logits.forEach((logit, v) => {
      const probability = Math.exp(logit - top) / total
      const wanted = smoothing / V + (v === target ? 1 - smoothing : 0)
      const uncapped = softcap ? 1 - (logit / softcap) ** 2 : 1
      const slope = scale * uncapped * (probability * (1 + 2 * zLoss * lse) - wanted)
      if (writes.db) view(writes.db)[v] += slope
      for (let c = 0; c < C; c++) {
        if (writes.dx) view(writes.dx)[i * C + c] += slope * w[v * C + c]
        if (writes.dw) view(writes.dw)[v * C + c] += slope * x[i * C + c]
      }
    })
  })
}

function logitsOf(x: Float64Array, w: Float64Array, b: Float64Array | undefined): Float64Array {
  return Float64Array.from({ length: w.length / x.length }, (_, v) =>
    x.reduce((sum, value, c) => sum + value * w[v * x.length + c], b ? b[v] : 0),
  )
}
