// Attention where each row has one query, as when text is written token by token: nothing is packed, for nothing is read twice.

import { address, bytes, exp4, float, floats, int, ln, loadRagged, maxLanes, smaller, storeRagged, sumLanes, tanh4 } from './math'
import { sightOf } from './attention'

/**
 * Copies keys and values of new tokens into the cache, from position[row] on; those beyond its end are left out. A block is a row.
 * Arguments: k and v (columns of one matrix, side by side), row stride, keys, values, position, T, K, G·D.
 */
export function joinCache(p: u32, row: i32, scratch: u32): void {
  const stride = int(p, 1), T = int(p, 5), K = int(p, 6), width = int(p, 7), position = load<i32>(address(p, 4) + floats(row))
  for (let t = 0, n = smaller(T, K - position); t < n; t++) {
    const from = address(p, 0) + floats((row * T + t) * stride), to = floats((row * K + position + t) * width)
    memory.copy(address(p, 2) + to, from, floats(width))
    memory.copy(address(p, 3) + to, from + floats(width), floats(width))
  }
}

/** A block is one row and one group of k and v with all its heads. Arguments as of `attention`, with T = 1. */
export function attentionRow(p: u32, block: i32, scratch: u32): void {
  const qStride = int(p, 3), stride = int(p, 4), K = int(p, 12), H = int(p, 13), G = int(p, 14), D = int(p, 15)
  const scale = float(p, 16), softcap = float(p, 18), biases = int(p, 19), share = H / G
  const row = block / G, group = block % G
  const offset = address(p, 8) != 0 ? load<i32>(address(p, 8) + floats(row)) : 0
  const lo = address(p, 5) != 0 ? address(p, 5) + floats(row) : 0, hi = address(p, 6) != 0 ? address(p, 6) + floats(row) : 0
  const sight = bytes(scratch), scores = sight + 96
  sightOf(lo, hi, 0, 1, offset, K, int(p, 17), 8, sight)
  const from = load<i32>(sight), n = load<i32>(sight, 32) - from
  const k = address(p, 1) + floats((row * K + from) * stride + group * D), v = address(p, 2) + floats((row * K + from) * stride + group * D)
  for (let head = group * share; head < (group + 1) * share; head++) {
    const q = address(p, 0) + floats(row * qStride + head * D), y = address(p, 9) + floats((row * H + head) * D)
    const bias = address(p, 7) != 0 ? address(p, 7) + floats(head * biases + from - offset + biases - K) : 0
    for (let j = 0; j < n; j++) store<f32>(scores + floats(j), dot(q, k + floats(j * stride), D))
    const maximum = shapeLine(scores, n, scale, softcap, bias), sum = softmaxLine(scores, n, maximum)
    average(scores, n, v, stride, n > 0 ? 1 / sum : 0, y, D)
    if (address(p, 10) != 0) store<f32>(address(p, 10) + floats(row * H + head), n > 0 ? maximum + <f32>ln(sum) : 0)
  }
}

/** For machine code, which makes the products: turns n scores at a word into weights of a sum of 1; returns ln Σ e^score. */
export function weighLine(line: u32, n: i32, scale: f32): f32 {
  const scores = bytes(line), maximum = shapeLine(scores, n, scale, 0, 0), sum = softmaxLine(scores, n, maximum), factor = f32x4.splat(1 / sum)
  for (let j = 0; j < n; j += 4) storeRagged(scores + floats(j), n - j, f32x4.mul(loadRagged(scores + floats(j), n - j, 0), factor))
  return maximum + <f32>ln(sum)
}

// @ts-ignore: decorator
@inline
function dot(a: usize, b: usize, n: i32): f32 {
  let s0 = f32x4.splat(0), s1 = s0, j = 0
  for (; j + 8 <= n; j += 8) {
    s0 = f32x4.relaxed_madd(v128.load(a + floats(j)), v128.load(b + floats(j)), s0)
    s1 = f32x4.relaxed_madd(v128.load(a + floats(j), 16), v128.load(b + floats(j), 16), s1)
  }
  for (; j < n; j += 4) s0 = f32x4.relaxed_madd(loadRagged(a + floats(j), n - j, 0), loadRagged(b + floats(j), n - j, 0), s0)
  return sumLanes(f32x4.add(s0, s1))
}

/** Products become scores; returns the largest. */
function shapeLine(line: usize, n: i32, scale: f32, softcap: f32, bias: usize): f32 {
  const factor = f32x4.splat(softcap > 0 ? scale / softcap : scale), cap = f32x4.splat(softcap)
  let top = f32x4.splat(-1e30)
  for (let j = 0; j < n; j += 4) {
    let score = f32x4.mul(loadRagged(line + floats(j), n - j, 0), factor)
    if (softcap > 0) score = f32x4.mul(tanh4(score), cap)
    if (bias != 0) score = f32x4.add(score, loadRagged(bias + floats(j), n - j, 0))
    storeRagged(line + floats(j), n - j, score)
    top = f32x4.pmax(top, loadRagged(line + floats(j), n - j, -1e30))
  }
  return maxLanes(top)
}

/** Scores become e^(score − maximum); returns their sum. */
function softmaxLine(line: usize, n: i32, maximum: f32): f32 {
  const shift = f32x4.splat(maximum)
  let sum = f32x4.splat(0), j = 0
  for (; j < n; j += 4) {
    storeRagged(line + floats(j), n - j, exp4(f32x4.sub(loadRagged(line + floats(j), n - j, 0), shift)))
    sum = f32x4.add(sum, loadRagged(line + floats(j), n - j, 0))
  }
  return sumLanes(sum)
}

/** y[D] = factor·Σ weights[j]·v[j]. */
function average(weights: usize, n: i32, v: usize, stride: i32, factor: f32, y: usize, D: i32): void {
  const step = floats(stride), four = f32x4.splat(factor)
  let d = 0
  for (; d + 16 <= D; d += 16) {
    let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0, at = v + floats(d)
    for (let j = 0; j < n; j++, at += step) {
      const weight = v128.load_splat<f32>(weights + floats(j))
      s0 = f32x4.relaxed_madd(weight, v128.load(at), s0)
      s1 = f32x4.relaxed_madd(weight, v128.load(at, 16), s1)
      s2 = f32x4.relaxed_madd(weight, v128.load(at, 32), s2)
      s3 = f32x4.relaxed_madd(weight, v128.load(at, 48), s3)
    }
    v128.store(y + floats(d), f32x4.mul(s0, four))
    v128.store(y + floats(d), f32x4.mul(s1, four), 16)
    v128.store(y + floats(d), f32x4.mul(s2, four), 32)
    v128.store(y + floats(d), f32x4.mul(s3, four), 48)
  }
  for (; d < D; d += 4) {
    let sum = f32x4.splat(0), at = v + floats(d)
    for (let j = 0; j < n; j++, at += step) sum = f32x4.relaxed_madd(v128.load_splat<f32>(weights + floats(j)), loadRagged(at, D - d, 0), sum)
    storeRagged(y + floats(d), D - d, f32x4.mul(sum, four))
  }
}
