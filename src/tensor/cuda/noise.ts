// Numbers to time products with: of zeroes and constants a GPU makes less heat, and so more speed, than of data.

import { uniform } from '../rng.ts'
import type { Driver, Handle } from './driver.ts'
import type { ElementType } from './launch.ts'

const COUNT = 16384
const SIGN = 0x8000
/** Bits of 0.5 or more, below 2, and how many lower ones are free. */
const halves: Readonly<Record<'bf16' | 'f16', readonly [least: number, free: number]>> = { bf16: [0x3f00, 0x100], f16: [0x3800, 0x800] }

/** Numbers of either sign, none of them far from 1, from an address on. */
export function scatter(driver: Driver, address: Handle, bytes: number, type: ElementType): void {
  const noise = noiseOf(type)
  const first = Math.min(bytes, noise.byteLength)
  driver.upload(address, new Uint8Array(noise.buffer, 0, first))
  for (let done = first; done < bytes; done *= 2) driver.copy(address + BigInt(done), address, Math.min(done, bytes - done))
}

function noiseOf(type: ElementType): Float32Array | Uint16Array {
  if (type === 'f32') return Float32Array.from({ length: COUNT }, (_, i) => uniform(1, 0, 0, i) - 0.5)
  const [least, free] = halves[type]
  return Uint16Array.from({ length: COUNT }, (_, i) => {
    const bits = Math.floor(uniform(1, 0, 0, i) * 2 * free)
    return least + (bits % free) + (bits < free ? 0 : SIGN)
  })
}
