// The memory that a model, its kernel (kernels/wasm/fasttext.ts) and their threads share, and where in it things lie: a
// header, then whatever is allocated, never freed. 32-bit addresses: 4 GiB at most.

import { SluiceError } from '../core/errors.ts'
import { loadKernel } from '../core/kernels.ts'
import type { FastTextModel } from './fasttext-model.ts'
import { huffmanChildren, sigmoidTable } from './label-scores.ts'
import type { DenseMatrix } from './matrix.ts'
import { END_OF_LINE, END_OF_LINE_HASH } from './tokens.ts'
import type { Allocate } from './word-table.ts'

const PAGE_BYTES = 65536
const MAXIMUM_PAGES = 65536
export const MOST_MEMORY_BYTES = PAGE_BYTES * MAXIMUM_PAGES - 2 * PAGE_BYTES

/** Addresses of the header, as the kernel has them. */
const MODEL = 1024
const TRAINING = 1280
const END_WORD = 1312
/** The header's own: where the memory is free. */
const FREE = 1320
const FIRST_FREE = PAGE_BYTES

/** Given back. The garbage collector takes large memories for small objects and comes too late: ten trainings were 4 GB. */
const spare: WebAssembly.Memory[] = []

export function createModelMemory(): WebAssembly.Memory {
  const used = spare.pop()
  if (used !== undefined) return used
  const memory = new WebAssembly.Memory({ initial: 2, maximum: MAXIMUM_PAGES, shared: true })
  new Uint32Array(memory.buffer)[FREE / 4] = FIRST_FREE
  return memory
}

/** For the next model: nothing may use it any more. */
export function releaseModelMemory(memory: WebAssembly.Memory): void {
  const header = new Uint32Array(memory.buffer, 0, FIRST_FREE / 4)
  new Uint8Array(memory.buffer).fill(0, FIRST_FREE, Math.min(header[FREE / 4], memory.buffer.byteLength))
  header[FREE / 4] = FIRST_FREE
  spare.push(memory)
}

/** Gives zeroed stretches of a shared memory, aligned to 16 bytes; any thread may ask. */
export function allocateShared(memory: WebAssembly.Memory): Allocate {
  return (bytes) => {
    const size = Math.ceil((bytes + 16) / 16) * 16 // the kernel reads a little behind ends
    const free = new Uint32Array(memory.buffer)
    const isTooLarge = () => Atomics.load(free, FREE / 4) + size > MOST_MEMORY_BYTES
    if (isTooLarge()) throw tooLarge(bytes)
    const at = Atomics.add(free, FREE / 4, size)
    const missing = at + size - memory.buffer.byteLength
    if (missing > 0) grow(memory, Math.ceil(missing / PAGE_BYTES), bytes)
    return new Uint8Array(memory.buffer, at, bytes)
  }
}

function grow(memory: WebAssembly.Memory, pages: number, bytes: number): void {
  try {
    memory.grow(pages)
  } catch (cause) {
    throw tooLarge(bytes, cause)
  }
}

function tooLarge(bytes: number, cause?: unknown): SluiceError {
  return new SluiceError('SLUICE_LANG_MODEL_MEMORY', `the model does not fit the 4 GiB that it can have: ${bytes} more bytes are needed`, {
    fix: 'lower bucket or dim, or raise minCount',
    cause,
  })
}

// ---- the kernel ----

let shared: WebAssembly.Module | undefined

/** An instance for this thread. */
export function instantiateFastText(memory: WebAssembly.Memory) {
  shared ??= loadKernel('fasttext')
  const { exports } = new WebAssembly.Instance(shared, { env: { memory, abort: () => undefined } })
  const { readLine, averageLine, trainLines, fillUniform, addCharacterNgrams } = exports
  if (
    !(typeof readLine === 'function' && typeof averageLine === 'function' && typeof trainLines === 'function') ||
    !(typeof fillUniform === 'function' && typeof addCharacterNgrams === 'function')
  )
    throw new SluiceError('SLUICE_KERNEL_MISSING', 'the WASM kernel fasttext is of another version', { fix: 'run npm run build:kernels' })
  return {
    /** Rows, labels and tokens of the line at an address, into a scratch; gives the address of the next line. */
    readLine: (scratch: number, at: number, end: number): number => readLine(scratch, at, end) >>> 0,
    averageLine: (scratch: number): void => averageLine(scratch),
    /** False: training is over. */
    trainLines: (scratch: number, at: number, end: number): boolean => trainLines(scratch, at, end) !== 0,
    fillUniform: (at: number, count: number, limit: number, seed: number): void => fillUniform(at, count, limit, seed),
    addCharacterNgrams: (rows: number, start: number, end: number): number => addCharacterNgrams(rows, start, end) >>> 0,
  }
}

