// Where the kernel of n-gram models (kernels/wasm/ngram.ts) keeps a model, and the kernel itself. A model is one memory that
// all threads share:
//
//   page 0    the kernel's own
//   page 1    header: order, words, address and size of each table
//   page 2 …  slots, one a thread at work: state, text to score, scores of its words
//   then      vocabulary | 1-grams | middle orders | highest order, as KenLM's binary files have them

import { threadId } from 'node:worker_threads'
import { SluiceError } from '../core/errors.ts'
import { loadKernel } from '../core/kernels.ts'

const PAGE_BYTES = 65536
const HEADER = PAGE_BYTES
const SLOTS = 2 * PAGE_BYTES
const SLOT_BYTES = 1 << 18
/** More threads than any machine has that this runs on. */
const SLOT_COUNT = 256
const MODEL = SLOTS + SLOT_COUNT * SLOT_BYTES
/** Addresses are 32 bits, and one more than the last must still be one. */
const MAXIMUM_BYTES = 2 ** 32 - PAGE_BYTES
/** The kernel reads up to 8 bytes at once, and lines that are being read in lie behind the model. */
export const LINES_BYTES = 1 << 20

export const MAXIMUM_ORDER = 9
/** i32[SLOT_COUNT], 1 where a thread is at work in the slot. */
const HEADER_BUSY = 4096
const HEADER_TABLES = 64
const HEADER_POWERS = 512
export const SLOT_TOTAL_SCORE = 200
export const SLOT_TOKENS = 208
export const SLOT_UNKNOWN = 212
export const SLOT_END_SCORE = 216
export const SLOT_TEXT = 256
/** Of text that the kernel takes at once. */
export const TEXT_BYTES = 32768
export const SLOT_TOKEN_SCORES = SLOT_TEXT + TEXT_BYTES + 64

const VOCABULARY_ENTRY_BYTES = 12
const VOCABULARY_HEADER_BYTES = 8
const UNIGRAM_BYTES = 8

/** What is shared between threads. */
export interface NgramModel {
  readonly memory: WebAssembly.Memory
  readonly order: number
  /** The ARPA file's comment lines, without their "#". */
  readonly comments: readonly string[]
}

/** Sizes of a model's tables. */
export interface TableSizes {
  /** Different words, <unk> included. */
  readonly words: number
  readonly vocabularyBuckets: number
  /** Of orders 2, 3, … */
  readonly buckets: readonly number[]
}

export interface Tables {
  readonly memory: WebAssembly.Memory
  readonly vocabulary: number
  readonly unigrams: number
  /** Addresses of the orders 2, 3, … */
  readonly longer: readonly number[]
  readonly end: number
}

/** Bytes of an entry of order n, 2 or more. */
export function entryBytes(n: number, order: number): number {
  return n === order ? 12 : 16
}

/** An empty model of that size. @throws SluiceError `SLUICE_NGRAM_TOO_LARGE` */
export function allocateModel(sizes: TableSizes, file: string): Tables {
  const order = sizes.buckets.length + 1
  const vocabulary = MODEL
  const unigrams = vocabulary + VOCABULARY_HEADER_BYTES + sizes.vocabularyBuckets * VOCABULARY_ENTRY_BYTES
  let end = unigrams + (sizes.words + 1) * UNIGRAM_BYTES
  const longer = sizes.buckets.map((buckets, i) => {
    const address = end
    end += buckets * entryBytes(i + 2, order)
    return address
  })
  const bytes = end + LINES_BYTES + PAGE_BYTES
  if (bytes > MAXIMUM_BYTES)
    throw new SluiceError(
      'SLUICE_NGRAM_TOO_LARGE',
      `the model takes ${end - MODEL} bytes of memory, at most ${MAXIMUM_BYTES - MODEL} are possible`,
      {
        where: { file },
        fix: 'prune it (sluice ngram train --prune), or use one of a lower order',
      },
    )
  const pages = Math.ceil(bytes / PAGE_BYTES)
  const memory = new WebAssembly.Memory({ initial: pages, maximum: 65536, shared: true })
  const header = new DataView(memory.buffer, HEADER, PAGE_BYTES)
  header.setUint32(0, order, true)
  header.setUint32(8, vocabulary + VOCABULARY_HEADER_BYTES, true)
  header.setBigUint64(16, BigInt(sizes.vocabularyBuckets), true)
  header.setUint32(24, unigrams, true)
  for (const [i, address] of longer.entries()) {
    header.setUint32(HEADER_TABLES + 24 * i, address, true)
    header.setBigUint64(HEADER_TABLES + 24 * i + 8, BigInt(sizes.buckets[i]), true)
  }
  for (let power = 0; power <= 22; power++) header.setFloat64(HEADER_POWERS + 8 * power, Number(`1e${power}`), true)
  return { memory, vocabulary, unigrams, longer, end }
}

