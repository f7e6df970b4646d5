// Tells one state of a file from another, as far as can be told without reading it.

import { statSync } from 'node:fs'

/** What the plan hash needs to notice that a file changed. @throws the system's error where there is no such file */
export function fileVersion(path: string): string {
  const stats = statSync(path)
  if (stats.isDirectory()) throw Object.assign(new Error('is a directory'), { code: 'EISDIR' })
  return `${stats.size}-${Math.trunc(stats.mtimeMs)}`
}
