// What the commands over web archives share: the archives among their words, and what is said of a record's digests.

import { expandInputs, localPath } from '../io/inputs.ts'
import { checkDigests, type DigestResult } from '../warc/digest.ts'
import { ARCHIVE_EXTENSIONS } from '../warc/reader.ts'
import type { WarcRecord } from '../warc/record.ts'

const EXTENSIONS = [...ARCHIVE_EXTENSIONS, ...['.wet', '.wat'].flatMap((kind) => ['', '.gz', '.zst', '.lz4'].map((end) => kind + end))]
export const MAX_RECORD_BYTES = 1 << 30

/** For `--help`. */
export function examples(...lines: string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`
}

export async function archivesOf(files: string[]): Promise<{ url: string }[]> {
  return await expandInputs(files, EXTENSIONS)
}

export function displayName(url: string): string {
  return url.startsWith('file:') ? localPath(url) : url
}

export function write(line: string): void {
  process.stdout.write(`${line}\n`)
}

export type DigestState = 'ok' | 'bad' | 'unknown' | 'none'

export function digestState(record: WarcRecord): DigestState {
  const { block, payload } = checkDigests(record)
  const results: (DigestResult | undefined)[] = [block, payload]
  if (results.includes('mismatch')) return 'bad'
  if (results.includes('match')) return 'ok'
  return results.includes('unknown') ? 'unknown' : 'none'
}