/** Buckets of a table in KenLM's files. */
export function kenlmBuckets(entries: number, multiplier: number): number {
  return Math.max(entries + 1, Math.floor(Math.fround(Math.fround(multiplier) * Math.fround(entries))))
}

/** Says how many words there are, and looks up the ends of a line. @returns false where the model lacks one of them */
export function finishVocabulary({ memory }: Pick<Tables, 'memory'>, kernel: NgramKernel, words: number): boolean {
  const header = new DataView(memory.buffer, HEADER, PAGE_BYTES)
  header.setUint32(4, words, true)
  const [begin, end] = ['<s>', '</s>'].map((word) => kernel.wordOf(word))
  header.setUint32(28, begin, true)
  header.setUint32(32, end, true)
  return begin !== 0 && end !== 0
}

export function setWords({ memory }: Pick<Tables, 'memory'>, words: number): void {
  new DataView(memory.buffer, HEADER, PAGE_BYTES).setUint32(4, words, true)
}

export function wordsOf({ memory }: Pick<Tables, 'memory'>): number {
  return new DataView(memory.buffer, HEADER, PAGE_BYTES).getUint32(4, true)
}

/**
 * Address of a place in the model's memory that is the calling thread's until it is released. Held during one synchronous
 * piece of work, not for a thread's life: nobody would notice that a thread has ended.
 */
export function takeSlot(memory: WebAssembly.Memory): number {
  const busy = new Int32Array(memory.buffer, HEADER + HEADER_BUSY, SLOT_COUNT)
  for (let i = 0; i < SLOT_COUNT; i++) {
    const slot = (threadId + i) % SLOT_COUNT
    if (Atomics.compareExchange(busy, slot, 0, 1) === 0) return SLOTS + slot * SLOT_BYTES
  }
  throw new SluiceError('SLUICE_NGRAM_THREADS', `more than ${SLOT_COUNT} threads use one model at once`, { fix: 'use fewer --threads' })
}

export function releaseSlot(memory: WebAssembly.Memory, slot: number): void {
  Atomics.store(new Int32Array(memory.buffer, HEADER + HEADER_BUSY, SLOT_COUNT), (slot - SLOTS) / SLOT_BYTES, 0)
}

// ---- the kernel ----

export interface NgramKernel {
  readonly begin: (slot: number) => void
  readonly endLine: (slot: number) => void
  /** Scores the first bytes of the slot's text. @returns words whose scores it kept */
  readonly score: (slot: number, bytes: number, keepsTokens: boolean) => number
  readonly addLines: (n: number, at: number, end: number, most: number) => number
  readonly problemOf: () => number
  readonly linesOf: () => number
  readonly addWord: (hash: bigint, word: number) => boolean
  readonly addNode: (n: number, word: number, probability: number, backoff: number) => boolean
  /** Number of a word, 0 where it is unknown. */
  readonly wordOf: (word: string) => number
}

let shared: WebAssembly.Module | undefined

/** The kernel on a model's memory, for the calling thread alone. */
export function instantiateNgram(memory: WebAssembly.Memory): NgramKernel {
  shared ??= loadKernel('ngram')
  const { exports } = new WebAssembly.Instance(shared, { env: { memory, abort: () => undefined } })
  const { begin, endLine, score, addLines, problemOf, linesOf, addWord, addNode, wordOf, setUnknown } = exports
  if (
    !(typeof begin === 'function' && typeof endLine === 'function' && typeof score === 'function') ||
    !(typeof addLines === 'function' && typeof problemOf === 'function' && typeof linesOf === 'function') ||
    !(typeof addWord === 'function' && typeof addNode === 'function' && typeof wordOf === 'function' && typeof setUnknown === 'function')
  )
    throw new SluiceError('SLUICE_KERNEL_MISSING', 'the WASM kernel ngram is of another version', { fix: 'run npm run build:kernels' })
  const withText = <T>(texts: readonly string[], work: (...places: number[]) => T): T => {
    const slot = takeSlot(memory)
    try {
      let at = slot + SLOT_TEXT
      const ends = texts.map((text) => (at += Buffer.from(memory.buffer, at, TEXT_BYTES / 2).write(text)))
      return work(slot + SLOT_TEXT, ...ends)
    } finally {
      releaseSlot(memory, slot)
    }
  }
  withText(['<unk>', '<UNK>'], (unknown, capital) => setUnknown(unknown, capital))
  return {
    begin: (slot) => begin(slot),
    endLine: (slot) => endLine(slot),
    score: (slot, bytes, keepsTokens) => score(slot, bytes, keepsTokens),
    addLines: (n, at, end, most) => addLines(n, at, end, most) >>> 0,
    problemOf: () => problemOf(),
    linesOf: () => linesOf(),
    addWord: (hash, word) => addWord(hash, word) !== 0,
    addNode: (n, word, probability, backoff) => addNode(n, word, probability, backoff) !== 0,
    wordOf: (word) => withText([word], (at, end) => wordOf(at, end - at) >>> 0),
  }
}
