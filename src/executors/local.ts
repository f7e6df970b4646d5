// The local executor: a pool of worker threads in this process. A partition's whole chain runs inside one of them.

import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Piscina } from 'piscina'
import { packError, type SluiceError, systemCode, unpackError } from '../core/errors.ts'
import { keepShares } from '../core/share.ts'
import type { Executor } from '../engine/runner.ts'
import type { Loss } from './runner-setup.ts'
import { type Answer, COUNTER_SLOTS, type PlanSetup, type Work, type WorkerSetup } from './setup.ts'

/** A task took its thread with it, or failed on a document that it could not set aside. The supervisor looks for the cause. */
export class TaskLost extends Error {
  override readonly name = 'TaskLost'
  readonly loss: Loss
  constructor(loss: Loss, cause: unknown) {
    super(loss.message, { cause })
    this.loss = loss
  }
}

export function localExecutor(
  setup: PlanSetup & { readonly planHash: string },
  threads: number,
  signal: AbortSignal,
): Executor & AsyncDisposable {
  const counters = new SharedArrayBuffer(COUNTER_SLOTS * 16)
  const workerData: WorkerSetup = { ...setup, counters }
  keepShares()
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
    } catch (error) {
      if (signal.aborted) throw signal.reason
      throw new TaskLost(lossOf(error), error)
    }
    if (answer.error) throw answeredError(unpackError(answer.error))
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

/** A worker answers with its errors; a rejection means that the thread died: of its heap, an exit, or an error nobody awaited. */
function lossOf(error: unknown): Loss {
  const cause = systemCode(error) === 'ERR_WORKER_OUT_OF_MEMORY' ? 'out_of_memory' : 'crashed'
  return { cause, message: packError(error).message.split('\n')[0] }
}

function answeredError(error: SluiceError): Error {
  return error.code === 'SLUICE_COLLECT_FAILED' ? new TaskLost({ cause: 'threw', message: error.message }, error) : error
}
