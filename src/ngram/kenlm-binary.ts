// KenLM's binary files, version 5, of all its data structures. A probing model is the kernel's own layout and is read as it
// is. A trie (plain, quantized, with array-compressed pointers) is walked and put into hash tables: larger, but asked faster.

import { type FileHandle, open } from 'node:fs/promises'
import { SluiceError } from '../core/errors.ts'
import { diskError } from '../io/disk-errors.ts'
import {
  allocateModel,
  finishVocabulary,
  instantiateNgram,
  kenlmBuckets,
  MAXIMUM_ORDER,
  type NgramKernel,
  type NgramModel,
  setWords,
  type Tables,
} from './memory.ts'

const MAGIC = 'mmap lm http://kheafield.com/code'
const VERSION_LINE = `${MAGIC} format version 5\n`
/** Magic, then numbers that say whether the writer's machine had the same floats and byte order. */
const SANITY_BYTES = 88
const FIXED_BYTES = 20
const READ_BYTES = 1 << 24

const kinds = ['probing', 'rest-probing', 'trie', 'quantized trie', 'array trie', 'quantized array trie'] as const

interface Header {
  readonly multiplier: number
  readonly kind: number
  readonly counts: readonly number[]
  readonly bytes: number
}

export function isKenlmBinary(head: Buffer): boolean {
  return head.toString('latin1', 0, MAGIC.length) === MAGIC
}

/** @throws SluiceError `SLUICE_NGRAM_BINARY`, `SLUICE_NGRAM_TOO_LARGE` */
export async function readKenlmBinary(path: string): Promise<NgramModel> {
  const file = await open(path).catch((error: unknown) => {
    throw diskError(error, path)
  })
  try {
    const header = await readHeader(file, path)
    if (header.kind === 0) return await readProbing(file, header, path)
    if (header.kind >= 2) return await readTrie(file, header, path)
    throw wrong(path, 'KenLM models with rest costs cannot be read')
  } finally {
    await file.close()
  }
}

async function readHeader(file: FileHandle, path: string): Promise<Header> {
  const head = await readAt(file, 0, SANITY_BYTES + FIXED_BYTES, path)
  if (head.toString('latin1', 0, VERSION_LINE.length) !== VERSION_LINE)
    throw wrong(path, 'the file is no KenLM binary of version 5, or it was not written to its end')
  const sane = [
    head.readFloatLE(56),
    head.readFloatLE(60),
    head.readFloatLE(64),
    head.readUInt32LE(68),
    head.readUInt32LE(72),
    Number(head.readBigUInt64LE(80)),
  ]
  if (sane.join() !== [0, 1, -0.5, 1, 0xffffffff, 1].join()) throw wrong(path, 'the file was written on a machine of another byte order')
  const order = head[SANITY_BYTES]
  const kind = head.readUInt32LE(SANITY_BYTES + 8)
  if (order < 2 || order > MAXIMUM_ORDER || kind >= kinds.length)
    throw wrong(path, `a model of order ${order} and kind ${kind} cannot be read`)
  const counts = await readAt(file, SANITY_BYTES + FIXED_BYTES, 8 * order, path)
  return {
    multiplier: head.readFloatLE(SANITY_BYTES + 4),
    kind,
    counts: Array.from({ length: order }, (_, i) => Number(counts.readBigUInt64LE(8 * i))),
    bytes: Math.ceil((SANITY_BYTES + FIXED_BYTES + 8 * order) / 8) * 8,
  }
}

// ---- probing ----

async function readProbing(file: FileHandle, { counts, multiplier, bytes }: Header, path: string): Promise<NgramModel> {
  const [words, ...longer] = counts
  const vocabularyBuckets = kenlmBuckets(words, multiplier)
  const buckets = longer.map((count) => kenlmBuckets(count, multiplier))
  const tables = allocateModel({ words, vocabularyBuckets, buckets }, path)
  await readInto(file, bytes, new Uint8Array(tables.memory.buffer, tables.vocabulary, tables.end - tables.vocabulary), path)
  const bound = new DataView(tables.memory.buffer, tables.vocabulary, 8).getUint32(4, true)
  if (bound > words + 1) throw wrong(path, `the file says that it has ${words} words, and ${bound} of them`)
  return finished(tables, instantiateNgram(tables.memory), bound, counts.length, path)
}

function finished(tables: Tables, kernel: NgramKernel, words: number, order: number, path: string): NgramModel {
  if (!finishVocabulary(tables, kernel, words)) throw wrong(path, 'the model has no <s> or no </s>')
  return { memory: tables.memory, order, comments: [] }
}

