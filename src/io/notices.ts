// What is worth saying while it happens (a server that makes us wait, a long step of a plan), from any thread to whoever
// reports to the user. A broadcast channel reaches all threads of a process; where nobody listens nothing is said.

import { BroadcastChannel } from 'node:worker_threads'

const CHANNEL = 'sluice:notices'
/** All threads wait for the same server: one of them is enough to hear. */
const REPEAT_MS = 5000
let channel: BroadcastChannel | undefined

/** @param topic what it is about: of several notices on it in a short time, from whatever threads, one is heard */
export function notify(message: string, topic = message): void {
  channel ??= unreferenced()
  channel.postMessage([topic, message])
}

/** Hears the notices of all threads until it is disposed of. */
export function onNotice(listener: (message: string) => void): Disposable {
  const heardAt = new Map<string, number>()
  const heard = unreferenced()
  heard.onmessage = ({ data: [topic, message] }) => {
    const now = performance.now()
    if (now - (heardAt.get(topic) ?? Number.NEGATIVE_INFINITY) < REPEAT_MS) return
    heardAt.set(topic, now)
    listener(message)
  }
  return { [Symbol.dispose]: () => heard.close() }
}

/** A channel that does not keep the process alive. */
function unreferenced(): BroadcastChannel {
  const opened = new BroadcastChannel(CHANNEL)
  opened.unref()
  return opened
}
