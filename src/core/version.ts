// The package's own version, for manifests and `--version`.

import { existsSync, readFileSync } from 'node:fs'

function findPackage(): { version: string } {
  for (let folder = new URL('.', import.meta.url); ; folder = new URL('..', folder)) {
    const file = new URL('package.json', folder)
    if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8'))
  }
}

export const packageVersion: string = findPackage().version
