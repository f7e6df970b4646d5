// Attention over intervals of keys as plain loops over f64: of a sequence to itself, to another one, and to a cache.
// Scores are scale·q·k, then softcap·tanh(score / softcap), then the bias of the distance.

import type { OpRecord } from '../graph.ts'
import { rowCount } from '../shape.ts'

type Values = Float64Array
type View = (tensor: OpRecord['reads'][string]) => Values

/** Where the vectors of queries, keys and values begin in the arrays that hold them. */
interface Layout {
  readonly rows: number
  readonly keyLength: number
  q(row: number, t: number, head: number): number
  k(row: number, j: number, head: number): number
  v(row: number, j: number, head: number): number
}

/** One query: keys lo ≤ j < hi, and the index in `bias` that belongs to key 0. */
interface Query {
  readonly token: number
  readonly row: number
  readonly t: number
  readonly head: number
  readonly lo: number
  readonly hi: number
  readonly bias: number
}

/** A sequence to itself: queries, keys and values are columns of qkv[rows·length, (H+2G)·D]. */
function selfLayout({ reads: { qkv }, attributes: { heads, kvHeads, headSize, length } }: OpRecord): Layout {
  const stride = (heads + 2 * kvHeads) * headSize
  const share = heads / kvHeads
  const at = (row: number, t: number, column: number) => (row * length + t) * stride + column * headSize
  return {
    rows: rowCount(qkv.shape) / length,
    keyLength: length,
    q: (row, t, head) => at(row, t, head),
    k: (row, j, head) => at(row, j, heads + Math.floor(head / share)),
    v: (row, j, head) => at(row, j, heads + kvHeads + Math.floor(head / share)),
  }
}

/** To another sequence: q[rows·length, H·D], and keys and values are columns of kv[rows·keyLength, 2G·D]. */
function crossLayout({ reads: { q }, attributes: { heads, kvHeads, headSize, length, keyLength } }: OpRecord): Layout {
  const share = heads / kvHeads
  const at = (row: number, j: number, column: number) => ((row * keyLength + j) * 2 * kvHeads + column) * headSize
  return {
    rows: rowCount(q.shape) / length,
    keyLength,
    q: (row, t, head) => ((row * length + t) * heads + head) * headSize,
    k: (row, j, head) => at(row, j, Math.floor(head / share)),
    v: (row, j, head) => at(row, j, kvHeads + Math.floor(head / share)),
  }
}

const layoutOf = (record: OpRecord) => (record.reads.qkv ? selfLayout(record) : crossLayout(record))

function eachQuery({ reads, attributes }: OpRecord, { rows, keyLength }: Layout, view: View, body: (query: Query) => void): void {
  const { heads, length, causal, window } = attributes
  const lo = view(reads.lo)
  const hi = reads.hi && view(reads.hi)
  for (let row = 0; row < rows; row++)
    for (let t = 0; t < length; t++) {
      const token = row * length + t
      const end = causal || !hi ? t + 1 : hi[token]
      for (let head = 0; head < heads; head++)
        body({
          token,
          row,
          t,
          head,
          lo: window ? Math.max(lo[token], t - window + 1) : lo[token],
          hi: window ? Math.min(end, t + window) : end,
          bias: head * (length + keyLength - 1) + length - 1 - t,
        })
    }
}

function dot(x: Values, a: number, y: Values, b: number, n: number): number {
  let sum = 0
  for (let i = 0; i < n; i++) sum += x[a + i] * y[b + i]
  return sum
}

/** The score of a product of query and key, and its slope in that product. */
function scoreOf(product: number, bias: number, { scale, softcap }: OpRecord['attributes']): { value: number; slope: number } {
  if (!softcap) return { value: scale * product + bias, slope: scale }
  const capped = Math.tanh((scale * product) / softcap)
  return { value: softcap * capped + bias, slope: scale * (1 - capped * capped) }
}

/** y += Σ softmax(scores)·values, and the logarithm of the softmax's denominator. A query that sees nothing has y = 0. */
function attend(scores: readonly number[], values: Values, at: (index: number) => number, y: Values): number {
  if (scores.length === 0) return 0
  const top = Math.max(...scores)
  const total = scores.reduce((sum, score) => sum + Math.exp(score - top), 0)
  scores.forEach((score, i) => {
    const weight = Math.exp(score - top) / total
    for (let d = 0; d < y.length; d++) y[d] += weight * values[at(i) + d]
  })
  return top + Math.log(total)
}

