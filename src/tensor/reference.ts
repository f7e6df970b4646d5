// The reference device: every kernel as plain loops over f64, the judge of all others. Numerical gradients are taken on it.

import type { Device, Program } from './device.ts'
import { type KernelName, noKernel, type OpRecord } from './graph.ts'
import { activation, activationBackward, gated, gatedBackward } from './reference/activation.ts'
import { attention, attentionBackward, attentionCached } from './reference/attention.ts'
import { headLoss } from './reference/head-loss.ts'
import { headNorm, headNormBackward, relativeBias, relativeBiasBackward } from './reference/heads.ts'
import { adamw, average, muonMomentum, muonUpdate, orthogonalize } from './reference/update.ts'
import { elements, rowLength } from './shape.ts'
import type { Tensor } from './tensor.ts'

type Values = Float64Array
type View = (tensor: Tensor) => Values
type Kernel = (record: OpRecord, view: View) => void

/** Integers are kept as f64 too, one number where another device has four bytes. */
export function createReferenceDevice(arenaBytes: number): Device & { values(address: number, count: number): Float64Array } {
  const memory = new Float64Array(arenaBytes / 4)
  const values = (address: number, count: number) => memory.subarray(address / 4, address / 4 + count)
  const places = new WeakMap<Program, (tensor: Tensor) => number>()
  return {
    kind: 'reference',
    name: 'reference, f64',
    arenaStart: 0,
    arenaEnd: arenaBytes,
    values,
    compile(records, at) {
      const program = { records }
      places.set(program, at)
      return program
    },
    run(program) {
      const at = places.get(program)
      if (!at) throw new TypeError('this program was compiled for another device')
      const view: View = (tensor) => values(at(tensor), elements(tensor.shape))
      for (const record of program.records) {
        clearOutputs(record, view)
        kernels[record.kernel](record, view)
      }
    },
    openIntake: (inputs, at) => ({
      isAhead: false,
      send(fill) {
        const arrays = Object.entries(inputs).map(([name, { shape }]) => [name, new Int32Array(elements(shape))] as const)
        fill(Object.fromEntries(arrays))
        for (const [name, array] of arrays) values(at(inputs[name]), array.length).set(array)
        return () => {}
      },
    }),
    upload: (address, source) => values(address, source.length).set(source),
    download: (address, out) => out.set(values(address, out.length)),
    // a double takes the place of two floats elsewhere: here the kernels use the first half
    downloadDoubles: (address, out) => out.set(values(address, out.length)),
    fill: (address, count, value) => void values(address, count).fill(value),
    dispose: async () => {},
  }
}

/** What updates parameters reads them, and the squares of one leave those of others. */
const updates: ReadonlySet<KernelName> = new Set(['square_sum', 'adamw', 'muon_momentum', 'orthogonalize', 'muon_update', 'average'])

/** So that every kernel may add. What works in place reads its outputs, so it keeps them. */
function clearOutputs(record: OpRecord, view: View): void {
  for (const [name, tensor] of Object.entries(record.writes))
    if (!record.adds.includes(name) && !tensor.storage && !updates.has(record.kernel)) view(tensor).fill(0)
}

function linear({ reads, writes, attributes: { inOut } }: OpRecord, view: View): void {
  const x = view(reads.x)
  const w = view(reads.w)
  const y = view(writes.y)
  const K = rowLength(reads.x.shape)
  const M = rowLength(writes.y.shape)
  for (let i = 0; i < y.length / M; i++)
    for (let j = 0; j < M; j++) {
      let sum = reads.b ? view(reads.b)[j] : 0
      for (let k = 0; k < K; k++) sum += x[i * K + k] * (inOut ? w[k * M + j] : w[j * K + k])
      y[i * M + j] += sum
    }
}

function linearBackward({ reads, writes, attributes: { inOut } }: OpRecord, view: View): void {
  const x = view(reads.x)
  const w = view(reads.w)
  const dy = view(reads.dy)
  const dx = writes.dx && view(writes.dx)
  const dw = writes.dw && view(writes.dw)
  const db = writes.db && view(writes.db)
  const K = rowLength(reads.x.shape)
  const M = rowLength(reads.dy.shape)
  for (let i = 0; i < dy.length / M; i++)
    for (let j = 0; j < M; j++) {
      const slope = dy[i * M + j]
      if (db) db[j] += slope
      for (let k = 0; k < K; k++) {
        const weight = inOut ? k * M + j : j * K + k
        if (dx) dx[i * K + k] += slope * w[weight]
        if (dw) dw[weight] += slope * x[i * K + k]
      }
    }
}

