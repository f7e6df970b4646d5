// Ctrl-C and SIGTERM for commands that save before they end.

import { exitCodes } from './exit-codes.ts'

/** The first gives the signal, so that what runs can save; the second ends the process at once. */
export function stopOnInterrupt(): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController()
  const interrupt = () => {
    if (controller.signal.aborted) process.exit(exitCodes.interrupted)
    controller.abort()
  }
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt)
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => void process.off('SIGINT', interrupt).off('SIGTERM', interrupt),
  }
}
