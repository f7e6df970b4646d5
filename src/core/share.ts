// One copy of something large for all threads of a process: the first thread that asks makes it, the others get it from
// there. Threads know nothing of one another, so a lock of the process says who makes it and a channel hands it on.

import { BroadcastChannel, locks } from 'node:worker_threads'

/**
 * @param key equal keys are the same thing
 * @param make called in one thread only, in another one if that fails or its thread ends. What it gives holds shared memory
 * @param accept narrows what came from another thread
 */
export async function shareAcrossThreads<T extends object>(
  key: string,
  make: () => Promise<T>,
  accept: (value: unknown) => value is T,
): Promise<T> {
  const channel = new BroadcastChannel(key)
  const waiting = new AbortController()
  return await new Promise<T>((resolve, reject) => {
    channel.onmessage = ({ data }: { data: unknown }) => {
      if (!accept(data)) return
      waiting.abort()
      channel.close()
      resolve(data)
    }
    channel.postMessage('wanted')
    const own = async () => {
      const made = await make()
      channel.onmessage = ({ data }: { data: unknown }) => {
        if (data === 'wanted') channel.postMessage(made)
      }
      channel.postMessage(made)
      channel.unref()
      resolve(made)
      await new Promise(() => {}) // the lock is held as long as the thread lives
    }
    locks.request(key, { signal: waiting.signal }, own).catch((error: unknown) => {
      if (waiting.signal.aborted) return
      channel.close()
      reject(error)
    })
  })
}
