// A user's function has no version, so its module stands for it: a hash over the pipeline file and everything it imports
// by a relative path. A changed import then redoes what depends on it; a changed package is the lock file's business.

import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

const RELATIVE_IMPORT = /(?:\bfrom\s*|\bimport\s*\(?\s*)['"](\.{1,2}\/[^'"]+)['"]/g

export async function moduleHash(file: string): Promise<string> {
  const seen = new Map<string, string>()
  await visit(resolve(file), seen)
  const hash = createHash('sha256')
  const root = dirname(resolve(file))
  // Paths relative to the file, so that a checkout elsewhere gives the same hash.
  for (const path of [...seen.keys()].sort()) hash.update(`${path.replace(root, '')}\n${seen.get(path)}\n`)
  return hash.digest('hex')
}

async function visit(path: string, seen: Map<string, string>): Promise<void> {
  if (seen.has(path)) return
  let source: string
  try {
    source = await readFile(path, 'utf8')
  } catch {
    return // the import itself will fail, and say so better
  }
  seen.set(path, source)
  for (const [, specifier] of source.matchAll(RELATIVE_IMPORT)) await visit(resolve(dirname(path), specifier), seen)
}
