// Which row of the input matrix stands for a bucket of n-grams. Pruned models keep a few rows of many buckets: a bitmap says
// which, and counting its bits finds the row. lid.176.ftz: 2,000,000 buckets in 0.5 MB, a tenth of a table's 8 MB.

import { type Allocate, allocatePlain } from './word-table.ts'

/** Rows by bucket, counted from the first row after the words. */
export interface BucketRows {
  readonly buckets: number
  /** u32[buckets / 32, 2]: which buckets have a row, and how many before these 32 do; null: each bucket is its own row */
  readonly bitmap: Uint32Array | null
  /** Rows in order of the buckets that have one. */
  readonly rows: Int32Array
}

/** Every bucket has its row. */
export function allBuckets(buckets: number): BucketRows {
  return { buckets, bitmap: null, rows: new Int32Array() }
}

/** @param pairs i32[n, 2]: a bucket below `buckets` and its row; the last one of a bucket counts */
export function someBuckets(buckets: number, pairs: Int32Array, allocate: Allocate = allocatePlain): BucketRows {
  const bitmapBytes = allocate(8 * Math.ceil(buckets / 32))
  const bitmap = new Uint32Array(bitmapBytes.buffer, bitmapBytes.byteOffset, bitmapBytes.length / 4)
  for (let i = 0; i < pairs.length; i += 2) bitmap[2 * (pairs[i] >>> 5)] |= 1 << (pairs[i] & 31)
  let before = 0
  for (let i = 0; i < bitmap.length; i += 2) {
    bitmap[i + 1] = before
    before += bitsIn(bitmap[i])
  }
  const rowBytes = allocate(4 * before)
  const rows = new Int32Array(rowBytes.buffer, rowBytes.byteOffset, before)
  for (let i = 0; i < pairs.length; i += 2) rows[rankOf(bitmap, pairs[i])] = pairs[i + 1]
  return { buckets, bitmap, rows }
}

/** i32[n, 2]: the buckets that have a row, in ascending order, with it. Null: all of them have, each its own. */
export function bucketPairs({ buckets, bitmap, rows }: BucketRows): Int32Array | null {
  if (bitmap === null) return null
  const pairs = new Int32Array(2 * rows.length)
  let rank = 0
  for (let bucket = 0; bucket < buckets; bucket++) {
    if (((bitmap[2 * (bucket >>> 5)] >>> (bucket & 31)) & 1) === 0) continue
    pairs[2 * rank] = bucket
    pairs[2 * rank + 1] = rows[rank++]
  }
  return pairs
}

/** The row of a bucket, or -1. */
export function rowOfBucket(index: BucketRows, bucket: number): number {
  const bitmap = index.bitmap
  if (bitmap === null) return bucket
  if (((bitmap[2 * (bucket >>> 5)] >>> (bucket & 31)) & 1) === 0) return -1
  return index.rows[rankOf(bitmap, bucket)]
}

function rankOf(bitmap: Uint32Array, bucket: number): number {
  const at = 2 * (bucket >>> 5)
  return bitmap[at + 1] + bitsIn(bitmap[at] & ((1 << (bucket & 31)) - 1))
}

/** Adds the bits of a word in pairs, fours, bytes, and the bytes by one multiplication. */
function bitsIn(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555)
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333)
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}
