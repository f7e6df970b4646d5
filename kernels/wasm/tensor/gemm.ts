// Matrix product, f32: C[M,N] (+)= A[M,K]·B[K,N], every operand with its own row and column stride (in floats), so that
// all transposes are one kernel. Packed panels as in Goto & van de Geijn 2008, "Anatomy of high-performance matrix
// multiplication"; the 6×8 tile needs 12 accumulators, 2 of B and 1 of A: the 15 vector registers that V8 leaves us.

import { address, bytes, floats, int, smaller } from './math'

export const MR: i32 = 6
export const NR: i32 = 8
const KC: i32 = 256
const MC: i32 = 192
/** Widest C block of a launch. */
const NC: i32 = 1024

/** Floats of the scratch that one thread needs: an edge tile, a packed block of A, packed panels of B. */
export const GEMM_SCRATCH_FLOATS: i32 = 64 + MC * KC + NC * KC

/** Panels of MR rows, k after k: out[panel][k][MR], short panels filled up with zeros. */
export function packA(a: usize, rowStride: i32, columnStride: i32, rows: i32, depth: i32, out: usize): void {
  const rs = floats(rowStride), cs = floats(columnStride)
  for (let i = 0; i < rows; i += MR) {
    const m = smaller(MR, rows - i)
    let p = a + <usize>i * rs
    if (m < MR) {
      for (let k = 0; k < depth; k++) {
        for (let r = 0; r < MR; r++) store<f32>(out + floats(r), r < m ? load<f32>(p + <usize>r * rs) : 0)
        out += 24
        p += cs
      }
    } else if (rowStride == 1) {
      for (let k = 0; k < depth; k++) {
        v128.store(out, v128.load(p))
        store<u64>(out, load<u64>(p, 16), 16)
        out += 24
        p += cs
      }
    } else if (columnStride == 1) {
      const p1 = p + rs, p2 = p1 + rs, p3 = p2 + rs, p4 = p3 + rs, p5 = p4 + rs
      let o: usize = 0
      const whole = floats(depth & ~3)
      for (; o < whole; o += 16) {
        const r0 = v128.load(p + o), r1 = v128.load(p1 + o), r2 = v128.load(p2 + o)
        const r3 = v128.load(p3 + o), r4 = v128.load(p4 + o), r5 = v128.load(p5 + o)
        const a0 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5), a1 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7)
        const b0 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5), b1 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7)
        const c0 = v128.shuffle<f32>(r4, r5, 0, 4, 1, 5), c1 = v128.shuffle<f32>(r4, r5, 2, 6, 3, 7)
        v128.store(out, v128.shuffle<f64>(a0, b0, 0, 2))
        v128.store(out, v128.shuffle<f64>(c0, a0, 0, 3), 16)
        v128.store(out, v128.shuffle<f64>(b0, c0, 1, 3), 32)
        v128.store(out, v128.shuffle<f64>(a1, b1, 0, 2), 48)
        v128.store(out, v128.shuffle<f64>(c1, a1, 0, 3), 64)
        v128.store(out, v128.shuffle<f64>(b1, c1, 1, 3), 80)
        out += 96
      }
      for (const end = floats(depth); o < end; o += 4) {
        store<f32>(out, load<f32>(p + o)); store<f32>(out, load<f32>(p1 + o), 4); store<f32>(out, load<f32>(p2 + o), 8)
        store<f32>(out, load<f32>(p3 + o), 12); store<f32>(out, load<f32>(p4 + o), 16); store<f32>(out, load<f32>(p5 + o), 20)
        out += 24
      }
    } else {
      for (let k = 0; k < depth; k++) {
        for (let r = 0; r < MR; r++) store<f32>(out + floats(r), load<f32>(p + <usize>r * rs))
        out += 24
        p += cs
      }
    }
  }
}

