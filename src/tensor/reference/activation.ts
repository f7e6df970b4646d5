// Activations and gates as plain functions over f64.

import type { OpRecord } from '../graph.ts'
import { ACTIVATIONS, type Activation } from '../operations.ts'
import { rowLength } from '../shape.ts'
import type { Tensor } from '../tensor.ts'

type View = (tensor: Tensor) => Float64Array

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))
const GELU_FACTOR = Math.sqrt(2 / Math.PI)
const geluInner = (x: number) => Math.tanh(GELU_FACTOR * (x + 0.044715 * x ** 3))

/** erf x = 2/√π·e^−x²·Σ 2ⁿ·x^(2n+1) / (2n+1)!!, whose terms have one sign: nothing cancels. */
function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x)
  let term = x
  let sum = x
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1)
    sum += term
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum
}

/** The normal distribution, and its density. */
const normal = (x: number) => 0.5 * (1 + erf(x / Math.SQRT2))
const density = (x: number) => Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI)

/** Value and slope of each activation. */
const curves: Readonly<Record<Activation, { value(x: number): number; slope(x: number): number }>> = {
  gelu_tanh: {
    value: (x) => 0.5 * x * (1 + geluInner(x)),
    slope: (x) => 0.5 * (1 + geluInner(x)) + 0.5 * x * (1 - geluInner(x) ** 2) * GELU_FACTOR * (1 + 3 * 0.044715 * x * x),
  },
  gelu: { value: (x) => x * normal(x), slope: (x) => normal(x) + x * density(x) },
  silu: { value: (x) => x * sigmoid(x), slope: (x) => sigmoid(x) * (1 + x * (1 - sigmoid(x))) },
  relu: { value: (x) => Math.max(x, 0), slope: (x) => Number(x > 0) },
  relu2: { value: (x) => Math.max(x, 0) ** 2, slope: (x) => 2 * Math.max(x, 0) },
  tanh: { value: Math.tanh, slope: (x) => 1 - Math.tanh(x) ** 2 },
}

export function activation({ reads, writes, attributes: { kind } }: OpRecord, view: View): void {
  const { value } = curves[ACTIVATIONS[kind]]
  const y = view(writes.y)
  view(reads.x).forEach((x, i) => {
    y[i] += value(x)
  })
}

export function activationBackward({ reads, writes, attributes: { kind } }: OpRecord, view: View): void {
  const { slope } = curves[ACTIVATIONS[kind]]
  const dx = view(writes.dx)
  const dy = view(reads.dy)
  view(reads.x).forEach((x, i) => {
    dx[i] += dy[i] * slope(x)
  })
}

/** Of the gate and of what it lets through, in x[N,2F]. */
const gateOf = (i: number, F: number) => Math.floor(i / F) * 2 * F + (i % F)

export function gated({ reads, writes, attributes: { kind } }: OpRecord, view: View): void {
  const { value } = curves[ACTIVATIONS[kind]]
  const F = rowLength(writes.y.shape)
  const x = view(reads.x)
  const y = view(writes.y)
  for (let i = 0; i < y.length; i++) y[i] += value(x[gateOf(i, F)]) * x[gateOf(i, F) + F]
}

export function gatedBackward({ reads, writes, attributes: { kind } }: OpRecord, view: View): void {
  const { value, slope } = curves[ACTIVATIONS[kind]]
  const F = rowLength(reads.dy.shape)
  const x = view(reads.x)
  const dx = view(writes.dx)
  view(reads.dy).forEach((dy, i) => {
    const gate = gateOf(i, F)
    dx[gate] += dy * slope(x[gate]) * x[gate + F]
    dx[gate + F] += dy * value(x[gate])
  })
}
