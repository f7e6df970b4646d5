// Errors that a part of the pipeline throws outside the work on one document: they end the run, and whoever wrote the
// part must see which it was and on which line.

import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SluiceError, systemCode, type Where } from '../core/errors.ts'

const FATAL = new Set(['ENOSPC', 'EDQUOT', 'EACCES', 'EROFS', 'EMFILE', 'EIO', 'ABORT_ERR'])
const FATAL_OURS = new Set([
  'SLUICE_DISK_FULL',
  'SLUICE_PERMISSION',
  'SLUICE_ARTIFACT',
  'SLUICE_STAGE_ITEMS',
  'SLUICE_ENDPOINT_BUDGET',
  'SLUICE_ENDPOINT_CACHE',
  'SLUICE_ENDPOINT_DOWN',
  'SLUICE_ENDPOINT_REFUSED',
])

/** Not the document's fault: the disk, the rights, a server that is down, a stage that loses documents. */
export function isFatal(error: unknown): boolean {
  const code = systemCode(error) ?? ''
  return FATAL.has(code) || FATAL_OURS.has(code)
}

/** Does the work of a part of the pipeline; what it throws says which part it was. */
export async function blaming<T>(part: string, where: Where, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw partError(error, part, where)
  }
}

/** `error` itself where it says enough: one of ours, the system's, an abort. */
export function partError(error: unknown, part: string, where: Where): unknown {
  const code = systemCode(error) ?? ''
  if (error instanceof SluiceError || /^E[A-Z]+$/.test(code) || code === 'ABORT_ERR') return error
  const message = error instanceof Error ? error.message : String(error)
  return new SluiceError('SLUICE_STAGE_FAILED', `${part} failed: ${message}`, {
    where: { ...where, ...frameOf(error) },
    fix: 'mend it where it is your own, then run again: what is finished stays',
    cause: error,
  })
}

/** The line that threw, where the stack knows a file. */
export function frameOf(error: unknown): { at?: string } {
  const match = error instanceof Error ? /(file:\/\/\S+?):(\d+):\d+/.exec(error.stack ?? '') : null
  return match ? { at: `${relative('.', fileURLToPath(match[1]))}:${match[2]}` } : {}
}
