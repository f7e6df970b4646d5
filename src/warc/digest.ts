// Digests of WARC records: `sha1:` and base32 as every crawler writes them; other algorithms and hex are understood.

import { createHash, getHashes } from 'node:crypto'
import { joinChunks, parseHttpResponse } from './http.ts'
import { field, type WarcRecord } from './record.ts'

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const known = new Set(getHashes())

/** RFC 4648 base32 without padding. */
export function base32(bytes: Uint8Array): string {
  let text = '',
    bits = 0,
    value = 0
  for (const byte of bytes) {
    value = (value << 8) | byte
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += BASE32[(value >>> bits) & 31]
    }
    value &= (1 << bits) - 1
  }
  return bits > 0 ? text + BASE32[(value << (5 - bits)) & 31] : text
}

/** `sha1:` and base32, as the value of WARC-Block-Digest. */
export function sha1Digest(...parts: readonly Uint8Array[]): string {
  const hash = createHash('sha1')
  for (const part of parts) hash.update(part)
  return `sha1:${base32(hash.digest())}`
}

export type DigestResult = 'match' | 'mismatch' | 'unknown'

/** Whether bytes have the digest that a header names; `unknown` where the algorithm is. */
function checkDigest(label: string, bytes: Uint8Array): DigestResult {
  const colon = label.indexOf(':')
  const algorithm = label.slice(0, colon).toLowerCase().replace('-', '')
  if (colon === -1 || !known.has(algorithm)) return 'unknown'
  const value = label.slice(colon + 1).replace(/=+$/, '')
  const digest = createHash(algorithm).update(bytes).digest()
  const isMatch =
    value.toUpperCase() === base32(digest) ||
    value.toLowerCase() === digest.toString('hex') ||
    value === digest.toString('base64').replace(/=+$/, '')
  return isMatch ? 'match' : 'mismatch'
}

export interface RecordDigests {
  readonly block?: DigestResult
  readonly payload?: DigestResult
}

/**
 * Checks what digests a record has. A payload digest is taken over an HTTP body as stored or with its chunks joined:
 * writers disagree, so either counts. That of a revisit belongs to the record it points to and is not checked, nor is
 * that of a record cut into segments.
 */
export function checkDigests(record: WarcRecord): RecordDigests {
  const block = field(record.fields, 'warc-block-digest')
  const payload = field(record.fields, 'warc-payload-digest')
  const hasPayload = payload !== undefined && record.type !== 'revisit' && field(record.fields, 'warc-segment-number') === undefined
  return {
    block: block === undefined ? undefined : checkDigest(block, record.block),
    payload: hasPayload ? checkPayload(record, payload) : undefined,
  }
}

function checkPayload(record: WarcRecord, label: string): DigestResult {
  const body = record.type === 'response' || record.type === 'request' ? httpBody(record.block) : record.block
  const stored = checkDigest(label, body)
  return stored === 'mismatch' ? checkDigest(label, joinChunks(body)) : stored
}

function httpBody(block: Buffer): Buffer {
  const response = parseHttpResponse(block)
  if (response) return response.body
  const end = block.indexOf('\r\n\r\n')
  return end === -1 ? block.subarray(block.length) : block.subarray(end + 4)
}
