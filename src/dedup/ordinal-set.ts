// A set of document ordinals that numbers its members: one bit a document, and a count every 256 of them.

const blockBits = 256
const blockWords = blockBits / 32

export class OrdinalSet {
  readonly #bits: Uint32Array
  /** Members before each block; filled by `number`. */
  readonly #before: Uint32Array
  /** Ordinals are below this. */
  readonly limit: number

  constructor(limit: number) {
    this.limit = limit
    const blocks = Math.ceil(limit / blockBits)
    this.#bits = new Uint32Array(blocks * blockWords)
    this.#before = new Uint32Array(blocks + 1)
  }

  /** Bytes that a set over so many ordinals takes. */
  static bytesFor(limit: number): number {
    return Math.ceil(limit / blockBits) * (blockBits / 8 + 4)
  }

  add(ordinal: number): void {
    this.#bits[ordinal >>> 5] |= 1 << (ordinal & 31)
  }

  /** Call it once all are added. Gives the number of members. */
  number(): number {
    const bits = this.#bits
    let members = 0
    for (let word = 0; word < bits.length; word++) {
      if (word % blockWords === 0) this.#before[word / blockWords] = members
      members += countBits(bits[word])
    }
    return members
  }

  has(ordinal: number): boolean {
    return ((this.#bits[ordinal >>> 5] >>> (ordinal & 31)) & 1) === 1
  }

  /** How many members are lower: the number of a member, 0 for the lowest. */
  rank(ordinal: number): number {
    const word = ordinal >>> 5
    const block = Math.floor(word / blockWords)
    let rank = this.#before[block]
    for (let w = block * blockWords; w < word; w++) rank += countBits(this.#bits[w])
    return rank + countBits(this.#bits[word] & ((1 << (ordinal & 31)) - 1))
  }

  /** The lowest member from here on; `limit` where there is none. */
  next(from: number): number {
    const bits = this.#bits
    let word = from >>> 5
    if (word >= bits.length) return this.limit
    let rest = bits[word] & (-1 << (from & 31))
    while (rest === 0) {
      if (++word >= bits.length) return this.limit
      rest = bits[word]
    }
    return word * 32 + 31 - Math.clz32(rest & -rest)
  }
}

function countBits(word: number): number {
  let pairs = word - ((word >>> 1) & 0x55555555)
  pairs = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333)
  return Math.imul((pairs + (pairs >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}
