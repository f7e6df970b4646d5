// gzip members decoded by libdeflate (github.com/ebiggers/libdeflate), where the system has it: twice as fast as zlib. It
// decodes whole members that lie in memory, and does not tell a member that is cut short from a corrupt one: what it
// cannot decode is left to zlib, which can say why.

import { loadLibrary } from '../core/native.ts'

export interface GzipContent {
  readonly content: Buffer
  /** Of the member, header and trailer included. */
  readonly storedBytes: number
}

/**
 * Decodes the member at the front of a buffer, checksum included.
 *
 * @param likelyBytes of the content: a guess that saves a second try where it is not too small
 * @returns undefined where there is no whole and sound member, or its content is larger than `maxBytes`
 */
export type Gunzip = (bytes: Buffer, likelyBytes: number, maxBytes: number) => GzipContent | undefined

const NAMES = ['libdeflate.so.0', 'libdeflate.0.dylib', '/opt/homebrew/lib/libdeflate.0.dylib', 'libdeflate.dll', 'deflate.dll']
const SUCCESS = 0,
  INSUFFICIENT_SPACE = 3
/** Small contents are carved from slabs: an allocation for each takes longer than decoding it. */
const SLAB_BYTES = 1 << 18
const SMALL_BYTES = SLAB_BYTES / 8

/** Undefined where the system has no libdeflate. What comes back keeps state: it is for one thread. */
export function openLibdeflate(): Gunzip | undefined {
  const library = loadLibrary(NAMES)
  if (!library) return undefined
  const allocate: () => unknown = library.func('void *libdeflate_alloc_decompressor()')
  const decompress: (...parameters: unknown[]) => number = library.func(
    'int libdeflate_gzip_decompress_ex(void *decompressor, const uint8_t *in, size_t inBytes, uint8_t *out, size_t outBytes, size_t *taken, size_t *given)',
  )
  const decompressor = allocate()
  const taken = new BigUint64Array(1),
    given = new BigUint64Array(1)
  let slab = Buffer.alloc(0)
  return (bytes, likelyBytes, maxBytes) => {
    for (let outBytes = Math.max(1, Math.min(likelyBytes, maxBytes)); ; outBytes = Math.min(outBytes * 4, maxBytes)) {
      const isSmall = outBytes <= SMALL_BYTES
      if (isSmall && slab.length < outBytes) slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
      const out = isSmall ? slab : Buffer.allocUnsafeSlow(outBytes)
      const status = decompress(decompressor, bytes, bytes.length, out, isSmall ? Math.min(out.length, maxBytes) : outBytes, taken, given)
      if (status === INSUFFICIENT_SPACE && outBytes < maxBytes) continue
      if (status !== SUCCESS) return undefined
      const content = out.subarray(0, Number(given[0]))
      if (isSmall) slab = slab.subarray(content.length)
      return { content: !isSmall && content.length * 2 < outBytes ? Buffer.from(content) : content, storedBytes: Number(taken[0]) }
    }
  }
}

let opened: { readonly gunzip: Gunzip | undefined } | undefined

/** This thread's, opened by the first call. */
export function libdeflate(): Gunzip | undefined {
  opened ??= { gunzip: openLibdeflate() }
  return opened.gunzip
}
