// Compiled kernels kept on disk by what they are made of, so that only the first run on a machine compiles. A file holds the
// digest of its bytes before them: one that is cut off or damaged counts as absent. Where nothing can be written, nothing is kept.

import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

const DIGEST_BYTES = 32
const digestOf = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest()

/** `$XDG_CACHE_HOME/sluice/cuda-kernels`, by default below `~/.cache`. */
function cacheFolder(): string {
  const base = process.env.XDG_CACHE_HOME
  return join(base === undefined || base === '' ? join(homedir(), '.cache') : base, 'sluice', 'cuda-kernels')
}

/** @param parts source, options and the compiler's version: all that the result depends on */
export function cached(parts: readonly string[], compile: () => Uint8Array): Uint8Array {
  const folder = cacheFolder()
  const file = join(folder, `${digestOf(JSON.stringify(parts)).toString('hex')}.cubin`)
  const kept = read(file)
  if (kept) return kept
  const bytes = compile()
  try {
    mkdirSync(folder, { recursive: true })
    const unfinished = `${file}.${process.pid}`
    writeFileSync(unfinished, Buffer.concat([digestOf(bytes), bytes]))
    renameSync(unfinished, file)
  } catch {
    // a full or read-only disk: the next run compiles again
  }
  return bytes
}

function read(file: string): Uint8Array | undefined {
  try {
    const all = readFileSync(file)
    const bytes = new Uint8Array(all.subarray(DIGEST_BYTES))
    return digestOf(bytes).equals(all.subarray(0, DIGEST_BYTES)) ? bytes : undefined
  } catch {
    return undefined
  }
}
