// Gradients of attention.ts: probabilities are made again from lse.

import { PANEL_ROW, QUERIES, SIGHT, firstOf, lastOf, reverse, roundUp, scorePanel, sees, sightOf, transposeInto, weigh } from './attention'
import { MR, NR, packA, packB, tile, transpose4 } from './gemm'
import { address, bytes, exp4, float, floats, int, loadRagged, smaller, storeRagged, sumLanes, tanh4, zero } from './math'

/**
 * A block is one row and one group of k and v with all its heads: nobody else writes those columns of dk and dv.
 * Arguments: q, k (v begins G·D floats after), dq, dk (dv likewise), row stride of q, of k and v, lo, hi or 0, bias or 0, y, lse,
 * dy, parts or 0, T, K, H, G, D, scale, window, softcap. dq, dk and dv are overwritten. parts[B, H, T + K − 1] is what each row
 * adds to the gradient of the bias.
 */
export function attentionBackward(p: u32, block: i32, scratch: u32): void {
  const qStride = int(p, 4), stride = int(p, 5), T = int(p, 13), K = int(p, 14), H = int(p, 15), G = int(p, 16), D = int(p, 17)
  const scale = float(p, 18), window = int(p, 19), softcap = float(p, 20)
  const group = block % G, row = block / G, share = H / G, width = H * D, biases = T + K - 1
  const k = address(p, 1) + floats(row * K * stride + group * D), v = k + floats(G * D)
  const dkOut = address(p, 3) + floats(row * K * stride + group * D)
  const lo = address(p, 6) + floats(row * T), hi = address(p, 7) != 0 ? address(p, 7) + floats(row * T) : 0
  const bias = address(p, 8), parts = address(p, 12)
  const depth = roundUp(D, MR), keys = roundUp(K, 24), matrix = floats(keys * depth)
  const packedK = bytes(scratch), packedV = packedK + matrix, turnedK = packedV + matrix
  const dk = turnedK + matrix, dv = dk + matrix // as [d][key]
  const probabilities = dv + matrix, slopes = probabilities + floats(QUERIES * keys)
  const turnedQ = slopes + floats(QUERIES * keys), turnedDy = turnedQ + floats(QUERIES * depth)
  const packedQ = turnedDy + floats(QUERIES * depth), packedDy = packedQ + floats(NR * depth), dq = packedDy + floats(NR * depth)
  const gathered = dq + floats(NR * depth), constants = gathered + floats(NR * QUERIES), sights = constants + floats(2 * NR)
  const line = sights + floats(SIGHT * QUERIES / NR), dline = line + floats(biases + NR)
  packA(k, stride, 1, K, D, packedK)
  packA(v, stride, 1, K, D, packedV)
  packA(k, 1, stride, D, K, turnedK)
  zero(dk, 2 * keys * depth)
  for (let head = group * share; head < (group + 1) * share; head++) {
    if (bias != 0) reverse(bias + floats(head * biases), biases, line)
    if (parts != 0) zero(dline, biases + NR)
    for (let t0 = 0; t0 < T; t0 += QUERIES) {
      const queries = smaller(QUERIES, T - t0), panels = (queries + NR - 1) / NR
      const q = address(p, 0) + floats((row * T + t0) * qStride + head * D), dqOut = address(p, 2) + floats((row * T + t0) * qStride + head * D)
      const y = address(p, 9) + floats((row * T + t0) * width + head * D), lse = address(p, 10) + floats((row * T + t0) * H + head)
      const dy = address(p, 11) + floats((row * T + t0) * width + head * D)
      packA(q, 1, qStride, D, queries, turnedQ)
      packA(dy, 1, width, D, queries, turnedDy)
      // keys that any of these queries sees, in panels of eight
      let begin = keys, end = 0
      for (let i = 0; i < panels; i++) {
        const sight = sights + floats(i * SIGHT)
        sightOf(lo, hi, t0 + i * NR, smaller(NR, queries - i * NR), 0, K, window, NR, sight)
        if (firstOf(sight) == lastOf(sight)) continue
        begin = smaller(begin, firstOf(sight) / NR)
        end = max(end, (lastOf(sight) + NR - 1) / NR)
      }
      for (let i = 0; i < panels; i++) {
        const at = i * NR, n = smaller(NR, queries - at), sight = sights + floats(i * SIGHT)
        const from = firstOf(sight) / MR * MR, to = lastOf(sight)
        const panel = probabilities + floats(at * keys), slope = slopes + floats(at * keys)
        const panelFrom = panel + <usize>from * PANEL_ROW, slopeFrom = slope + <usize>from * PANEL_ROW
        packB(q + floats(at * qStride), 1, qStride, D, n, packedQ)
        packB(dy + floats(at * width), 1, width, D, n, packedDy)
        scorePanel(packedK, packedQ, D, from / MR, (to + MR - 1) / MR, panelFrom)
        scorePanel(packedV, packedDy, D, from / MR, (to + MR - 1) / MR, slopeFrom)
        for (let a = 0; a < NR; a++) {
          const b = smaller(at + a, queries - 1)
          store<f32>(constants + floats(a), load<f32>(lse + floats(b * H)))
          store<f32>(constants + floats(NR + a), dot(y + floats(b * width), dy + floats(b * width), D))
        }
        if (bias != 0 || softcap > 0) {
          const diagonal = floats(K - 1 - from + t0 + at)
          shapedSlopes(panelFrom, slopeFrom, from, to, sight, scale, softcap, bias != 0 ? line + diagonal : 0, parts != 0 ? dline + diagonal : 0, constants)
        } else plainSlopes(panelFrom, slopeFrom, from, to, sight, scale, constants)
        weigh(turnedK, K, slopeFrom, D, from, to, dq, false)
        transposeInto(dq, NR, D, n, dqOut + floats(at * qStride), qStride)
        blank(panel, slope, begin * NR, from)
        blank(panel, slope, to, end * NR)
      }
      for (let key = begin; key < end; key++) {
        // leading and trailing queries may see nothing of these keys
        let first = 0, last = panels
        while (first < last && !overlaps(sights + floats(first * SIGHT), key)) first++
        while (last > first && !overlaps(sights + floats((last - 1) * SIGHT), key)) last--
        if (first == last) continue
        gather(turnedDy, probabilities, keys, D, key, first * NR, smaller(last * NR, queries), queries, gathered, dv)
        gather(turnedQ, slopes, keys, D, key, first * NR, smaller(last * NR, queries), queries, gathered, dk)
      }
    }
    if (parts != 0) reverse(dline, biases, parts + floats((row * H + head) * biases))
  }
  transposeInto(dk, keys, D, K, dkOut, stride)
  transposeInto(dv, keys, D, K, dkOut + floats(G * D), stride)
}