/** Panels of NR columns, k after k: out[panel][k][NR], short panels filled up with zeros. */
export function packB(b: usize, rowStride: i32, columnStride: i32, depth: i32, columns: i32, out: usize): void {
  const rs = floats(rowStride), cs = floats(columnStride)
  for (let j = 0; j < columns; j += NR) {
    const n = smaller(NR, columns - j)
    let p = b + <usize>j * cs
    if (n == NR && columnStride == 1) {
      for (let k = 0; k < depth; k++) {
        v128.store(out, v128.load(p))
        v128.store(out, v128.load(p, 16), 16)
        out += 32
        p += rs
      }
    } else if (n == NR && rowStride == 1) {
      let k = 0
      for (; k + 4 <= depth; k += 4) { // 8×4 transposed by shuffles, four columns at a time
        transpose4(p, cs, out, 32)
        transpose4(p + 4 * cs, cs, out + 16, 32)
        out += 128
        p += 16
      }
      for (; k < depth; k++) {
        for (let r = 0; r < NR; r++) store<f32>(out + floats(r), load<f32>(p + <usize>r * cs))
        out += 32
        p += 4
      }
    } else {
      for (let k = 0; k < depth; k++) {
        for (let r = 0; r < NR; r++) store<f32>(out + floats(r), r < n ? load<f32>(p + <usize>r * cs) : 0)
        out += 32
        p += rs
      }
    }
  }
}

/** Four vectors `stride` bytes apart become the columns of four rows, `step` bytes apart. */
// @ts-ignore: decorator
@inline
export function transpose4(p: usize, stride: usize, out: usize, step: usize): void {
  const r0 = v128.load(p), r1 = v128.load(p + stride), r2 = v128.load(p + 2 * stride), r3 = v128.load(p + 3 * stride)
  const t0 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5), t1 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7)
  const t2 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5), t3 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7)
  v128.store(out, v128.shuffle<f64>(t0, t2, 0, 2))
  v128.store(out + step, v128.shuffle<f64>(t0, t2, 1, 3))
  v128.store(out + 2 * step, v128.shuffle<f64>(t1, t3, 0, 2))
  v128.store(out + 3 * step, v128.shuffle<f64>(t1, t3, 1, 3))
}

/**
 * One 6×8 tile over `depth`. A tile that is cut off (m < 6 or n < 8) goes through `edge`, 48 floats. The loop is not unrolled:
 * two steps at a time need a 16th register, and ran at 48 GFLOP/s instead of 65.
 */
