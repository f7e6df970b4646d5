// Identity of inputs and documents. An id depends on the record, never on the run: it is how receipts, quarantine,
// sampling and traces find the same document again.

import { pathToFileURL } from 'node:url'
import { createXXHash128 } from 'hash-wasm'

const hasher = await createXXHash128()
const here = `${pathToFileURL(process.cwd()).pathname}/`

/** xxh3-128 of a string's UTF-8, 32 hex digits. */
export function hash128(text: string): string {
  return hasher.init().update(text).digest('hex')
}

/** u32[4], the 128 bits of an id, first digits first; of one that a stage of the user's has set, those of its hash. */
export function idWords(id: string): Uint32Array {
  const digits = /^[0-9a-f]{32}$/.test(id) ? id : hash128(id)
  return Uint32Array.from([0, 8, 16, 24], (at) => Number.parseInt(digits.slice(at, at + 8), 16))
}

/**
 * Id of a record, the same wherever its input lies: scheme and host are left out, so that a crawl file read over HTTPS,
 * from s3 and from a mirror gives the same ids.
 *
 * @param offset byte offset, or row ordinal where the input has rows
 * @param index ordinal of the document within its record, 0 for the first
 */
export function documentId(source: string, offset: number, index = 0): string {
  return hash128(`${sourceName(source)}\n${offset}\n${index}`)
}

/**
 * An input's URL without scheme and host: what identity is made of. A local file counts by its path from the current folder
 * where it lies inside, so that a checkout elsewhere gives the same ids, and by its whole path otherwise.
 */
export function sourceName(source: string): string {
  const match = /^([a-z][a-z0-9+.-]*):\/\/([^/]*)(\/.*)?$/i.exec(source)
  if (!match) return source
  const path = match[3] ?? '/'
  return match[1].toLowerCase() === 'file' && path.startsWith(here) ? path.slice(here.length) : path
}

/** Id of a document that is taken again: in the first epoch, 0, its own. */
export function idInEpoch(id: string, epoch: number): string {
  return epoch === 0 ? id : hash128(`${id}\nepoch ${epoch}`)
}

/** A number in [0, 1) from an id and a purpose: sampling that every run and every worker repeats. */
export function sampleFraction(id: string, purpose: string): number {
  return Number.parseInt(hash128(`${purpose}\n${id}`).slice(0, 12), 16) / 2 ** 48
}
