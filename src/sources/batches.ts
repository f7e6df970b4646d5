// What sources have in common: cutting batches by bytes, reading options that may name one input or several, planning each, and noticing
// that an input has changed.

import { z } from 'zod'
import { type Item, itemBytes } from '../core/document.ts'
import { SluiceError } from '../core/errors.ts'
import { hash128 } from '../core/identity.ts'
import type { Partition, PlanContext } from '../core/stage.ts'
import { mapAhead } from '../io/host.ts'

/** Collects items until a batch is full. */
export class Batches<T extends Item> {
  readonly #batchBytes: number
  #items: T[] = []
  #bytes = 0

  constructor(batchBytes: number) {
    this.#batchBytes = batchBytes
  }

  add(item: T): void {
    this.#items.push(item)
    this.#bytes += itemBytes(item)
  }

  get isFull(): boolean {
    return this.#bytes >= this.#batchBytes
  }

  get isEmpty(): boolean {
    return this.#items.length === 0
  }

  /** What there is, as a batch of its own. */
  take(): T[] {
    const items = this.#items
    this.#items = []
    this.#bytes = 0
    return items
  }
}

/** `path` of a source: one or several files, folders, patterns or URLs. */
export const inputPaths = z
  .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
  .describe(
    'files, folders, patterns (*, **, {a,b}), http(s) URLs or s3://bucket/… (an object, a prefix, a pattern); folders and patterns are read in order of their paths',
  )

export function listOf(path: string | readonly string[]): readonly string[] {
  return typeof path === 'string' ? [path] : path
}

/** Partitions of all inputs in their order. As many are looked into at once as their server bears. */
export async function planEach(
  urls: readonly string[],
  context: PlanContext,
  plan: (url: string, context: PlanContext) => Promise<Partition[]>,
): Promise<Partition[]> {
  const planned: Partition[] = []
  const planOne = (url: string, signal: AbortSignal) => plan(url, { ...context, signal })
  for await (const partitions of mapAhead(urls, (url) => url, planOne, context.signal)) planned.push(...partitions)
  return planned
}

/** One version for what is read together. */
export function versionOf(versions: readonly string[]): string {
  return versions.length === 1 ? versions[0] : hash128(versions.join('\n'))
}

/** @throws SluiceError SLUICE_INPUT_CHANGED where the inputs of a partition are no longer those that were planned */
export function assertUnchanged(partition: Partition, versions: readonly string[]): void {
  if (versionOf(versions) === partition.version) return
  throw new SluiceError('SLUICE_INPUT_CHANGED', 'the input has changed since the work on it was planned', {
    where: { input: partition.source },
    fix: 'run again: what depends on it is done anew',
  })
}
