// Kernels that work row by row: normalization, embedding, cross entropy.

import { address, exp4, float, floats, int, ln, loadRagged, maxLanes, smaller, storeRagged, sumLanes, tanh4, zero } from './math'

/**
 * LayerNorm (Ba et al. 2016) or, where mean is 0, RMSNorm (Zhang & Sennrich 2019): y = (x − mean)·rstd·w (+ b).
 * Arguments: x, w, b or 0, y, mean or 0, rstd, rows, C, epsilon, rows of a block.
 */
export function norm(p: u32, block: i32, scratch: u32): void {
  const w = address(p, 1), b = address(p, 2), means = address(p, 4), C = int(p, 7), size = int(p, 9)
  const from = block * size, to = smaller(int(p, 6), from + size)
  for (let i = from; i < to; i++) {
    const x = address(p, 0) + floats(i * C), y = address(p, 3) + floats(i * C)
    let mean: f32 = 0
    if (means != 0) {
      mean = sumOf(x, C) / <f32>C
      store<f32>(means + floats(i), mean)
    }
    const centre = f32x4.splat(mean), rstd: f32 = 1 / sqrt(squaresOf(x, C, mean) / <f32>C + float(p, 8))
    store<f32>(address(p, 5) + floats(i), rstd)
    const factor = f32x4.splat(rstd)
    for (let c = 0; c < C; c += 4) {
      const n = C - c
      let value = f32x4.mul(f32x4.mul(f32x4.sub(loadRagged(x + floats(c), n, 0), centre), factor), loadRagged(w + floats(c), n, 0))
      if (b != 0) value = f32x4.add(value, loadRagged(b + floats(c), n, 0))
      storeRagged(y + floats(c), n, value)
    }
  }
}

// Sums of a row go round in four vectors, so that no addition waits for the one before.

function sumOf(x: usize, n: i32): f32 {
  let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0, c = 0
  for (; c + 16 <= n; c += 16) {
    const at = x + floats(c)
    s0 = f32x4.add(s0, v128.load(at)); s1 = f32x4.add(s1, v128.load(at, 16))
    s2 = f32x4.add(s2, v128.load(at, 32)); s3 = f32x4.add(s3, v128.load(at, 48))
  }
  for (; c < n; c += 4) s0 = f32x4.add(s0, loadRagged(x + floats(c), n - c, 0))
  return sumLanes(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)))
}

/** Of distances from the mean. */
function squaresOf(x: usize, n: i32, mean: f32): f32 {
  const centre = f32x4.splat(mean)
  let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0, c = 0
  for (; c + 16 <= n; c += 16) {
    const at = x + floats(c)
    const d0 = f32x4.sub(v128.load(at), centre), d1 = f32x4.sub(v128.load(at, 16), centre)
    const d2 = f32x4.sub(v128.load(at, 32), centre), d3 = f32x4.sub(v128.load(at, 48), centre)
    s0 = f32x4.relaxed_madd(d0, d0, s0); s1 = f32x4.relaxed_madd(d1, d1, s1)
    s2 = f32x4.relaxed_madd(d2, d2, s2); s3 = f32x4.relaxed_madd(d3, d3, s3)
  }
  for (; c < n; c += 4) {
    const d = f32x4.sub(loadRagged(x + floats(c), n - c, mean), centre)
    s0 = f32x4.relaxed_madd(d, d, s0)
  }
  return sumLanes(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)))
}

/** dx of norm. Arguments: x, w, mean or 0, rstd, dy, dx, add, rows, C, rows of a block. */
export function normBackward(p: u32, block: i32, scratch: u32): void {
  const w = address(p, 1), means = address(p, 2), add = int(p, 6) != 0, C = int(p, 8), size = int(p, 9)
  const from = block * size, to = smaller(int(p, 7), from + size)
  for (let i = from; i < to; i++) {
    const x = address(p, 0) + floats(i * C), dy = address(p, 4) + floats(i * C), dx = address(p, 5) + floats(i * C)
    const mean: f32 = means != 0 ? load<f32>(means + floats(i)) : 0, rstd = load<f32>(address(p, 3) + floats(i))
    const centre = f32x4.splat(mean), factor = f32x4.splat(rstd)
    let sum = f32x4.splat(0), dot = sum
    for (let c = 0; c < C; c += 4) {
      const n = C - c
      const g = f32x4.mul(loadRagged(dy + floats(c), n, 0), loadRagged(w + floats(c), n, 0))
      const h = f32x4.mul(f32x4.sub(loadRagged(x + floats(c), n, mean), centre), factor)
      sum = f32x4.add(sum, g)
      dot = f32x4.relaxed_madd(g, h, dot)
    }
    const along = f32x4.splat(sumLanes(dot) / <f32>C), level = f32x4.splat(means != 0 ? sumLanes(sum) / <f32>C : 0)
    for (let c = 0; c < C; c += 4) {
      const n = C - c
      const g = f32x4.mul(loadRagged(dy + floats(c), n, 0), loadRagged(w + floats(c), n, 0))
      const h = f32x4.mul(f32x4.sub(loadRagged(x + floats(c), n, 0), centre), factor)
      let value = f32x4.mul(f32x4.sub(f32x4.sub(g, level), f32x4.mul(h, along)), factor)
      if (add) value = f32x4.add(value, loadRagged(dx + floats(c), n, 0))
      storeRagged(dx + floats(c), n, value)
    }
  }
}