/** Whether eight queries see anything of the panel of eight keys. */
// @ts-ignore: decorator
@inline
function overlaps(sight: usize, key: i32): bool {
  return firstOf(sight) < (key + 1) * NR && lastOf(sight) > key * NR
}

/** Scores become probabilities P, dP becomes dS = P·(dP − delta)·scale; 0 where unseen. constants: lse[8], delta[8]. */
function plainSlopes(scores: usize, slopes: usize, from: i32, to: i32, sight: usize, scale: f32, constants: usize): void {
  const lo0 = v128.load(sight), lo1 = v128.load(sight, 16), hi0 = v128.load(sight, 32), hi1 = v128.load(sight, 48)
  const factor = f32x4.splat(scale), shift0 = f32x4.neg(v128.load(constants)), shift1 = f32x4.neg(v128.load(constants, 16))
  const delta0 = v128.load(constants, 32), delta1 = v128.load(constants, 48)
  const distance = slopes - scores, one = i32x4.splat(1)
  let j = i32x4.splat(from)
  for (let at = scores, end = scores + <usize>(to - from) * PANEL_ROW; at < end; at += PANEL_ROW) {
    const p0 = v128.and(exp4(f32x4.relaxed_madd(v128.load(at), factor, shift0)), sees(j, lo0, hi0))
    const p1 = v128.and(exp4(f32x4.relaxed_madd(v128.load(at, 16), factor, shift1)), sees(j, lo1, hi1))
    v128.store(at, p0)
    v128.store(at, p1, 16)
    const slope = at + distance
    v128.store(slope, f32x4.mul(f32x4.mul(p0, f32x4.sub(v128.load(slope), delta0)), factor))
    v128.store(slope, f32x4.mul(f32x4.mul(p1, f32x4.sub(v128.load(slope, 16), delta1)), factor), 16)
    j = i32x4.add(j, one)
  }
}

/**
 * The same with a cap or a bias: dS also times 1 − tanh². `bias` and `dbias` are of eight queries and the first key, each next key
 * 4 bytes before.
 */
