// Files that appear whole or not at all.

import { randomBytes } from 'node:crypto'
import { open, rename, rm } from 'node:fs/promises'
import { diskError } from './disk-errors.ts'

/**
 * Writes a file whole or not at all: temporary name, fsync, rename.
 *
 * @throws SluiceError `SLUICE_DISK_FULL`, `SLUICE_PERMISSION`, `SLUICE_FILE_MISSING` (the folder)
 */
export async function writeWhole(path: string, content: string | readonly Uint8Array[]): Promise<void> {
  const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`
  try {
    await writeSynced(temporary, content)
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined) // the first error is the one to tell
    throw diskError(error, path)
  }
}

async function writeSynced(path: string, content: string | readonly Uint8Array[]): Promise<void> {
  const file = await open(path, 'w')
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
}
