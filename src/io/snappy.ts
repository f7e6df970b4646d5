// Snappy blocks, decompressed: google/snappy format_description.txt. What many Parquet files are packed with.

/**
 * @param bytes of the result
 * @throws RangeError where the data are damaged
 */
export function snappyDecompress(input: Buffer, bytes: number): Buffer {
  let at = 0
  let stated = 0
  for (let shift = 0; ; shift += 7) {
    const byte = byteAt(input, at++)
    stated += (byte & 127) * 2 ** shift
    if (byte < 128) break
  }
  if (stated !== bytes) throw new RangeError(`a page of ${bytes} bytes says that it has ${stated}`)
  const out = Buffer.allocUnsafe(bytes)
  let end = 0
  while (at < input.length) {
    const tag = input[at++]
    const kind = tag & 3
    let length = (tag >> 2) + 1
    if (kind === 0) {
      if (length > 60) {
        const size = length - 60
        if (at + size > input.length) throw new RangeError('a page is cut short')
        length = input.readUIntLE(at, size) + 1
        at += size
      }
      if (at + length > input.length || end + length > bytes) throw new RangeError('a page is cut short')
      input.copy(out, end, at, at + length)
      at += length
    } else {
      let distance: number
      if (kind === 1) {
        length = ((tag >> 2) & 7) + 4
        distance = ((tag >> 5) << 8) | byteAt(input, at++)
      } else {
        const size = kind === 2 ? 2 : 4
        if (at + size > input.length) throw new RangeError('a page is cut short')
        distance = input.readUIntLE(at, size)
        at += size
      }
      if (distance === 0 || distance > end || end + length > bytes) throw new RangeError('a page refers to what is not there')
      if (distance >= length) out.copyWithin(end, end - distance, end - distance + length)
      else for (let i = 0; i < length; i++) out[end + i] = out[end + i - distance] // it repeats what it writes
      end += length
      continue
    }
    end += length
  }
  if (end !== bytes) throw new RangeError('a page is cut short')
  return out
}

function byteAt(input: Buffer, at: number): number {
  if (at >= input.length) throw new RangeError('a page is cut short')
  return input[at]
}
