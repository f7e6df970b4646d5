// What the tensor kernels share: arguments of a launch, loads and stores of ragged row ends, exp and ln.
// A kernel is called as (p, block, scratch): p points at its 32-bit arguments, block is its share, scratch is the thread's own.
// Addresses come from outside in words of 4 bytes, so that 32 bits reach 16 GiB; inside they are bytes.

// @ts-ignore: decorator
@inline
export function bytes(word: u32): usize { return (<usize>word) << 2 }
// @ts-ignore: decorator
@inline
export function int(p: u32, i: i32): i32 { return load<i32>(bytes(p + <u32>i)) }
// @ts-ignore: decorator
@inline
export function address(p: u32, i: i32): usize { return bytes(load<u32>(bytes(p + <u32>i))) }
// @ts-ignore: decorator
@inline
export function float(p: u32, i: i32): f32 { return load<f32>(bytes(p + <u32>i)) }
// @ts-ignore: decorator
@inline
export function floats(n: i32): usize { return (<usize>n) << 2 }
// @ts-ignore: decorator
@inline
export function smaller(a: i32, b: i32): i32 { return a < b ? a : b }

/** Elements of a block of what works element by element. */
export const ELEMENTS: i32 = 16384

/** Where a block ends, in bytes. */
// @ts-ignore: decorator
@inline
export function blockEnd(n: i32, block: i32): usize { return floats(smaller(n, (block + 1) * ELEMENTS)) }

/** Four floats at p, of which only the first n belong to the row; the rest become `fill`. */
// @ts-ignore: decorator
@inline
export function loadRagged(p: usize, n: i32, fill: f32): v128 {
  if (n >= 4) return v128.load(p)
  let x = f32x4.splat(fill)
  x = f32x4.replace_lane(x, 0, load<f32>(p))
  if (n > 1) x = f32x4.replace_lane(x, 1, load<f32>(p, 4))
  if (n > 2) x = f32x4.replace_lane(x, 2, load<f32>(p, 8))
  return x
}

// @ts-ignore: decorator
@inline
export function storeRagged(p: usize, n: i32, x: v128): void {
  if (n >= 4) { v128.store(p, x); return }
  store<f32>(p, f32x4.extract_lane(x, 0))
  if (n > 1) store<f32>(p, f32x4.extract_lane(x, 1), 4)
  if (n > 2) store<f32>(p, f32x4.extract_lane(x, 2), 8)
}

// @ts-ignore: decorator
@inline
export function sumLanes(x: v128): f32 {
  return (f32x4.extract_lane(x, 0) + f32x4.extract_lane(x, 1)) + (f32x4.extract_lane(x, 2) + f32x4.extract_lane(x, 3))
}

// @ts-ignore: decorator
@inline
export function maxLanes(x: v128): f32 {
  return max(max(f32x4.extract_lane(x, 0), f32x4.extract_lane(x, 1)), max(f32x4.extract_lane(x, 2), f32x4.extract_lane(x, 3)))
}

/**
 * e^x in four lanes: x = n·ln 2 + r, 2^n through the exponent bits, e^r by its Taylor polynomial of degree 7 (|r| ≤ 0.35:
 * the rest is below 1e-8). Inputs are clamped to ±87, so that -infinity gives 1.6e-38 and nothing becomes infinite.
 */
// @ts-ignore: decorator
@inline
export function exp4(x: v128): v128 {
  x = f32x4.pmin(f32x4.pmax(x, f32x4.splat(-87)), f32x4.splat(87))
  const n = f32x4.nearest(f32x4.mul(x, f32x4.splat(1.44269504088896)))
  // ln 2 in two parts, so that n·ln 2 loses nothing
  let r = f32x4.relaxed_nmadd(n, f32x4.splat(0.693359375), x)
  r = f32x4.relaxed_nmadd(n, f32x4.splat(-2.12194440e-4), r)
  let y = f32x4.splat(1.0 / 5040)
  y = f32x4.relaxed_madd(y, r, f32x4.splat(1.0 / 720))
  y = f32x4.relaxed_madd(y, r, f32x4.splat(1.0 / 120))
  y = f32x4.relaxed_madd(y, r, f32x4.splat(1.0 / 24))
  y = f32x4.relaxed_madd(y, r, f32x4.splat(1.0 / 6))
  y = f32x4.relaxed_madd(y, r, f32x4.splat(0.5))
  y = f32x4.relaxed_madd(y, r, f32x4.splat(1))
  y = f32x4.relaxed_madd(y, r, f32x4.splat(1))
  const power = i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(n), i32x4.splat(127)), 23)
  return f32x4.mul(y, power)
}

/** tanh x = 1 − 2 / (e^2x + 1), and near 0, where that loses digits, the first terms of its series: the rest is below 1e-8. */
// @ts-ignore: decorator
@inline
export function tanh4(x: v128): v128 {
  const one = f32x4.splat(1), e = exp4(f32x4.add(x, x)), q = f32x4.mul(x, x)
  const far = f32x4.sub(one, f32x4.div(f32x4.splat(2), f32x4.add(e, one)))
  let p = f32x4.relaxed_madd(q, f32x4.splat(62.0 / 2835), f32x4.splat(-17.0 / 315))
  p = f32x4.relaxed_madd(q, p, f32x4.splat(2.0 / 15))
  p = f32x4.relaxed_madd(q, p, f32x4.splat(-1.0 / 3))
  const near = f32x4.relaxed_madd(f32x4.mul(x, q), p, x)
  return v128.bitselect(near, far, f32x4.lt(q, f32x4.splat(0.0625)))
}

/** ln x of a positive normal number: mantissa in [√½, √2) by the series of artanh, exponent times ln 2. */
export function ln(x: f64): f64 {
  const bits = reinterpret<i64>(x)
  let exponent = <i32>(bits >> 52) - 1023
  let m = reinterpret<f64>((bits & 0xfffffffffffff) | 0x3ff0000000000000)
  if (m > 1.4142135623730951) { m *= 0.5; exponent++ }
  const s = (m - 1) / (m + 1), q = s * s
  const series = 1 + q * (1.0 / 3 + q * (1.0 / 5 + q * (1.0 / 7 + q * (1.0 / 9 + q * (1.0 / 11 + q * (1.0 / 13 + q / 15))))))
  return 2 * s * series + <f64>exponent * 0.6931471805599453
}

/** Sets n floats to zero. */
export function zero(p: usize, n: i32): void { memory.fill(p, 0, floats(n)) }
