// Batches fetched while the device still computes the step before. They belong to no step until they are taken: cursors,
// roll-backs and checkpoints know only of those that were.

import type { BatchSource, Delivery } from './batch-source.ts'

export interface ReadAhead {
  next(): Promise<Delivery | undefined>
  /** Fetches what the next calls will return, and returns the first of it. What fails is told to who takes it. */
  fetch(count: number): Promise<Delivery | undefined>
}

export function readAhead(source: BatchSource): ReadAhead {
  const fetched: Delivery[] = []
  let failed: { readonly error: unknown } | undefined
  return {
    async next() {
      const first = fetched.shift()
      if (first) return first
      if (failed) throw failed.error
      return await source.next()
    },
    async fetch(count) {
      try {
        while (fetched.length < count && !failed) {
          const delivery = await source.next()
          if (!delivery) break
          fetched.push(delivery)
        }
      } catch (error) {
        failed = { error }
      }
      return fetched.at(0)
    },
  }
}
