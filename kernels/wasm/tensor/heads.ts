// What attention is given besides queries, keys and values: biases of distance, and heads that are normalized.

import { address, float, floats, int, ln, loadRagged, smaller, storeRagged, sumLanes } from './math'

/** As src/tensor/relative-bucket.ts. `span` is the f32 of ln(maxDistance / exact). */
function bucketOf(distance: i32, buckets: i32, bidirectional: bool, span: f32): i32 {
  const own = bidirectional ? buckets >> 1 : buckets, exact = own >> 1
  const first = bidirectional && distance > 0 ? own : 0
  const reach = bidirectional ? abs(distance) : max(0, -distance)
  if (reach < exact) return first + reach
  const share: f32 = <f32>ln(<f64>(<f32>reach / <f32>exact)) / span
  return first + smaller(own - 1, exact + <i32>(share * <f32>(own - exact)))
}

/** y[h,i] = w[bucket of i + 1 − length, h]. A block is a head. Arguments: w, y, length, columns, buckets, H, bidirectional, span. */
export function relativeBias(p: u32, head: i32, scratch: u32): void {
  const length = int(p, 2), columns = int(p, 3), buckets = int(p, 4), H = int(p, 5), bidirectional = int(p, 6) != 0, span = float(p, 7)
  const w = address(p, 0) + floats(head), y = address(p, 1) + floats(head * columns)
  for (let i = 0; i < columns; i++)
    store<f32>(y + floats(i), load<f32>(w + floats(H * bucketOf(i + 1 - length, buckets, bidirectional, span))))
}

/** A block is a head. Arguments: dw, dy, length, columns, buckets, H, bidirectional, span, add. */
export function relativeBiasBackward(p: u32, head: i32, scratch: u32): void {
  const length = int(p, 2), columns = int(p, 3), buckets = int(p, 4), H = int(p, 5), bidirectional = int(p, 6) != 0, span = float(p, 7)
  const dw = address(p, 0) + floats(head), dy = address(p, 1) + floats(head * columns)
  if (int(p, 8) == 0) for (let bucket = 0; bucket < buckets; bucket++) store<f32>(dw + floats(H * bucket), 0)
  for (let i = 0; i < columns; i++) {
    const to = dw + floats(H * bucketOf(i + 1 - length, buckets, bidirectional, span))
    store<f32>(to, load<f32>(to) + load<f32>(dy + floats(i)))
  }
}

/** Arguments: qkv, wq, wk, y, rstd, rows, H, G, D, epsilon, rows of a block. */
export function headNorm(p: u32, block: i32, scratch: u32): void {
  const H = int(p, 6), G = int(p, 7), D = int(p, 8), size = int(p, 10), stride = (H + 2 * G) * D, normed = H + G
  for (let i = block * size, to = smaller(int(p, 5), i + size); i < to; i++) {
    const from = address(p, 0) + floats(i * stride), y = address(p, 3) + floats(i * stride), rstds = address(p, 4) + floats(i * normed)
    for (let head = 0; head < normed; head++) {
      const x = from + floats(head * D), out = y + floats(head * D), w = address(p, head < H ? 1 : 2)
      let squares = f32x4.splat(0)
      for (let d = 0; d < D; d += 4) {
        const v = loadRagged(x + floats(d), D - d, 0)
        squares = f32x4.relaxed_madd(v, v, squares)
      }
      const rstd: f32 = 1 / sqrt(sumLanes(squares) / <f32>D + float(p, 9))
      store<f32>(rstds + floats(head), rstd)
      const factor = f32x4.splat(rstd)
      for (let d = 0; d < D; d += 4) {
        const n = D - d, at = floats(d)
        storeRagged(out + at, n, f32x4.mul(f32x4.mul(loadRagged(x + at, n, 0), factor), loadRagged(w + at, n, 0)))
      }
    }
    memory.copy(y + floats(normed * D), from + floats(normed * D), floats(G * D))
  }
}

/**
 * dqkv, and what the rows of a block add to dwq and dwk, at [block, D] of two arrays.
 * Arguments: qkv, wq, wk, rstd, dy, dqkv, add, query parts, key parts, rows, H, G, D, rows of a block.
 */
export function headNormBackward(p: u32, block: i32, scratch: u32): void {
  const add = int(p, 6) != 0, H = int(p, 10), G = int(p, 11), D = int(p, 12), size = int(p, 13), stride = (H + 2 * G) * D, normed = H + G
  memory.fill(address(p, 7) + floats(block * D), 0, floats(D))
  memory.fill(address(p, 8) + floats(block * D), 0, floats(D))
  for (let i = block * size, to = smaller(int(p, 9), i + size); i < to; i++) {
    const rstds = address(p, 3) + floats(i * normed)
    for (let head = 0; head < normed; head++) {
      const at = floats(i * stride + head * D), x = address(p, 0) + at, dy = address(p, 4) + at, dx = address(p, 5) + at
      const w = address(p, head < H ? 1 : 2), part = address(p, head < H ? 7 : 8) + floats(block * D)
      const factor = v128.load_splat<f32>(rstds + floats(head))
      let dot = f32x4.splat(0)
      for (let d = 0; d < D; d += 4) {
        const n = D - d, g = loadRagged(dy + floats(d), n, 0), h = f32x4.mul(loadRagged(x + floats(d), n, 0), factor)
        dot = f32x4.relaxed_madd(f32x4.mul(g, loadRagged(w + floats(d), n, 0)), h, dot)
        storeRagged(part + floats(d), n, f32x4.relaxed_madd(g, h, loadRagged(part + floats(d), n, 0)))
      }
      const along = f32x4.splat(sumLanes(dot) / <f32>D)
      for (let d = 0; d < D; d += 4) {
        const n = D - d, h = f32x4.mul(loadRagged(x + floats(d), n, 0), factor)
        const g = f32x4.mul(loadRagged(dy + floats(d), n, 0), loadRagged(w + floats(d), n, 0))
        let value = f32x4.mul(f32x4.relaxed_nmadd(h, along, g), factor)
        if (add) value = f32x4.add(value, loadRagged(dx + floats(d), n, 0))
        storeRagged(dx + floats(d), n, value)
      }
    }
    for (let d = normed * D; d < stride; d += 4) {
      const n = stride - d, at = floats(i * stride + d)
      let value = loadRagged(address(p, 4) + at, n, 0)
      if (add) value = f32x4.add(value, loadRagged(address(p, 5) + at, n, 0))
      storeRagged(address(p, 5) + at, n, value)
    }
  }
}
