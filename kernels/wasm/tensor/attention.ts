// Attention over intervals of keys: a sequence to itself, to another one, or to a cache. Nothing of size T·K is kept; the softmax
// goes over blocks of keys as in Dao et al. 2022, arxiv.org/abs/2205.14135.
//
// Eight queries at a time are the columns of the GEMM tile, so scores come out as [key][8 queries]: softmax runs down the
// vectors, and that layout is what the tile wants of its right operand, so nothing is packed between the two products.
// Tiles of keys that none of the eight may see are left out.
//
// T queries and K keys a row, H heads of queries, G of keys and values, D their size. Query t has place t + position[row]
// among the keys. It sees key j where lo[t] ≤ j (0 where lo is absent) and j ≤ place, or j < hi[t] where hi is there; and
// |place − j| < window where that is not 0. Score: scale·q·k, then softcap·tanh(score / softcap) where that is not 0, then
// + bias[head][j − place + length of the bias − K].

import { MR, NR, packA, packB, tile, transpose4 } from './gemm'
import { address, bytes, exp4, float, floats, int, ln, smaller, tanh4 } from './math'

/** Queries that the gradients of k and v are gathered over before they are added: 12 panels. */
export const QUERIES: i32 = 96
/** Bytes of a row of a panel: 8 queries. */
export const PANEL_ROW: usize = 32
/** Keys whose scores exist at one time in the forward pass: 12 KiB for eight queries, which stay in the first cache. */
const KEY_BLOCK: i32 = 384
/** Words of what eight queries see: lo[8], hi[8], the first key that any sees, the last one + 1, and two of padding. */
export const SIGHT: i32 = 20

// @ts-ignore: decorator
@inline
export function roundUp(n: i32, multiple: i32): i32 { return (n + multiple - 1) / multiple * multiple }

/**
 * Floats of scratch: two packed matrices, score panels and a bias; backward five packed or gathered matrices, two sets of score
 * panels, a bias and its gradient; and small parts.
 */
export function attentionScratchFloats(T: i32, K: i32, D: i32, backward: i32): i32 {
  const keys = roundUp(K, 24), depth = roundUp(D, MR), biases = max(T, K) + K + 16
  if (backward == 0) return 2 * keys * depth + smaller(keys, KEY_BLOCK) * NR + 2 * NR * depth + 3 * NR + SIGHT + biases + 64
  return 5 * keys * depth + 2 * QUERIES * keys + 2 * QUERIES * depth + 3 * NR * depth + NR * QUERIES + 2 * biases + SIGHT * QUERIES / NR + 64
}

/** What n queries from t on see; what is missing of `lanes` (8: see SIGHT) sees nothing. lo and hi are those of the row, or 0. */
export function sightOf(lo: usize, hi: usize, t: i32, n: i32, offset: i32, K: i32, window: i32, lanes: i32, sight: usize): void {
  let first = K, last = 0
  for (let i = 0; i < lanes; i++) {
    const place = t + i + offset, at = floats(t + i)
    let from = 0, to = 0
    if (i < n && (hi != 0 || place < K)) {
      if (lo != 0) from = load<i32>(lo + at)
      to = hi != 0 ? load<i32>(hi + at) : place + 1
      if (window > 0) {
        from = max(from, place - window + 1)
        to = smaller(to, place + window)
      }
      to = smaller(to, K)
    }
    store<i32>(sight + floats(i), from)
    store<i32>(sight + floats(lanes + i), to)
    if (from >= to) continue
    first = smaller(first, from)
    last = max(last, to)
  }
  store<i32>(sight + floats(2 * lanes), smaller(first, last))
  store<i32>(sight + floats(2 * lanes + 1), last)
}

/**
 * What all queries of a row see, for machine code with 16 of them a vector: 48 words for each 16, lo[16], how many keys from
 * there on[16], and as 64 bits each the first tile of 16 keys that any sees, the number of tiles, and of queries.
 */
