// The directory of a ZIP container (APPNOTE.TXT 6.3, ZIP64 included) and the bytes of its entries, read by ranges: a
// container of any size, here or behind a URL, costs two small reads before its first entry.

import { createInflateRaw } from 'node:zlib'
import { type ByteSource, readBytes } from './byte-source.ts'
import { ByteWindow } from './byte-window.ts'
import { Decoder } from './decoder.ts'

export interface ZipEntry {
  readonly name: string
  /** 0 stored, 8 deflated; others cannot be read. */
  readonly method: number
  readonly isEncrypted: boolean
  readonly storedBytes: number
  readonly contentBytes: number
  /** Of the entry's own header. */
  readonly headOffset: number
}

const END_BYTES = 22
const MAX_COMMENT_BYTES = 0xffff
const MAX_DIRECTORY_BYTES = 256 << 20
/** A thousand times as much can come out of them at once. */
const PIECE_BYTES = 1 << 14
const CHUNK_BYTES = 1 << 18

/** @returns undefined where there is no directory: the container is cut short, or none */
export async function readZipDirectory(source: ByteSource): Promise<ZipEntry[] | undefined> {
  const tailStart = Math.max(0, source.size - END_BYTES - MAX_COMMENT_BYTES)
  const tail = await readBytes(source, tailStart)
  for (let at = tail.length - END_BYTES; at >= 0; at--) {
    if (tail.readUInt32LE(at) !== 0x06054b50 || at + END_BYTES + tail.readUInt16LE(at + 20) !== tail.length) continue
    const place = (await zip64Place(source, tail, at)) ?? { bytes: tail.readUInt32LE(at + 12), offset: tail.readUInt32LE(at + 16) }
    if (place.bytes > MAX_DIRECTORY_BYTES || place.offset + place.bytes > source.size) return undefined
    return parseDirectory(await readBytes(source, place.offset, place.offset + place.bytes))
  }
  return undefined
}

async function zip64Place(source: ByteSource, tail: Buffer, end: number): Promise<{ bytes: number; offset: number } | undefined> {
  const locator = end - 20
  if (locator < 0 || tail.readUInt32LE(locator) !== 0x07064b50) return undefined
  const at = Number(tail.readBigUInt64LE(locator + 8))
  const record = at < source.size ? await readBytes(source, at, at + 56) : tail
  if (record.length < 56 || record.readUInt32LE(0) !== 0x06064b50) return undefined
  return { bytes: Number(record.readBigUInt64LE(40)), offset: Number(record.readBigUInt64LE(48)) }
}

function parseDirectory(bytes: Buffer): ZipEntry[] | undefined {
  const entries: ZipEntry[] = []
  for (let at = 0; at + 46 <= bytes.length && bytes.readUInt32LE(at) === 0x02014b50; ) {
    const nameEnd = at + 46 + bytes.readUInt16LE(at + 28)
    const extraEnd = nameEnd + bytes.readUInt16LE(at + 30)
    if (extraEnd > bytes.length) return undefined
    const large = zip64Fields(bytes.subarray(nameEnd, extraEnd))
    const size = (offset: number) => {
      const value = bytes.readUInt32LE(offset)
      return value === 0xffffffff ? (large.shift() ?? value) : value
    }
    const contentBytes = size(at + 24) // in this order: the extra field has those that are missing, in it
    const storedBytes = size(at + 20)
    const headOffset = size(at + 42)
    entries.push({
      name: bytes.toString('utf8', at + 46, nameEnd),
      method: bytes.readUInt16LE(at + 10),
      isEncrypted: (bytes.readUInt16LE(at + 8) & 1) === 1,
      storedBytes,
      contentBytes,
      headOffset,
    })
    at = extraEnd + bytes.readUInt16LE(at + 32)
  }
  return entries
}

function zip64Fields(extra: Buffer): number[] {
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) !== 1) continue
    const end = Math.min(extra.length, at + 4 + extra.readUInt16LE(at + 2))
    const fields: number[] = []
    for (let field = at + 4; field + 8 <= end; field += 8) fields.push(Number(extra.readBigUInt64LE(field)))
    return fields
  }
  return []
}

/** Where an entry's data begin; undefined where they do not lie in the container. */
export async function zipDataOffset(source: ByteSource, entry: ZipEntry): Promise<number | undefined> {
  const head = await readBytes(source, entry.headOffset, entry.headOffset + 30)
  if (head.length < 30 || head.readUInt32LE(0) !== 0x04034b50) return undefined
  const offset = entry.headOffset + 30 + head.readUInt16LE(26) + head.readUInt16LE(28)
  return offset + entry.storedBytes <= source.size ? offset : undefined
}

/** Inflates an entry that begins at `offset`; stops where the data are bad, which the missing bytes then show. */
export async function* inflateEntry(source: ByteSource, entry: ZipEntry, offset: number): AsyncGenerator<Buffer> {
  const window = new ByteWindow(source.read(offset, offset + entry.storedBytes))
  const decoder = new Decoder(createInflateRaw({ chunkSize: CHUNK_BYTES }))
  try {
    while (!decoder.error && !decoder.isDone && (window.buffer.length > 0 || (await window.grow()))) {
      const piece = window.buffer.subarray(0, PIECE_BYTES)
      window.advance(piece.length)
      yield* await decoder.push(piece)
    }
    yield* await decoder.finish()
  } finally {
    decoder.close()
    await window.close()
  }
}
