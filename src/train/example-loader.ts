// Batches of examples: several share a row, each seeing itself alone; an epoch's order and rows are a function of the seed and
// the epoch, as with documents (src/train/loader.ts), and no example is cut.

import type { PairBatch, PickedBatch } from '../model/batch.ts'
import type { ExampleSet } from './examples.ts'
import { type Cursor, firstCursor } from './loader.ts'
import { fitRows } from './pack.ts'
import { PairRows } from './pair-rows.ts'
import { permutation } from './shuffle.ts'

/** Labelled examples that a row may hold: what the head is planned for. */
export const EXAMPLES_PER_ROW = 16

export interface ExampleLoaderOptions {
  readonly rows: number
  readonly length: number
  /** Of pairs. */
  readonly targetLength: number
  readonly startToken: number
  readonly seed: number
  readonly epochs?: number
}

export interface ExampleBatch {
  readonly batch: PickedBatch | PairBatch
  readonly targetCount: number
  /** 0, ordinal, 0, ordinal, …, as a batch of documents names its shards and rows. */
  readonly documents: readonly number[]
}

interface EpochPlan {
  /** Example of each place. */
  readonly order: Uint32Array
  readonly rowPieces: readonly number[]
}

export class ExampleLoader {
  readonly #examples: ExampleSet
  readonly #options: ExampleLoaderOptions
  #position: Cursor
  #plan: EpochPlan

  constructor(examples: ExampleSet, options: ExampleLoaderOptions, cursor: Cursor = firstCursor) {
    this.#examples = examples
    this.#options = options
    this.#position = cursor
    this.#plan = planEpoch(examples, options, cursor.epoch)
  }

  /** Give this to a new loader with the same examples and options, and it goes on with the next batch. */
  get cursor(): Cursor {
    return this.#position
  }

  /** The next batch; undefined after the last epoch. A bounded loader's last batch may have empty rows. */
  next(): ExampleBatch | undefined {
    const { rows, epochs } = this.#options
    const members: number[][] = []
    while (members.length < rows) {
      const { epoch, at } = this.#position
      if ((epochs !== undefined && epoch >= epochs) || this.#examples.ordinals.length === 0) break
      const { order, rowPieces } = this.#plan
      members.push([...order.subarray(rowPieces[at], rowPieces[at + 1])])
      this.#position = { ...this.#position, rows: this.#position.rows + 1, at: at + 1 }
      if (at + 2 === rowPieces.length) {
        this.#position = { ...this.#position, epoch: epoch + 1, at: 0 }
        this.#plan = planEpoch(this.#examples, this.#options, epoch + 1)
      }
    }
    if (members.length === 0) return undefined
    const documents = members.flat().flatMap((example) => [0, this.#examples.ordinals[example]])
    return { ...(this.#examples.target ? this.#pairs(members) : this.#labelled(members)), documents }
  }

  #labelled(members: readonly (readonly number[])[]) {
    const { rows, length } = this.#options
    const { source, labels } = this.#examples
    const ids = new Int32Array(rows * length)
    const lo = Int32Array.from(ids, (_, i) => i % length)
    const hi = Int32Array.from(ids, (_, i) => (i % length) + 1)
    const picked: number[] = []
    const targets: number[] = []
    members.forEach((examples, row) => {
      let start = 0
      for (const example of examples) {
        const tokens = source.tokens.subarray(source.starts[example], source.starts[example + 1])
        const end = start + tokens.length
        ids.set(tokens, row * length + start)
        lo.fill(start, row * length + start, row * length + end)
        hi.fill(end, row * length + start, row * length + end)
        picked.push(row * length + start)
        targets.push(labels?.[example] ?? -1)
        start = end
      }
    })
    const batch: PickedBatch = {
      kind: 'picked',
      rows,
      length,
      ids,
      lo,
      hi,
      picked: Int32Array.from(picked),
      targets: Int32Array.from(targets),
    }
    return { batch, targetCount: targets.length }
  }

  #pairs(members: readonly (readonly number[])[]) {
    const { rows, length, targetLength, startToken } = this.#options
    const { source, target } = this.#examples
    const out = new PairRows(rows, length, targetLength, startToken)
    let targetCount = 0
    members.forEach((examples, row) => {
      for (const example of examples) {
        const written = target?.tokens.subarray(target.starts[example], target.starts[example + 1]) ?? []
        out.add(row, source.tokens.subarray(source.starts[example], source.starts[example + 1]), written)
        targetCount += written.length
      }
    })
    return { batch: out.finish(), targetCount }
  }
}

function planEpoch({ source, target, ordinals }: ExampleSet, options: ExampleLoaderOptions, epoch: number): EpochPlan {
  const { length, targetLength, seed } = options
  const shuffled = permutation(ordinals.length, seed, epoch, 0)
  const sizesOf = (starts: Uint32Array) => Uint32Array.from(shuffled, (example) => starts[example + 1] - starts[example])
  const beside = target
    ? { sizes: sizesOf(target.starts), length: targetLength }
    : { sizes: new Uint32Array(shuffled.length).fill(1), length: EXAMPLES_PER_ROW }
  const { order, rowPieces } = fitRows(sizesOf(source.starts), length, beside)
  return { order: Uint32Array.from(order, (place) => shuffled[place]), rowPieces }
}