export function attentionSights(loWord: u32, hiWord: u32, T: i32, offset: i32, K: i32, window: i32, outWord: u32): void {
  const lo = bytes(loWord), hi = bytes(hiWord)
  let out = bytes(outWord)
  for (let t = 0; t < T; t += 16, out += floats(48)) {
    const n = smaller(16, T - t)
    sightOf(lo, hi, t, n, offset, K, window, 16, out)
    for (let i: usize = 0; i < 64; i += 4) store<i32>(out + i, max(0, load<i32>(out + i, 64) - load<i32>(out + i)), 64)
    const first = load<i32>(out, 128) >> 4, end = (load<i32>(out, 132) + 15) >> 4
    store<i64>(out, first, 128)
    store<i64>(out, max(0, end - first), 136)
    store<i64>(out, n, 144)
  }
}

// @ts-ignore: decorator
@inline
export function firstOf(sight: usize): i32 { return load<i32>(sight + floats(2 * NR)) }
// @ts-ignore: decorator
@inline
export function lastOf(sight: usize): i32 { return load<i32>(sight + floats(2 * NR + 1)) }

/** All ones in the lanes whose query may see key j. */
// @ts-ignore: decorator
@inline
export function sees(j: v128, lo: v128, hi: v128): v128 {
  return v128.and(i32x4.le_s(lo, j), i32x4.lt_s(j, hi))
}

/** A line of n floats backwards, so that eight queries' biases of one key lie in the order of the queries. */
export function reverse(line: usize, n: i32, out: usize): void {
  for (let i = 0; i < n; i++) store<f32>(out + floats(n - 1 - i), load<f32>(line + floats(i)))
}

/** out[column][row] = source[row][column]; strides in floats. */
export function transposeInto(source: usize, stride: i32, rows: i32, columns: i32, out: usize, outStride: i32): void {
  const from = floats(stride), step = floats(outStride)
  let r = 0
  for (; r + 4 <= rows; r += 4) {
    let c = 0
    for (; c + 4 <= columns; c += 4) transpose4(source + <usize>r * from + floats(c), from, out + <usize>c * step + floats(r), step)
    for (; c < columns; c++)
      for (let k = 0; k < 4; k++) store<f32>(out + <usize>c * step + floats(r + k), load<f32>(source + <usize>(r + k) * from + floats(c)))
  }
  for (; r < rows; r++)
    for (let c = 0; c < columns; c++) store<f32>(out + <usize>c * step + floats(r), load<f32>(source + <usize>r * from + floats(c)))
}

/** out[key][8] = keys·queries for key panels [from, to). */
// @ts-ignore: decorator
@inline
export function scorePanel(packed: usize, queries: usize, D: i32, from: i32, to: i32, out: usize): void {
  for (let panel = from; panel < to; panel++)
    tile(D, packed + floats(panel * MR * D), queries, out + <usize>((panel - from) * MR) * PANEL_ROW, PANEL_ROW, MR, NR, false, 0)
}

/** out[d][8] (+)= Σ over keys [from, to) of matrix[d][key]·panel[key − from][8]; matrix packed as panels of d, `depth` keys long. */
// @ts-ignore: decorator
@inline
export function weigh(packed: usize, depth: i32, panel: usize, D: i32, from: i32, to: i32, out: usize, add: bool): void {
  for (let d = 0; d < D; d += MR)
    tile(to - from, packed + floats(d * depth + from * MR), panel, out + <usize>d * PANEL_ROW, PANEL_ROW, MR, NR, add, 0)
}

/**
 * A block is one head of one row. Arguments: q, k, v, row stride of q, of k and v, lo or 0, hi or 0, bias or 0, position or 0,
 * y[B·T, H·D], lse[B·T, H] or 0, T, K, H, G, D, scale (positive), window, softcap, length of a bias.
 * lse = ln Σ e^score, which the backward pass starts from. A query that sees nothing has y = 0 and lse = 0.
 */
