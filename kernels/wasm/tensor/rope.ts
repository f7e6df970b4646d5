// Rotary positions. Su et al. 2021, arxiv.org/abs/2104.09864.

import { address, float, floats, int, loadRagged, smaller, storeRagged } from './math'

/**
 * Rotates the first `heads` heads of each row by its position; `turn` is 1, or -1 for the gradient. In place.
 * Half-split layout of Hugging Face's Llama: dimension i is paired with i + D/2.
 * Arguments: x, row stride, positions, cosines[T, D/2], sines[T, D/2], rows, heads, D, turn, rows of a block.
 */
export function rope(p: u32, block: i32, scratch: u32): void {
  const stride = int(p, 1), heads = int(p, 6), D = int(p, 7), half = D >> 1, size = int(p, 9)
  const turn = float(p, 8)
  const from = block * size, to = smaller(int(p, 5), from + size)
  for (let i = from; i < to; i++) {
    const position = load<i32>(address(p, 2) + floats(i))
    const cosines = address(p, 3) + floats(position * half), sines = address(p, 4) + floats(position * half)
    for (let head = 0; head < heads; head++) {
      const x = address(p, 0) + floats(i * stride + head * D), z = x + floats(half)
      for (let d = 0; d < half; d += 4) {
        const n = half - d, at = floats(d)
        const c = loadRagged(cosines + at, n, 0), s = f32x4.mul(loadRagged(sines + at, n, 0), f32x4.splat(turn))
        const a = loadRagged(x + at, n, 0), b = loadRagged(z + at, n, 0)
        storeRagged(x + at, n, f32x4.sub(f32x4.mul(a, c), f32x4.mul(b, s)))
        storeRagged(z + at, n, f32x4.add(f32x4.mul(b, c), f32x4.mul(a, s)))
      }
    }
  }
}
