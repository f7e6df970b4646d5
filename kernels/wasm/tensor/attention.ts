// Causal attention with an interval mask, tile by tile with an online softmax: Dao et al. 2022, arxiv.org/abs/2205.14135,
// its products through the packed GEMM. Position t of a row sees the positions lo[t] ≤ j ≤ t, and lo[t] lies in [0, t].
// q, k, v are columns of one matrix qkv[B·T, (H+2G)·D]: H heads of q, then G of k, then G of v.

import { GEMM_SCRATCH_FLOATS, multiply } from './gemm'
import { address, exp4, float, floats, int, ln, loadRagged, maxLanes, smaller, storeRagged, sumLanes, zero } from './math'

const QUERIES: i32 = 96
const KEYS: i32 = 256

/** Floats behind the GEMM's scratch: two score tiles, and the running maximum and sum of a tile's queries. */
export const ATTENTION_SCRATCH_FLOATS: i32 = 2 * QUERIES * KEYS + 2 * QUERIES

/** First key that any of the queries may see. */
function firstKey(lo: usize, from: i32, to: i32): i32 {
  let first = from
  for (let t = from; t < to; t++) first = smaller(first, load<i32>(lo + floats(t)))
  return first
}

/**
 * A block is a tile of queries of one head. Arguments: qkv, lo, y, lse, B, T, H, G, D, scale.
 * y[B·T, H·D]; lse[B·T, H] = ln Σ e^score, which the backward pass starts from.
 */
export function attention(p: usize, block: i32, scratch: usize): void {
  const T = int(p, 5), H = int(p, 6), G = int(p, 7), D = int(p, 8), scale = float(p, 9)
  const tiles = (T + QUERIES - 1) / QUERIES
  const from = (block % tiles) * QUERIES, to = smaller(T, from + QUERIES)
  const head = (block / tiles) % H, row = block / tiles / H
  const stride = (H + 2 * G) * D, width = H * D
  const qkv = address(p, 0) + floats(row * T * stride), lo = address(p, 1) + floats(row * T)
  const q = qkv + floats(from * stride + head * D)
  const group = head / (H / G)
  const k = qkv + floats((H + group) * D), v = qkv + floats((H + G + group) * D)
  const y = address(p, 2) + floats((row * T + from) * width + head * D), lse = address(p, 3) + floats((row * T + from) * H + head)
  const scores = scratch + floats(GEMM_SCRATCH_FLOATS), maxima = scores + floats(2 * QUERIES * KEYS), sums = maxima + floats(QUERIES)
  const queries = to - from, first = firstKey(lo, from, to)
  for (let j0 = first; j0 < to; j0 += KEYS) {
    const keys = smaller(KEYS, to - j0)
    multiply(queries, keys, D, q, stride, 1, k + floats(j0 * stride), 1, stride, scores, KEYS, false, scratch)
    for (let i = 0; i < queries; i++) {
      const t = from + i, old = j0 == first ? <f32>-1e30 : load<f32>(maxima + floats(i))
      const before = j0 == first ? <f32>0 : load<f32>(sums + floats(i))
      const begin = max(load<i32>(lo + floats(t)) - j0, 0), end = smaller(keys, t + 1 - j0)
      const line = scores + floats(i * KEYS)
      const top = softmaxLine(line, begin, end, keys, scale, old)
      const shrink: f32 = f32x4.extract_lane(exp4(f32x4.splat(old - top)), 0)
      store<f32>(maxima + floats(i), top)
      store<f32>(sums + floats(i), (j0 == first ? 0 : before * shrink) + lineSum(line, keys))
      if (j0 != first) scaleLine(y + floats(i * width), D, shrink)
    }
    multiply(queries, D, keys, scores, KEYS, 1, v + floats(j0 * stride), stride, 1, y, width, j0 != first, scratch)
  }
  for (let i = 0; i < queries; i++) {
    const sum = load<f32>(sums + floats(i))
    scaleLine(y + floats(i * width), D, 1 / sum)
    store<f32>(lse + floats(i * H), load<f32>(maxima + floats(i)) + <f32>ln(sum))
  }
}

