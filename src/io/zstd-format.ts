// How zstd frames are told apart and measured without decompressing them: RFC 8878, sections 3.1.1 and 3.1.2.

export const ZSTD_MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd])
const MAX_BLOCK_BYTES = 128 << 10

export function hasZstdMagic(bytes: Buffer, start = 0): boolean {
  return bytes.length >= start + 4 && bytes.readUInt32LE(start) === 0xfd2fb528
}

/** True where a skippable frame begins: what it carries is no content. Its length is 8 + the u32 at byte 4. */
export function isSkippable(bytes: Buffer): boolean {
  return bytes.length >= 4 && (bytes.readUInt32LE(0) & 0xfffffff0) >>> 0 === 0x184d2a50
}

export interface FrameHead {
  readonly headBytes: number
  /** Of the decompressed frame, where it says so. */
  readonly contentBytes?: number
  /** Four more bytes behind the last block. */
  readonly hasChecksum: boolean
}

/** The head of the frame at `start`, whose magic bytes are there. */
export function parseFrameHead(bytes: Buffer, start = 0): FrameHead | 'partial' | 'corrupt' {
  if (bytes.length < start + 5) return 'partial'
  const descriptor = bytes[start + 4]
  if (descriptor & 8) return 'corrupt'
  const isSingleSegment = (descriptor & 32) !== 0
  const dictionaryIdBytes = [0, 1, 2, 4][descriptor & 3]
  const contentSizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >>> 6]
  const contentSizeAt = start + 5 + (isSingleSegment ? 0 : 1) + dictionaryIdBytes
  if (bytes.length < contentSizeAt + contentSizeBytes) return 'partial'
  return {
    headBytes: contentSizeAt + contentSizeBytes - start,
    contentBytes: contentSizeBytes === 0 ? undefined : contentSize(bytes, contentSizeAt, contentSizeBytes),
    hasChecksum: (descriptor & 4) !== 0,
  }
}

function contentSize(bytes: Buffer, at: number, width: number): number {
  if (width === 8) return Number(bytes.readBigUInt64LE(at))
  return bytes.readUIntLE(at, width) + (width === 2 ? 256 : 0)
}

/** Bytes of a block with its head, by its first three bytes. */
export function parseBlock(bytes: Buffer, start: number): { blockBytes: number; isLast: boolean } | 'corrupt' {
  const head = bytes.readUIntLE(start, 3)
  const type = (head >>> 1) & 3,
    size = head >>> 3
  if (type === 3 || (type !== 1 && size > MAX_BLOCK_BYTES)) return 'corrupt'
  return { blockBytes: 3 + (type === 1 ? 1 : size), isLast: (head & 1) === 1 }
}