// ---- tries ----

/** n-grams of one order in a trie: bit fields one after another. */
interface Level {
  /** First bit of the fields, counted in the buffer. */
  readonly bit: number
  readonly totalBits: number
  readonly count: number
  /** Weights of the entry whose field begins at a bit. */
  readonly weights: (bit: number) => readonly [probability: number, backoff: number]
  /** Where the children of an entry begin; absent in the highest order. */
  readonly firstChild?: (index: number) => number
}

const TRIE_UNIGRAM_BYTES = 16

async function readTrie(file: FileHandle, header: Header, path: string): Promise<NgramModel> {
  const { counts, bytes } = header
  const [words, ...longer] = counts
  const { size } = await file.stat()
  const vocabularyBytes = 8 + 8 * words
  const data = Buffer.alloc(size - bytes)
  await readInto(file, bytes, data, path)
  if (data.length < vocabularyBytes) throw wrong(path, 'the file is cut short')
  const known = Number(data.readBigUInt64LE(0))
  if (known >= words + 1) throw wrong(path, `the file says that it has ${words} words, and ${known} of them`)
  const buckets = (entries: number) => Math.ceil(entries * 1.5) + 2
  const tables = allocateModel({ words, vocabularyBuckets: buckets(words), buckets: longer.map(buckets) }, path)
  const kernel = instantiateNgram(tables.memory)
  setWords(tables, known + 1)
  for (let i = 0; i < known; i++) if (!kernel.addWord(data.readBigUInt64LE(8 + 8 * i), i + 1)) throw wrong(path, 'a word is there twice')
  const { unigrams, levels } = trieLevels(data, header, vocabularyBytes, path)
  const walk = (depth: number, from: number, to: number): void => {
    const { bit, totalBits, count, weights, firstChild } = levels[depth]
    if (!(from <= to && to <= count)) throw wrong(path, `${depth + 2}-grams are not where they should be`)
    const wordBits = requiredBits(words)
    for (let i = from; i < to; i++) {
      const at = bit + i * totalBits
      const [probability, backoff] = weights(at + wordBits)
      const first = firstChild?.(i) ?? 0
      const end = firstChild?.(i + 1) ?? 0
      if (!kernel.addNode(depth + 2, readBits(data, at, wordBits), extending(probability, end > first), backoff))
        throw wrong(path, `there are more than ${count} ${depth + 2}-grams`)
      if (end > first) walk(depth + 1, first, end)
    }
  }
  for (let word = 0; word <= known; word++) {
    const at = unigrams + word * TRIE_UNIGRAM_BYTES
    const first = Number(data.readBigUInt64LE(at + 8))
    const end = Number(data.readBigUInt64LE(at + TRIE_UNIGRAM_BYTES + 8))
    kernel.addNode(1, word, extending(data.readUInt32LE(at), end > first), data.readUInt32LE(at + 4))
    if (end > first) walk(0, first, end)
  }
  return finished(tables, kernel, known + 1, counts.length, path)
}

/** A probability's bits, with the sign clear where a longer n-gram ends with this one. */
function extending(bits: number, extends_: boolean): number {
  return extends_ ? bits & 0x7fffffff : bits | 0x80000000
}

function trieLevels(data: Buffer, { kind, counts }: Header, start: number, path: string): { unigrams: number; levels: Level[] } {
  const isQuantized = kind === 3 || kind === 5
  const isArray = kind >= 4
  const order = counts.length
  const quantized = isQuantized ? quantizedWeights(data, start, order, path) : undefined
  const unigrams = start + (quantized?.bytes ?? 0)
  let at = unigrams + (counts[0] + 2) * TRIE_UNIGRAM_BYTES
  const arrayBits = isArray && order > 2 ? data[at + 1] : 0
  const wordBits = requiredBits(counts[0])
  const levels: Level[] = []
  for (let n = 2; n <= order; n++) {
    const count = counts[n - 1]
    const weights = quantized?.weights[n - 2] ?? (n === order ? plainLongest(data) : plainMiddle(data))
    const weightBits = n === order ? (quantized?.probabilityBits ?? 31) : quantized ? quantized.probabilityBits + quantized.backoffBits : 63
    if (n === order) {
      levels.push({ bit: 8 * at, totalBits: wordBits + weightBits, count, weights })
      if (data.length < at + levelBytes(count, wordBits + weightBits)) throw wrong(path, 'the file is cut short')
      break
    }
    const next = counts[n]
    const chopped = isArray ? choppedBits(count + 1, next, arrayBits) : 0
    const inlineBits = requiredBits(next) - chopped
    const totalBits = wordBits + weightBits + inlineBits
    const offsets = isArray ? Math.floor(next / 2 ** inlineBits) + 1 : 0
    const table = (Math.ceil(at / 8) + 1) * 8
    if (isArray) at += 8 * (1 + offsets) + 7
    const bit = 8 * at
    const inline = (index: number) => readBits(data, bit + index * totalBits + wordBits + weightBits, inlineBits)
    const firstChild = isArray ? (index: number) => lastAtMost(data, table, offsets, index) * 2 ** inlineBits + inline(index) : inline
    levels.push({ bit, totalBits, count, weights, firstChild })
    at += levelBytes(count, totalBits)
  }
  return { unigrams, levels }
}

