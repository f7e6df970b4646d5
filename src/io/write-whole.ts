// Files that appear whole or not at all.

import { randomBytes } from 'node:crypto'
import { open, rename } from 'node:fs/promises'

/** Writes a file whole or not at all: temporary name, fsync, rename. */
export async function writeWhole(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`
  const file = await open(temporary, 'w')
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
}
