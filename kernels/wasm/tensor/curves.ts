// Activations and their slopes, four lanes at a time. `kind` is an index of ACTIVATIONS in src/tensor/operations.ts.

import { exp4, tanh4 } from './math'

// @ts-ignore: decorator
@inline
function sigmoid(x: v128): v128 {
  return f32x4.div(f32x4.splat(1), f32x4.add(f32x4.splat(1), exp4(f32x4.neg(x))))
}

// gelu_tanh(x) = x·σ(2u), u = √(2/π)(x + 0.044715 x³), for (1 + tanh u)/2 = σ(2u). Hendrycks & Gimpel 2016.
const GELU_LINEAR: f32 = 1.5957691216057308
const GELU_CUBE: f32 = 0.07135481282553526

// @ts-ignore: decorator
@inline
function geluGate(x: v128): v128 {
  const inner = f32x4.relaxed_madd(f32x4.mul(x, x), f32x4.splat(GELU_CUBE), f32x4.splat(GELU_LINEAR))
  return sigmoid(f32x4.mul(x, inner))
}

/**
 * The normal distribution Φ(x) = erfc(−x/√2)/2, by erfc z = t·e^(−z² + P(t)), t = 1/(1 + z/2), with the polynomial of Press et
 * al. 1992, §6.2: within 1.2e-7 of its value everywhere.
 */
// @ts-ignore: decorator
@inline
function normal(x: v128): v128 {
  const z = f32x4.mul(f32x4.abs(x), f32x4.splat(0.7071067811865476)), one = f32x4.splat(1)
  const t = f32x4.div(one, f32x4.relaxed_madd(z, f32x4.splat(0.5), one))
  let p = f32x4.splat(0.17087277)
  p = f32x4.relaxed_madd(p, t, f32x4.splat(-0.82215223))
  p = f32x4.relaxed_madd(p, t, f32x4.splat(1.48851587))
  p = f32x4.relaxed_madd(p, t, f32x4.splat(-1.13520398))
  p = f32x4.relaxed_madd(p, t, f32x4.splat(0.27886807))
  p = f32x4.relaxed_madd(p, t, f32x4.splat(-0.18628806))
  p = f32x4.relaxed_madd(p, t, f32x4.splat(0.09678418))
  p = f32x4.relaxed_madd(p, t, f32x4.splat(0.37409196))
  p = f32x4.relaxed_madd(p, t, f32x4.splat(1.00002368))
  p = f32x4.relaxed_madd(p, t, f32x4.splat(-1.26551223))
  const tail = f32x4.mul(f32x4.mul(f32x4.splat(0.5), t), exp4(f32x4.relaxed_nmadd(z, z, p)))
  return v128.bitselect(tail, f32x4.sub(one, tail), f32x4.lt(x, f32x4.splat(0)))
}

/** What value and slope are made of: the share of x that passes, or tanh x itself. */
// @ts-ignore: decorator
@inline
export function shareOf(kind: i32, x: v128): v128 {
  if (kind == 0) return geluGate(x)
  if (kind == 1) return sigmoid(x)
  if (kind == 2) return f32x4.pmax(x, f32x4.splat(0))
  if (kind == 3) return normal(x)
  return kind == 4 ? v128.and(f32x4.gt(x, f32x4.splat(0)), f32x4.splat(1)) : tanh4(x)
}

// @ts-ignore: decorator
@inline
export function valueOf(kind: i32, x: v128, share: v128): v128 {
  return kind == 5 ? share : f32x4.mul(x, share)
}

// @ts-ignore: decorator
@inline
export function slopeOf(kind: i32, x: v128, share: v128): v128 {
  const one = f32x4.splat(1)
  if (kind == 0) {
    const inner = f32x4.relaxed_madd(f32x4.mul(x, x), f32x4.splat(3 * GELU_CUBE), f32x4.splat(GELU_LINEAR))
    return f32x4.mul(share, f32x4.relaxed_madd(f32x4.mul(x, f32x4.sub(one, share)), inner, one))
  }
  if (kind == 1) return f32x4.mul(share, f32x4.relaxed_madd(x, f32x4.sub(one, share), one))
  if (kind == 2) return f32x4.add(share, share)
  if (kind == 3) {
    const density = f32x4.mul(f32x4.splat(0.3989422804014327), exp4(f32x4.mul(f32x4.mul(x, x), f32x4.splat(-0.5))))
    return f32x4.relaxed_madd(x, density, share)
  }
  return kind == 4 ? share : f32x4.relaxed_nmadd(share, share, one)
}
