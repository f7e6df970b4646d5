// Variables of C's environment, where libraries look for them (process.env may not reach that at once), and a cache of one's own.

import koffi from 'koffi'
import { temporaryFolder } from '../../train/corpora.ts'

/** Sets them while `body` runs. */
export async function withEnvironment<T>(variables: Readonly<Record<string, string>>, body: () => T | Promise<T>): Promise<T> {
  const libc = koffi.load(null)
  const set = libc.func('int setenv(const char *, const char *, int)')
  const unset = libc.func('int unsetenv(const char *)')
  for (const [name, value] of Object.entries(variables)) set(name, value, 1)
  try {
    return await body()
  } finally {
    for (const name of Object.keys(variables)) unset(name)
  }
}

/** With a new folder in the place of `~/.cache`. */
export async function withCache<T>(body: (folder: string) => Promise<T>): Promise<T> {
  await using folder = await temporaryFolder()
  const { XDG_CACHE_HOME } = process.env
  process.env.XDG_CACHE_HOME = folder.path
  try {
    return await body(folder.path)
  } finally {
    if (XDG_CACHE_HOME === undefined) delete process.env.XDG_CACHE_HOME
    else process.env.XDG_CACHE_HOME = XDG_CACHE_HOME
  }
}
