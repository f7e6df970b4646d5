// The random permutations of MinHash, as numpy draws them: RandomState(seed).randint(low, 2^61 − 1, dtype=uint64).
// MT19937: Matsumoto & Nishimura 1998, "Mersenne Twister". Equal seeds give datatrove's signatures, so none is stored.

const length = 624
const shift = 397

/** MT19937 with the seeding of its authors (`init_genrand`), which numpy keeps for RandomState. */
export class MersenneTwister {
  readonly #state = new Uint32Array(length)
  #next = length

  /** @param seed 0 to 2^32 − 1 */
  constructor(seed: number) {
    const state = this.#state
    state[0] = seed
    for (let i = 1; i < length; i++) {
      const previous = state[i - 1]
      state[i] = Math.imul(previous ^ (previous >>> 30), 1812433253) + i
    }
  }

  uint32(): number {
    if (this.#next === length) this.#twist()
    let y = this.#state[this.#next++]
    y ^= y >>> 11
    y ^= (y << 7) & 0x9d2c5680
    y ^= (y << 15) & 0xefc60000
    return (y ^ (y >>> 18)) >>> 0
  }

  /** The first draw is the upper half. */
  uint64(): bigint {
    const upper = BigInt(this.uint32())
    return (upper << 32n) | BigInt(this.uint32())
  }

  #twist(): void {
    const state = this.#state
    for (let i = 0; i < length; i++) {
      const y = (state[i] & 0x80000000) | (state[(i + 1) % length] & 0x7fffffff)
      state[i] = state[(i + shift) % length] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0)
    }
    this.#next = 0
  }
}

export const mersennePrime = (1n << 61n) - 1n

export interface Permutations {
  /** u64[m], 1 to 2^61 − 2. */
  readonly a: BigUint64Array
  /** u64[m], 0 to 2^61 − 2. */
  readonly b: BigUint64Array
}

/** The m permutations of a seed: all a first, then all b. */
export function drawPermutations(seed: number, m: number): Permutations {
  const twister = new MersenneTwister(seed)
  return { a: drawIntegers(twister, 1n, m), b: drawIntegers(twister, 0n, m) }
}

/** Masked rejection: 61 bits are drawn until they fall into the range. */
function drawIntegers(twister: MersenneTwister, low: bigint, count: number): BigUint64Array {
  const range = mersennePrime - 1n - low
  return BigUint64Array.from({ length: count }, () => {
    let value = twister.uint64() & mersennePrime
    while (value > range) value = twister.uint64() & mersennePrime
    return low + value
  })
}
