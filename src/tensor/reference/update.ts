// The updates of parameters as plain loops over f64.

import type { OpRecord } from '../graph.ts'
import { NEWTON_SCHULZ, NEWTON_SCHULZ_STEPS } from '../muon.ts'
import type { Tensor } from '../tensor.ts'

type View = (tensor: Tensor) => Float64Array

/** AdamW with decoupled decay: Loshchilov & Hutter 2019, algorithm 2. `hyper` as in kernels/wasm/tensor/elements.ts. */
export function adamw({ reads, writes, attributes: { decays } }: OpRecord, view: View): void {
  const [rate, beta1, beta2, epsilon, decay, scale, correct1, correct2, new1, new2] = view(reads.hyper)
  const parameter = view(writes.parameter)
  const gradient = view(reads.gradient)
  const first = view(writes.first)
  const second = view(writes.second)
  for (let i = 0; i < parameter.length; i++) {
    const g = gradient[i] * scale
    first[i] = beta1 * first[i] + new1 * g
    second[i] = beta2 * second[i] + new2 * g * g
    parameter[i] -= rate * ((first[i] * correct1) / (Math.sqrt(second[i] * correct2) + epsilon) + (decays ? decay : 0) * parameter[i])
  }
}

/** Nesterov momentum μ, `hyper` at 10. */
export function muonMomentum({ reads, writes }: OpRecord, view: View): void {
  const hyper = view(reads.hyper)
  const [scale, keep] = [hyper[5], hyper[10]]
  const gradient = view(reads.gradient)
  const momentum = view(writes.momentum)
  for (let i = 0; i < gradient.length; i++) {
    const g = (1 - keep) * gradient[i] * scale
    momentum[i] = keep * momentum[i] + g
    view(writes.x)[i] = keep * momentum[i] + g
  }
}

/** y = factor times the matrix of `rows` rows at `offset` of x, its singular values brought to about 1 (src/tensor/muon.ts). */
export function orthogonalize({ writes, attributes: { offset, rows, columns, factor } }: OpRecord, view: View): void {
  const size = rows * columns
  let x = view(writes.x).slice(offset, offset + size)
  const norm = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0)) + 1e-7
  x = x.map((value) => value / norm)
  const [a, b, c] = NEWTON_SCHULZ
  for (let step = 0; step < NEWTON_SCHULZ_STEPS; step++) {
    const gram = product(x, transpose(x, rows, columns), rows, columns, rows)
    const first = product(gram, x, rows, rows, columns)
    const second = product(gram, first, rows, rows, columns)
    x = x.map((value, i) => a * value + b * first[i] + c * second[i])
  }
  view(writes.y).set(
    x.map((value) => factor * value),
    offset,
  )
}

/** a[M,K]·b[K,N]. */
function product(a: Float64Array, b: Float64Array, M: number, K: number, N: number): Float64Array {
  const c = new Float64Array(M * N)
  for (let i = 0; i < M; i++) for (let k = 0; k < K; k++) for (let j = 0; j < N; j++) c[i * N + j] += a[i * K + k] * b[k * N + j]
  return c
}

function transpose(x: Float64Array, rows: number, columns: number): Float64Array {
  return x.map((_, i) => x[(i % rows) * columns + Math.floor(i / rows)])
}

/** Decays the weights, decoupled, and takes rate·x from them. */
export function muonUpdate({ reads, writes, attributes: { decays } }: OpRecord, view: View): void {
  const [rate, , , , decay] = view(reads.hyper)
  const parameter = view(writes.parameter)
  view(reads.x).forEach((x, i) => {
    parameter[i] -= rate * (x + (decays ? decay : 0) * parameter[i])
  })
}

/** Exponential average of the weights; the share of the newest is `hyper` at 11. */
export function average({ reads, writes }: OpRecord, view: View): void {
  const share = view(reads.hyper)[11]
  const mean = view(writes.average)
  view(reads.parameter).forEach((weight, i) => {
    mean[i] += share * (weight - mean[i])
  })
}
