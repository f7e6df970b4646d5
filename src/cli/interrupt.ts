// Ctrl-C and SIGTERM for commands that save before they end.

import { exitCodes } from './exit-codes.ts'

export interface Interrupt extends Disposable {
  readonly signal: AbortSignal
  /** Says that there is something to save from now on. */
  readonly begin: () => void
}

/** The first gives the signal, so that what has begun can save; the second, and any before there was something to save, ends the process at once. */
export function stopOnInterrupt(): Interrupt {
  const controller = new AbortController()
  let hasBegun = false
  const interrupt = () => {
    if (!hasBegun || controller.signal.aborted) process.exit(exitCodes.interrupted)
    controller.abort()
  }
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt)
  return {
    signal: controller.signal,
    begin: () => {
      hasBegun = true
    },
    [Symbol.dispose]: () => void process.off('SIGINT', interrupt).off('SIGTERM', interrupt),
  }
}