/** Forward of `attention` and of `cross_attention`. */
export function attention(record: OpRecord, view: View): void {
  const { reads, writes, attributes } = record
  const { heads, headSize: D } = attributes
  const layout = layoutOf(record)
  const q = view(reads.qkv ?? reads.q)
  const kv = view(reads.qkv ?? reads.kv)
  const bias = reads.bias && view(reads.bias)
  const lse = view(writes.lse)
  eachQuery(record, layout, view, (query) => {
    const { token, row, t, head, lo, hi } = query
    const scores: number[] = []
    for (let j = lo; j < hi; j++) {
      const product = dot(q, layout.q(row, t, head), kv, layout.k(row, j, head), D)
      scores.push(scoreOf(product, bias ? bias[query.bias + j] : 0, attributes).value)
    }
    const at = token * heads + head
    lse[at] = attend(scores, kv, (i) => layout.v(row, lo + i, head), view(writes.y).subarray(at * D, (at + 1) * D))
  })
}

/** Backward of both. */
export function attentionBackward(record: OpRecord, view: View): void {
  const { reads, writes, attributes } = record
  const { heads, headSize: D } = attributes
  const layout = layoutOf(record)
  const q = view(reads.qkv ?? reads.q)
  const kv = view(reads.qkv ?? reads.kv)
  const bias = reads.bias && view(reads.bias)
  const dq = view(writes.dqkv ?? writes.dq)
  const dkv = view(writes.dqkv ?? writes.dkv)
  const dbias = writes.dbias && view(writes.dbias)
  const dy = view(reads.dy)
  eachQuery(record, layout, view, (query) => {
    const { token, row, t, head, lo, hi } = query
    const at = token * heads + head
    const delta = dot(view(reads.y), at * D, dy, at * D, D)
    const from = layout.q(row, t, head)
    for (let j = lo; j < hi; j++) {
      const [k, v] = [layout.k(row, j, head), layout.v(row, j, head)]
      const { value, slope } = scoreOf(dot(q, from, kv, k, D), bias ? bias[query.bias + j] : 0, attributes)
      const probability = Math.exp(value - view(reads.lse)[at])
      const dscore = probability * (dot(dy, at * D, kv, v, D) - delta)
      if (dbias) dbias[query.bias + j] += dscore
      for (let d = 0; d < D; d++) {
        dq[from + d] += dscore * slope * kv[k + d]
        dkv[k + d] += dscore * slope * q[from + d]
        dkv[v + d] += probability * dy[at * D + d]
      }
    }
  })
}

/** Joins `length` tokens a row to the cache, then lets each see the cache up to itself. */
export function attentionCached({ reads, writes, attributes }: OpRecord, view: View): void {
  const { heads, kvHeads, headSize: D, length, window } = attributes
  const qkv = view(reads.qkv)
  const keys = view(reads.keys)
  const values = view(reads.values)
  const bias = reads.bias && view(reads.bias)
  const rows = reads.position.shape[0]
  const context = rowCount(reads.keys.shape) / rows
  const width = kvHeads * D
  const stride = heads * D + 2 * width
  view(reads.position).forEach((position, row) => {
    const ends = Math.min(length, context - position)
    for (let t = 0; t < ends; t++) {
      const from = (row * length + t) * stride + heads * D
      const to = (row * context + position + t) * width
      keys.set(qkv.subarray(from, from + width), to)
      values.set(qkv.subarray(from + width, from + 2 * width), to)
    }
    for (let t = 0; t < ends; t++)
      for (let head = 0; head < heads; head++) {
        const token = row * length + t
        const group = Math.floor(head / (heads / kvHeads)) * D
        const place = position + t
        const lo = window ? Math.max(0, place - window + 1) : 0
        const at = (j: number) => (row * context + j) * width + group
        const scores: number[] = []
        for (let j = lo; j <= place; j++) {
          const product = dot(qkv, token * stride + head * D, keys, at(j), D)
          scores.push(scoreOf(product, bias ? bias[head * (2 * context - 1) + j - place + context - 1] : 0, attributes).value)
        }
        const y = (token * heads + head) * D
        attend(scores, values, (i) => at(lo + i), view(writes.y).subarray(y, y + D))
      }
  })
}