function norm({ reads, writes, attributes: { centred, epsilon } }: OpRecord, view: View): void {
  const x = view(reads.x)
  const w = view(reads.w)
  const y = view(writes.y)
  const C = w.length
  for (let i = 0; i < x.length / C; i++) {
    const row = x.subarray(i * C, (i + 1) * C)
    const mean = centred ? row.reduce((a, b) => a + b, 0) / C : 0
    const rstd = 1 / Math.sqrt(row.reduce((a, b) => a + (b - mean) ** 2, 0) / C + epsilon)
    view(writes.rstd)[i] = rstd
    if (centred) view(writes.mean)[i] = mean
    for (let c = 0; c < C; c++) y[i * C + c] += (row[c] - mean) * rstd * w[c] + (reads.b ? view(reads.b)[c] : 0)
  }
}

function normBackward({ reads, writes, attributes: { centred } }: OpRecord, view: View): void {
  const x = view(reads.x)
  const w = view(reads.w)
  const dy = view(reads.dy)
  const C = w.length
  for (let i = 0; i < x.length / C; i++) {
    const mean = centred ? view(reads.mean)[i] : 0
    const rstd = view(reads.rstd)[i]
    let level = 0
    let along = 0
    for (let c = 0; c < C; c++) {
      const g = dy[i * C + c] * w[c]
      level += centred ? g / C : 0
      along += (g * (x[i * C + c] - mean) * rstd) / C
    }
    for (let c = 0; c < C; c++) {
      const h = (x[i * C + c] - mean) * rstd
      if (writes.dx) view(writes.dx)[i * C + c] += rstd * (dy[i * C + c] * w[c] - level - h * along)
      if (writes.dw) view(writes.dw)[c] += dy[i * C + c] * h
      if (writes.db) view(writes.db)[c] += dy[i * C + c]
    }
  }
}

function rope(x: Values, width: number, { reads, attributes: { heads, headSize } }: OpRecord, turn: number, view: View): void {
  const positions = view(reads.positions)
  const half = headSize / 2
  for (let i = 0; i < positions.length; i++)
    for (let head = 0; head < heads; head++)
      for (let d = 0; d < half; d++) {
        const at = i * width + head * headSize + d
        const cosine = view(reads.cosines)[positions[i] * half + d]
        const sine = view(reads.sines)[positions[i] * half + d] * turn
        const a = x[at]
        const b = x[at + half]
        x[at] = a * cosine - b * sine
        x[at + half] = b * cosine + a * sine
      }
}

function scaleInto(x: Values, factor: number, y: Values): void {
  x.forEach((value, i) => {
    y[i] += factor * value
  })
}

const kernels: Readonly<Record<KernelName, Kernel>> = {
  linear,
  linear_backward: linearBackward,
  embedding: ({ reads, writes }, view) => {
    const C = rowLength(reads.w.shape)
    view(reads.ids).forEach((id, i) => {
      view(writes.y).set(view(reads.w).subarray(id * C, (id + 1) * C), i * C)
    })
  },
  embedding_backward: ({ reads, writes }, view) => {
    const C = rowLength(writes.dw.shape)
    const dw = view(writes.dw)
    const dy = view(reads.dy)
    view(reads.ids).forEach((id, i) => {
      for (let c = 0; c < C; c++) dw[id * C + c] += dy[i * C + c]
    })
  },
  norm,
  norm_backward: normBackward,
  rope: (record, view) => rope(view(record.writes.y), rowLength(record.writes.y.shape), record, 1, view),
  rope_backward: (record, view) => rope(view(record.writes.dx), rowLength(record.writes.dx.shape), record, -1, view),
  attention,
  attention_backward: attentionBackward,
  cross_attention: attention,
  cross_attention_backward: attentionBackward,
  attention_cached: attentionCached,
  attention_cached_backward: () => {},
  relative_bias: relativeBias,
  relative_bias_backward: relativeBiasBackward,
  head_norm: headNorm,
  head_norm_backward: headNormBackward,
  activation,
  activation_backward: activationBackward,
  gated,
  gated_backward: gatedBackward,
  scale: ({ reads, writes, attributes: { factor } }, view) => scaleInto(view(reads.x), factor, view(writes.y)),
  scale_backward: ({ reads, writes, attributes: { factor } }, view) => scaleInto(view(reads.dy), factor, view(writes.dx)),
  add: ({ reads, writes }, view) => {
    const y = view(writes.y)
    view(reads.a).forEach((a, i) => {
      y[i] += a + view(reads.b)[i]
    })
  },
  add_backward: ({ reads, writes }, view) => {
    const dx = view(writes.dx)
    view(reads.dy).forEach((dy, i) => {
      dx[i] += dy
    })
  },
  head_loss: headLoss,
  head_loss_backward: headLoss,
  // the first part gets all
  square_sum: ({ reads, writes, attributes: { offset } }, view) => {
    view(writes.partials)[offset] = view(reads.x).reduce((sum, x) => sum + x * x, 0)
  },
  loss_sum: noKernel,
  gate: noKernel,
  linear_gelu: noKernel,
  gelu_linear_backward: noKernel,
  adamw,
  muon_momentum: muonMomentum,
  orthogonalize,
  muon_update: muonUpdate,
  average,
}
