// Batches of documents made ahead in a thread: reading, decoding, shuffling and packing happen while the model computes. What
// crosses is bytes, moved: the arrays of a batch belong to one thread at a time.

import { extname } from 'node:path'
import { type Transferable, Worker } from 'node:worker_threads'
import { type PackedError, packError, unpackError } from '../core/errors.ts'
import type { Batch } from '../model/batch.ts'
import type { BatchSource, Delivery, TokenObjective } from './batch-source.ts'
import type { Cursor, LoaderOptions } from './loader.ts'

export interface PrefetchSetup {
  /** Opened again in the thread. */
  readonly corpora: readonly { readonly path: string; readonly weight: number }[]
  readonly options: LoaderOptions
  readonly objective: TokenObjective
  readonly cursors: readonly Cursor[] | undefined
  /** Batches that may wait. */
  readonly ahead: number
}

/** From the thread; to it goes `'taken'` for each batch that left the queue. */
export type PrefetchMessage =
  | { readonly kind: 'batch'; readonly delivery: Delivery }
  | { readonly kind: 'end' }
  | { readonly kind: 'failed'; readonly error: PackedError }

export function prefetched(setup: PrefetchSetup): BatchSource {
  const worker = new Worker(new URL(`./prefetch-worker${extname(import.meta.url)}`, import.meta.url), { workerData: setup })
  const queue: PrefetchMessage[] = []
  let wake: (() => void) | undefined
  const arrive = (message: PrefetchMessage) => {
    queue.push(message)
    wake?.()
  }
  worker.on('message', arrive)
  worker.on('error', (error) => arrive({ kind: 'failed', error: packError(error) }))
  worker.unref() // a run that fails elsewhere ends the process
  return {
    next: async () => {
      while (queue.length === 0) {
        worker.ref()
        await new Promise<void>((resolve) => {
          wake = resolve
        })
        worker.unref()
      }
      const message = queue[0]
      if (message.kind === 'failed') throw unpackError(message.error)
      if (message.kind === 'end') return undefined
      queue.shift()
      worker.postMessage('taken')
      return message.delivery
    },
    [Symbol.asyncDispose]: async () => {
      await worker.terminate()
    },
  }
}

/** The memory of a batch, to be moved. */
export function buffersOf(batch: Batch): Transferable[] {
  const sides = batch.kind === 'pairs' ? [batch.source, batch.target] : [batch]
  const arrays = sides.flatMap((side) => Object.values(side)).filter((value) => value instanceof Int32Array)
  return arrays.map(({ buffer }) => buffer).filter((buffer) => buffer instanceof ArrayBuffer)
}
