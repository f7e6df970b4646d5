// The best few of many scores: a binary heap with the worst of them on top.

export class BestLabels {
  readonly most: number
  #size = 0
  readonly #labels: Int32Array
  readonly #scores: Float64Array

  constructor(most: number) {
    this.most = most
    this.#labels = new Int32Array(most + 1)
    this.#scores = new Float64Array(most + 1)
  }

  get size(): number {
    return this.#size
  }

  /** What a score must reach to be taken in. */
  get least(): number {
    return this.#size < this.most ? -1 : this.#scores[0]
  }

  add(label: number, score: number): void {
    this.#rise(this.#size++, label, score)
    if (this.#size > this.most) this.dropWorst()
  }

  get worstLabel(): number {
    return this.#labels[0]
  }

  get worstScore(): number {
    return this.#scores[0]
  }

  dropWorst(): void {
    const last = --this.#size
    this.#sink(this.#labels[last], this.#scores[last])
  }

  #rise(from: number, label: number, score: number): void {
    let at = from
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (this.#scores[parent] <= score) break
      this.#labels[at] = this.#labels[parent]
      this.#scores[at] = this.#scores[parent]
      at = parent
    }
    this.#labels[at] = label
    this.#scores[at] = score
  }

  #sink(label: number, score: number): void {
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= this.#size) break
      if (child + 1 < this.#size && this.#scores[child + 1] < this.#scores[child]) child++
      if (this.#scores[child] >= score) break
      this.#labels[at] = this.#labels[child]
      this.#scores[at] = this.#scores[child]
      at = child
    }
    this.#labels[at] = label
    this.#scores[at] = score
  }
}
