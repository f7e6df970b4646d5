// Reads a source as a task does, without a run: what came, what was left out, and why.

import assert from 'node:assert/strict'
import type { Item } from '../../src/core/document.ts'
import { documentId } from '../../src/core/identity.ts'
import type { Damage, Partition, Source } from '../../src/core/stage.ts'

export interface Found<T> {
  readonly items: T[]
  readonly ignored: Record<string, number>
  readonly damages: Damage[]
  readonly partitions: Partition[]
  readonly begun: [string, number][]
  consumed: number
}

export async function readAll<T extends Item>(
  source: Source<T>,
  partitionBytes = 1 << 26,
  quarantined: readonly string[] = [],
): Promise<Found<T>> {
  const { signal } = new AbortController()
  const found: Found<T> = {
    items: [],
    ignored: {},
    damages: [],
    partitions: await source.partitions({ signal, partitionBytes }),
    begun: [],
    consumed: 0,
  }
  for (const partition of found.partitions) {
    const batches = source.read(partition, {
      signal,
      batchBytes: 1000,
      begin: (url, offset) => {
        found.begun.push([url, offset])
        return !quarantined.includes(documentId(url, offset))
      },
      damaged: (damage) => found.damages.push(damage),
      ignored: (reason, count = 1) => {
        found.ignored[reason] = (found.ignored[reason] ?? 0) + count
      },
      consumed: (bytes) => {
        found.consumed += bytes
      },
    })
    for await (const batch of batches) {
      assert.ok(batch.length > 0, 'an empty batch')
      found.items.push(...batch)
    }
  }
  return found
}
