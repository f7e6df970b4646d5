// Vectors of floats for fastText: means of rows, dot products, scaled additions. Columns come in fours, the rest one by one.

// @ts-ignore: decorator
@inline
function rowAt(matrix: usize, rows: usize, i: usize, bytes: usize): usize { return matrix + <usize>load<u32>(rows + (i << 2)) * bytes }

/**
 * Writes the mean of rows, added in their order. Four rows at a time: a quarter of the loads and stores of the sum, and
 * four times as many misses of the cache in flight.
 */
export function averageRows(matrix: usize, rows: usize, count: u32, dimensions: u32, into: usize): void {
  const bytes = <usize>dimensions << 2
  const lanes = bytes & ~15
  const n: usize = count
  memory.fill(into, 0, bytes)
  let i: usize = 0
  for (; i + 4 <= n; i += 4) {
    const a = rowAt(matrix, rows, i, bytes), b = rowAt(matrix, rows, i + 1, bytes)
    const c = rowAt(matrix, rows, i + 2, bytes), d = rowAt(matrix, rows, i + 3, bytes)
    let j: usize = 0
    for (; j < lanes; j += 16) {
      let sum = f32x4.add(v128.load(into + j), v128.load(a + j))
      sum = f32x4.add(sum, v128.load(b + j))
      sum = f32x4.add(sum, v128.load(c + j))
      v128.store(into + j, f32x4.add(sum, v128.load(d + j)))
    }
    for (; j < bytes; j += 4)
      store<f32>(into + j, load<f32>(into + j) + load<f32>(a + j) + load<f32>(b + j) + load<f32>(c + j) + load<f32>(d + j))
  }
  for (; i < n; i++) add(into, rowAt(matrix, rows, i, bytes), bytes)
  scale(into, <f32>(1.0 / <f64>count), bytes)
}

/** to += from. */
function add(to: usize, from: usize, bytes: usize): void {
  const lanes = bytes & ~15
  let j: usize = 0
  for (; j < lanes; j += 16) v128.store(to + j, f32x4.add(v128.load(to + j), v128.load(from + j)))
  for (; j < bytes; j += 4) store<f32>(to + j, load<f32>(to + j) + load<f32>(from + j))
}

function scale(to: usize, factor: f32, bytes: usize): void {
  for (let j: usize = 0; j < bytes; j += 4) store<f32>(to + j, load<f32>(to + j) * factor)
}

/** Adds gradient · factor to each of the rows; the gradient is scaled in place. A row that comes twice is added to twice. */
export function addToRows(matrix: usize, rows: usize, count: u32, dimensions: u32, gradient: usize, factor: f32): void {
  const bytes = <usize>dimensions << 2
  scale(gradient, factor, bytes)
  for (let i: usize = 0; i < count; i++) add(rowAt(matrix, rows, i, bytes), gradient, bytes)
}

/** Four sums side by side, so that the additions do not wait for each other. */
export function dot(a: usize, b: usize, dimensions: u32): f32 {
  const bytes = <usize>dimensions << 2
  const lanes = bytes & ~15
  const blocks = bytes & ~63
  let s0 = f32x4.splat(0), s1 = f32x4.splat(0), s2 = f32x4.splat(0), s3 = f32x4.splat(0)
  let j: usize = 0
  for (; j < blocks; j += 64) {
    s0 = f32x4.relaxed_madd(v128.load(a + j), v128.load(b + j), s0)
    s1 = f32x4.relaxed_madd(v128.load(a + j, 16), v128.load(b + j, 16), s1)
    s2 = f32x4.relaxed_madd(v128.load(a + j, 32), v128.load(b + j, 32), s2)
    s3 = f32x4.relaxed_madd(v128.load(a + j, 48), v128.load(b + j, 48), s3)
  }
  for (; j < lanes; j += 16) s0 = f32x4.relaxed_madd(v128.load(a + j), v128.load(b + j), s0)
  s0 = f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3))
  let sum = f32x4.extract_lane(s0, 0) + f32x4.extract_lane(s0, 1) + (f32x4.extract_lane(s0, 2) + f32x4.extract_lane(s0, 3))
  for (; j < bytes; j += 4) sum += load<f32>(a + j) * load<f32>(b + j)
  return sum
}

/** gradient += row · factor, then row += hidden · factor. */
export function addScaledRow(gradient: usize, row: usize, hidden: usize, factor: f32, dimensions: u32): void {
  const bytes = <usize>dimensions << 2
  const lanes = bytes & ~15
  const factors = f32x4.splat(factor)
  let j: usize = 0
  for (; j < lanes; j += 16) {
    const own = v128.load(row + j)
    v128.store(gradient + j, f32x4.relaxed_madd(own, factors, v128.load(gradient + j)))
    v128.store(row + j, f32x4.relaxed_madd(v128.load(hidden + j), factors, own))
  }
  for (; j < bytes; j += 4) {
    const own = load<f32>(row + j)
    store<f32>(gradient + j, load<f32>(gradient + j) + own * factor)
    store<f32>(row + j, own + load<f32>(hidden + j) * factor)
  }
}

/** x ← e^(x − largest), and their sum. f64 inside: a few labels take no time, and many cost less than their products. */
export function exponentials(x: usize, count: u32, largest: f32): f32 {
  let sum: f32 = 0
  for (let end = x + (<usize>count << 2); x < end; x += 4) {
    const e = <f32>Math.exp(<f64>(load<f32>(x) - largest))
    store<f32>(x, e)
    sum += e
  }
  return sum
}
