// Causal attention with an interval mask: position t of a row sees the positions lo[t] ≤ j ≤ t, and lo[t] lies in [0, t].
// As in Dao et al. 2022, arxiv.org/abs/2205.14135, probabilities are never kept: the backward pass makes them again from lse.
// q, k, v are columns of one matrix qkv[B·T, (H+2G)·D]: H heads of q, then G of k, then G of v.
//
// Eight queries at a time are the columns of the GEMM tile, so scores come out as [key][8 queries]: softmax runs down the
// vectors, and that layout is what the tile wants of its right operand, so nothing is packed between the two products.
// Tiles of keys that none of the eight may see are left out.

import { MR, NR, packA, packB, tile, transpose4 } from './gemm'
import { address, exp4, float, floats, int, ln, loadRagged, maxLanes, smaller, storeRagged, sumLanes, zero } from './math'

/** Queries that the gradients of k and v are gathered over before they are added: 12 panels. */
const QUERIES: i32 = 96
/** Bytes of a row of a panel: 8 queries. */
const PANEL_ROW: usize = 32

// @ts-ignore: decorator
@inline
function roundUp(n: i32, multiple: i32): i32 { return (n + multiple - 1) / multiple * multiple }

/** Floats of scratch for rows of T positions and heads of D: five packed or gathered matrices, two sets of score panels, small parts. */
export function attentionScratchFloats(T: i32, D: i32): i32 {
  const keys = roundUp(T, 24), depth = roundUp(D, MR)
  return 5 * keys * depth + 2 * QUERIES * keys + 2 * QUERIES * depth + 3 * NR * depth + NR * QUERIES + 64
}

/** First key that any of the queries may see. */
function firstKey(lo: usize, from: i32, to: i32): i32 {
  let first = from
  for (let t = from; t < to; t++) first = smaller(first, load<i32>(lo + floats(t)))
  return first
}

/** lo of four queries; one past the row sees what its row's last query sees. */
// @ts-ignore: decorator
@inline
function fourLo(lo: usize, t: i32, T: i32): v128 {
  let four = i32x4.splat(load<i32>(lo + floats(smaller(t, T - 1))))
  four = i32x4.replace_lane(four, 1, load<i32>(lo + floats(smaller(t + 1, T - 1))))
  four = i32x4.replace_lane(four, 2, load<i32>(lo + floats(smaller(t + 2, T - 1))))
  return i32x4.replace_lane(four, 3, load<i32>(lo + floats(smaller(t + 3, T - 1))))
}

/** All ones in the lanes whose query may see key j. */
// @ts-ignore: decorator
@inline
function sees(j: v128, lo: v128, t: v128): v128 {
  return v128.and(i32x4.le_s(lo, j), i32x4.le_s(j, t))
}