export function tile(depth: i32, pa: usize, pb: usize, c: usize, ldc: usize, m: i32, n: i32, add: bool, edge: usize): void {
  let c00 = f32x4.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00
  let c30 = c00, c31 = c00, c40 = c00, c41 = c00, c50 = c00, c51 = c00
  for (let k = 0; k < depth; k++) {
    const b0 = v128.load(pb), b1 = v128.load(pb, 16)
    let x = v128.load_splat<f32>(pa)
    c00 = f32x4.relaxed_madd(x, b0, c00); c01 = f32x4.relaxed_madd(x, b1, c01)
    x = v128.load_splat<f32>(pa, 4); c10 = f32x4.relaxed_madd(x, b0, c10); c11 = f32x4.relaxed_madd(x, b1, c11)
    x = v128.load_splat<f32>(pa, 8); c20 = f32x4.relaxed_madd(x, b0, c20); c21 = f32x4.relaxed_madd(x, b1, c21)
    x = v128.load_splat<f32>(pa, 12); c30 = f32x4.relaxed_madd(x, b0, c30); c31 = f32x4.relaxed_madd(x, b1, c31)
    x = v128.load_splat<f32>(pa, 16); c40 = f32x4.relaxed_madd(x, b0, c40); c41 = f32x4.relaxed_madd(x, b1, c41)
    x = v128.load_splat<f32>(pa, 20); c50 = f32x4.relaxed_madd(x, b0, c50); c51 = f32x4.relaxed_madd(x, b1, c51)
    pa += 24
    pb += 32
  }
  const whole = m == MR && n == NR
  let d = whole ? c : edge
  const step = whole ? ldc : 32
  if (whole && add) {
    c00 = f32x4.add(v128.load(d), c00); c01 = f32x4.add(v128.load(d, 16), c01); d += step
    c10 = f32x4.add(v128.load(d), c10); c11 = f32x4.add(v128.load(d, 16), c11); d += step
    c20 = f32x4.add(v128.load(d), c20); c21 = f32x4.add(v128.load(d, 16), c21); d += step
    c30 = f32x4.add(v128.load(d), c30); c31 = f32x4.add(v128.load(d, 16), c31); d += step
    c40 = f32x4.add(v128.load(d), c40); c41 = f32x4.add(v128.load(d, 16), c41); d += step
    c50 = f32x4.add(v128.load(d), c50); c51 = f32x4.add(v128.load(d, 16), c51)
    d = c
  }
  v128.store(d, c00); v128.store(d, c01, 16); d += step
  v128.store(d, c10); v128.store(d, c11, 16); d += step
  v128.store(d, c20); v128.store(d, c21, 16); d += step
  v128.store(d, c30); v128.store(d, c31, 16); d += step
  v128.store(d, c40); v128.store(d, c41, 16); d += step
  v128.store(d, c50); v128.store(d, c51, 16)
  if (whole) return
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      const value = load<f32>(edge + floats(i * NR + j)), to = c + <usize>i * ldc + floats(j)
      store<f32>(to, add ? load<f32>(to) + value : value)
    }
  }
}

/** The product for one thread. `scratch` as GEMM_SCRATCH_FLOATS; N at most NC. The sum over K is cut at the same places always. */
export function multiply(
  M: i32, N: i32, K: i32, a: usize, rowA: i32, columnA: i32, b: usize, rowB: i32, columnB: i32, c: usize, ldc: i32, add: bool, scratch: usize,
): void {
  const edge = scratch, packedA = scratch + 256, packedB = packedA + floats(MC * KC)
  const rowC = floats(ldc)
  const pieces = (K + KC - 1) / KC
  const even = pieces > 1 ? ((K + pieces - 1) / pieces + 3) & ~3 : K
  const stripes = (M + MC - 1) / MC
  const evenRows = ((M + stripes - 1) / stripes + MR - 1) / MR * MR
  for (let k0 = 0; k0 < K; k0 += even) {
    const depth = smaller(even, K - k0)
    const addNow = add || k0 > 0
    packB(b + floats(k0 * rowB), rowB, columnB, depth, N, packedB)
    for (let i0 = 0; i0 < M; i0 += evenRows) {
      const rows = smaller(evenRows, M - i0)
      packA(a + floats(i0 * rowA + k0 * columnA), rowA, columnA, rows, depth, packedA)
      for (let j = 0; j < N; j += NR) {
        const pb = packedB + floats(j * depth), n = smaller(NR, N - j)
        const column = c + <usize>i0 * rowC + floats(j)
        for (let i = 0; i < rows; i += MR)
          tile(depth, packedA + floats(i * depth), pb, column + <usize>i * rowC, rowC, smaller(MR, rows - i), n, addNow, edge)
      }
    }
  }
}

/**
 * One block of C. Arguments: M, N, K, a, rowA, columnA, b, rowB, columnB, c, ldc, add, bias (0: none; added to every row),
 * rows and columns of a block. Blocks are numbered down the rows first: neighbours share B.
 */
