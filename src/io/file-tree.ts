// The files below a folder that patterns choose. Patterns are those of .gitignore files (git-scm.com/docs/gitignore), and
// folders that are left out are not entered: a node_modules costs nothing.

import { type Dirent, existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import ignore, { type Ignore } from 'ignore'
import { diskError } from './disk-errors.ts'

export interface FilePatterns {
  /** A file must match one of them; all match where there is none. */
  readonly include: readonly string[]
  readonly exclude: readonly string[]
  /** Leaves out what .gitignore files in the folder itself and below it name. */
  readonly gitignore: boolean
}

/** @returns a function of the path below the folder that the user named, without what .gitignore files say */
export function pathMatcher({ include, exclude }: FilePatterns): (path: string) => boolean {
  const excluded = ignore().add(exclude)
  const included = ignore().add(include)
  return (path) => !excluded.ignores(path) && (include.length === 0 || included.ignores(path))
}

/** Absolute paths of regular files, and of links to anything; links to folders are not followed. */
export async function entriesBelow(folder: string, patterns: FilePatterns): Promise<Dirent[]> {
  const takes = pathMatcher(patterns)
  const excluded = ignore().add(patterns.exclude)
  const found: Dirent[] = []
  const walk = async (below: string, rules: readonly Rules[]): Promise<void> => {
    const path = join(folder, below)
    const inner = patterns.gitignore ? [...rules, ...(await rulesOf(path, below))] : rules
    for (const entry of await entriesOf(path)) {
      const name = below + entry.name
      if (entry.isDirectory()) {
        if (!excluded.ignores(`${name}/`) && !isIgnored(`${name}/`, inner)) await walk(`${name}/`, inner)
      } else if (takes(name) && !isIgnored(name, inner)) found.push(entry)
    }
  }
  await walk('', [])
  return found
}

interface Rules {
  /** The folder of the .gitignore, below the one that is walked; ends in a slash unless empty. */
  readonly below: string
  readonly ignore: Ignore
}

async function rulesOf(path: string, below: string): Promise<Rules[]> {
  const file = join(path, '.gitignore')
  if (!existsSync(file)) return []
  try {
    return [{ below, ignore: ignore().add(await readFile(file, 'utf8')) }]
  } catch (error) {
    throw diskError(error, file)
  }
}

/** The deepest .gitignore that has an opinion decides. */
function isIgnored(path: string, rules: readonly Rules[]): boolean {
  for (const { below, ignore } of rules.toReversed()) {
    const { ignored, unignored } = ignore.test(path.slice(below.length))
    if (ignored || unignored) return ignored
  }
  return false
}

async function entriesOf(path: string): Promise<Dirent[]> {
  try {
    return await readdir(path, { withFileTypes: true })
  } catch (error) {
    throw diskError(error, path)
  }
}