/** Scores become e^(scale·score − maximum) on [begin, end) and 0 elsewhere. Returns the maximum, at least `old`. */
function softmaxLine(line: usize, begin: i32, end: i32, keys: i32, scale: f32, old: f32): f32 {
  if (begin > 0) zero(line, smaller(begin, keys))
  if (end < keys) zero(line + floats(max(end, 0)), keys - max(end, 0))
  if (begin >= end) return old
  let top = f32x4.splat(-1e30)
  for (let j = begin; j < end; j += 4) top = f32x4.pmax(top, loadRagged(line + floats(j), end - j, -1e30))
  const maximum = max(old, maxLanes(top) * scale)
  const shift = f32x4.splat(-maximum), factor = f32x4.splat(scale)
  for (let j = begin; j < end; j += 4)
    storeRagged(line + floats(j), end - j, exp4(f32x4.relaxed_madd(loadRagged(line + floats(j), end - j, 0), factor, shift)))
  return maximum
}

function lineSum(line: usize, n: i32): f32 {
  let sum = f32x4.splat(0)
  for (let j = 0; j < n; j += 4) sum = f32x4.add(sum, loadRagged(line + floats(j), n - j, 0))
  return sumLanes(sum)
}

// @ts-ignore: decorator
@inline
function scaleLine(line: usize, n: i32, factor: f32): void {
  const four = f32x4.splat(factor)
  for (let j = 0; j < n; j += 4) storeRagged(line + floats(j), n - j, f32x4.mul(loadRagged(line + floats(j), n - j, 0), four))
}

function dot(a: usize, b: usize, n: i32): f32 {
  let sum = f32x4.splat(0)
  for (let j = 0; j < n; j += 4) sum = f32x4.relaxed_madd(loadRagged(a + floats(j), n - j, 0), loadRagged(b + floats(j), n - j, 0), sum)
  return sumLanes(sum)
}

/**
 * A block is one row and one group of k and v with all its heads: nobody else writes those columns of dqkv.
 * Arguments: qkv, lo, y, lse, dy, dqkv, B, T, H, G, D, scale. dqkv is overwritten.
 */
export function attentionBackward(p: usize, block: i32, scratch: usize): void {
  const T = int(p, 7), H = int(p, 8), G = int(p, 9), D = int(p, 10), scale = float(p, 11)
  const group = block % G, row = block / G
  const stride = (H + 2 * G) * D, width = H * D, share = H / G
  const qkv = address(p, 0) + floats(row * T * stride), lo = address(p, 1) + floats(row * T)
  const dqkv = address(p, 5) + floats(row * T * stride)
  const k = qkv + floats((H + group) * D), v = qkv + floats((H + G + group) * D)
  const dk = dqkv + floats((H + group) * D), dv = dqkv + floats((H + G + group) * D)
  for (let t = 0; t < T; t++) {
    zero(dk + floats(t * stride), D)
    zero(dv + floats(t * stride), D)
  }
  const probabilities = scratch + floats(GEMM_SCRATCH_FLOATS), slopes = probabilities + floats(QUERIES * KEYS)
  const deltas = slopes + floats(QUERIES * KEYS)
  for (let head = group * share; head < (group + 1) * share; head++) {
    for (let from = 0; from < T; from += QUERIES) {
      const queries = smaller(QUERIES, T - from), to = from + queries
      const q = qkv + floats(from * stride + head * D), dq = dqkv + floats(from * stride + head * D)
      const y = address(p, 2) + floats((row * T + from) * width + head * D)
      const dy = address(p, 4) + floats((row * T + from) * width + head * D)
      const lse = address(p, 3) + floats((row * T + from) * H + head)
      for (let i = 0; i < queries; i++) store<f32>(deltas + floats(i), dot(y + floats(i * width), dy + floats(i * width), D))
      const first = firstKey(lo, from, to)
      for (let j0 = first; j0 < to; j0 += KEYS) {
        const keys = smaller(KEYS, to - j0), at = j0 * stride
        multiply(queries, keys, D, q, stride, 1, k + floats(at), 1, stride, probabilities, KEYS, false, scratch)
        multiply(queries, keys, D, dy, width, 1, v + floats(at), 1, stride, slopes, KEYS, false, scratch)
        for (let i = 0; i < queries; i++) {
          const t = from + i
          slopeLine(probabilities + floats(i * KEYS), slopes + floats(i * KEYS), max(load<i32>(lo + floats(t)) - j0, 0),
            smaller(keys, t + 1 - j0), keys, scale, load<f32>(lse + floats(i * H)), load<f32>(deltas + floats(i)))
        }
        multiply(queries, D, keys, slopes, KEYS, 1, k + floats(at), stride, 1, dq, stride, j0 != first, scratch)
        multiply(keys, D, queries, slopes, 1, KEYS, q, stride, 1, dk + floats(at), stride, true, scratch)
        multiply(keys, D, queries, probabilities, 1, KEYS, dy, width, 1, dv + floats(at), stride, true, scratch)
      }
    }
  }
}

