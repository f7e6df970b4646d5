// numpy's `default_rng(seed).permutation(n)`, number for number: what datatrove shuffles documents with. The generator is PCG64
// (O'Neill 2014, pcg-random.org), seeded through numpy's SeedSequence.

const U32 = 0xffffffffn
const U64 = (1n << 64n) - 1n
const U128 = (1n << 128n) - 1n
const MULTIPLIER = 0x2360ed051fc65da44385df649fccf645n

/** The numbers 0 … count − 1, shuffled. @param seed an integer from 0 */
export function numpyPermutation(count: number, seed: number): number[] {
  const order = Array.from({ length: count }, (_, i) => i)
  const random = new Pcg64(seed)
  for (let i = count - 1; i > 0; i--) {
    const j = random.upTo(i)
    const moved = order[i]
    order[i] = order[j]
    order[j] = moved
  }
  return order
}

class Pcg64 {
  #state = 0n
  readonly #increment: bigint
  /** Upper half of the last 64 bits drawn, where only the lower one was asked for. */
  #half: number | undefined

  constructor(seed: number) {
    const words = seedWords(seed)
    const wide = (i: number) => (BigInt(words[i + 1]) << 32n) | BigInt(words[i])
    this.#increment = ((((wide(4) << 64n) | wide(6)) << 1n) | 1n) & U128
    this.#step()
    this.#state = (this.#state + ((wide(0) << 64n) | wide(2))) & U128
    this.#step()
  }

  #step(): void {
    this.#state = (this.#state * MULTIPLIER + this.#increment) & U128
  }

  #next32(): number {
    if (this.#half !== undefined) {
      const half = this.#half
      this.#half = undefined
      return half
    }
    this.#step()
    const folded = (this.#state >> 64n) ^ (this.#state & U64)
    const turn = this.#state >> 122n
    const next = ((folded >> turn) | (folded << (64n - turn))) & U64
    this.#half = Number(next >> 32n)
    return Number(next & U32)
  }

  /** Uniform from 0 to the largest, inclusive: numbers of as many bits are drawn until one is not larger. */
  upTo(largest: number): number {
    const mask = 2 ** (32 - Math.clz32(largest)) - 1
    for (;;) {
      const number = (this.#next32() & mask) >>> 0
      if (number <= largest) return number
    }
  }
}

/** numpy's SeedSequence: eight words of state from a seed, by way of a pool of four. */
function seedWords(seed: number): Uint32Array {
  const entropy = [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0]
  const hash = hasher(0x43b0d7e5, 0x931e8875)
  const pool = Uint32Array.from({ length: 4 }, (_, i) => hash(entropy[i] ?? 0))
  for (let from = 0; from < 4; from++) {
    for (let to = 0; to < 4; to++) if (from !== to) pool[to] = mixed(pool[to], hash(pool[from]))
  }
  const unfold = hasher(0x8b51f9dd, 0x58f38ded)
  return Uint32Array.from({ length: 8 }, (_, i) => unfold(pool[i % 4]))
}

/** A hash of one word whose constant changes with every call. */
function hasher(start: number, multiplier: number): (word: number) => number {
  let constant = start
  return (word) => {
    const value = word ^ constant
    constant = Math.imul(constant, multiplier)
    const product = Math.imul(value, constant)
    return (product ^ (product >>> 16)) >>> 0
  }
}

function mixed(a: number, b: number): number {
  const result = (Math.imul(0xca01f9dd, a) - Math.imul(0x4973f715, b)) | 0
  return (result ^ (result >>> 16)) >>> 0
}
