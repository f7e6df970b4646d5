// Variables of C's environment, where libraries look for them; process.env may not reach that at once.

import koffi from 'koffi'

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