// ---- what the kernel knows of the model ----

/** Anything that the memory holds. */
export type InMemory = Pick<FastTextModel, 'settings' | 'dictionary' | 'wordCount' | 'labels' | 'counts' | 'ngramRows'> & {
  readonly input: DenseMatrix
  readonly output: DenseMatrix
}

const LOSS_CODES = { hs: 1, ns: 2, softmax: 3, ova: 4 } as const
const NEGATIVE_TABLE = 10_000_000
const LOGARITHM_STEPS = 512

/** Writes the header, and beside the model what the kernel looks up. Once a model; all threads use it. */
export function describeModel(memory: WebAssembly.Memory, model: InMemory, prefix = '__label__'): void {
  const allocate = allocateShared(memory)
  const { settings, dictionary, wordCount, labels, counts, ngramRows, input, output } = model
  const { slots, ends, bytes } = dictionary.storage
  const labelCounts = counts.subarray(wordCount)
  const tree = settings.loss === 'hs' ? huffmanPaths(labelCounts) : { starts: [], steps: [] }
  const prefixBytes = Buffer.from(prefix)
  const words = [
    settings.dim,
    settings.wordNgrams,
    settings.minn,
    settings.maxn,
    settings.bucket,
    wordCount,
    labels.length,
    slots.byteOffset,
    slots.length - 1,
    ends.byteOffset,
    bytes.byteOffset,
    ngramRows.bitmap?.byteOffset ?? 0,
    ngramRows.rows.byteOffset,
    input.data.byteOffset,
    output.data.byteOffset,
    LOSS_CODES[settings.loss],
    settings.neg,
    place(allocate, settings.loss === 'ns' ? negativeEnds(labelCounts) : []),
    place(allocate, tree.starts),
    place(allocate, tree.steps),
    placeFloats(allocate, sigmoidTable()),
    placeFloats(allocate, logarithmTable()),
    placeBytes(allocate, prefixBytes),
    prefixBytes.length,
  ]
  new Uint32Array(memory.buffer, MODEL, words.length).set(words)
  const endWord = dictionary.find(END_OF_LINE, 0, END_OF_LINE.length, END_OF_LINE_HASH)
  new Int32Array(memory.buffer)[END_WORD / 4] = endWord
  if (settings.maxn > 0) new Uint32Array(memory.buffer, MODEL + 4 * words.length, 2).set(placeWordRows(memory, model, endWord))
}

const place = (allocate: Allocate, values: readonly number[]) => placeBytes(allocate, new Uint8Array(Uint32Array.from(values).buffer))
const placeFloats = (allocate: Allocate, values: Float32Array) => placeBytes(allocate, new Uint8Array(values.buffer))

function placeBytes(allocate: Allocate, values: Uint8Array): number {
  const bytes = allocate(values.length)
  bytes.set(values)
  return bytes.byteOffset
}

/** Each label's share of a table of ten million, by the root of its count, in floats as the reference counts it. */
function negativeEnds(labelCounts: Float64Array): number[] {
  const roots = Array.from(labelCounts, Math.sqrt)
  const all = roots.reduce((sum, root) => Math.fround(sum + root), 0)
  let end = 0
  return roots.map((root) => {
    end += Math.ceil(Math.fround(Math.fround(Math.fround(root) * NEGATIVE_TABLE) / all))
    return end
  })
}

/** The way of each label from its leaf to the root of the Huffman tree. */
function huffmanPaths(labelCounts: Float64Array): { starts: number[]; steps: number[] } {
  const leaves = labelCounts.length
  const children = huffmanChildren(labelCounts)
  const parents = new Int32Array(2 * leaves - 1).fill(-1)
  for (let i = 0; i < children.length; i++) parents[children[i]] = i
  const starts = [0]
  const steps: number[] = []
  for (let leaf = 0; leaf < leaves; leaf++) {
    // An index into the children is twice the inner node's number, plus one on the right side.
    for (let at = parents[leaf]; at >= 0; at = parents[leaves + (at >> 1)]) steps.push(at)
    starts.push(steps.length)
  }
  return { starts, steps }
}

/** ln of the middle of each of 512 steps, nearly: for the loss that is shown. */
function logarithmTable(): Float32Array {
  return Float32Array.from({ length: LOGARITHM_STEPS + 1 }, (_, i) => Math.log(Math.fround((i + 1e-5) / LOGARITHM_STEPS)))
}

