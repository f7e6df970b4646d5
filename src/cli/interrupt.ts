// Ctrl-C, SIGTERM and a terminal that is closed, for commands that save or clean up before they end; and a reader of their
// output that goes away.

import { SluiceError } from '../core/errors.ts'
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
  // Node undoes what nohup has set: without a terminal, the one that goes away is none of this command's
  const hangUp = () => {
    if (process.stdout.isTTY || process.stderr.isTTY) interrupt()
  }
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt).on('SIGHUP', hangUp)
  return {
    signal: controller.signal,
    begin: () => {
      hasBegun = true
      // `… | head` ends other commands at once, as if all were done: here that would lose what is not saved
      process.stdout.removeAllListeners('error').on('error', (error: NodeJS.ErrnoException) => {
        if (!isGone(error)) throw error
        controller.abort()
      })
      process.stderr.removeAllListeners('error').on('error', (error: NodeJS.ErrnoException) => {
        if (!isGone(error)) throw error
      })
    },
    [Symbol.dispose]: () => void process.off('SIGINT', interrupt).off('SIGTERM', interrupt).off('SIGHUP', hangUp),
  }
}

/** A pipe's reader, or a terminal. */
const isGone = ({ code }: NodeJS.ErrnoException) => code === 'EPIPE' || code === 'EIO'

/** For commands that leave nothing half done: the first Ctrl-C ends the work with this error, the second the process. */
export function failOnInterrupt(message: string): AbortSignal {
  const controller = new AbortController()
  process.once('SIGINT', () => controller.abort(new SluiceError('SLUICE_STOPPED', message, { fix: 'run the same command again' })))
  return controller.signal
}