/** out[column][row] = source[row][column]; strides in floats. */
function transposeInto(source: usize, stride: i32, rows: i32, columns: i32, out: usize, outStride: i32): void {
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
function scorePanel(packed: usize, queries: usize, D: i32, from: i32, to: i32, out: usize): void {
  for (let panel = from; panel < to; panel++)
    tile(D, packed + floats(panel * MR * D), queries, out + <usize>(panel * MR) * PANEL_ROW, PANEL_ROW, MR, NR, false, 0)
}

/** out[d][8] = Σ over keys [from, to) of matrix[d][key]·panel[key][8]; matrix packed as panels of d, each `depth` keys long. */
// @ts-ignore: decorator
@inline
function weigh(packed: usize, depth: i32, panel: usize, D: i32, from: i32, to: i32, out: usize): void {
  for (let d = 0; d < D; d += MR)
    tile(to - from, packed + floats(d * depth + from * MR), panel + <usize>from * PANEL_ROW, out + <usize>d * PANEL_ROW, PANEL_ROW, MR, NR, false, 0)
}

/**
 * A block is one head of one row. Arguments: qkv, lo, y, lse, B, T, H, G, D, scale (positive).
 * y[B·T, H·D]; lse[B·T, H] = ln Σ e^score, which the backward pass starts from.
 */
export function attention(p: usize, block: i32, scratch: usize): void {
  const T = int(p, 5), H = int(p, 6), G = int(p, 7), D = int(p, 8), scale = float(p, 9)
  const head = block % H, row = block / H, group = head / (H / G)
  const stride = (H + 2 * G) * D, width = H * D
  const qkv = address(p, 0) + floats(row * T * stride), lo = address(p, 1) + floats(row * T)
  const q = qkv + floats(head * D), k = qkv + floats((H + group) * D), v = qkv + floats((H + G + group) * D)
  const y = address(p, 2) + floats(row * T * width + head * D), lse = address(p, 3) + floats(row * T * H + head)
  const depth = roundUp(D, MR), keys = roundUp(T, 24)
  const packedK = scratch, packedV = packedK + floats(keys * depth), scores = packedV + floats(keys * depth)
  const packedQ = scores + floats(keys * NR), out = packedQ + floats(D * NR), sums = out + floats(depth * NR)
  packA(k, stride, 1, T, D, packedK)
  packA(v, 1, stride, D, T, packedV)
  for (let t = 0; t < T; t += NR) {
    const n = smaller(NR, T - t), first = firstKey(lo, t, t + n) / MR, last = (t + n + MR - 1) / MR
    const from = first * MR, to = smaller(last * MR, T)
    packB(q + floats(t * stride), 1, stride, D, n, packedQ)
    scorePanel(packedK, packedQ, D, first, last, scores)
    softmaxPanel(scores, from, to, fourLo(lo, t, T), fourLo(lo, t + 4, T), t, scale, sums)
    weigh(packedV, T, scores, D, from, to, out)
    const factor0 = f32x4.div(f32x4.splat(1), v128.load(sums)), factor1 = f32x4.div(f32x4.splat(1), v128.load(sums, 16))
    for (let d = 0; d < D; d++) {
      const line = out + <usize>d * PANEL_ROW
      v128.store(line, f32x4.mul(v128.load(line), factor0))
      v128.store(line, f32x4.mul(v128.load(line, 16), factor1), 16)
    }
    transposeInto(out, NR, D, n, y + floats(t * width), width)
    for (let i = 0; i < n; i++)
      store<f32>(lse + floats((t + i) * H), load<f32>(sums + floats(NR + i)) + <f32>ln(load<f32>(sums + floats(i))))
  }
}

/** Scores of keys [from, to) become e^(scale·(score − maximum)), 0 where unseen. sums[0..8): their sums, [8..16): scale·maximum. */
function softmaxPanel(scores: usize, from: i32, to: i32, lo0: v128, lo1: v128, t: i32, scale: f32, sums: usize): void {
  const t0 = i32x4.add(i32x4.splat(t), i32x4(0, 1, 2, 3)), t1 = i32x4.add(t0, i32x4.splat(4)), one = i32x4.splat(1)
  const low = f32x4.splat(-1e30), begin = scores + <usize>from * PANEL_ROW, end = scores + <usize>to * PANEL_ROW
  let top0 = low, top1 = low, j = i32x4.splat(from)
  for (let at = begin; at < end; at += PANEL_ROW) {
    top0 = f32x4.pmax(top0, v128.bitselect(v128.load(at), low, sees(j, lo0, t0)))
    top1 = f32x4.pmax(top1, v128.bitselect(v128.load(at, 16), low, sees(j, lo1, t1)))
    j = i32x4.add(j, one)
  }
  const factor = f32x4.splat(scale), shift0 = f32x4.neg(f32x4.mul(top0, factor)), shift1 = f32x4.neg(f32x4.mul(top1, factor))
  let sum0 = f32x4.splat(0), sum1 = sum0
  j = i32x4.splat(from)
  for (let at = begin; at < end; at += PANEL_ROW) {
    const e0 = v128.and(exp4(f32x4.relaxed_madd(v128.load(at), factor, shift0)), sees(j, lo0, t0))
    const e1 = v128.and(exp4(f32x4.relaxed_madd(v128.load(at, 16), factor, shift1)), sees(j, lo1, t1))
    v128.store(at, e0)
    v128.store(at, e1, 16)
    sum0 = f32x4.add(sum0, e0)
    sum1 = f32x4.add(sum1, e1)
    j = i32x4.add(j, one)
  }
  v128.store(sums, sum0)
  v128.store(sums, sum1, 16)
  v128.store(sums, f32x4.neg(shift0), 32)
  v128.store(sums, f32x4.neg(shift1), 48)
}

/**
 * A block is one row and one group of k and v with all its heads: nobody else writes those columns of dqkv.
 * Arguments: qkv, lo, y, lse, dy, dqkv, B, T, H, G, D, scale. dqkv is overwritten.
 */
export function attentionBackward(p: usize, block: i32, scratch: usize): void {
  const T = int(p, 7), H = int(p, 8), G = int(p, 9), D = int(p, 10), scale = float(p, 11)
  const group = block % G, row = block / G, share = H / G
  const stride = (H + 2 * G) * D, width = H * D
  const qkv = address(p, 0) + floats(row * T * stride), lo = address(p, 1) + floats(row * T)
  const dqkv = address(p, 5) + floats(row * T * stride)
  const k = qkv + floats((H + group) * D), v = qkv + floats((H + G + group) * D)
  const depth = roundUp(D, MR), keys = roundUp(T, 24), matrix = floats(keys * depth)
  const packedK = scratch, packedV = packedK + matrix, turnedK = packedV + matrix
  const dk = turnedK + matrix, dv = dk + matrix // as [d][key]
  const probabilities = dv + matrix, slopes = probabilities + floats(QUERIES * keys)
  const turnedQ = slopes + floats(QUERIES * keys), turnedDy = turnedQ + floats(QUERIES * depth)
  const packedQ = turnedDy + floats(QUERIES * depth), packedDy = packedQ + floats(NR * depth), dq = packedDy + floats(NR * depth)
  const gathered = dq + floats(NR * depth), constants = gathered + floats(NR * QUERIES)
  packA(k, stride, 1, T, D, packedK)
  packA(v, stride, 1, T, D, packedV)
  packA(k, 1, stride, D, T, turnedK)
  zero(dk, 2 * keys * depth)
  for (let head = group * share; head < (group + 1) * share; head++) {
    for (let t0 = 0; t0 < T; t0 += QUERIES) {
      const queries = smaller(QUERIES, T - t0)
      const q = qkv + floats(t0 * stride + head * D), dy = address(p, 4) + floats((row * T + t0) * width + head * D)
      const y = address(p, 2) + floats((row * T + t0) * width + head * D), lse = address(p, 3) + floats((row * T + t0) * H + head)
      packA(q, 1, stride, D, queries, turnedQ)
      packA(dy, 1, width, D, queries, turnedDy)
      // keys that any of these queries sees, in panels of eight
      const begin = firstKey(lo, t0, t0 + queries) / NR, end = (t0 + queries + NR - 1) / NR
      for (let i = 0; i < queries; i += NR) {
        const t = t0 + i, n = smaller(NR, T - t), first = firstKey(lo, t, t + n) / MR, last = (t + n + MR - 1) / MR
        const from = first * MR, to = smaller(last * MR, T)
        const panel = probabilities + floats(i * keys), slope = slopes + floats(i * keys)
        packB(q + floats(i * stride), 1, stride, D, n, packedQ)
        packB(dy + floats(i * width), 1, width, D, n, packedDy)
        scorePanel(packedK, packedQ, D, first, last, panel)
        scorePanel(packedV, packedDy, D, first, last, slope)
        for (let a = 0; a < NR; a++) {
          const b = smaller(i + a, queries - 1)
          store<f32>(constants + floats(a), load<f32>(lse + floats(b * H)))
          store<f32>(constants + floats(NR + a), dot(y + floats(b * width), dy + floats(b * width), D))
        }
        slopePanel(panel, slope, from, to, fourLo(lo, t, T), fourLo(lo, t + 4, T), t, scale, constants)
        weigh(turnedK, T, slope, D, from, to, dq)
        transposeInto(dq, NR, D, n, dqkv + floats(t * stride + head * D), stride)
        blank(panel, slope, begin * NR, from)
        blank(panel, slope, to, end * NR)
      }
      for (let key = begin; key < end; key++) {
        // earlier queries do not see these keys
        const skipped = max(0, key * NR - t0) / NR * NR
        gather(turnedDy, probabilities, keys, D, key, skipped, queries, gathered, dv)
        gather(turnedQ, slopes, keys, D, key, skipped, queries, gathered, dk)
      }
    }
  }
  transposeInto(dk, keys, D, T, dqkv + floats((H + group) * D), stride)
  transposeInto(dv, keys, D, T, dqkv + floats((H + G + group) * D), stride)
}

/** Scores become probabilities P, dP becomes dS = P·(dP − delta)·scale; 0 where unseen. constants: lse[8], delta[8]. */
function slopePanel(scores: usize, slopes: usize, from: i32, to: i32, lo0: v128, lo1: v128, t: i32, scale: f32, constants: usize): void {
  const t0 = i32x4.add(i32x4.splat(t), i32x4(0, 1, 2, 3)), t1 = i32x4.add(t0, i32x4.splat(4)), one = i32x4.splat(1)
  const factor = f32x4.splat(scale), shift0 = f32x4.neg(v128.load(constants)), shift1 = f32x4.neg(v128.load(constants, 16))
  const delta0 = v128.load(constants, 32), delta1 = v128.load(constants, 48)
  const distance = slopes - scores
  let j = i32x4.splat(from)
  for (let at = scores + <usize>from * PANEL_ROW, end = scores + <usize>to * PANEL_ROW; at < end; at += PANEL_ROW) {
    const p0 = v128.and(exp4(f32x4.relaxed_madd(v128.load(at), factor, shift0)), sees(j, lo0, t0))
    const p1 = v128.and(exp4(f32x4.relaxed_madd(v128.load(at, 16), factor, shift1)), sees(j, lo1, t1))
    v128.store(at, p0)
    v128.store(at, p1, 16)
    const to = at + distance
    v128.store(to, f32x4.mul(f32x4.mul(p0, f32x4.sub(v128.load(to), delta0)), factor))
    v128.store(to, f32x4.mul(f32x4.mul(p1, f32x4.sub(v128.load(to, 16), delta1)), factor), 16)
    j = i32x4.add(j, one)
  }
}

/** Clears keys [from, to) of two panels. */
function blank(a: usize, b: usize, from: i32, to: i32): void {
  if (from >= to) return
  zero(a + <usize>from * PANEL_ROW, (to - from) * NR)
  zero(b + <usize>from * PANEL_ROW, (to - from) * NR)
}

/** total[d][8 keys] += Σ over queries [skipped, queries) of matrix[d][query]·panels[query][key]; panels are turned into `gathered` first. */
function gather(packed: usize, panels: usize, keys: i32, D: i32, key: i32, skipped: i32, queries: i32, gathered: usize, total: usize): void {
  for (let i = skipped; i < queries; i += NR) {
    const from = panels + floats(i * keys) + <usize>(key * NR) * PANEL_ROW, to = gathered + <usize>(i - skipped) * PANEL_ROW
    transpose4(from, PANEL_ROW, to, PANEL_ROW)
    transpose4(from + 16, PANEL_ROW, to + 4 * PANEL_ROW, PANEL_ROW)
    transpose4(from + 4 * PANEL_ROW, PANEL_ROW, to + 16, PANEL_ROW)
    transpose4(from + 4 * PANEL_ROW + 16, PANEL_ROW, to + 4 * PANEL_ROW + 16, PANEL_ROW)
  }
  for (let d = 0; d < D; d += MR)
    tile(queries - skipped, packed + floats(d * queries + skipped * MR), gathered, total + floats(d * keys + key * NR), floats(keys), MR, NR, true, 0)
}

function dot(a: usize, b: usize, n: i32): f32 {
  let sum = f32x4.splat(0)
  for (let j = 0; j < n; j += 4) sum = f32x4.relaxed_madd(loadRagged(a + floats(j), n - j, 0), loadRagged(b + floats(j), n - j, 0), sum)
  return sumLanes(sum)
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
