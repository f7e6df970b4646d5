// Folders, made with those above them. Node's recursive mkdir does not come back where a file system makes no folders, as /proc,
// and holds the process against every signal.

import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { SluiceError, systemCode } from '../core/errors.ts'
import { diskError } from './disk-errors.ts'

/**
 * Makes what is missing of a path.
 *
 * @returns the folders that were made, innermost first
 * @throws SluiceError `SLUICE_FOLDER_REFUSED`, and those of `diskError`
 */
export async function makeFolder(path: string): Promise<string[]> {
  if (await isFolder(path)) return []
  const above = dirname(path)
  const made = above === path ? [] : await makeFolder(above)
  try {
    await mkdir(path)
    return [path, ...made]
  } catch (error) {
    if (await isFolder(path)) return made // another process made it just now
    if (systemCode(error) === 'ENOENT' && !(await isFolder(above))) return await makeFolder(path) // or took it away
    throw refused(path, error)
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return false
    throw diskError(error, path)
  }
}

function refused(folder: string, cause: unknown): unknown {
  const code = systemCode(cause)
  if (code !== 'EEXIST' && code !== 'ENOENT') return diskError(cause, folder)
  const reason = code === 'EEXIST' ? 'something else has this name' : 'this place takes no folders'
  return new SluiceError('SLUICE_FOLDER_REFUSED', `the folder cannot be made: ${reason}`, {
    where: { folder },
    fix: 'give another folder',
    cause,
  })
}
