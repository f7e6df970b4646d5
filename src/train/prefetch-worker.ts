// The thread of src/train/prefetch.ts: keeps a few batches ahead of who takes them.

import { parentPort, workerData } from 'node:worker_threads'
import { packError } from '../core/errors.ts'
import { openCorpus } from '../tokens/corpus.ts'
import { documentSource } from './batch-source.ts'
import type { MixedCorpus } from './mixture.ts'
import { buffersOf, type PrefetchMessage, type PrefetchSetup } from './prefetch.ts'

const setup: PrefetchSetup = workerData
let waiting = 0
let wake: (() => void) | undefined
parentPort?.on('message', () => {
  waiting--
  wake?.()
})

function post(message: PrefetchMessage): void {
  parentPort?.postMessage(message, message.kind === 'batch' ? buffersOf(message.delivery.batch) : [])
}

try {
  const corpora: MixedCorpus[] = []
  for (const { path, weight } of setup.corpora) corpora.push({ corpus: await openCorpus(path), weight })
  const source = documentSource(corpora, setup.options, setup.objective, setup.cursors)
  for (let delivery = await source.next(); delivery; delivery = await source.next()) {
    post({ kind: 'batch', delivery })
    waiting++
    while (waiting >= setup.ahead)
      await new Promise<void>((resolve) => {
        wake = resolve
      })
  }
  post({ kind: 'end' })
} catch (error) {
  post({ kind: 'failed', error: packError(error) })
}
