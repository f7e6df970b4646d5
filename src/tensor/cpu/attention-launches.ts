// Attention of all kinds as launches: of a sequence to itself, to another one, and to a cache.

import type { OpRecord } from '../graph.ts'
import { elements, rowCount, rowLength } from '../shape.ts'
import { adds, bits, blocksOf, COLUMNS_PER_BLOCK, type Launch, type Where } from './launch.ts'

/** Where attention finds queries, keys and values, and in rows of what length. */
interface Heads {
  readonly q: number
  readonly k: number
  readonly v: number
  readonly queryStride: number
  readonly keyStride: number
  readonly rows: number
  readonly keyLength: number
}

export function selfHeads({ reads: { qkv }, attributes: { heads, kvHeads, headSize, length } }: OpRecord, at: Where): Heads {
  const stride = (heads + 2 * kvHeads) * headSize
  const k = at(qkv) + heads * headSize
  const strides = { queryStride: stride, keyStride: stride }
  return { q: at(qkv), k, v: k + kvHeads * headSize, ...strides, rows: rowCount(qkv.shape) / length, keyLength: length }
}

export function crossHeads({ reads: { q, kv }, attributes: { heads, kvHeads, headSize, length, keyLength } }: OpRecord, at: Where): Heads {
  const width = kvHeads * headSize
  const strides = { queryStride: heads * headSize, keyStride: 2 * width }
  return { q: at(q), k: at(kv), v: at(kv) + width, ...strides, rows: rowCount(q.shape) / length, keyLength }
}

/** A single query a row has a kernel that packs nothing. */
export function attention(
  { q, k, v, queryStride, keyStride, rows, keyLength }: Heads,
  { reads: { lo, hi, bias, position }, writes: { y, lse }, attributes }: OpRecord,
  at: Where,
): Launch[] {
  const { length, heads, kvHeads, headSize, scale, window, softcap } = attributes
  const isRow = length === 1
  const inputs = [q, k, v, queryStride, keyStride, at(lo), at(hi), at(bias), at(position)]
  const shape = [length, keyLength, heads, kvHeads, headSize, bits(scale), window, bits(softcap), bias ? rowLength(bias.shape) : 0]
  return [
    {
      kernel: isRow ? 'attentionRow' : 'attention',
      blocks: rows * (isRow ? kvHeads : heads),
      words: [...inputs, at(y), at(lse), ...shape],
    },
  ]
}

export function attentionBackward(from: Heads, to: { dq: number; dk: number }, record: OpRecord, at: Where): Launch[] {
  const { lo, hi, bias, y, lse, dy } = record.reads
  const { dbias } = record.writes
  const { parts } = record.scratch
  const { length, heads, kvHeads, headSize, scale, window, softcap } = record.attributes
  if (record.adds.some((name) => name !== 'dbias')) throw new RangeError(`${record.kernel} overwrites the gradients of queries and keys`)
  const { q, k, queryStride, keyStride, rows, keyLength } = from
  const inputs = [q, k, to.dq, to.dk, queryStride, keyStride, at(lo), at(hi), at(bias), at(y), at(lse), at(dy), dbias ? at(parts) : 0]
  const shape = [length, keyLength, heads, kvHeads, headSize, bits(scale), window, bits(softcap)]
  const launch: Launch = { kernel: 'attentionBackward', blocks: rows * kvHeads, words: [...inputs, ...shape] }
  if (!dbias) return [launch]
  const columns = elements(dbias.shape)
  const words = [at(parts), rows, columns, at(dbias), adds(record, 'dbias'), COLUMNS_PER_BLOCK]
  return [launch, { kernel: 'sumRows', blocks: blocksOf(columns, COLUMNS_PER_BLOCK), words }]
}

export function attentionCached(record: OpRecord, at: Where): Launch[] {
  const { keys, values, position } = record.reads
  const { kvHeads, headSize, length } = record.attributes
  const rows = elements(position.shape)
  const keyLength = rowCount(keys.shape) / rows
  const width = kvHeads * headSize
  const { q, k, queryStride } = selfHeads(record, at)
  const join = [k, queryStride, at(keys), at(values), at(position), length, keyLength, width]
  const cached = { q, k: at(keys), v: at(values), queryStride, keyStride: width, rows, keyLength }
  return [{ kernel: 'joinCache', blocks: rows, words: join }, ...attention(cached, record, at)]
}
