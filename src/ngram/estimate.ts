// Probabilities and backoffs of an interpolated modified Kneser-Ney model from adjusted counts, order by order: Heafield et
// al. 2013, sections 3.3 and 3.4. In single precision and in lmplz's order of operations, whose models these are to equal.

import { join } from 'node:path'
import { mergeRuns } from '../io/merge-runs.ts'
import { RecordWriter, RunFile, readBlocks, readRuns } from '../io/sorted-runs.ts'
import { type AdjustedOrder, type Discounts, readCount } from './adjust.ts'
import { BEGIN, type Bounds, UNKNOWN } from './counts.ts'

export interface EstimatedOrder {
  /** Records: the words from the last to the first, the probability (bits of a float). */
  readonly probabilities: string
  /** Records: the words of a context from the last to the first, its backoff. The contexts are n-grams of one order less. */
  readonly backoffs?: string
  readonly kept: number
}

const { fround } = Math
const floats = new Float32Array(1)
const bits = new Uint32Array(floats.buffer)

export function floatOf(value: number): number {
  bits[0] = value
  return floats[0]
}

function bitsOf(value: number): number {
  floats[0] = value
  return bits[0]
}

export async function estimate(orders: readonly AdjustedOrder[], bounds: Bounds): Promise<EstimatedOrder[]> {
  const estimated = [estimateUnigrams(orders[0], bounds)]
  for (const [i, order] of orders.entries()) if (i > 0) estimated.push(await estimateOrder(order, i + 1, estimated[i - 1], bounds))
  return estimated
}

/** What a context gives away: to the n-grams seen in it by their counts, and to the lower order. */
class Context {
  #denominator = 0
  #pruned = 0
  readonly #kinds = [0, 0, 0, 0]
  readonly #discounts: Discounts

  constructor(discounts: Discounts) {
    this.#discounts = discounts
  }

  add(count: number, isPruned: boolean): void {
    this.#denominator += count
    if (isPruned) this.#pruned += count
    else if (count > 0) this.#kinds[Math.min(count, 3)]++
  }

