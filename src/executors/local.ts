// The local executor: a pool of worker threads in this process. A partition's whole chain runs inside one of them.

import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Piscina } from 'piscina'
import { systemCode, unpackError } from '../core/errors.ts'
import type { Executor } from '../engine/runner.ts'
import { type Answer, COUNTER_SLOTS, type PlanSetup, type Work, type WorkerSetup } from './setup.ts'

/** A thread died under its task: out of its heap, or ended from outside. The supervisor looks for the cause. */
export class WorkerDied extends Error {
  override readonly name = 'WorkerDied'
}

export function localExecutor(
  setup: PlanSetup & { readonly planHash: string },
  threads: number,
  signal: AbortSignal,
): Executor & AsyncDisposable {
  const counters = new SharedArrayBuffer(COUNTER_SLOTS * 16)
  const workerData: WorkerSetup = { ...setup, counters }
  const pool = new Piscina({
    filename: fileURLToPath(new URL(`./local-worker${extname(import.meta.url)}`, import.meta.url)),
    workerData,
    minThreads: 0,
    maxThreads: threads,
    idleTimeout: 5000,
    concurrentTasksPerWorker: 1,
  })
  const run = async (work: Work) => {
    let answer: Answer
    try {
      answer = await pool.run(work, { signal })
    } catch (cause) {
      if (signal.aborted) throw signal.reason
      if (systemCode(cause) === 'ERR_WORKER_OUT_OF_MEMORY' || /worker.*(exit|terminat)/i.test(String(cause)))
        throw new WorkerDied(String(cause), { cause })
      throw cause
    }
    if (answer.error) throw unpackError(answer.error)
  }
  const cells = new Float64Array(counters)
  return {
    concurrency: threads,
    runTask: (task) => run({ task }),
    runMerge: (merge) => run({ merge }),
    progress: () => {
      let documents = 0
      let inputBytes = 0
      for (let slot = 0; slot < COUNTER_SLOTS; slot++) {
        documents += cells[slot * 2]
        inputBytes += cells[slot * 2 + 1]
      }
      return { documents, inputBytes }
    },
    [Symbol.asyncDispose]: () => pool.destroy(),
  }
}
