// What is kept on disk for the next run on this machine: compiled kernels, by what they are made of, and decisions that later runs
// must follow. A file holds the digest of its bytes before them: one that is cut off or damaged counts as absent.

import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'

const DIGEST_BYTES = 32
const digestOf = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest()

/** Below `$XDG_CACHE_HOME/sluice/cuda-kernels`, by default below `~/.cache`. */
function fileOf(parts: readonly string[], extension: string): string {
  const base = process.env.XDG_CACHE_HOME
  const folder = join(base === undefined || base === '' ? join(homedir(), '.cache') : base, 'sluice', 'cuda-kernels')
  return join(folder, `${digestOf(JSON.stringify(parts)).toString('hex')}.${extension}`)
}

/**
 * Where nothing can be written, nothing is kept.
 *
 * @param parts source, options and the compiler's version: all that the result depends on
 */
export function cached(parts: readonly string[], compile: () => Uint8Array): Uint8Array {
  const file = fileOf(parts, 'cubin')
  const kept = read(file)
  if (kept) return kept
  const bytes = compile()
  write(file, bytes, renameSync)
  return bytes
}

/**
 * What was decided first on this machine, also where two processes decide at once. Undefined where nothing was, and nothing is
 * now or it could not be kept.
 *
 * @param parts what the decision is for
 */
export function decided(parts: readonly string[], decide?: () => Uint8Array): Uint8Array | undefined {
  const file = fileOf(parts, 'choice')
  const kept = read(file)
  if (kept || !decide) return kept
  try {
    if (existsSync(file)) rmSync(file) // damaged: what is there was whole when it got its name
    mkdirSync(dirname(file), { recursive: true })
    accessSync(dirname(file), constants.W_OK)
  } catch {
    return undefined
  }
  write(file, decide(), linkSync)
  return read(file)
}

/** @param publish gives the finished file its name; linkSync leaves one that is there as it is */
function write(file: string, bytes: Uint8Array, publish: (from: string, to: string) => void): void {
  const unfinished = `${file}.${process.pid}`
  try {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(unfinished, Buffer.concat([digestOf(bytes), bytes]))
    publish(unfinished, file)
  } catch {
    // a full or read-only disk, or another process was first
  }
  try {
    rmSync(unfinished, { force: true })
  } catch {
    // where it could not be written either
  }
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
