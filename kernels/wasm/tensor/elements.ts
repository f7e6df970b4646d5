// Kernels that work element by element: activations, sums, the optimizer. Tensors begin at a multiple of 64 bytes and are
// padded to one, so that a last vector may reach past the end.

import { shareOf, slopeOf, valueOf } from './curves'
import { address, blockEnd, ELEMENTS, float, floats, int, loadRagged, smaller } from './math'

/** Arguments: x, y, n, kind (curves.ts). */
export function activation(p: u32, block: i32, scratch: u32): void {
  const x = address(p, 0), y = address(p, 1), kind = int(p, 3), end = blockEnd(int(p, 2), block)
  for (let at = floats(block * ELEMENTS); at < end; at += 16) {
    const v = v128.load(x + at)
    v128.store(y + at, valueOf(kind, v, shareOf(kind, v)))
  }
}

/** Arguments: x, dy, dx, add, n, kind. */
export function activationBackward(p: u32, block: i32, scratch: u32): void {
  const x = address(p, 0), dy = address(p, 1), dx = address(p, 2), add = int(p, 3) != 0, kind = int(p, 5)
  const end = blockEnd(int(p, 4), block)
  for (let at = floats(block * ELEMENTS); at < end; at += 16) {
    const v = v128.load(x + at)
    let value = f32x4.mul(slopeOf(kind, v, shareOf(kind, v)), v128.load(dy + at))
    if (add) value = f32x4.add(value, v128.load(dx + at))
    v128.store(dx + at, value)
  }
}

/** Gates (Shazeer 2020): y[i,j] = activation(x[i,j])·x[i,F+j]. F is a multiple of 4. Arguments: x, y, rows, F, kind, rows of a block. */
export function gated(p: u32, block: i32, scratch: u32): void {
  const F = int(p, 3), kind = int(p, 4), size = int(p, 5), width = floats(F)
  for (let i = block * size, to = smaller(int(p, 2), i + size); i < to; i++) {
    const gate = address(p, 0) + <usize>i * 2 * width, y = address(p, 1) + <usize>i * width
    for (let at: usize = 0; at < width; at += 16) {
      const g = v128.load(gate + at)
      v128.store(y + at, f32x4.mul(valueOf(kind, g, shareOf(kind, g)), v128.load(gate + width + at)))
    }
  }
}

/** Arguments: x, dy, dx, add, rows, F, kind, rows of a block. */
export function gatedBackward(p: u32, block: i32, scratch: u32): void {
  const F = int(p, 5), kind = int(p, 6), size = int(p, 7), width = floats(F), add = int(p, 3) != 0
  for (let i = block * size, to = smaller(int(p, 4), i + size); i < to; i++) {
    const gate = address(p, 0) + <usize>i * 2 * width, dy = address(p, 1) + <usize>i * width, dx = address(p, 2) + <usize>i * 2 * width
    for (let at: usize = 0; at < width; at += 16) {
      const g = v128.load(gate + at), d = v128.load(dy + at), share = shareOf(kind, g)
      let dGate = f32x4.mul(f32x4.mul(d, v128.load(gate + width + at)), slopeOf(kind, g, share))
      let dUp = f32x4.mul(d, valueOf(kind, g, share))
      if (add) {
        dGate = f32x4.add(dGate, v128.load(dx + at))
        dUp = f32x4.add(dUp, v128.load(dx + width + at))
      }
      v128.store(dx + at, dGate)
      v128.store(dx + width + at, dUp)
    }
  }
}

/** y = factor·x, or added to y. Arguments: x, y, add, n, factor. */
export function scale(p: u32, block: i32, scratch: u32): void {
  const x = address(p, 0), y = address(p, 1), add = int(p, 2) != 0, end = blockEnd(int(p, 3), block), factor = f32x4.splat(float(p, 4))
  for (let at = floats(block * ELEMENTS); at < end; at += 16) {
    const value = f32x4.mul(v128.load(x + at), factor)
    v128.store(y + at, add ? f32x4.add(value, v128.load(y + at)) : value)
  }
}