/** Scores become probabilities, dP becomes dS = P·(dP − delta)·scale; both 0 outside [begin, end). */
function slopeLine(scores: usize, slopes: usize, begin: i32, end: i32, keys: i32, scale: f32, lse: f32, delta: f32): void {
  const head = smaller(begin, keys), tail = max(end, head)
  if (head > 0) { zero(scores, head); zero(slopes, head) }
  if (tail < keys) { zero(scores + floats(tail), keys - tail); zero(slopes + floats(tail), keys - tail) }
  const factor = f32x4.splat(scale), shift = f32x4.splat(-lse), less = f32x4.splat(delta)
  for (let j = head; j < end; j += 4) {
    const n = end - j, s = scores + floats(j), d = slopes + floats(j)
    const probability = exp4(f32x4.relaxed_madd(loadRagged(s, n, 0), factor, shift))
    storeRagged(s, n, probability)
    storeRagged(d, n, f32x4.mul(f32x4.mul(probability, f32x4.sub(loadRagged(d, n, 0), less)), factor))
  }
}

/**
 * One new position attends to a cache of k and v, which it joins first. A block is a group of k and v.
 * Arguments: qkv[(H+2G)·D], keys[capacity, G·D], values[capacity, G·D], position (address of an i32), y[H·D], H, G, D, scale.
 */
export function attentionCached(p: usize, block: i32, scratch: usize): void {
  const H = int(p, 5), G = int(p, 6), D = int(p, 7), scale = float(p, 8)
  const qkv = address(p, 0), position = load<i32>(address(p, 3)), row = G * D
  const keys = address(p, 1) + floats(block * D), values = address(p, 2) + floats(block * D)
  memory.copy(keys + floats(position * row), qkv + floats((H + block) * D), floats(D))
  memory.copy(values + floats(position * row), qkv + floats((H + G + block) * D), floats(D))
  const share = H / G, seen = position + 1
  for (let head = block * share; head < (block + 1) * share; head++) {
    const q = qkv + floats(head * D), y = address(p, 4) + floats(head * D)
    for (let j = 0; j < seen; j++) store<f32>(scratch + floats(j), dot(q, keys + floats(j * row), D))
    softmaxLine(scratch, 0, seen, seen, scale, -1e30)
    const sum = lineSum(scratch, seen)
    zero(y, D)
    for (let j = 0; j < seen; j++) {
      const weight = f32x4.splat(load<f32>(scratch + floats(j)) / sum), value = values + floats(j * row)
      for (let d = 0; d < D; d += 4)
        storeRagged(y + floats(d), D - d, f32x4.relaxed_madd(weight, loadRagged(value + floats(d), D - d, 0), loadRagged(y + floats(d), D - d, 0)))
    }
  }
}

/** Rotates the first `heads` heads of each row by its position; `turn` is 1, or -1 for the gradient. In place.
 * Half-split layout of Hugging Face's Llama: dimension i is paired with i + D/2. Su et al. 2021, arxiv.org/abs/2104.09864.
 * Arguments: x, row stride, positions, cosines[T, D/2], sines[T, D/2], rows, heads, D, turn, rows of a block. */
export function rope(p: usize, block: i32, scratch: usize): void {
  const stride = int(p, 1), heads = int(p, 6), D = int(p, 7), half = D >> 1, size = int(p, 9)
  const turn = float(p, 8)
  const from = block * size, to = smaller(int(p, 5), from + size)
  for (let i = from; i < to; i++) {
    const position = load<i32>(address(p, 2) + floats(i))
    const cosines = address(p, 3) + floats(position * half), sines = address(p, 4) + floats(position * half)
    for (let head = 0; head < heads; head++) {
      const x = address(p, 0) + floats(i * stride + head * D), z = x + floats(half)
      for (let d = 0; d < half; d += 4) {
        const n = half - d, at = floats(d)
        const c = loadRagged(cosines + at, n, 0), s = f32x4.mul(loadRagged(sines + at, n, 0), f32x4.splat(turn))
        const a = loadRagged(x + at, n, 0), b = loadRagged(z + at, n, 0)
        storeRagged(x + at, n, f32x4.sub(f32x4.mul(a, c), f32x4.mul(b, s)))
        storeRagged(z + at, n, f32x4.add(f32x4.mul(b, c), f32x4.mul(a, s)))
      }
    }
  }
}
