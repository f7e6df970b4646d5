// The HTTP message in a response record: status, headers, and the body after transfer and content decoding. Lenient,
// as browsers are: crawlers store what servers sent, and some (Common Crawl) decode the body and leave the headers.

import { brotliDecompressSync, constants, gunzipSync, inflateRawSync, inflateSync, zstdDecompressSync } from 'node:zlib'
import { libdeflate } from '../io/libdeflate.ts'
import { type Fields, headEnd, parseHead } from './record.ts'

export interface HttpResponse {
  /** 0 where the first line has no status. */
  readonly status: number
  readonly fields: Fields
  /** As stored: chunked and compressed as it was sent. A view. */
  readonly body: Buffer
}

export interface DecodedBody {
  readonly bytes: Buffer
  /** Why `bytes` is not all of the body. */
  readonly problem?: string
}

/** @returns undefined where the block is no HTTP response */
export function parseHttpResponse(block: Buffer): HttpResponse | undefined {
  if (!/^http\//i.test(block.toString('latin1', 0, 5))) return undefined
  const foundEnd = headEnd(block, 0)
  const end = foundEnd === -1 ? block.length : foundEnd
  const { firstLine, fields } = parseHead(block, 0, end)
  const status = /^HTTP\/[\d.]+\s+(\d{3})(?!\d)/i.exec(firstLine)
  return { status: status ? Number(status[1]) : 0, fields, body: block.subarray(end) }
}

/** `text/html` of `Text/HTML; charset=…`; empty where there is none. */
export function mediaType(contentType: string | undefined): string {
  const end = contentType?.indexOf(';') ?? -1
  return (end === -1 ? (contentType ?? '') : (contentType ?? '').slice(0, end)).trim().toLowerCase()
}

/**
 * Takes off transfer encodings, then content encodings, each in reverse order.
 *
 * @param maxBytes a body that grows larger is a problem, not a memory
 */
export function decodeBody(response: HttpResponse, maxBytes: number): DecodedBody {
  let bytes = response.body
  for (const name of ['transfer-encoding', 'content-encoding'])
    for (const encoding of codings(response.fields, name)) {
      if (encoding === 'chunked') bytes = joinChunks(bytes)
      else {
        const decoded = decodeContent(bytes, encoding, maxBytes)
        if (decoded.problem !== undefined) return decoded
        bytes = decoded.bytes
      }
    }
  return { bytes }
}

/** Of all fields with this name, the one applied last first. */
function codings(fields: Fields, name: string): string[] {
  const names: string[] = []
  for (const entry of fields) if (entry[0] === name) names.push(...entry[1].toLowerCase().split(','))
  return names.map((coding) => coding.replace(/;.*/s, '').trim()).reverse()
}

/**
 * Joins the chunks of a chunked body. A body that is not chunked at all comes back as it is; what follows a broken chunk
 * is taken as it is.
 */
export function joinChunks(body: Buffer): Buffer {
  const joined = Buffer.allocUnsafe(body.length) // not a list of pieces: a body may have millions of one byte
  let length = 0
  for (let position = 0; position < body.length; ) {
    const lineEnd = body.indexOf(10, position)
    const size =
      lineEnd === -1 || lineEnd - position > 1024
        ? null
        : /^\s*([0-9a-f]{1,8})\s*(?:;.*)?$/i.exec(body.toString('latin1', position, lineEnd).trimEnd())
    if (!size) {
      if (position === 0) return body
      length += body.copy(joined, length, position)
      break
    }
    const bytes = Number.parseInt(size[1], 16)
    if (bytes === 0) break
    const start = lineEnd + 1
    if (start < body.length) length += body.copy(joined, length, start, start + bytes)
    position = start + bytes
    if (body[position] === 13) position++
    if (body[position] === 10) position++
  }
  return joined.subarray(0, length)
}

type Inflate = (bytes: Buffer, maxOutputLength: number) => Buffer

// Sync flush at the end: crawlers cut long bodies, and what was there before the cut is wanted.
const flushed = { finishFlush: constants.Z_SYNC_FLUSH }

const decoders: Record<string, { readonly fits: (bytes: Buffer) => boolean; readonly decode: Inflate }> = {
  gzip: { fits: isGzip, decode: gunzipBody },
  'x-gzip': { fits: isGzip, decode: gunzipBody },
  deflate: {
    fits: (bytes) => bytes.length > 2,
    decode: (bytes, maxOutputLength) => (isZlib(bytes) ? inflateSync : inflateRawSync)(bytes, { ...flushed, maxOutputLength }),
  },
  br: {
    fits: (bytes) => bytes.length > 0,
    decode: (bytes, maxOutputLength) => brotliDecompressSync(bytes, { finishFlush: constants.BROTLI_OPERATION_FLUSH, maxOutputLength }),
  },
  zstd: {
    fits: (bytes) => bytes.length >= 4 && bytes.readUInt32LE(0) === 0xfd2fb528,
    decode: (bytes, maxOutputLength) => zstdDecompressSync(bytes, { finishFlush: constants.ZSTD_e_flush, maxOutputLength }),
  },
}

/** The length that ends a body says what comes out of it, mostly. A body of several members, or a damaged one, is zlib's. */
function gunzipBody(bytes: Buffer, maxOutputLength: number): Buffer {
  const likelyBytes = bytes.length < 18 ? 0 : Math.min(bytes.readUInt32LE(bytes.length - 4), bytes.length * 64)
  const whole = libdeflate()?.(bytes, likelyBytes, maxOutputLength)
  return whole?.storedBytes === bytes.length ? whole.content : gunzipSync(bytes, { ...flushed, maxOutputLength })
}

/** Encodings without a magic number are tried: a body that does not decode and looks like text was decoded before. */
function decodeContent(bytes: Buffer, encoding: string, maxBytes: number): DecodedBody {
  const decoder = decoders[encoding]
  if (!decoder?.fits(bytes)) return { bytes }
  try {
    return { bytes: decoder.decode(bytes, maxBytes) }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE')
      return { bytes, problem: `the body decodes to more than ${maxBytes} bytes` }
    if (looksLikeMarkup(bytes)) return { bytes }
    return { bytes, problem: `the ${encoding} body is corrupt` }
  }
}

function isGzip(bytes: Buffer): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b
}

function isZlib(bytes: Buffer): boolean {
  return (bytes[0] & 0x0f) === 8 && bytes.readUInt16BE(0) % 31 === 0
}

function looksLikeMarkup(bytes: Buffer): boolean {
  return /^(?:\u00ef\u00bb\u00bf)?\s*</.test(bytes.toString('latin1', 0, 256))
}