  /** Weight of the lower order. */
  backoff(): number {
    let gamma = 0
    for (let j = 1; j <= 3; j++) gamma = fround(gamma + fround(this.#discounts[j - 1] * this.#kinds[j]))
    gamma = fround(gamma + fround(this.#pruned))
    return fround(gamma / fround(this.#denominator))
  }

  /** Share of an n-gram, before interpolation. */
  share(count: number): number {
    const discount = count === 0 ? 0 : this.#discounts[Math.min(count, 3) - 1]
    return fround(fround(fround(count) - discount) / fround(this.#denominator))
  }
}

/** Interpolated with the uniform distribution over the vocabulary, <s> left out. */
function estimateUnigrams({ path, discounts, kept }: AdjustedOrder, { folder }: Bounds): EstimatedOrder {
  const probabilities = join(folder, 'probabilities-1')
  const file = new RunFile(probabilities, 2)
  const context = new Context(discounts)
  for (const { records, at } of recordsOf(path)) {
    const { count, isPruned } = readCount(records, at + 1)
    context.add(count, isPruned)
  }
  const uniform = fround(1 / (kept - 1))
  const base = fround(context.backoff() * uniform)
  for (const { records, at } of recordsOf(path)) {
    const word = records[at]
    const { count, isPruned } = readCount(records, at + 1)
    const probability = word === BEGIN ? 1 : word === UNKNOWN ? base : fround(context.share(count) + base)
    if (!isPruned) file.append(0, [word, bitsOf(probability)])
  }
  file.close()
  return { probabilities, kept }
}

async function estimateOrder(order: AdjustedOrder, n: number, lower: EstimatedOrder, bounds: Bounds): Promise<EstimatedOrder> {
  const shares = join(bounds.folder, `shares-${n}`)
  const backoffs = join(bounds.folder, `backoffs-${n}`)
  await shareContexts(order, n, { shares, backoffs }, bounds)
  const probabilities = join(bounds.folder, `probabilities-${n}`)
  await interpolate(shares, n, lower.probabilities, probabilities, bounds)
  return { probabilities, backoffs, kept: order.kept }
}

/** Context by context: its backoff, and each n-gram's share in it. */
async function shareContexts(order: AdjustedOrder, n: number, files: { shares: string; backoffs: string }, bounds: Bounds): Promise<void> {
  const byContext = join(bounds.folder, `contexts-${n}`)
  sortByContext(order.path, n, byContext, bounds)
  const words = n + 2
  const writer = new RecordWriter(files.shares, n + 2, 1, bounds.memoryBytes / 2)
  const backoffs = new RunFile(files.backoffs, n)
  const record = new Uint32Array(words)
  const held = new ContextRecords(words)
  const finish = () => {
    const context = new Context(order.discounts)
    for (let at = 0; at < held.length; at += words) {
      const { count, isPruned } = readCount(held.records, at + n)
      context.add(count, isPruned)
    }
    const gamma = bitsOf(context.backoff())
    backoffs.append(0, [...held.records.subarray(0, n - 1), gamma])
    for (let at = 0; at < held.length; at += words) {
      const { count, isPruned } = readCount(held.records, at + n)
      if (isPruned) continue
      record[0] = held.records[at + n - 1]
      for (let i = 1; i < n; i++) record[i] = held.records[at + i - 1]
      record[n] = bitsOf(context.share(count))
      record[n + 1] = gamma
      writer.add(0, record)
    }
    if (writer.isFull) writer.flush()
    held.length = 0
  }
  await merge(byContext, words, n, { ...bounds, memoryBytes: bounds.memoryBytes / 2 }, (records, at) => {
    if (held.length > 0 && !isSame(held.records, 0, records, at, n - 1)) finish()
    held.push(records, at)
  })
  if (held.length > 0) finish()
  backoffs.close()
  writer.close()
}

/** The n-grams of one context: at most as many as the vocabulary has words. */
class ContextRecords {
  records: Uint32Array
  length = 0
  readonly #words: number

  constructor(words: number) {
    this.#words = words
    this.records = new Uint32Array(256 * words)
  }

  push(from: Uint32Array, at: number): void {
    if (this.length === this.records.length) {
      const grown = new Uint32Array(2 * this.length)
      grown.set(this.records)
      this.records = grown
    }
    for (let i = 0; i < this.#words; i++) this.records[this.length++] = from[at + i]
  }
}

/** Words of the context from the last to the first, then the last word, so that a context's n-grams are neighbours. */
function sortByContext(path: string, n: number, out: string, { memoryBytes }: Bounds): void {
  const writer = new RecordWriter(out, n + 2, 1, memoryBytes)
  const record = new Uint32Array(n + 2)
  for (const { records, at } of recordsOf(path)) {
    for (let i = 1; i < n; i++) record[i - 1] = records[at + i]
    record[n - 1] = records[at]
    record[n] = records[at + n]
    record[n + 1] = records[at + n + 1]
    writer.add(0, record)
    if (writer.isFull) writer.flush()
  }
  writer.close()
}

/** p(w | context) = share + backoff of the context · p(w | context without its first word). */
async function interpolate(shares: string, n: number, lower: string, out: string, bounds: Bounds): Promise<void> {
  const file = new RunFile(out, n + 1)
  const record = new Uint32Array(n + 1)
  const suffixes = recordsOf(lower)
  let suffix = suffixes.next()
  await merge(shares, n + 2, n, bounds, (records, at) => {
    while (!suffix.done && !isSame(suffix.value.records, suffix.value.at, records, at, n - 1)) suffix = suffixes.next()
    if (suffix.done) throw new Error(`an n-gram of order ${n} has no end of order ${n - 1}`)
    const lowerProbability = floatOf(suffix.value.records[suffix.value.at + n - 1])
    for (let i = 0; i < n; i++) record[i] = records[at + i]
    record[n] = bitsOf(fround(floatOf(records[at + n]) + fround(floatOf(records[at + n + 1]) * lowerProbability)))
    file.append(0, record)
  })
  file.close()
}

async function merge(
  path: string,
  words: number,
  orderWords: number,
  { memoryBytes, signal }: Bounds,
  visit: (records: Uint32Array, at: number) => void,
): Promise<void> {
  const sources = readRuns(path).map((run, ordinal) => ({ run, ordinal }))
  await mergeRuns(sources, { words, orderWords, memoryBytes, signal }, visit)
}

function isSame(a: Uint32Array, atA: number, b: Uint32Array, atB: number, words: number): boolean {
  for (let i = 0; i < words; i++) if (a[atA + i] !== b[atB + i]) return false
  return true
}

/** The records of a file in order, each borrowed until the next. */
export function* recordsOf(path: string): Generator<{ readonly records: Uint32Array; readonly at: number }> {
  for (const run of readRuns(path))
    for (const records of readBlocks(run)) for (let at = 0; at < records.length; at += run.words) yield { records, at }
}
