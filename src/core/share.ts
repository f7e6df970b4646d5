// One copy of something large for all threads of a process. The first thread that asks makes it, the others get it from there.
// The main thread keeps it and says who makes it: a worker between two tasks sleeps, and could not answer.

import { BroadcastChannel, getEnvironmentData, isMainThread, setEnvironmentData, threadId } from 'node:worker_threads'

const CHANNEL = 'sluice-shares'

type Message =
  /** A thread asks; or could not make what it was told to. */
  | { readonly kind: 'wanted' | 'failed'; readonly key: string; readonly thread: number }
  /** That thread is to make it. */
  | { readonly kind: 'make'; readonly key: string; readonly thread: number }
  | { readonly kind: 'made'; readonly key: string; readonly value: unknown }

interface Share {
  made?: { readonly value: unknown }
  maker?: number
  readonly waiting: number[]
}

/** Keeps what this process's workers share, for as long as it lives. To be called in the main thread before workers start. */
export function keepShares(): void {
  if (getEnvironmentData(CHANNEL) === true) return
  setEnvironmentData(CHANNEL, true)
  const channel = new BroadcastChannel(CHANNEL)
  const shares = new Map<string, Share>()
  const post = (message: Message) => channel.postMessage(message)
  const order = (key: string, share: Share, thread: number | undefined) => {
    share.maker = thread
    if (thread !== undefined) post({ kind: 'make', key, thread })
  }
  channel.onmessage = ({ data: message }: { data: Message }) => {
    const share: Share = shares.get(message.key) ?? { waiting: [] }
    shares.set(message.key, share)
    if (message.kind === 'made') share.made = { value: message.value }
    else if (message.kind === 'failed') order(message.key, share, share.waiting.shift())
    else if (share.made) post({ kind: 'made', key: message.key, value: share.made.value })
    else if (share.maker === undefined) order(message.key, share, message.thread)
    else share.waiting.push(message.thread)
  }
  channel.unref()
}

/**
 * Without `keepShares`, and in the main thread, what `make` gives.
 *
 * @param key equal keys are the same thing
 * @param make called in one thread only, in another one if that fails. What it gives holds shared memory
 * @param accept narrows what came from another thread
 */
export async function shareAcrossThreads<T extends object>(
  key: string,
  make: () => Promise<T>,
  accept: (value: unknown) => value is T,
): Promise<T> {
  if (isMainThread || getEnvironmentData(CHANNEL) !== true) return await make()
  const channel = new BroadcastChannel(CHANNEL)
  const post = (message: Message) => channel.postMessage(message)
  try {
    const value = await new Promise<unknown>((resolve) => {
      channel.onmessage = ({ data: message }: { data: Message }) => {
        if (message.key !== key) return
        if (message.kind === 'made') resolve(message.value)
        if (message.kind === 'make' && message.thread === threadId) resolve(undefined)
      }
      post({ kind: 'wanted', key, thread: threadId })
    })
    if (accept(value)) return value
    const made = await make()
    post({ kind: 'made', key, value: made })
    return made
  } catch (error) {
    post({ kind: 'failed', key, thread: threadId })
    throw error
  } finally {
    channel.close()
  }
}
