// Kernels that work row by row: normalization, embedding, cross entropy.

import { address, exp4, float, floats, int, ln, loadRagged, maxLanes, smaller, storeRagged, sumLanes, tanh4, zero } from './math'

/**
 * LayerNorm (Ba et al. 2016) or, where mean is 0, RMSNorm (Zhang & Sennrich 2019): y = (x − mean)·rstd·w (+ b).
 * Arguments: x, w, b or 0, y, mean or 0, rstd, rows, C, epsilon, rows of a block.
 */
export function norm(p: usize, block: i32, scratch: usize): void {
  const w = address(p, 1), b = address(p, 2), means = address(p, 4), C = int(p, 7), size = int(p, 9)
  const from = block * size, to = smaller(int(p, 6), from + size)
  for (let i = from; i < to; i++) {
    const x = address(p, 0) + floats(i * C), y = address(p, 3) + floats(i * C)
    let mean: f32 = 0
    if (means != 0) {
      let sum = f32x4.splat(0)
      for (let c = 0; c < C; c += 4) sum = f32x4.add(sum, loadRagged(x + floats(c), C - c, 0))
      mean = sumLanes(sum) / <f32>C
      store<f32>(means + floats(i), mean)
    }
    const centre = f32x4.splat(mean)
    let squares = f32x4.splat(0)
    for (let c = 0; c < C; c += 4) {
      const d = f32x4.sub(loadRagged(x + floats(c), C - c, mean), centre)
      squares = f32x4.relaxed_madd(d, d, squares)
    }
    const rstd: f32 = 1 / sqrt(sumLanes(squares) / <f32>C + float(p, 8))
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

/** dx of norm. Arguments: x, w, mean or 0, rstd, dy, dx, add, rows, C, rows of a block. */
export function normBackward(p: usize, block: i32, scratch: usize): void {
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

/** dw and db of norm, added. A block is a range of columns. Arguments: x, mean or 0, rstd, dy, dw, db or 0, rows, C, columns of a block. */
export function normWeightBackward(p: usize, block: i32, scratch: usize): void {
  const means = address(p, 1), dw = address(p, 4), db = address(p, 5), rows = int(p, 6), C = int(p, 7), size = int(p, 8)
  const from = block * size, to = smaller(C, from + size)
  for (let i = 0; i < rows; i++) {
    const x = address(p, 0) + floats(i * C), dy = address(p, 3) + floats(i * C)
    const centre = f32x4.splat(means != 0 ? load<f32>(means + floats(i)) : 0), factor = f32x4.splat(load<f32>(address(p, 2) + floats(i)))
    for (let c = from; c < to; c += 4) {
      const n = to - c, at = floats(c)
      const g = loadRagged(dy + at, n, 0), h = f32x4.mul(f32x4.sub(loadRagged(x + at, n, 0), centre), factor)
      storeRagged(dw + at, n, f32x4.relaxed_madd(g, h, loadRagged(dw + at, n, 0)))
      if (db != 0) storeRagged(db + at, n, f32x4.add(g, loadRagged(db + at, n, 0)))
    }
  }
}

/** y[i] = w[ids[i]]. Arguments: ids, w, y, rows, C, rows of a block. */
export function embedding(p: usize, block: i32, scratch: usize): void {
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
export function embeddingBackward(p: usize, block: i32, scratch: usize): void {
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
export function crossEntropy(p: usize, block: i32, scratch: usize): void {
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