export function attention(p: u32, block: i32, scratch: u32): void {
  const qStride = int(p, 3), stride = int(p, 4), T = int(p, 11), K = int(p, 12), H = int(p, 13), D = int(p, 15)
  const head = block % H, row = block / H, group = head / (H / int(p, 14)), width = H * D
  const scale = float(p, 16), window = int(p, 17), softcap = float(p, 18), biases = int(p, 19)
  const q = address(p, 0) + floats(row * T * qStride + head * D), y = address(p, 9) + floats(row * T * width + head * D)
  const offset = address(p, 8) != 0 ? load<i32>(address(p, 8) + floats(row)) : 0
  const seen = address(p, 8) != 0 ? smaller(K, offset + T) : K
  const lo = address(p, 5) != 0 ? address(p, 5) + floats(row * T) : 0, hi = address(p, 6) != 0 ? address(p, 6) + floats(row * T) : 0
  const depth = roundUp(D, MR), keys = roundUp(K, 24)
  const packedK = bytes(scratch), packedV = packedK + floats(keys * depth), scores = packedV + floats(keys * depth)
  const packedQ = scores + floats(smaller(keys, KEY_BLOCK) * NR), out = packedQ + floats(D * NR), state = out + floats(depth * NR)
  const sight = state + floats(3 * NR), line = address(p, 7) != 0 ? sight + floats(SIGHT) : 0
  packA(address(p, 1) + floats(row * K * stride + group * D), stride, 1, seen, D, packedK)
  packA(address(p, 2) + floats(row * K * stride + group * D), 1, stride, D, seen, packedV)
  if (line != 0) reverse(address(p, 7) + floats(head * biases), biases, line)
  const isShaped = line != 0 || softcap > 0
  for (let t = 0; t < T; t += NR) {
    const n = smaller(NR, T - t)
    sightOf(lo, hi, t, n, offset, seen, window, NR, sight)
    const begin = firstOf(sight) / MR * MR, end = lastOf(sight)
    packB(q + floats(t * qStride), 1, qStride, D, n, packedQ)
    beginSoftmax(state, out, D)
    for (let from = begin; from < end; from += KEY_BLOCK) {
      const to = smaller(end, from + KEY_BLOCK)
      scorePanel(packedK, packedQ, D, from / MR, (to + MR - 1) / MR, scores)
      if (isShaped) shapeScores(scores, to - from, scale, softcap, line != 0 ? line + floats(K - 1 - from + t + offset) : 0)
      softmaxPanel(scores, from, to, sight, isShaped ? 1 : scale, state)
      if (from > begin) rescale(out, D, state + floats(2 * NR))
      weigh(packedV, seen, scores, D, from, to, out, from > begin)
    }
    finishSoftmax(state, out, D)
    transposeInto(out, NR, D, n, y + floats(t * width), width)
    if (address(p, 10) == 0) continue
    const lse = address(p, 10) + floats((row * T + t) * H + head)
    for (let i = 0; i < n; i++) {
      const sum = load<f32>(state + floats(i))
      store<f32>(lse + floats(i * H), sum > 0 ? load<f32>(state + floats(NR + i)) + <f32>ln(sum) : 0)
    }
  }
}

/** state[0..8): sums, [8..16): maxima, [16..24): what earlier sums are multiplied with. */
function beginSoftmax(state: usize, out: usize, D: i32): void {
  memory.fill(state, 0, floats(NR))
  v128.store(state, f32x4.splat(-1e30), 32)
  v128.store(state, f32x4.splat(-1e30), 48)
  memory.fill(out, 0, floats(D * NR))
}

