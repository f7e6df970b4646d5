// The thread of src/train/checkpoint-write.ts.

import { parentPort } from 'node:worker_threads'
import { replyTo } from './checkpoint-write.ts'

parentPort?.on('message', async (copy) => parentPort?.postMessage(await replyTo(copy)))