export function gemm(p: u32, block: i32, scratch: u32): void {
  const M = int(p, 0), N = int(p, 1), rowA = int(p, 4), columnB = int(p, 8), ldc = int(p, 10)
  const blockRows = int(p, 13), blockColumns = int(p, 14)
  const down = (M + blockRows - 1) / blockRows
  const i = (block % down) * blockRows, j = (block / down) * blockColumns
  const m = smaller(blockRows, M - i), n = smaller(blockColumns, N - j)
  const c = address(p, 9) + floats(i * ldc + j), bias = address(p, 12)
  multiply(m, n, int(p, 2), address(p, 3) + floats(i * rowA), rowA, int(p, 5), address(p, 6) + floats(j * columnB), int(p, 7), columnB,
    c, ldc, int(p, 11) != 0, bytes(scratch))
  if (bias != 0) addBias(c, ldc, m, n, bias + floats(j))
}

function addBias(c: usize, ldc: i32, m: i32, n: i32, bias: usize): void {
  for (let i = 0; i < m; i++) {
    const row = c + floats(i * ldc)
    let j = 0
    for (; j + 4 <= n; j += 4) v128.store(row + floats(j), f32x4.add(v128.load(row + floats(j)), v128.load(bias + floats(j))))
    for (; j < n; j++) store<f32>(row + floats(j), load<f32>(row + floats(j)) + load<f32>(bias + floats(j)))
  }
}

/**
 * y[N,M] = x[N,K]·w (+ bias) for few rows, where packing would cost more than the product: reads w once per row.
 * Arguments: N, M, K, x, w, y, bias or 0, inOut (1: w is [K,M], else [M,K]), outputs of a block (a multiple of 4).
 */
export function rowTimesMatrix(p: u32, block: i32, scratch: u32): void {
  const N = int(p, 0), M = int(p, 1), K = int(p, 2), w = address(p, 4), bias = address(p, 6), size = int(p, 8)
  const from = block * size, to = smaller(M, from + size)
  for (let row = 0; row < N; row++) {
    const x = address(p, 3) + floats(row * K), y = address(p, 5) + floats(row * M)
    for (let j = from; j < to; j++) store<f32>(y + floats(j), bias != 0 ? load<f32>(bias + floats(j)) : 0)
    if (int(p, 7) != 0) {
      let k = 0
      // four rows of w at a time: an output is loaded and stored once for them, in the same order of sums
      for (; k + 4 <= K; k += 4) {
        const a = load<f32>(x + floats(k)), b = load<f32>(x + floats(k), 4), c = load<f32>(x + floats(k), 8), d = load<f32>(x + floats(k), 12)
        const a4 = f32x4.splat(a), b4 = f32x4.splat(b), c4 = f32x4.splat(c), d4 = f32x4.splat(d)
        const wa = w + floats(k * M), wb = wa + floats(M), wc = wb + floats(M), wd = wc + floats(M)
        let j = from
        for (; j + 4 <= to; j += 4) {
          let sum = f32x4.relaxed_madd(a4, v128.load(wa + floats(j)), v128.load(y + floats(j)))
          sum = f32x4.relaxed_madd(b4, v128.load(wb + floats(j)), sum)
          sum = f32x4.relaxed_madd(c4, v128.load(wc + floats(j)), sum)
          v128.store(y + floats(j), f32x4.relaxed_madd(d4, v128.load(wd + floats(j)), sum))
        }
        for (; j < to; j++) {
          let sum = f32x4.relaxed_madd(a4, v128.load32_splat(wa + floats(j)), v128.load32_splat(y + floats(j)))
          sum = f32x4.relaxed_madd(b4, v128.load32_splat(wb + floats(j)), sum)
          sum = f32x4.relaxed_madd(c4, v128.load32_splat(wc + floats(j)), sum)
          store<f32>(y + floats(j), f32x4.extract_lane(f32x4.relaxed_madd(d4, v128.load32_splat(wd + floats(j)), sum), 0))
        }
      }
      for (; k < K; k++) {
        const factor = load<f32>(x + floats(k)), four = f32x4.splat(factor), wk = w + floats(k * M)
        let j = from
        for (; j + 4 <= to; j += 4) v128.store(y + floats(j), f32x4.relaxed_madd(four, v128.load(wk + floats(j)), v128.load(y + floats(j))))
        for (; j < to; j++)
          store<f32>(y + floats(j), f32x4.extract_lane(f32x4.relaxed_madd(four, v128.load32_splat(wk + floats(j)), v128.load32_splat(y + floats(j))), 0))
      }
    } else {
      for (let j = from; j < to; j++) store<f32>(y + floats(j), load<f32>(y + floats(j)) + dot(x, w + floats(j * K), K))
    }
  }
}

