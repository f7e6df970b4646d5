// The reference device: every kernel as plain loops over f64, the judge of all others. Numerical gradients are taken on it.

import type { Device, Program } from './device.ts'
import type { KernelName, OpRecord } from './graph.ts'
import { ACTIVATIONS } from './operations.ts'
import { attention, attentionBackward, attentionCached } from './reference/attention.ts'
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
    upload: (address, source) => values(address, source.length).set(source),
    download: (address, out) => out.set(values(address, out.length)),
    // a double takes the place of two floats elsewhere: here the kernels use the first half
    downloadDoubles: (address, out) => out.set(values(address, out.length)),
    fill: (address, count, value) => void values(address, count).fill(value),
    dispose: async () => {},
  }
}

/** What updates parameters reads them. */
const updates: ReadonlySet<KernelName> = new Set(['adamw', 'muon_momentum', 'orthogonalize', 'muon_update', 'average'])

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

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))
const GELU_FACTOR = Math.sqrt(2 / Math.PI)
const geluInner = (x: number) => Math.tanh(GELU_FACTOR * (x + 0.044715 * x ** 3))

/** Value and slope of each activation. */
const curves: Readonly<Record<(typeof ACTIVATIONS)[number], { value(x: number): number; slope(x: number): number }>> = {
  gelu_tanh: {
    value: (x) => 0.5 * x * (1 + geluInner(x)),
    slope: (x) => 0.5 * (1 + geluInner(x)) + 0.5 * x * (1 - geluInner(x) ** 2) * GELU_FACTOR * (1 + 3 * 0.044715 * x * x),
  },
  silu: { value: (x) => x * sigmoid(x), slope: (x) => sigmoid(x) * (1 + x * (1 - sigmoid(x))) },
  relu2: { value: (x) => Math.max(x, 0) ** 2, slope: (x) => 2 * Math.max(x, 0) },
}

function headLoss({ reads, writes }: OpRecord, view: View): void {
  const x = view(reads.x)
  const w = view(reads.w)
  const [V, C] = reads.w.shape
  const scale = view(reads.scale)[0]
  view(reads.targets).forEach((target, i) => {
    if (target < 0) return
    const logits = new Float64Array(V)
    for (let v = 0; v < V; v++) for (let c = 0; c < C; c++) logits[v] += x[i * C + c] * w[v * C + c]
    const top = Math.max(...logits)
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit - top), 0)
    view(writes.y)[i] += Math.log(total) + top - logits[target]
    for (let v = 0; v < V; v++) {
      const slope = scale * (Math.exp(logits[v] - top) / total - Number(v === target))
      for (let c = 0; c < C; c++) {
        if (writes.dx) view(writes.dx)[i * C + c] += slope * w[v * C + c]
        if (writes.dw) view(writes.dw)[v * C + c] += slope * x[i * C + c]
      }
    }
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
  activation: ({ reads, writes, attributes: { kind } }, view) => {
    const { value } = curves[ACTIVATIONS[kind]]
    const y = view(writes.y)
    view(reads.x).forEach((x, i) => {
      y[i] += value(x)
    })
  },
  activation_backward: ({ reads, writes, attributes: { kind } }, view) => {
    const { slope } = curves[ACTIVATIONS[kind]]
    const dx = view(writes.dx)
    const dy = view(reads.dy)
    view(reads.x).forEach((x, i) => {
      dx[i] += dy[i] * slope(x)
    })
  },
  swiglu: ({ reads, writes }, view) => {
    const F = rowLength(writes.y.shape)
    const x = view(reads.x)
    const y = view(writes.y)
    for (let i = 0; i < y.length; i++) {
      const gate = Math.floor(i / F) * 2 * F + (i % F)
      y[i] += curves.silu.value(x[gate]) * x[gate + F]
    }
  },
  swiglu_backward: ({ reads, writes }, view) => {
    const F = rowLength(reads.dy.shape)
    const x = view(reads.x)
    const dx = view(writes.dx)
    view(reads.dy).forEach((dy, i) => {
      const gate = Math.floor(i / F) * 2 * F + (i % F)
      dx[gate] += dy * curves.silu.slope(x[gate]) * x[gate + F]
      dx[gate + F] += dy * curves.silu.value(x[gate])
    })
  },
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
  square_sum: ({ reads, writes }, view) => {
    view(writes.partials)[0] = view(reads.x).reduce((sum, x) => sum + x * x, 0)
  },
  adamw,
  muon_momentum: muonMomentum,
  orthogonalize,
  muon_update: muonUpdate,
  average,
}
