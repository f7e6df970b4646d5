// How far values are from a peer's, over many batches.

/** Two sets of values, a row a position. */
export class Comparison {
  readonly #width: number
  #positions = 0
  #sameFirst = 0
  #largest = 0
  #difference = 0

  constructor(width: number) {
    this.#width = width
  }

  add(own: Float32Array, other: Float32Array): void {
    if (own.length !== other.length) throw new RangeError(`${own.length} values, ${other.length} there`)
    for (let at = 0; at < own.length; at += this.#width) {
      let [first, otherFirst] = [at, at]
      for (let i = at; i < at + this.#width; i++) {
        this.#difference = Math.max(this.#difference, Math.abs(own[i] - other[i]))
        this.#largest = Math.max(this.#largest, Math.abs(other[i]))
        if (own[i] > own[first]) first = i
        if (other[i] > other[otherFirst]) otherFirst = i
      }
      this.#positions++
      if (first === otherFirst) this.#sameFirst++
    }
  }

  result() {
    const { positions, sameFirst } = { positions: this.#positions, sameFirst: this.#sameFirst }
    return { positions, sameLargest: sameFirst, largestDifference: this.#difference, largestValue: this.#largest }
  }
}
