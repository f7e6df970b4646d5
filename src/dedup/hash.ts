// Hashes of text, in plain TypeScript: what the kernel's are compared with. XXH64 and XXH32 with seed 0
// (github.com/Cyan4973/xxHash, doc/xxhash_spec.md), and the head of SHA-1 read little-endian, as datasketch has it.

import { createHash } from 'node:crypto'

const mask = (1n << 64n) - 1n
const p1 = 0x9e3779b185ebca87n
const p2 = 0xc2b2ae3d27d4eb4fn
const p3 = 0x165667b19e3779f9n
const p4 = 0x85ebca77c2b2ae63n
const p5 = 0x27d4eb2f165667c5n

const rotate = (value: bigint, bits: bigint) => ((value << bits) | (value >> (64n - bits))) & mask
const round = (accumulator: bigint, lane: bigint) => (rotate((accumulator + lane * p2) & mask, 31n) * p1) & mask

export function xxh64(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const length = bytes.length
  let at = 0
  let hash = p5
  if (length >= 32) {
    const lanes = [(p1 + p2) & mask, p2, 0n, -p1 & mask]
    for (; at + 32 <= length; at += 32) for (let i = 0; i < 4; i++) lanes[i] = round(lanes[i], view.getBigUint64(at + 8 * i, true))
    hash = (rotate(lanes[0], 1n) + rotate(lanes[1], 7n) + rotate(lanes[2], 12n) + rotate(lanes[3], 18n)) & mask
    for (const lane of lanes) hash = ((hash ^ round(0n, lane)) * p1 + p4) & mask
  }
  hash = (hash + BigInt(length)) & mask
  for (; at + 8 <= length; at += 8) hash = (rotate(hash ^ round(0n, view.getBigUint64(at, true)), 27n) * p1 + p4) & mask
  if (at + 4 <= length) {
    hash = (rotate(hash ^ ((BigInt(view.getUint32(at, true)) * p1) & mask), 23n) * p2 + p3) & mask
    at += 4
  }
  for (; at < length; at++) hash = (rotate(hash ^ ((BigInt(bytes[at]) * p5) & mask), 11n) * p1) & mask
  hash = ((hash ^ (hash >> 33n)) * p2) & mask
  hash = ((hash ^ (hash >> 29n)) * p3) & mask
  return hash ^ (hash >> 32n)
}

const q1 = 0x9e3779b1
const q2 = 0x85ebca77
const q3 = 0xc2b2ae3d
const q4 = 0x27d4eb2f
const q5 = 0x165667b1

const rotate32 = (value: number, bits: number) => (value << bits) | (value >>> (32 - bits))

export function xxh32(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const length = bytes.length
  let at = 0
  let hash = q5
  if (length >= 16) {
    const lanes = [q1 + q2, q2, 0, -q1]
    for (; at + 16 <= length; at += 16) {
      for (let i = 0; i < 4; i++) lanes[i] = Math.imul(rotate32((lanes[i] + Math.imul(view.getUint32(at + 4 * i, true), q2)) | 0, 13), q1)
    }
    hash = rotate32(lanes[0], 1) + rotate32(lanes[1], 7) + rotate32(lanes[2], 12) + rotate32(lanes[3], 18)
  }
  hash = (hash + length) | 0
  for (; at + 4 <= length; at += 4) hash = Math.imul(rotate32((hash + Math.imul(view.getUint32(at, true), q3)) | 0, 17), q4)
  for (; at < length; at++) hash = Math.imul(rotate32((hash + Math.imul(bytes[at], q5)) | 0, 11), q1)
  hash = Math.imul(hash ^ (hash >>> 15), q2)
  hash = Math.imul(hash ^ (hash >>> 13), q3)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** The first 8 bytes of SHA-1, little-endian. */
export function sha1Head(bytes: Uint8Array): bigint {
  return createHash('sha1').update(bytes).digest().readBigUInt64LE(0)
}
