// Random numbers by place instead of by state: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2,
// 3"), keyed by (seed, step) and counted by (stream, element). Any element can be drawn at any time; nothing is to be saved.

const MULTIPLIER_0 = 0xd2511f53
const MULTIPLIER_1 = 0xcd9e8d57
const WEYL_0 = 0x9e3779b9
const WEYL_1 = 0xbb67ae85

/** High half of a 32×32 bit product, from 16-bit halves. */
function high(a: number, b: number): number {
  const a0 = a & 0xffff
  const a1 = a >>> 16
  const b0 = b & 0xffff
  const b1 = b >>> 16
  const middle = a1 * b0 + ((a0 * b0) >>> 16)
  return (a1 * b1 + Math.floor(middle / 65536) + ((middle & 0xffff) + a0 * b1) / 65536) >>> 0
}

/** Four u32s of one counter and key, into out[0..4). */
export function philoxInto(key0: number, key1: number, counter: readonly [number, number, number, number], out: Uint32Array): void {
  let [c0, c1, c2, c3] = counter
  let k0 = key0
  let k1 = key1
  for (let round = 0; round < 10; round++) {
    const high0 = high(MULTIPLIER_0, c0 >>> 0)
    const low0 = Math.imul(MULTIPLIER_0, c0)
    const high1 = high(MULTIPLIER_1, c2 >>> 0)
    const low1 = Math.imul(MULTIPLIER_1, c2)
    c0 = high1 ^ c1 ^ k0
    c1 = low1
    c2 = high0 ^ c3 ^ k1
    c3 = low0
    k0 = (k0 + WEYL_0) | 0
    k1 = (k1 + WEYL_1) | 0
  }
  out[0] = c0
  out[1] = c1
  out[2] = c2
  out[3] = c3
}

/** A number in [0, 1) with 32 random bits. */
export function uniform(seed: number, step: number, stream: number, element: number): number {
  const out = new Uint32Array(4)
  philoxInto(seed, step, [element, 0, stream, 0], out)
  return out[0] / 2 ** 32
}

/** Fills with normal numbers of mean 0, by Box and Muller, two from each half of a draw. */
export function normalInto(seed: number, step: number, stream: number, deviation: number, out: Float32Array): void {
  const bits = new Uint32Array(4)
  for (let i = 0; i < out.length; i += 4) {
    philoxInto(seed, step, [i >>> 2, 0, stream, 0], bits)
    for (let j = 0; j < 4 && i + j < out.length; j += 2) {
      const radius = deviation * Math.sqrt(-2 * Math.log((bits[j] + 1) / 2 ** 32))
      const angle = (2 * Math.PI * bits[j + 1]) / 2 ** 32
      out[i + j] = radius * Math.cos(angle)
      if (i + j + 1 < out.length) out[i + j + 1] = radius * Math.sin(angle)
    }
  }
}
