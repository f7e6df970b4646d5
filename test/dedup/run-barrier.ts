// Runs a barrier over partitions in one process, as the engine does over many: for tests, conformance and benchmarks.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Item } from '../../src/core/document.ts'
import type { Barrier, StageContext } from '../../src/core/stage.ts'

export interface Outcome<T> {
  /** What came out, a list a partition. */
  readonly kept: T[][]
  /** Reason by id. */
  readonly dropped: Map<string, string>
}

export interface BarrierSettings {
  readonly memoryBytes?: number
  /** Where given, what the barrier publishes is published under this name. */
  readonly build?: string
  /** Documents a call of `process`. */
  readonly batch?: number
  /** Called with the folder of the last merge step, before anything is removed. */
  readonly inspect?: (merged: string) => Promise<void>
}

export async function runBarrier<T extends Item>(
  barrier: Barrier<T>,
  partitions: T[][],
  settings: BarrierSettings = {},
): Promise<Outcome<T>> {
  const { memoryBytes = 64 << 20, batch = 7, build = 'test', inspect } = settings
  const root = mkdtempSync(join(tmpdir(), 'sluice-barrier-'))
  const dropped = new Map<string, string>()
  const { signal } = new AbortController()
  const context: StageContext = {
    seed: 0,
    signal,
    memoryBytes,
    examine: (_, work) => work(),
    record: () => undefined,
    drop: (item, reason) => {
      dropped.set(item.id, reason)
      return false
    },
    artifact: () => '',
  }
  try {
    const collected = []
    for (const [i, documents] of partitions.entries()) {
      const path = join(root, `collected-${i}`)
      const run = await barrier.collect({ ...context, path })
      for (const [slice, rows] of batches(documents, batch)) await run.process(slice, rows)
      await run.close()
      collected.push({ path, rows: documents.length })
    }
    let previous: string | undefined
    for (const step of barrier.merges) {
      const folder = join(root, step.name)
      mkdirSync(folder)
      for (let task = 0; task < step.tasks; task++)
        await step.run({ seed: 0, build, signal, memoryBytes, collected, folder, previous }, task)
      previous = folder
    }
    await inspect?.(previous ?? '')
    const kept: T[][] = []
    for (const [partition, documents] of partitions.entries()) {
      const run = await barrier.apply({ ...context, merged: previous ?? '', partition })
      const out: T[] = []
      for (const [slice, rows] of batches(documents, batch)) out.push(...(await run.process(slice, rows)))
      await run.close?.()
      kept.push(out)
    }
    if (settings.build !== undefined) await barrier.publish?.({ merged: previous ?? '', build })
    return { kept, dropped }
  } finally {
    rmSync(root, { recursive: true })
  }
}

function* batches<T>(documents: T[], size: number): Generator<[T[], Uint32Array]> {
  for (let start = 0; start < documents.length; start += size) {
    const slice = documents.slice(start, start + size)
    yield [slice, Uint32Array.from(slice, (_, i) => start + i)]
  }
}