/** Products become scores: n keys from the one on whose biases of eight queries begin at `bias`, each next one 4 bytes before. */
function shapeScores(scores: usize, n: i32, scale: f32, softcap: f32, bias: usize): void {
  const factor = f32x4.splat(softcap > 0 ? scale / softcap : scale), cap = f32x4.splat(softcap)
  for (let at = scores, end = scores + <usize>n * PANEL_ROW; at < end; at += PANEL_ROW) {
    let s0 = f32x4.mul(v128.load(at), factor), s1 = f32x4.mul(v128.load(at, 16), factor)
    if (softcap > 0) {
      s0 = f32x4.mul(tanh4(s0), cap)
      s1 = f32x4.mul(tanh4(s1), cap)
    }
    if (bias != 0) {
      s0 = f32x4.add(s0, v128.load(bias))
      s1 = f32x4.add(s1, v128.load(bias, 16))
      bias -= 4
    }
    v128.store(at, s0)
    v128.store(at, s1, 16)
  }
}

/** Scores of keys [from, to) become e^(scale·score − maximum), 0 where unseen; the state goes on. */
function softmaxPanel(scores: usize, from: i32, to: i32, sight: usize, scale: f32, state: usize): void {
  const lo0 = v128.load(sight), lo1 = v128.load(sight, 16), hi0 = v128.load(sight, 32), hi1 = v128.load(sight, 48)
  const low = f32x4.splat(-1e30), one = i32x4.splat(1), end = scores + <usize>(to - from) * PANEL_ROW
  let top0 = low, top1 = low, j = i32x4.splat(from)
  for (let at = scores; at < end; at += PANEL_ROW) {
    top0 = f32x4.pmax(top0, v128.bitselect(v128.load(at), low, sees(j, lo0, hi0)))
    top1 = f32x4.pmax(top1, v128.bitselect(v128.load(at, 16), low, sees(j, lo1, hi1)))
    j = i32x4.add(j, one)
  }
  const factor = f32x4.splat(scale), old0 = v128.load(state, 32), old1 = v128.load(state, 48)
  top0 = f32x4.pmax(old0, f32x4.mul(top0, factor))
  top1 = f32x4.pmax(old1, f32x4.mul(top1, factor))
  const keep0 = exp4(f32x4.sub(old0, top0)), keep1 = exp4(f32x4.sub(old1, top1))
  const shift0 = f32x4.neg(top0), shift1 = f32x4.neg(top1)
  let sum0 = f32x4.mul(v128.load(state), keep0), sum1 = f32x4.mul(v128.load(state, 16), keep1)
  j = i32x4.splat(from)
  for (let at = scores; at < end; at += PANEL_ROW) {
    const e0 = v128.and(exp4(f32x4.relaxed_madd(v128.load(at), factor, shift0)), sees(j, lo0, hi0))
    const e1 = v128.and(exp4(f32x4.relaxed_madd(v128.load(at, 16), factor, shift1)), sees(j, lo1, hi1))
    v128.store(at, e0)
    v128.store(at, e1, 16)
    sum0 = f32x4.add(sum0, e0)
    sum1 = f32x4.add(sum1, e1)
    j = i32x4.add(j, one)
  }
  v128.store(state, sum0)
  v128.store(state, sum1, 16)
  v128.store(state, top0, 32)
  v128.store(state, top1, 48)
  v128.store(state, keep0, 64)
  v128.store(state, keep1, 80)
}

/** out[d][8] times factors[8]. */
function rescale(out: usize, D: i32, factors: usize): void {
  const factor0 = v128.load(factors), factor1 = v128.load(factors, 16)
  for (let at = out, end = out + <usize>D * PANEL_ROW; at < end; at += PANEL_ROW) {
    v128.store(at, f32x4.mul(v128.load(at), factor0))
    v128.store(at, f32x4.mul(v128.load(at, 16), factor1), 16)
  }
}

/** Divides by the sums, where there is anything. */
function finishSoftmax(state: usize, out: usize, D: i32): void {
  const one = f32x4.splat(1), none = f32x4.splat(0), factors = state + floats(2 * NR)
  for (let i: usize = 0; i < PANEL_ROW; i += 16) {
    const sums = v128.load(state + i)
    v128.store(factors + i, v128.and(f32x4.div(one, sums), f32x4.gt(sums, none)))
  }
  rescale(out, D, factors)
}
