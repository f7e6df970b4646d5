// Lists of words, domains or URLs that a filter is given: inline, or as a text file with one entry a line.

import { readFileSync } from 'node:fs'
import { SluiceError, systemCode } from '../core/errors.ts'
import { fileVersion } from '../core/file-version.ts'

/** Entries inline, or the path of a file. */
export type List = readonly string[] | { readonly file: string }

/** Entries as written, line ends removed. */
export function readList(list: List): string[] {
  if (!('file' in list)) return [...list]
  try {
    return readFileSync(list.file, 'utf8').split(/\r?\n/)
  } catch (cause) {
    throw unreadable(list.file, cause)
  }
}

/** What the plan hash needs to notice that a file changed; refuses a missing file before anything runs. */
export function listVersion(list: List): string {
  if (!('file' in list)) return 'inline'
  try {
    return fileVersion(list.file)
  } catch (cause) {
    throw unreadable(list.file, cause)
  }
}

function unreadable(file: string, cause: unknown): SluiceError {
  return new SluiceError('SLUICE_LIST_UNREADABLE', `cannot read the list ${file} (${systemCode(cause) ?? 'unknown error'})`, {
    where: { file },
    fix: 'give the path of a text file with one entry a line',
    cause,
  })
}
