// asc: --initialMemory 64
// The inner loop of product quantization: the nearest of 256 centroids for each of many points of a few dimensions.
// Plain TypeScript beside it: test/lang/quantize.test.ts.

/** Centroids by dimension: f32[dimensions][256]. */
export const CENTROIDS: usize = 0x10000
/** f32[points][dimensions], then codes u8[points]: the host places them behind the centroids. */
export const POINTS: usize = 0x20000

const COUNT: usize = 256

/**
 * Codes of points: four centroids at a time, each lane with its best so far. Of equal distances the lowest code wins.
 *
 * @param dimensions at most 64
 */
export function nearest(points: usize, count: u32, dimensions: u32, codes: usize): void {
  const bytes = <usize>dimensions << 2
  for (let i: u32 = 0; i < count; i++) {
    store<u8>(codes + i, <u8>(dimensions == 2 ? nearestOfTwo(points) : nearestOf(points, bytes)))
    points += bytes
  }
}

// @ts-ignore: decorator
@inline
function nearestOfTwo(point: usize): u32 {
  const x = f32x4.splat(load<f32>(point))
  const y = f32x4.splat(load<f32>(point, 4))
  let best = f32x4.splat(Infinity)
  let codes = i32x4.splat(0)
  let code = i32x4(0, 1, 2, 3)
  for (let at = CENTROIDS, end = CENTROIDS + (COUNT << 2); at < end; at += 16) {
    const dx = f32x4.sub(x, v128.load(at))
    const dy = f32x4.sub(y, v128.load(at, COUNT << 2))
    const distance = f32x4.add(f32x4.mul(dx, dx), f32x4.mul(dy, dy))
    const isNearer = f32x4.lt(distance, best)
    best = v128.bitselect(distance, best, isNearer)
    codes = v128.bitselect(code, codes, isNearer)
    code = i32x4.add(code, i32x4.splat(4))
  }
  return lowest(best, codes)
}

function nearestOf(point: usize, bytes: usize): u32 {
  let best = f32x4.splat(Infinity)
  let codes = i32x4.splat(0)
  let code = i32x4(0, 1, 2, 3)
  for (let at = CENTROIDS, end = CENTROIDS + (COUNT << 2); at < end; at += 16) {
    let distance = f32x4.splat(0)
    let centroid = at
    for (let j: usize = 0; j < bytes; j += 4) {
      const d = f32x4.sub(f32x4.splat(load<f32>(point + j)), v128.load(centroid))
      distance = f32x4.add(distance, f32x4.mul(d, d))
      centroid += COUNT << 2
    }
    const isNearer = f32x4.lt(distance, best)
    best = v128.bitselect(distance, best, isNearer)
    codes = v128.bitselect(code, codes, isNearer)
    code = i32x4.add(code, i32x4.splat(4))
  }
  return lowest(best, codes)
}

function lowest(best: v128, codes: v128): u32 {
  let distance = f32x4.extract_lane(best, 0), code = i32x4.extract_lane(codes, 0)
  let d = f32x4.extract_lane(best, 1), c = i32x4.extract_lane(codes, 1)
  if (d < distance || (d == distance && c < code)) { distance = d; code = c }
  d = f32x4.extract_lane(best, 2); c = i32x4.extract_lane(codes, 2)
  if (d < distance || (d == distance && c < code)) { distance = d; code = c }
  d = f32x4.extract_lane(best, 3); c = i32x4.extract_lane(codes, 3)
  if (d < distance || (d == distance && c < code)) { distance = d; code = c }
  return code
}