/** y = a + b; b = 0 copies. y may be a or b. Arguments: a, b, y, n. */
export function add(p: u32, block: i32, scratch: u32): void {
  const a = address(p, 0), b = address(p, 1), y = address(p, 2), end = blockEnd(int(p, 3), block)
  let at = floats(block * ELEMENTS)
  if (b == 0) memory.copy(y + at, a + at, end - at)
  else for (; at < end; at += 16) v128.store(y + at, f32x4.add(v128.load(a + at), v128.load(b + at)))
}

/** Σ x² of a block, as an f64 at out[block]. Arguments: x, out, n. */
export function squareSum(p: u32, block: i32, scratch: u32): void {
  const x = address(p, 0), end = blockEnd(int(p, 2), block)
  let low = f64x2.splat(0), high = low
  for (let at = floats(block * ELEMENTS); at < end; at += 16) {
    const v = loadRagged(x + at, <i32>(end - at) >> 2, 0)
    const a = f64x2.promote_low_f32x4(v), b = f64x2.promote_low_f32x4(v128.shuffle<i64>(v, v, 1, 1))
    low = f64x2.add(low, f64x2.mul(a, a))
    high = f64x2.add(high, f64x2.mul(b, b))
  }
  low = f64x2.add(low, high)
  store<f64>(address(p, 1) + ((<usize>block) << 3), f64x2.extract_lane(low, 0) + f64x2.extract_lane(low, 1))
}

/**
 * AdamW with decoupled decay (Loshchilov & Hutter 2019, algorithm 2). Moments that would
 * become denormal, of tokens not seen for long, become 0: they move nothing, and would cost a hundred cycles each for ever.
 * Arguments: parameter, gradient, first moment, second moment, n, decays, hyper: learning rate, beta1, beta2, epsilon, decay,
 * scale of the gradient, 1/(1 − beta1^t), 1/(1 − beta2^t), 1 − beta1, 1 − beta2.
 */
export function adamw(p: u32, block: i32, scratch: u32): void {
  const w = address(p, 0), gradient = address(p, 1), first = address(p, 2), second = address(p, 3), hyper = address(p, 6)
  const end = blockEnd(int(p, 4), block)
  const rate = v128.load_splat<f32>(hyper), beta1 = v128.load_splat<f32>(hyper, 4), beta2 = v128.load_splat<f32>(hyper, 8)
  const epsilon = v128.load_splat<f32>(hyper, 12), scale = v128.load_splat<f32>(hyper, 20)
  const keep = f32x4.splat(1 - load<f32>(hyper) * (int(p, 5) != 0 ? load<f32>(hyper, 16) : 0))
  const correct1 = v128.load_splat<f32>(hyper, 24), correct2 = v128.load_splat<f32>(hyper, 28)
  const new1 = v128.load_splat<f32>(hyper, 32), new2 = v128.load_splat<f32>(hyper, 36), tiny = f32x4.splat(1e-36)
  for (let at = floats(block * ELEMENTS); at < end; at += 16) {
    const g = f32x4.mul(v128.load(gradient + at), scale)
    let m = f32x4.relaxed_madd(beta1, v128.load(first + at), f32x4.mul(new1, g))
    let v = f32x4.relaxed_madd(beta2, v128.load(second + at), f32x4.mul(new2, f32x4.mul(g, g)))
    m = v128.and(m, f32x4.gt(f32x4.abs(m), tiny))
    v = v128.and(v, f32x4.gt(v, tiny))
    v128.store(first + at, m)
    v128.store(second + at, v)
    const update = f32x4.div(f32x4.mul(m, correct1), f32x4.add(f32x4.sqrt(f32x4.mul(v, correct2)), epsilon))
    v128.store(w + at, f32x4.sub(f32x4.mul(v128.load(w + at), keep), f32x4.mul(rate, update)))
  }
}
