// A Bloom filter: Bloom 1970, doi.org/10.1145/362686.362692. Of a set it says "not in it" or "probably in it", at about ten
// bits an element. Positions by double hashing: Kirsch & Mitzenmacher 2006, doi.org/10.1007/11841036_42.

export interface BloomSize {
  readonly bits: number
  /** Bits set for one element. */
  readonly hashes: number
}

/** The size at which n elements are mistaken at this rate: bits = −n·ln p / ln² 2, hashes = bits / n · ln 2. */
export function bloomSize(elements: number, falsePositiveRate: number): BloomSize {
  const n = Math.max(1, elements)
  const bits = Math.ceil((-n * Math.log(falsePositiveRate)) / Math.LN2 ** 2 / 32) * 32
  return { bits, hashes: Math.max(1, Math.round((bits / n) * Math.LN2)) }
}

/** The rate at which n elements are mistaken in so many bits, at best. */
export function bloomRate(elements: number, bits: number): number {
  return Math.exp(-(bits / Math.max(1, elements)) * Math.LN2 ** 2)
}

export class BloomFilter {
  readonly #words: Uint32Array
  readonly #hashes: number

  constructor({ bits, hashes }: BloomSize) {
    this.#words = new Uint32Array(bits / 32)
    this.#hashes = hashes
  }

  /** @param high and low: 32 bits each of the element's hash, well mixed */
  has(high: number, low: number): boolean {
    const words = this.#words
    const scale = words.length / 2 ** 32
    let a = high >>> 0
    let b = low >>> 0
    for (let i = 0; i < this.#hashes; i++) {
      if ((words[Math.floor(a * scale)] & (1 << (b >>> 27))) === 0) return false
      b = (b + Math.imul(i + 1, 0x9e3779b1)) >>> 0
      a = (a + b) >>> 0
    }
    return true
  }

  add(high: number, low: number): void {
    const words = this.#words
    const scale = words.length / 2 ** 32
    let a = high >>> 0
    let b = low >>> 0
    for (let i = 0; i < this.#hashes; i++) {
      words[Math.floor(a * scale)] |= 1 << (b >>> 27)
      b = (b + Math.imul(i + 1, 0x9e3779b1)) >>> 0
      a = (a + b) >>> 0
    }
  }
}
