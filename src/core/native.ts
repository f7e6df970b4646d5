// Shared libraries of the system, called through koffi. Nothing here is needed to run: what a library brings is speed, and
// whoever asks for one has another way. SLUICE_NATIVE=off leaves them all alone, to see whether one of them is at fault.

import { createRequire } from 'node:module'
import type { LibraryHandle } from 'koffi'

const require = createRequire(import.meta.url)

/**
 * The first of these libraries that the system finds; koffi is loaded with the first call (10 ms). One handle a thread:
 * libraries that are not safe to share between threads need an object of their own in each.
 *
 * @param names as the loader of each system knows them: `libx.so.0`, `libx.dylib`, `x.dll`
 */
export function loadLibrary(names: readonly string[]): LibraryHandle | undefined {
  const koffi = loadKoffi()
  for (const name of names) {
    try {
      return koffi?.load(name)
    } catch {
      // not there, or built for another machine: the next name
    }
  }
  return undefined
}

/** The C library of Linux, glibc or musl. */
export const loadLibc = () => loadLibrary(['libc.so.6', 'libc.musl-x86_64.so.1'])

/** Undefined where this platform has no binary of koffi, or nothing native is wanted. */
export function loadKoffi(): typeof import('koffi') | undefined {
  if (process.env.SLUICE_NATIVE === 'off') return undefined
  try {
    return require('koffi')
  } catch {
    return undefined
  }
}