/** Σ x·w over n floats, in the order of vectors of sixteen lanes, which are added up last. */
function dot(x: usize, w: usize, n: i32): f32 {
  let a = f32x4.splat(0), b = a, c = a, d = a, k = 0
  for (; k + 16 <= n; k += 16) {
    a = f32x4.relaxed_madd(v128.load(x + floats(k)), v128.load(w + floats(k)), a)
    b = f32x4.relaxed_madd(v128.load(x + floats(k), 16), v128.load(w + floats(k), 16), b)
    c = f32x4.relaxed_madd(v128.load(x + floats(k), 32), v128.load(w + floats(k), 32), c)
    d = f32x4.relaxed_madd(v128.load(x + floats(k), 48), v128.load(w + floats(k), 48), d)
  }
  if (k < n) {
    a = addProducts(x + floats(k), w + floats(k), n - k, a)
    b = addProducts(x + floats(k + 4), w + floats(k + 4), n - k - 4, b)
    c = addProducts(x + floats(k + 8), w + floats(k + 8), n - k - 8, c)
    d = addProducts(x + floats(k + 12), w + floats(k + 12), n - k - 12, d)
  }
  return lanesOf(a) + lanesOf(b) + (lanesOf(c) + lanesOf(d))
}

/** Up to four products, in the first lanes. */
function addProducts(x: usize, w: usize, n: i32, sums: v128): v128 {
  if (n >= 4) return f32x4.relaxed_madd(v128.load(x), v128.load(w), sums)
  let a = f32x4.splat(0), b = a
  if (n > 0) { a = f32x4.replace_lane(a, 0, load<f32>(x)); b = f32x4.replace_lane(b, 0, load<f32>(w)) }
  if (n > 1) { a = f32x4.replace_lane(a, 1, load<f32>(x, 4)); b = f32x4.replace_lane(b, 1, load<f32>(w, 4)) }
  if (n > 2) { a = f32x4.replace_lane(a, 2, load<f32>(x, 8)); b = f32x4.replace_lane(b, 2, load<f32>(w, 8)) }
  return f32x4.relaxed_madd(a, b, sums)
}

function lanesOf(v: v128): f32 {
  return (f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 2)) + (f32x4.extract_lane(v, 1) + f32x4.extract_lane(v, 3))
}

/** out[j] (+)= Σ rows x[i,j]: the gradient of a bias. Arguments: x, rows, columns, out, columns of a block, add. */
export function columnSums(p: u32, block: i32, scratch: u32): void {
  const x = address(p, 0), rows = int(p, 1), columns = int(p, 2), out = address(p, 3), size = int(p, 4), add = int(p, 5) != 0
  const from = block * size, to = smaller(columns, from + size)
  let j = from
  for (; j + 4 <= to; j += 4) {
    let sum = f32x4.splat(0)
    for (let i = 0; i < rows; i++) sum = f32x4.add(sum, v128.load(x + floats(i * columns + j)))
    v128.store(out + floats(j), add ? f32x4.add(v128.load(out + floats(j)), sum) : sum)
  }
  for (; j < to; j++) {
    let sum: f32 = 0
    for (let i = 0; i < rows; i++) sum += load<f32>(x + floats(i * columns + j))
    store<f32>(out + floats(j), add ? load<f32>(out + floats(j)) + sum : sum)
  }
}
