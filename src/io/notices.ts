// What is worth saying while it happens (a server that makes us wait, a long step of a plan), from any thread to whoever
// reports to the user. A broadcast channel reaches all threads of a process; where nobody listens nothing is said.

import { BroadcastChannel } from 'node:worker_threads'

const CHANNEL = 'sluice:notices'
let channel: BroadcastChannel | undefined

export function notify(message: string): void {
  channel ??= unreferenced()
  channel.postMessage(message)
}

/** Hears the notices of all threads until it is disposed of. */
export function onNotice(listener: (message: string) => void): Disposable {
  const heard = unreferenced()
  heard.onmessage = ({ data }) => listener(String(data))
  return { [Symbol.dispose]: () => heard.close() }
}

/** A channel that does not keep the process alive. */
function unreferenced(): BroadcastChannel {
  const opened = new BroadcastChannel(CHANNEL)
  opened.unref()
  return opened
}
