// Rows of an encoder-decoder being filled: several pairs a row, each target reading its own source alone.

import type { PairBatch } from '../model/batch.ts'

export class PairRows {
  readonly #rows: number
  readonly #sourceLength: number
  readonly #targetLength: number
  readonly #startToken: number
  readonly #source: { ids: Int32Array; lo: Int32Array; hi: Int32Array }
  readonly #target: { ids: Int32Array; targets: Int32Array; lo: Int32Array; crossLo: Int32Array; crossHi: Int32Array }
  readonly #sourceFilled: Int32Array
  readonly #targetFilled: Int32Array

  /** @param startToken what each target begins with */
  constructor(rows: number, sourceLength: number, targetLength: number, startToken: number) {
    this.#rows = rows
    this.#sourceLength = sourceLength
    this.#targetLength = targetLength
    this.#startToken = startToken
    const alone = (length: number, after: number) => Int32Array.from({ length: rows * length }, (_, i) => (i % length) + after)
    const zeros = (length: number) => new Int32Array(rows * length)
    this.#source = { ids: zeros(sourceLength), lo: alone(sourceLength, 0), hi: alone(sourceLength, 1) }
    this.#target = {
      ids: zeros(targetLength),
      targets: zeros(targetLength).fill(-1),
      lo: alone(targetLength, 0),
      crossLo: zeros(targetLength),
      crossHi: zeros(targetLength).fill(1),
    }
    this.#sourceFilled = new Int32Array(rows)
    this.#targetFilled = new Int32Array(rows)
  }

  /** Places left on the target side of a row. */
  targetSpace(row: number): number {
    return this.#targetLength - this.#targetFilled[row]
  }

  /** A source that no target reads. Both sides must have room. */
  addSource(row: number, source: ArrayLike<number>): { start: number; end: number } {
    const start = this.#sourceFilled[row]
    const end = start + source.length
    const base = row * this.#sourceLength
    this.#source.ids.set(source, base + start)
    this.#source.lo.fill(start, base + start, base + end)
    this.#source.hi.fill(end, base + start, base + end)
    this.#sourceFilled[row] = end
    return { start, end }
  }

  add(row: number, source: ArrayLike<number>, target: ArrayLike<number>): void {
    const { start, end } = this.addSource(row, source)
    const first = this.#targetFilled[row]
    const base = row * this.#targetLength
    const { ids, targets, lo, crossLo, crossHi } = this.#target
    for (let i = 0; i < target.length; i++) {
      const place = base + first + i
      ids[place] = i === 0 ? this.#startToken : target[i - 1]
      targets[place] = target[i]
      lo[place] = first
      crossLo[place] = start
      crossHi[place] = end
    }
    this.#targetFilled[row] = first + target.length
  }

  finish(): PairBatch {
    return {
      kind: 'pairs',
      rows: this.#rows,
      source: { length: this.#sourceLength, ...this.#source },
      target: { length: this.#targetLength, ...this.#target },
    }
  }
}