/**
 * dw and db of norm. A block is a range of columns.
 * Arguments: x, mean or 0, rstd, dy, dw, db or 0, rows, C, columns of a block, add to dw, add to db.
 */
export function normWeightBackward(p: u32, block: i32, scratch: u32): void {
  const C = int(p, 7), size = int(p, 8), from = block * size, to = smaller(C, from + size)
  let c = from
  for (; c + 16 <= to; c += 16) normColumns(p, floats(c))
  for (; c < to; c += 4) normRaggedColumns(p, floats(c), to - c)
}

/** The same for 16 columns, a line of the cache, whose sums stay in registers. */
function normColumns(p: u32, at: usize): void {
  const means = address(p, 1), rstds = address(p, 2), rows = int(p, 6), step = floats(int(p, 7))
  const dw = address(p, 4) + at, db = address(p, 5) + at, hasBias = address(p, 5) != 0
  let w0 = f32x4.splat(0), w1 = w0, w2 = w0, w3 = w0, b0 = w0, b1 = w0, b2 = w0, b3 = w0
  if (int(p, 9) != 0) { w0 = v128.load(dw); w1 = v128.load(dw, 16); w2 = v128.load(dw, 32); w3 = v128.load(dw, 48) }
  if (hasBias && int(p, 10) != 0) { b0 = v128.load(db); b1 = v128.load(db, 16); b2 = v128.load(db, 32); b3 = v128.load(db, 48) }
  let x = address(p, 0) + at, dy = address(p, 3) + at
  for (let i = 0; i < rows; i++) {
    const centre = f32x4.splat(means != 0 ? load<f32>(means + floats(i)) : 0), factor = f32x4.splat(load<f32>(rstds + floats(i)))
    const g0 = v128.load(dy), g1 = v128.load(dy, 16), g2 = v128.load(dy, 32), g3 = v128.load(dy, 48)
    w0 = f32x4.relaxed_madd(g0, f32x4.mul(f32x4.sub(v128.load(x), centre), factor), w0)
    w1 = f32x4.relaxed_madd(g1, f32x4.mul(f32x4.sub(v128.load(x, 16), centre), factor), w1)
    w2 = f32x4.relaxed_madd(g2, f32x4.mul(f32x4.sub(v128.load(x, 32), centre), factor), w2)
    w3 = f32x4.relaxed_madd(g3, f32x4.mul(f32x4.sub(v128.load(x, 48), centre), factor), w3)
    b0 = f32x4.add(g0, b0); b1 = f32x4.add(g1, b1); b2 = f32x4.add(g2, b2); b3 = f32x4.add(g3, b3)
    x += step
    dy += step
  }
  v128.store(dw, w0); v128.store(dw, w1, 16); v128.store(dw, w2, 32); v128.store(dw, w3, 48)
  if (hasBias) { v128.store(db, b0); v128.store(db, b1, 16); v128.store(db, b2, 32); v128.store(db, b3, 48) }
}

/** The same for up to four columns. */
function normRaggedColumns(p: u32, at: usize, n: i32): void {
  const means = address(p, 1), dw = address(p, 4) + at, db = address(p, 5) + at, rows = int(p, 6), step = floats(int(p, 7))
  let sum = f32x4.splat(0), sumOfBias = sum
  if (int(p, 9) != 0) sum = loadRagged(dw, n, 0)
  if (address(p, 5) != 0 && int(p, 10) != 0) sumOfBias = loadRagged(db, n, 0)
  for (let i = 0; i < rows; i++) {
    const centre = f32x4.splat(means != 0 ? load<f32>(means + floats(i)) : 0), factor = f32x4.splat(load<f32>(address(p, 2) + floats(i)))
    const g = loadRagged(address(p, 3) + <usize>i * step + at, n, 0)
    sum = f32x4.relaxed_madd(g, f32x4.mul(f32x4.sub(loadRagged(address(p, 0) + <usize>i * step + at, n, 0), centre), factor), sum)
    sumOfBias = f32x4.add(g, sumOfBias)
  }
  storeRagged(dw, n, sum)
  if (address(p, 5) != 0) storeRagged(db, n, sumOfBias)
}

/** y[i] = w[ids[i]]. Arguments: ids, w, y, rows, C, rows of a block. */
export function embedding(p: u32, block: i32, scratch: u32): void {
  const C = int(p, 4), size = int(p, 5)
  const from = block * size, to = smaller(int(p, 3), from + size)
  for (let i = from; i < to; i++) {
    const id = load<i32>(address(p, 0) + floats(i))
    memory.copy(address(p, 2) + floats(i * C), address(p, 1) + floats(id * C), floats(C))
  }
}

