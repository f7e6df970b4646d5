// What updates parameters besides AdamW: Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon), whose matrix products
// are launches of gemm, and the average of the weights. Tensors are padded as in elements.ts; the matrices of a block are not.

import { address, ELEMENTS, blockEnd, float, floats, int, loadRagged, smaller, storeRagged } from './math'

/**
 * Nesterov momentum: m = μ·m + (1 − μ)·g, x = μ·m + (1 − μ)·g; momentum that would become denormal becomes 0.
 * Arguments: gradient, momentum, x, n, hyper: at 5 the scale of the gradient, at 10 μ.
 */
export function muonMomentum(p: u32, block: i32, scratch: u32): void {
  const gradient = address(p, 0), momentum = address(p, 1), x = address(p, 2), hyper = address(p, 4), end = blockEnd(int(p, 3), block)
  const keep = load<f32>(hyper, 40), old = f32x4.splat(keep), fresh = f32x4.splat((1 - keep) * load<f32>(hyper, 20)), tiny = f32x4.splat(1e-36)
  for (let at = floats(block * ELEMENTS); at < end; at += 16) {
    const g = f32x4.mul(v128.load(gradient + at), fresh)
    let m = f32x4.relaxed_madd(old, v128.load(momentum + at), g)
    m = v128.and(m, f32x4.gt(f32x4.abs(m), tiny))
    v128.store(momentum + at, m)
    v128.store(x + at, f32x4.relaxed_madd(old, m, g))
  }
}

/** x /= √(Σ squares) + 1e-7: a Frobenius norm of 1 at most. Arguments: x, n, squares (f64 a block of squareSum). */
export function normalize(p: u32, block: i32, scratch: u32): void {
  const n = int(p, 1), x = address(p, 0), squares = address(p, 2), blocks = (n + ELEMENTS - 1) / ELEMENTS
  let sum: f64 = 0
  for (let i = 0; i < blocks; i++) sum += load<f64>(squares + ((<usize>i) << 3))
  const factor = f32x4.splat(<f32>(1 / (sqrt(sum) + 1e-7)))
  for (let i = block * ELEMENTS, to = smaller(n, i + ELEMENTS); i < to; i += 4)
    storeRagged(x + floats(i), to - i, f32x4.mul(loadRagged(x + floats(i), to - i, 0), factor))
}

/** y = a·I + b·x + c·y of square matrices. Arguments: x, y, side, a, b, c, rows of a block. */
export function polynomial(p: u32, block: i32, scratch: u32): void {
  const side = int(p, 2), size = int(p, 6), linear = f32x4.splat(float(p, 4)), square = f32x4.splat(float(p, 5))
  for (let i = block * size, to = smaller(side, i + size); i < to; i++) {
    const x = address(p, 0) + floats(i * side), y = address(p, 1) + floats(i * side)
    for (let j = 0; j < side; j += 4) {
      const n = side - j, at = floats(j)
      storeRagged(y + at, n, f32x4.relaxed_madd(square, loadRagged(y + at, n, 0), f32x4.mul(linear, loadRagged(x + at, n, 0))))
    }
    store<f32>(y + floats(i), load<f32>(y + floats(i)) + float(p, 3))
  }
}

/** w = (1 − rate·decay)·w − rate·x. Arguments: w, x, n, decays, hyper: at 0 the rate, at 4 the decay. */
export function muonUpdate(p: u32, block: i32, scratch: u32): void {
  const w = address(p, 0), x = address(p, 1), hyper = address(p, 4), end = blockEnd(int(p, 2), block), rate = v128.load_splat<f32>(hyper)
  const keep = f32x4.splat(1 - load<f32>(hyper) * (int(p, 3) != 0 ? load<f32>(hyper, 16) : 0))
  for (let at = floats(block * ELEMENTS); at < end; at += 16)
    v128.store(w + at, f32x4.sub(f32x4.mul(v128.load(w + at), keep), f32x4.mul(rate, v128.load(x + at))))
}

/** average += share·(w − average). Arguments: w, average, n, hyper: at 11 the share. */
export function average(p: u32, block: i32, scratch: u32): void {
  const w = address(p, 0), y = address(p, 1), end = blockEnd(int(p, 2), block), share = v128.load_splat<f32>(address(p, 3), 44)
  for (let at = floats(block * ELEMENTS); at < end; at += 16) {
    const before = v128.load(y + at)
    v128.store(y + at, f32x4.relaxed_madd(share, f32x4.sub(v128.load(w + at), before), before))
  }
}