/** The rows of every known word: its own, then its n-grams of characters. Counted first, then written. */
function placeWordRows(memory: WebAssembly.Memory, { dictionary, wordCount, settings }: InMemory, endWord: number): [number, number] {
  const allocate = allocateShared(memory)
  const { addCharacterNgrams } = instantiateFastText(memory)
  const span = settings.maxn - Math.max(1, settings.minn) + 1
  const longest = Array.from({ length: wordCount }, (_, word) => dictionary.wordAt(word).length).reduce((a, b) => Math.max(a, b), 0)
  const word = allocate(longest + 2)
  const scratch = allocate(4 * span * (longest + 2)).byteOffset
  const addNgrams = (id: number, rows: number) => {
    const bytes = dictionary.wordAt(id)
    word.set(bytes, 1)
    return id === endWord ? rows : addCharacterNgrams(rows, word.byteOffset + 1, word.byteOffset + 1 + bytes.length)
  }
  const startBytes = allocate(4 * (wordCount + 1))
  const starts = new Uint32Array(startBytes.buffer, startBytes.byteOffset, wordCount + 1)
  for (let id = 0; id < wordCount; id++) starts[id + 1] = starts[id] + 1 + (addNgrams(id, scratch) - scratch) / 4
  const rowBytes = allocate(4 * starts[wordCount])
  const rows = new Uint32Array(rowBytes.buffer, rowBytes.byteOffset, starts[wordCount])
  for (let id = 0; id < wordCount; id++) {
    rows[starts[id]] = id
    addNgrams(id, rows.byteOffset + 4 * (starts[id] + 1))
  }
  return [starts.byteOffset, rows.byteOffset]
}

// ---- a thread's scratch ----

const SCRATCH_WORDS = 16
/** Words of a scratch. */
const RANDOM = 0
const DIVERGED = 6
const LINE_ROWS = 7
const LINE_LABELS = 8
const ADDRESSES = 10

export interface LineBounds {
  readonly rows: number
  readonly tokens: number
}

/** Buffers for one line at a time, up to these bounds. */
export interface Scratch {
  readonly address: number
  /** Of the line read last. */
  readonly rowCount: () => number
  readonly labels: () => Uint32Array
  /** f32[dim] */
  readonly hidden: Float32Array
}

export function createScratch(memory: WebAssembly.Memory, model: Pick<InMemory, 'settings' | 'labels'>, bounds: LineBounds): Scratch {
  const { rows, tokens } = bounds
  const { dim } = model.settings
  const allocate = allocateShared(memory)
  const { byteOffset: address } = allocate(4 * SCRATCH_WORDS)
  const parts = [rows, tokens, tokens, dim, dim, model.labels.length].map((count) => allocate(4 * count).byteOffset)
  const words = new Uint32Array(memory.buffer, address, SCRATCH_WORDS)
  words.set(parts, ADDRESSES)
  const [, , targets, hidden] = parts
  return {
    address,
    rowCount: () => words[LINE_ROWS],
    labels: () => new Uint32Array(memory.buffer, targets, words[LINE_LABELS]),
    hidden: new Float32Array(memory.buffer, hidden, dim),
  }
}

/** minstd_rand's first state from a seed. */
export function seedScratch(memory: WebAssembly.Memory, address: number, seed: number): void {
  new Uint32Array(memory.buffer, address, SCRATCH_WORDS)[RANDOM] = seed % 0x7fffffff || 1
}

/** What a thread has done so far. */
export function readScratch(memory: WebAssembly.Memory, address: number) {
  const sums = new Float64Array(memory.buffer, address, SCRATCH_WORDS / 2)
  return { loss: sums[1], examples: sums[2], hasDiverged: new Uint32Array(memory.buffer, address, SCRATCH_WORDS)[DIVERGED] !== 0 }
}

// ---- the course of a training ----

export interface Course {
  readonly lr: number
  readonly allTokens: number
  readonly lrUpdateRate: number
}

export function setCourse(memory: WebAssembly.Memory, { lr, allTokens, lrUpdateRate }: Course): void {
  const view = new DataView(memory.buffer, TRAINING, 32)
  view.setFloat64(0, lr, true)
  view.setFloat32(8, allTokens, true)
  view.setUint32(12, lrUpdateRate, true)
  view.setBigInt64(16, 0n, true)
  view.setInt32(24, 0, true)
}

export function doneTokens(memory: WebAssembly.Memory): number {
  return Number(Atomics.load(new BigInt64Array(memory.buffer, TRAINING + 16, 1), 0))
}

export function stopTraining(memory: WebAssembly.Memory): void {
  Atomics.store(new Int32Array(memory.buffer, TRAINING + 24, 1), 0, 1)
}