/**
 * dw[ids[i]] += dy[i], in the order of i: a block is a range of columns, so nobody else adds there. Without `add`, dw is cleared
 * first. Arguments: ids, dy, dw, rows, C, columns of a block, add, rows of dw.
 */
export function embeddingBackward(p: u32, block: i32, scratch: u32): void {
  const rows = int(p, 3), C = int(p, 4), size = int(p, 5)
  const from = block * size, to = smaller(C, from + size)
  if (int(p, 6) == 0) for (let id = 0, count = int(p, 7); id < count; id++) zero(address(p, 2) + floats(id * C + from), to - from)
  for (let i = 0; i < rows; i++) {
    const dw = address(p, 2) + floats(load<i32>(address(p, 0) + floats(i)) * C), dy = address(p, 1) + floats(i * C)
    for (let c = from; c < to; c += 4) {
      const n = to - c, at = floats(c)
      storeRagged(dw + at, n, f32x4.add(loadRagged(dw + at, n, 0), loadRagged(dy + at, n, 0)))
    }
  }
}

/** x = softcap·tanh(x / softcap). */
function cap(x: usize, n: i32, softcap: f32): void {
  const factor = f32x4.splat(softcap), inverse = f32x4.splat(1 / softcap)
  for (let c = 0; c < n; c += 4) storeRagged(x + floats(c), n - c, f32x4.mul(factor, tanh4(f32x4.mul(loadRagged(x + floats(c), n - c, 0), inverse))))
}

function mean(x: usize, n: i32): f32 {
  let sum = f32x4.splat(0)
  for (let c = 0; c < n; c += 4) sum = f32x4.add(sum, loadRagged(x + floats(c), n - c, 0))
  return sumLanes(sum) / <f32>n
}

/**
 * Losses of rows of logits in nats, head_loss of src/tensor/operations.ts; with `gradient` the logits become the gradient of
 * scale·loss in what they were before the cap. A row whose target is negative has loss 0 and gradient 0.
 * Arguments: logits, targets, losses, address of scale, rows, V, gradient, rows of a block, softcap, zLoss, smoothing.
 */
export function crossEntropy(p: u32, block: i32, scratch: u32): void {
  const V = int(p, 5), gradient = int(p, 6) != 0, size = int(p, 7), softcap = float(p, 8), zLoss = float(p, 9), smoothing = float(p, 10)
  const from = block * size, to = smaller(int(p, 4), from + size), isCapped = softcap > 0
  const scale = load<f32>(address(p, 3)), one = f32x4.splat(1), inverse = f32x4.splat(isCapped ? 1 / softcap : 0)
  for (let i = from; i < to; i++) {
    const x = address(p, 0) + floats(i * V), target = load<i32>(address(p, 1) + floats(i)), loss = address(p, 2) + floats(i)
    if (target < 0) {
      store<f32>(loss, 0)
      if (gradient) zero(x, V)
      continue
    }
    if (isCapped) cap(x, V, softcap)
    const hit = x + floats(target), score = load<f32>(hit), level: f32 = smoothing > 0 ? mean(x, V) : 0
    let top = f32x4.splat(-1e30)
    for (let c = 0; c < V; c += 4) top = f32x4.pmax(top, loadRagged(x + floats(c), V - c, -1e30))
    const maximum = maxLanes(top), shift = f32x4.splat(maximum)
    let sum = f32x4.splat(0)
    for (let c = 0; c < V; c += 4) {
      const e = exp4(f32x4.sub(loadRagged(x + floats(c), V - c, -1e30), shift))
      sum = f32x4.add(sum, e)
      if (gradient && !isCapped) storeRagged(x + floats(c), V - c, e)
    }
    const total = sumLanes(sum), logTotal = ln(total), lse = <f32>(logTotal + <f64>maximum)
    const wanted = score + smoothing * (level - score)
    store<f32>(loss, <f32>(logTotal + <f64>(maximum - wanted)) + zLoss * lse * lse)
    if (!gradient) continue
    const factor = f32x4.splat(scale * (1 + 2 * zLoss * lse) / total), spread = f32x4.splat(scale * smoothing / <f32>V)
    for (let c = 0; c < V; c += 4) {
      const n = V - c, z = loadRagged(x + floats(c), n, 0)
      let slope = f32x4.sub(f32x4.mul(isCapped ? exp4(f32x4.sub(z, shift)) : z, factor), spread)
      if (isCapped) {
        const turned = f32x4.mul(z, inverse)
        slope = f32x4.mul(slope, f32x4.relaxed_nmadd(turned, turned, one))
      }
      storeRagged(x + floats(c), n, slope)
    }
    const uncapped: f32 = isCapped ? 1 - (score / softcap) * (score / softcap) : 1
    store<f32>(hit, load<f32>(hit) - scale * (1 - smoothing) * uncapped)
  }
}