function shapedSlopes(scores: usize, slopes: usize, from: i32, to: i32, sight: usize, scale: f32, softcap: f32, bias: usize, dbias: usize, constants: usize): void {
  const distance = slopes - scores, one = f32x4.splat(1), cap = f32x4.splat(softcap)
  const factor = f32x4.splat(scale), capped = f32x4.splat(softcap > 0 ? scale / softcap : 0)
  for (let half = 0; half < 2; half++) {
    const side = <usize>half << 4
    const lo = v128.load(sight + side), hi = v128.load(sight + side, 32), lse = v128.load(constants + side), delta = v128.load(constants + side, 32)
    let j = i32x4.splat(from), place = side
    for (let at = scores + side, end = scores + <usize>(to - from) * PANEL_ROW; at < end; at += PANEL_ROW) {
      let score = v128.load(at), rise = factor
      if (softcap > 0) {
        const turned = tanh4(f32x4.mul(score, capped))
        score = f32x4.mul(turned, cap)
        rise = f32x4.mul(factor, f32x4.relaxed_nmadd(turned, turned, one))
      } else score = f32x4.mul(score, factor)
      if (bias != 0) score = f32x4.add(score, v128.load(bias + place))
      const p = v128.and(exp4(f32x4.sub(score, lse)), sees(j, lo, hi))
      v128.store(at, p)
      const slope = f32x4.mul(p, f32x4.sub(v128.load(at + distance), delta))
      v128.store(at + distance, f32x4.mul(slope, rise))
      if (dbias != 0) v128.store(dbias + place, f32x4.add(v128.load(dbias + place), slope))
      place -= 4
      j = i32x4.add(j, i32x4.splat(1))
    }
  }
}

/** Clears keys [from, to) of two panels. */
function blank(a: usize, b: usize, from: i32, to: i32): void {
  if (from >= to) return
  zero(a + <usize>from * PANEL_ROW, (to - from) * NR)
  zero(b + <usize>from * PANEL_ROW, (to - from) * NR)
}

/**
 * total[d][8 keys] += Σ over queries [first, last) of matrix[d][query]·panels[query][key]; matrix packed as panels of d, `depth`
 * queries long. The panels are turned into `gathered` first.
 */
function gather(packed: usize, panels: usize, keys: i32, D: i32, key: i32, first: i32, last: i32, depth: i32, gathered: usize, total: usize): void {
  for (let i = first; i < last; i += NR) {
    const from = panels + floats(i * keys) + <usize>(key * NR) * PANEL_ROW, to = gathered + <usize>(i - first) * PANEL_ROW
    transpose4(from, PANEL_ROW, to, PANEL_ROW)
    transpose4(from + 16, PANEL_ROW, to + 4 * PANEL_ROW, PANEL_ROW)
    transpose4(from + 4 * PANEL_ROW, PANEL_ROW, to + 16, PANEL_ROW)
    transpose4(from + 4 * PANEL_ROW + 16, PANEL_ROW, to + 4 * PANEL_ROW + 16, PANEL_ROW)
  }
  for (let d = 0; d < D; d += MR)
    tile(last - first, packed + floats(d * depth + first * MR), gathered, total + floats(d * keys + key * NR), floats(keys), MR, NR, true, 0)
}

function dot(a: usize, b: usize, n: i32): f32 {
  let sum = f32x4.splat(0)
  for (let j = 0; j < n; j += 4) sum = f32x4.relaxed_madd(loadRagged(a + floats(j), n - j, 0), loadRagged(b + floats(j), n - j, 0), sum)
  return sumLanes(sum)
}

/** out[j] (+)= Σ rows x[i, j], in the order of the rows. A block is a range of columns. Arguments: x, rows, columns, out, add, columns of a block. */
export function sumRows(p: u32, block: i32, scratch: u32): void {
  const x = address(p, 0), rows = int(p, 1), columns = int(p, 2), out = address(p, 3), size = int(p, 5)
  const from = block * size, to = smaller(columns, from + size)
  for (let j = from; j < to; j += 4) {
    const n = to - j
    let sum = int(p, 4) != 0 ? loadRagged(out + floats(j), n, 0) : f32x4.splat(0)
    for (let i = 0; i < rows; i++) sum = f32x4.add(sum, loadRagged(x + floats(i * columns + j), n, 0))
    storeRagged(out + floats(j), n, sum)
  }
}
