// Byte-pair encoding of pieces: Sennrich et al. 2016, arxiv.org/abs/1508.07909, over bytes as in GPT-2. Merges are applied
// by priority, leftmost first. The plain reference of kernels/wasm/bpe.ts, and what encodes where that one cannot. Where
// pieces come from is pretokenize.ts's matter, where merges come from formats.ts's.

import { SluiceError } from '../core/errors.ts'
import type { PieceBuffer } from './pretokenize.ts'

export interface BpeModel {
  /** Bytes of token `id`: bytes[starts[id]] to bytes[starts[id + 1]], none where no ordinary token has that id. */
  readonly bytes: Uint8Array
  /** u32[ids + 1] */
  readonly starts: Uint32Array
  /** u32[3 × merges]: left id, right id, merged id, by priority. */
  readonly merges: Uint32Array
  /** A piece that is a token is taken as such, without merging: tiktoken's rule, `ignore_merges` of tokenizer.json. */
  readonly takesWholePieces: boolean
}

/** Pieces longer than this go through the heap: the scan for the least rank is quadratic. */
const LONGEST_SCANNED = 96
const CACHE_SLOTS = 1 << 15
/** A slot's key is one byte of length and up to 31 of the piece; its value one word of count and up to 7 ids. */
const CACHE_KEY_BYTES = 32
const CACHE_VALUE_WORDS = 8
export const NO_RANK = 0x7fffffff

export class BpeEncoder {
  readonly #merges: MergeTable
  readonly #vocabulary: ByteTable | undefined
  readonly #byteIds: Uint32Array
  readonly #cacheKeys = new Uint8Array(CACHE_SLOTS * CACHE_KEY_BYTES)
  readonly #cacheValues = new Uint32Array(CACHE_SLOTS * CACHE_VALUE_WORDS)
  readonly #symbols = new Int32Array(LONGEST_SCANNED + 1)
  readonly #ranks = new Int32Array(LONGEST_SCANNED + 1)
  /** Ids so far. */
  #out = new Uint32Array(1 << 10)
  #count = 0

  constructor(model: BpeModel) {
    this.#merges = MergeTable.of(model.merges)
    this.#vocabulary = model.takesWholePieces ? ByteTable.of(model) : undefined
    this.#byteIds = singleByteIds(model)
  }

  /** Appends the ids of the pieces; `take` gives them out. */
  encode(pieces: PieceBuffer): void {
    const { bytes, ends, count } = pieces
    let start = 0
    for (let i = 0; i < count; i++) {
      const end = ends[i]
      const length = end - start
      if (length < CACHE_KEY_BYTES) this.#encodeShort(bytes, start, length)
      else this.#encodeWhole(bytes, start, end)
      start = end
    }
  }

  /** The ids since the last call. */
  take(): Uint32Array {
    const ids = this.#out.slice(0, this.#count)
    this.#count = 0
    return ids
  }