/** One entry more than there are, and room to read 8 bytes at once. */
function levelBytes(count: number, totalBits: number): number {
  return Math.floor(((1 + count) * totalBits + 7) / 8) + 8
}

function plainMiddle(data: Buffer): Level['weights'] {
  return (bit) => [readBits(data, bit, 31), readBits(data, bit + 31, 32)]
}

function plainLongest(data: Buffer): Level['weights'] {
  return (bit) => [readBits(data, bit, 31), 0]
}

/** Weights by ordinal in tables of centres; the backoff's ordinal comes first. */
function quantizedWeights(data: Buffer, start: number, order: number, path: string) {
  const [version, probabilityBits, backoffBits] = data.subarray(start, start + 3)
  if (version !== 2) throw wrong(path, `quantization of version ${version} cannot be read`)
  const weights: Level['weights'][] = []
  let at = start + 8
  for (let n = 2; n < order; n++) {
    const probabilities = at
    const backoffs = at + 4 * 2 ** probabilityBits
    at = backoffs + 4 * 2 ** backoffBits
    weights.push((bit) => [
      data.readUInt32LE(probabilities + 4 * readBits(data, bit + backoffBits, probabilityBits)),
      data.readUInt32LE(backoffs + 4 * readBits(data, bit, backoffBits)),
    ])
  }
  const longest = at
  weights.push((bit) => [data.readUInt32LE(longest + 4 * readBits(data, bit, probabilityBits)), 0])
  return { weights, probabilityBits, backoffBits, bytes: longest + 4 * 2 ** probabilityBits - start }
}

/** How many of a pointer's high bits lie in an array: as many as make the whole smallest. */
function choppedBits(entries: number, next: number, most: number): number {
  const required = requiredBits(next)
  let best = 0
  let least = Number.POSITIVE_INFINITY
  for (let chop = 0; chop <= Math.min(required, most); chop++) {
    const change = Math.floor(next / 2 ** (required - chop)) * 64 - entries * chop
    if (change < least) {
      least = change
      best = chop
    }
  }
  return best
}

/** Ordinal of the last of the ascending u64 that is at most `value`. */
function lastAtMost(data: Buffer, at: number, count: number, value: number): number {
  let low = 0
  let high = count
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (Number(data.readBigUInt64LE(at + 8 * middle)) <= value) low = middle
    else high = middle
  }
  return low
}

/** Bits that hold 0 to `most`. */
function requiredBits(most: number): number {
  return most === 0 ? 0 : Math.floor(Math.log2(most)) + 1
}

/** At most 53 bits from a bit on, the lowest first. */
function readBits(data: Buffer, bit: number, bits: number): number {
  let value = 0
  let at = Math.floor(bit / 8)
  let shift = bit % 8
  for (let taken = 0; taken < bits; at++, shift = 0) {
    const wanted = Math.min(8 - shift, bits - taken)
    value += ((data[at] >> shift) & (2 ** wanted - 1)) * 2 ** taken
    taken += wanted
  }
  return value
}

// ---- bytes ----

async function readAt(file: FileHandle, position: number, length: number, path: string): Promise<Buffer> {
  const bytes = Buffer.alloc(length)
  await readInto(file, position, bytes, path)
  return bytes
}

async function readInto(file: FileHandle, position: number, target: Uint8Array, path: string): Promise<void> {
  const buffer = Buffer.alloc(Math.min(READ_BYTES, target.length)) // the system does not read into shared memory
  for (let done = 0; done < target.length; ) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, target.length - done), position + done)
    if (bytesRead === 0) throw wrong(path, 'the file is cut short')
    target.set(buffer.subarray(0, bytesRead), done)
    done += bytesRead
  }
}

function wrong(path: string, message: string): SluiceError {
  return new SluiceError('SLUICE_NGRAM_BINARY', message, {
    where: { file: path },
    fix: 'make it again with KenLM’s build_binary, or give the ARPA file',
  })
}
