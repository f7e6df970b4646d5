// Adjusted counts and discounts of modified Kneser-Ney: Chen & Goodman 1998, section 3.2, in one pass over the sorted n-grams
// of the highest order as in Heafield et al. 2013, "Scalable Modified Kneser-Ney Language Model Estimation", section 3.2.

import { join } from 'node:path'
import { SluiceError } from '../core/errors.ts'
import { RunFile } from '../io/sorted-runs.ts'
import { BEGIN, END, type NgramCounter, sharedWords, UNKNOWN } from './counts.ts'

/** D1, D2, D3+, single precision. */
export type Discounts = readonly [number, number, number]

export interface AdjustedOrder {
  /** Records: the words from the last to the first, the adjusted count (two words, see `readCount`). */
  readonly path: string
  readonly discounts: Discounts
  /** n-grams that are not pruned. */
  readonly kept: number
}

export interface AdjustOptions {
  readonly order: number
  readonly folder: string
  /** An n-gram that occurs at most so often is pruned, by order; they never fall. */
  readonly prune: readonly number[]
  /** Where the estimate has none; without it, that is an error. */
  readonly fallback?: Discounts
}

const PRUNED = 0x80000000

/** A count of up to 63 bits, and whether the n-gram is pruned: from two words of a record. */
export function readCount(records: Uint32Array, at: number): { count: number; isPruned: boolean } {
  return { count: records[at] + (records[at + 1] & ~PRUNED) * 2 ** 32, isPruned: (records[at + 1] & PRUNED) !== 0 }
}

/** The n-grams of one order, written as they become known, with their counts of counts. */
class OrderFile {
  readonly path: string
  readonly n: number
  readonly #threshold: number
  readonly #file: RunFile
  readonly #record: Uint32Array
  /** n-grams whose adjusted count is 0, 1, 2, 3, 4. */
  readonly #countsOfCounts = [0, 0, 0, 0, 0]
  kept = 0

  constructor({ folder, prune }: AdjustOptions, n: number) {
    this.path = join(folder, `adjusted-${n}`)
    this.n = n
    this.#threshold = prune[n - 1] ?? prune.at(-1) ?? 0
    this.#file = new RunFile(this.path, n + 2)
    this.#record = new Uint32Array(n + 2)
  }

  /**
   * @param adjusted what is written
   * @param actual how often the n-gram occurs: what pruning looks at
   * @param counted what the counts of counts take
   */
  write(words: Uint32Array, adjusted: number, actual: number, counted = adjusted): void {
    const isSpecial = this.n === 1 && words[0] <= END
    const isPruned = actual <= this.#threshold && !isSpecial
    if (!isPruned) this.kept++
    if (counted < 5) this.#countsOfCounts[counted]++
    const record = this.#record
    for (let i = 0; i < this.n; i++) record[i] = words[i]
    record[this.n] = adjusted % 2 ** 32
    record[this.n + 1] = Math.floor(adjusted / 2 ** 32) | (isPruned ? PRUNED : 0)
    this.#file.append(0, record)
  }

  close(fallback: Discounts | undefined): AdjustedOrder {
    this.#file.close()
    return { path: this.path, kept: this.kept, discounts: discountsOf(this.#countsOfCounts, this.n, fallback) }
  }
}

/** Equation 26 of Chen & Goodman. @throws SluiceError `SLUICE_NGRAM_DISCOUNT` */
function discountsOf(t: readonly number[], n: number, fallback: Discounts | undefined): Discounts {
  const { fround } = Math
  const y = fround(fround(t[1]) / fround(t[1] + 2 * t[2]))
  const discount = (j: number) => fround(j - fround(fround(fround((j + 1) * y) * fround(t[j + 1])) / fround(t[j])))
  const discounts: Discounts = [discount(1), discount(2), discount(3)]
  const isUsable = t[1] > 0 && t[2] > 0 && t[3] > 0 && discounts.every((d, i) => d >= 0 && d <= i + 1)
  if (isUsable) return discounts
  if (fallback) return fallback
  throw new SluiceError(
    'SLUICE_NGRAM_DISCOUNT',
    `there is too little text, or it repeats itself: the discounts of ${n}-grams cannot be estimated`,
    {
      where: { order: n, once: t[1], twice: t[2], threeTimes: t[3], fourTimes: t[4] },
      fix: 'train on more text without duplicates, or give discounts for this case (--discount-fallback)',
    },
  )
}

/** Order by order, 1 first: for a suffix that begins with <s> its count, else the number of different words before it. */
export async function adjustCounts(counter: NgramCounter, options: AdjustOptions): Promise<AdjustedOrder[]> {
  const { order, fallback } = options
  const files = Array.from({ length: order }, (_, i) => new OrderFile(options, i + 1))
  const special = (word: number) => files[0].write(Uint32Array.of(word), 0, Number.POSITIVE_INFINITY)
  special(UNKNOWN)
  if (order === 1) {
    special(BEGIN)
    await counter.visit((words, at, count) => files[0].write(words.subarray(at), count, count))
  } else await adjustSuffixes(counter, files)
  return files.map((file) => file.close(fallback))
}

/** Of the n-gram of the highest order that came last, all ends that are shorter: their counts grow while they stay the same. */
async function adjustSuffixes(counter: NgramCounter, files: readonly OrderFile[]): Promise<void> {
  const order = files.length
  const held = new Uint32Array(order - 1)
  const adjusted = new Float64Array(order)
  const actual = new Float64Array(order)
  held[0] = BEGIN // <s> counts 0 and is never pruned
  actual[1] = Number.POSITIVE_INFINITY
  let valid = 1
  await counter.visit((words, at, count) => {
    const same = sharedWords(held.subarray(0, valid), words, at)
    for (let n = valid; n > same; n--) files[n - 1].write(held, adjusted[n], actual[n])
    for (let n = 1; n <= same; n++) actual[n] += count
    if (same > 0) adjusted[same]++
    valid = same
    for (; valid < order - 1 && words[at + valid] !== BEGIN; valid++) begin(valid + 1, words[at + valid], 1, count)
    if (valid === order - 1) files[order - 1].write(words.subarray(at), count, count)
    else begin(++valid, BEGIN, count, count)
  })
  // That the last ones are counted by their actual counts is lmplz's way, whose files these are to equal.
  for (let n = 1; n <= valid; n++) files[n - 1].write(held, adjusted[n], actual[n], actual[n])

  function begin(n: number, word: number, adjustedCount: number, actualCount: number): void {
    held[n - 1] = word
    adjusted[n] = adjustedCount
    actual[n] = actualCount
  }
}
