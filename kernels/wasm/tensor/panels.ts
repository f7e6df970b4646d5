// What machine code needs around it to compute products (src/tensor/cpu/native): operands packed into panels of any width,
// a block of C fetched into scratch whose rows and columns are whole tiles, and stored back.

import { bytes, floats, smaller } from './math'
import { transpose4 } from './gemm'

/**
 * A panel of `width` lanes (a multiple of 4), k after k: out[k][width]. Lanes are rows of A or columns of B. What is missing of
 * them, and of `end` steps, is filled up with zeros.
 */
export function packPanel(xWord: u32, laneStride: i32, stepStride: i32, lanes: i32, steps: i32, end: i32, width: i32, outWord: u32): void {
  const x = bytes(xWord), out = bytes(outWord)
  const ls = floats(laneStride), ss = floats(stepStride), size = <usize>steps * floats(width)
  if (lanes == width && laneStride == 1) packAlong(x, ss, steps, width, out)
  else if (lanes == width && stepStride == 1) packAcross(x, ls, steps, width, out)
  else packShort(x, ls, ss, lanes, steps, width, out)
  memory.fill(out + size, 0, <usize>(end - steps) * floats(width))
}

/** The same rounded to bf16, in pairs of steps: out[k / 2][width][2]. */
export function packPairs(xWord: u32, laneStride: i32, stepStride: i32, lanes: i32, steps: i32, end: i32, width: i32, outWord: u32): void {
  const x = bytes(xWord), out = bytes(outWord)
  const ls = floats(laneStride), ss = floats(stepStride)
  for (let k = 0; k < end; k++) {
    const to = out + floats((k >> 1) * width) + ((k & 1) << 1)
    for (let lane = 0; lane < width; lane++) {
      const value: f32 = lane < lanes && k < steps ? load<f32>(x + <usize>lane * ls + <usize>k * ss) : 0
      store<u16>(to + floats(lane), roundToBf16(value))
    }
  }
}

/** The same in rows of 32 steps: out[k / 32][width][32]. */
export function packRows(xWord: u32, laneStride: i32, stepStride: i32, lanes: i32, steps: i32, end: i32, width: i32, outWord: u32): void {
  const x = bytes(xWord), out = bytes(outWord)
  const ls = floats(laneStride), ss = floats(stepStride)
  for (let lane = 0; lane < width; lane++) {
    for (let k = 0; k < end; k++) {
      const to = out + floats(((k >> 5) * width + lane) << 4) + ((k & 31) << 1)
      const value: f32 = lane < lanes && k < steps ? load<f32>(x + <usize>lane * ls + <usize>k * ss) : 0
      store<u16>(to, roundToBf16(value))
    }
  }
}

/** To the nearest, of two the even one. */
// @ts-ignore: decorator
@inline
function roundToBf16(value: f32): u16 {
  const bits = reinterpret<u32>(value)
  return value != value ? 0x7fc0 : <u16>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)
}

function packAlong(p: usize, ds: usize, depth: i32, width: i32, out: usize): void {
  for (let k = 0; k < depth; k++) {
    for (let lane = 0; lane < width; lane += 4) v128.store(out + floats(lane), v128.load(p + floats(lane)))
    out += floats(width)
    p += ds
  }
}

function packAcross(p: usize, ls: usize, depth: i32, width: i32, out: usize): void {
  const step = floats(width), whole = depth & ~3
  for (let lane = 0; lane < width; lane += 4) {
    const from = p + <usize>lane * ls
    let to = out + floats(lane), k = 0
    for (; k < whole; k += 4) {
      transpose4(from + floats(k), ls, to, step)
      to += 4 * step
    }
    for (; k < depth; k++) {
      for (let r = 0; r < 4; r++) store<f32>(to + floats(r), load<f32>(from + <usize>r * ls + floats(k)))
      to += step
    }
  }
}

function packShort(p: usize, ls: usize, ds: usize, n: i32, depth: i32, width: i32, out: usize): void {
  for (let k = 0; k < depth; k++) {
    for (let lane = 0; lane < width; lane++) store<f32>(out + floats(lane), lane < n ? load<f32>(p + <usize>lane * ls) : 0)
    out += floats(width)
    p += ds
  }
}

/** s[m,n] = c[m,n]; what lies beside is of no consequence. */
export function fetchBlock(c: u32, ldc: i32, m: i32, n: i32, s: u32, lds: i32): void {
  for (let i = 0; i < m; i++) memory.copy(bytes(s) + floats(i * lds), bytes(c) + <usize>i * floats(ldc), floats(n))
}

/** c[m,n] = s[m,n], plus the bias of its columns where that is not 0. */
export function storeBlock(s: u32, lds: i32, c: u32, ldc: i32, m: i32, n: i32, biasWord: u32): void {
  const bias = bytes(biasWord)
  for (let i = 0; i < m; i++) {
    const from = bytes(s) + floats(i * lds), to = bytes(c) + <usize>i * floats(ldc)
    if (bias == 0) {
      memory.copy(to, from, floats(n))
      continue
    }
    let j = 0
    for (; j + 4 <= n; j += 4) v128.store(to + floats(j), f32x4.add(v128.load(from + floats(j)), v128.load(bias + floats(j))))
    for (; j < n; j++) store<f32>(to + floats(j), load<f32>(from + floats(j)) + load<f32>(bias + floats(j)))
  }
}
