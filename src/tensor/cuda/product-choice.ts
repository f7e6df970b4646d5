// In which of cuBLASLt's ways each product is computed. Its own estimate of the fastest is not always right, so a few are timed on
// the GPU, once on a machine. Ways differ in the order of their sums: what was chosen first is kept and never changed, so that
// runs on one machine have the same bits.

import { SluiceError } from '../../core/errors.ts'
import type { Product, Way } from './cublaslt.ts'
import type { Driver } from './driver.ts'
import { decided } from './kernel-cache.ts'

export interface Contender {
  readonly product: Product
  /** The same in two launches, where the product does the work of both. */
  apart?(): readonly (() => void)[]
  /** Puts numbers where operands lie; left out where what lies in memory must stay, and nothing can be timed. */
  fill?(): void
}

export interface Chooser {
  /** Products that it has timed. */
  readonly timed: number
  /**
   * What to ask the GPU for.
   *
   * @throws SluiceError SLUICE_CUDA_PRODUCT where the library has no such product, and nothing stands in for it
   */
  choose(contender: Contender): readonly (() => void)[]
}

/** In the place of a way: two launches are faster. */
const APART: Way = new Uint8Array(0)
const MOST_WAYS = 8
const ROUNDS = 3
const REPEATS = 3
/** What must be gained on the library's own choice for another to take its place. */
const LEAST_GAIN = 0.02

/** @param version of cuBLASLt: its ways mean nothing to another */
export function createChooser(driver: Driver, version: number, onNotice: (line: string) => void): Chooser {
  const choices = new Map<string, Way>()
  let timed = 0
  let hasTold = false

  function wayOf({ product, apart, fill }: Contender): Way | undefined {
    const ways = product.ways(MOST_WAYS)
    const contenders = apart && ways.length > 0 ? [...ways, APART] : ways
    if (contenders.length < 2) return ways.at(0)
    const time = fill && (() => fastest(contenders, { product, apart, fill }))
    const kept = decided([driver.name, `cublasLt ${version}`, product.key], time)
    if (!kept) return ways[0]
    if (kept.length === 0 ? apart : product.isTaken(kept)) return kept
    if (!hasTold) onNotice('cuBLASLt refuses how matrix products were computed on this machine before: sums may round otherwise')
    hasTold = true
    return ways[0]
  }

  function fastest(contenders: readonly Way[], { product, apart, fill }: Contender): Way {
    timed++
    fill?.()
    const requests = contenders.map((way) => requestsOf(way, product, apart))
    const least = requests.map(() => Number.POSITIVE_INFINITY)
    for (const own of requests) millisecondsOf(own) // first runs load what they need
    for (let round = 0; round < ROUNDS; round++)
      for (const [index, own] of requests.entries()) least[index] = Math.min(least[index], millisecondsOf(own))
    const best = least.indexOf(Math.min(...least))
    return contenders[least[best] < (1 - LEAST_GAIN) * least[0] ? best : 0]
  }

  /** Infinite where the library refuses in the end. */
  function millisecondsOf(requests: readonly (() => void)[]): number {
    try {
      return driver.measure(() => {
        for (let i = 0; i < REPEATS; i++) for (const request of requests) request()
      })
    } catch (error) {
      if (error instanceof SluiceError && error.code === 'SLUICE_CUDA_PRODUCT') return Number.POSITIVE_INFINITY
      throw error
    }
  }

  return {
    get timed() {
      return timed
    },
    choose(contender) {
      const { product, apart } = contender
      const way = choices.get(product.key) ?? wayOf(contender)
      if (way) choices.set(product.key, way)
      return requestsOf(way ?? APART, product, apart)
    },
  }
}

function requestsOf(way: Way, product: Product, apart: Contender['apart']): readonly (() => void)[] {
  if (way.length > 0) return [product.requestOf(way)]
  if (!apart) throw new SluiceError('SLUICE_CUDA_PRODUCT', `cuBLASLt has no algorithm for a product of ${product.key}`)
  return apart()
}