  #grow(more: number): void {
    const grown = new Uint32Array(Math.max(2 * this.#out.length, this.#count + more))
    grown.set(this.#out.subarray(0, this.#count))
    this.#out = grown
  }

  /** A piece that fits the cache: direct-mapped, a newcomer takes the place. */
  #encodeShort(bytes: Uint8Array, start: number, length: number): void {
    const keys = this.#cacheKeys
    const values = this.#cacheValues
    let hash = length
    for (let i = start; i < start + length; i++) hash = Math.imul(hash ^ bytes[i], 0x9e3779b1)
    const slot = (hash ^ (hash >>> 15)) & (CACHE_SLOTS - 1)
    const key = slot * CACHE_KEY_BYTES
    const value = slot * CACHE_VALUE_WORDS
    let same = keys[key] === length
    for (let i = 0; same && i < length; i++) same = keys[key + 1 + i] === bytes[start + i]
    if (same) {
      const tokens = values[value]
      if (this.#count + tokens > this.#out.length) this.#grow(tokens)
      for (let i = 1; i <= tokens; i++) this.#out[this.#count++] = values[value + i]
      return
    }
    const from = this.#count
    this.#encodeWhole(bytes, start, start + length)
    const tokens = this.#count - from
    if (tokens >= CACHE_VALUE_WORDS) return
    keys[key] = length
    for (let i = 0; i < length; i++) keys[key + 1 + i] = bytes[start + i]
    values[value] = tokens
    for (let i = 0; i < tokens; i++) values[value + 1 + i] = this.#out[from + i]
  }

  #encodeWhole(bytes: Uint8Array, start: number, end: number): void {
    const id = this.#vocabulary?.find(bytes, start, end) ?? -1
    const length = end - start
    if (this.#count + length > this.#out.length) this.#grow(length)
    if (id >= 0) this.#out[this.#count++] = id
    else if (length <= LONGEST_SCANNED) this.#mergeByScan(bytes, start, length)
    else this.#mergeByHeap(bytes, start, length)
  }

  #byteId(byte: number): number {
    const id = this.#byteIds[byte]
    if (id === NO_RANK)
      throw new SluiceError('SLUICE_TOKENIZER_INCOMPLETE', `the tokenizer has no token for the byte 0x${byte.toString(16)}`, {
        fix: 'use a byte-level tokenizer that has all 256 bytes',
      })
    return id
  }

  /** Looks for the least rank again after each merge: fastest where the piece is short. */
  #mergeByScan(bytes: Uint8Array, start: number, length: number): void {
    const symbols = this.#symbols
    const ranks = this.#ranks
    for (let i = 0; i < length; i++) symbols[i] = this.#byteId(bytes[start + i])
    const out = this.#out
    const n = mergeByScan(this.#merges, symbols, ranks, length)
    for (let i = 0; i < n; i++) out[this.#count + i] = symbols[i]
    this.#count += n
  }

  #mergeByHeap(bytes: Uint8Array, start: number, length: number): void {
    const symbols = Int32Array.from({ length }, (_, i) => this.#byteId(bytes[start + i]))
    const n = mergeByHeap(this.#merges, symbols)
    this.#out.set(symbols.subarray(0, n), this.#count)
    this.#count += n
  }
}

/** Merges symbols that are not bytes. */
export class SymbolMerger {
  readonly #merges: MergeTable

  /** @param merges u32[3 × merges], as in a model */
  constructor(merges: Uint32Array) {
    this.#merges = MergeTable.of(merges)
  }

  /** What the symbols become: a part of the same array, written over. */
  merge(symbols: Int32Array): Int32Array {
    const { length } = symbols
    const n =
      length <= LONGEST_SCANNED
        ? mergeByScan(this.#merges, symbols, new Int32Array(length + 1), length)
        : mergeByHeap(this.#merges, symbols)
    return symbols.subarray(0, n)
  }
}

/** u32[256]: id of each single byte, NO_RANK where the vocabulary has none. */
export function singleByteIds({ bytes, starts }: BpeModel): Uint32Array {
  const ids = new Uint32Array(256).fill(NO_RANK)
  for (let id = 0; id + 1 < starts.length; id++) if (starts[id + 1] - starts[id] === 1) ids[bytes[starts[id]]] = id
  return ids
}

/** Merges symbols[0, length) in place and returns how many are left. `ranks` is scratch of the same length. */
function mergeByScan(merges: MergeTable, symbols: Int32Array, ranks: Int32Array, length: number): number {
  let n = length
  for (let i = 0; i + 1 < n; i++) ranks[i] = merges.rank(symbols[i], symbols[i + 1])
  while (n > 1) {
    let best = 0
    for (let i = 1; i + 1 < n; i++) if (ranks[i] < ranks[best]) best = i
    if (ranks[best] === NO_RANK) break
    symbols[best] = merges.merged(ranks[best])
    n--
    for (let i = best + 1; i < n; i++) {
      symbols[i] = symbols[i + 1]
      ranks[i] = ranks[i + 1]
    }
    if (best + 1 < n) ranks[best] = merges.rank(symbols[best], symbols[best + 1])
    if (best > 0) ranks[best - 1] = merges.rank(symbols[best - 1], symbols[best])
  }
  return n
}

/** Merges symbols in place and returns how many are left. Linked symbols and a heap of (rank, position): n log n. */
function mergeByHeap(merges: MergeTable, symbols: Int32Array): number {
  const { length } = symbols
  const ranks = new Int32Array(length).fill(NO_RANK)
  const next = Int32Array.from({ length }, (_, i) => i + 1) // length: none
  const previous = Int32Array.from({ length }, (_, i) => i - 1)
  const heap = new RankHeap(length)
  for (let i = 0; i + 1 < length; i++) {
    ranks[i] = merges.rank(symbols[i], symbols[i + 1])
    if (ranks[i] !== NO_RANK) heap.push(ranks[i], i)
  }
  while (heap.size > 0) {
    const { rank, position: i } = heap.pop()
    if (ranks[i] !== rank) continue // merged away or changed since
    const right = next[i]
    symbols[i] = merges.merged(rank)
    ranks[right] = NO_RANK
    const after = next[right]
    next[i] = after
    if (after < length) previous[after] = i
    ranks[i] = after < length ? merges.rank(symbols[i], symbols[after]) : NO_RANK
    if (ranks[i] !== NO_RANK) heap.push(ranks[i], i)
    const left = previous[i]
    if (left < 0) continue
    ranks[left] = merges.rank(symbols[left], symbols[i])
    if (ranks[left] !== NO_RANK) heap.push(ranks[left], left)
  }
  let n = 0
  for (let i = 0; i < length; i = next[i]) symbols[n++] = symbols[i]
  return n
}

/** From a pair of ids to the merge's rank: open addressing, at most half full. */
class MergeTable {
  /** i32[4 × slots]: left + 1, right, rank, unused. 0 marks the empty slot. */
  readonly #slots: Int32Array
  readonly #mask: number
  readonly #merged: Uint32Array
  #count = 0

  constructor(capacity: number) {
    const slots = powerOfTwo(2 * capacity)
    this.#slots = new Int32Array(4 * slots)
    this.#mask = slots - 1
    this.#merged = new Uint32Array(capacity)
  }

  static of(merges: Uint32Array): MergeTable {
    const table = new MergeTable(merges.length / 3)
    for (let i = 0; i < merges.length; i += 3) table.add(merges[i], merges[i + 1], merges[i + 2])
    return table
  }

  /** Adds a merge with the next rank. */
  add(left: number, right: number, merged: number): void {
    const slot = this.#find(left, right)
    this.#slots[slot] = left + 1
    this.#slots[slot + 1] = right
    this.#slots[slot + 2] = this.#count
    this.#merged[this.#count++] = merged
  }

  rank(left: number, right: number): number {
    const slot = this.#find(left, right)
    return this.#slots[slot] === 0 ? NO_RANK : this.#slots[slot + 2]
  }

  merged(rank: number): number {
    return this.#merged[rank]
  }

  #find(left: number, right: number): number {
    const slots = this.#slots
    const mask = this.#mask
    let hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)
    hash ^= hash >>> 15
    for (let i = hash & mask; ; i = (i + 1) & mask) {
      const slot = 4 * i
      const found = slots[slot]
      if (found === 0 || (found === left + 1 && slots[slot + 1] === right)) return slot
    }
  }
}

/** From the bytes of a token to its id. */
class ByteTable {
  readonly #bytes: Uint8Array
  readonly #starts: Uint32Array
  /** i32[slots]: id + 1, 0 where empty. */
  readonly #slots: Int32Array

  constructor(bytes: Uint8Array, starts: Uint32Array) {
    this.#bytes = bytes
    this.#starts = starts
    this.#slots = new Int32Array(powerOfTwo(2 * starts.length))
  }

  static of(model: BpeModel): ByteTable {
    const table = new ByteTable(model.bytes, model.starts)
    for (let id = 0; id + 1 < model.starts.length; id++) if (model.starts[id + 1] > model.starts[id]) table.#add(id)
    return table
  }

  #add(id: number): void {
    const mask = this.#slots.length - 1
    let i = hashBytes(this.#bytes, this.#starts[id], this.#starts[id + 1]) & mask
    while (this.#slots[i] !== 0) i = (i + 1) & mask
    this.#slots[i] = id + 1
  }

  /** −1 where there is none. */
  find(bytes: Uint8Array, start: number, end: number): number {
    const mask = this.#slots.length - 1
    for (let i = hashBytes(bytes, start, end) & mask; ; i = (i + 1) & mask) {
      const id = this.#slots[i] - 1
      if (id < 0 || this.#equals(id, bytes, start, end)) return id
    }
  }

  #equals(id: number, bytes: Uint8Array, start: number, end: number): boolean {
    const from = this.#starts[id]
    if (this.#starts[id + 1] - from !== end - start) return false
    for (let i = start; i < end; i++) if (bytes[i] !== this.#bytes[from + i - start]) return false
    return true
  }
}

/** Least (rank, position) first. Both fit one double: rank below 2^21, position below 2^32. */
class RankHeap {
  #keys: Float64Array
  size = 0

  constructor(capacity: number) {
    this.#keys = new Float64Array(capacity + 16)
  }

  push(rank: number, position: number): void {
    if (this.size === this.#keys.length) {
      const grown = new Float64Array(2 * this.size)
      grown.set(this.#keys)
      this.#keys = grown
    }
    const keys = this.#keys
    const key = rank * 0x100000000 + position
    let i = this.size++
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (keys[parent] <= key) break
      keys[i] = keys[parent]
      i = parent
    }
    keys[i] = key
  }

  pop(): { rank: number; position: number } {
    const keys = this.#keys
    const top = keys[0]
    const key = keys[--this.size]
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= this.size) break
      if (child + 1 < this.size && keys[child + 1] < keys[child]) child++
      if (keys[child] >= key) break
      keys[i] = keys[child]
      i = child
    }
    keys[i] = key
    const rank = Math.floor(top / 0x100000000)
    return { rank, position: top - rank * 0x100000000 }
  }
}

/**
 * The merges behind a list of ranks, where ids are ranks: each token of two bytes or more is what its own bytes become by
 * the merges of lower rank, and those are two. Tokens of which more are left cannot come from merging: they have none.
 */
export function mergesOfRanks(bytes: Uint8Array, starts: Uint32Array): Uint32Array {
  const tokens = starts.length - 1
  const byteIds = new Int32Array(256).fill(-1)
  const merges = new Uint32Array(3 * tokens)
  const table = new MergeTable(tokens)
  let longest = 0
  for (let id = 0; id < tokens; id++) longest = Math.max(longest, starts[id + 1] - starts[id])
  const symbols = new Int32Array(longest + 1)
  const ranks = new Int32Array(longest + 1)
  let count = 0
  for (let id = 0; id < tokens; id++) if (starts[id + 1] - starts[id] === 1) byteIds[bytes[starts[id]]] = id
  for (let id = 0; id < tokens; id++) {
    const length = starts[id + 1] - starts[id]
    if (length < 2) continue
    for (let i = 0; i < length; i++) symbols[i] = byteIds[bytes[starts[id] + i]]
    if (mergeByScan(table, symbols, ranks, length) !== 2 || symbols[0] < 0 || symbols[1] < 0) continue
    table.add(symbols[0], symbols[1], id)
    merges.set([symbols[0], symbols[1], id], 3 * count++)
  }
  return merges.slice(0, 3 * count)
}

function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = end - start
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i], 0x9e3779b1)
  return hash ^ (hash >>> 15)
}

/** The least power of two that is not below. */
export function powerOfTwo(least: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(16, least)))
}
