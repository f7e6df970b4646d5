// The encoding kernel (kernels/wasm/bpe.ts) as TypeScript calls it: one instance a tokenizer, with its tables in memory.
// What the kernel leaves, pieces of more than 96 bytes, goes to the plain encoder of bpe.ts.

import { SluiceError } from '../core/errors.ts'
import { loadKernel } from '../core/kernels.ts'
import { BpeEncoder, type BpeModel, NO_RANK, powerOfTwo, singleByteIds } from './bpe.ts'
import { characterClasses, type PatternName, PieceBuffer, patternNames } from './pretokenize.ts'

const PAGE_BYTES = 65536
const CACHE_SLOTS = 1 << 17
const CACHE_SLOT_BYTES = 64
/** The kernel reads and writes a little behind the ends. */
const SLACK_BYTES = 64
/** In UTF-16 units. A text takes up to 15 bytes of the kernel’s memory per unit, which never shrinks: longer ones go the plain way. */
export const LONGEST_KERNEL_TEXT = 1 << 24

const encoder = new TextEncoder()
let shared: WebAssembly.Module | undefined

/** Bytes that occur in UTF-8 must all have an id, since the kernel has no way to say that one has none. */
export function fitsKernel(model: BpeModel): boolean {
  return singleByteIds(model).every((id, byte) => id !== NO_RANK || byte === 0xc0 || byte === 0xc1 || byte >= 0xf5)
}

export class KernelEncoder {
  readonly #kernel: ReturnType<typeof instantiate>
  readonly #pattern: number
  readonly #model: BpeModel
  /** Made when the first long piece comes. */
  #plain: BpeEncoder | undefined
  readonly #textAt: number
  #textBytes = 0
  /** The text's region, as encodeInto writes it. */
  #text = new Uint8Array(0)

  constructor(model: BpeModel, pattern: PatternName) {
    this.#model = model
    this.#kernel = instantiate()
    this.#pattern = patternNames.indexOf(pattern)
    this.#textAt = this.#writeTables(model)
  }

  /** Ids of a text of at most LONGEST_KERNEL_TEXT units. */
  encode(text: string): Uint32Array {
    this.#makeRoom(3 * text.length)
    const { written } = encoder.encodeInto(text, this.#text)
    this.#text[written] = 0xff
    const { encode, stoppedAt, memory } = this.#kernel
    const end = this.#textAt + written
    const outAt = this.#textAt + this.#textBytes
    let at = this.#textAt
    let out = outAt
    for (;;) {
      out = encode(this.#pattern, at, end, out)
      at = stoppedAt.value
      if (at === end) return new Uint32Array(memory.buffer, outAt, (out - outAt) / 4).slice()
      const pieceEnd: number = this.#kernel.pieceEnd.value
      const ids = this.#encodeLong(this.#text.subarray(at - this.#textAt, pieceEnd - this.#textAt))
      new Uint32Array(memory.buffer, out, ids.length).set(ids)
      out += 4 * ids.length
      at = pieceEnd
    }
  }

  #encodeLong(bytes: Uint8Array): Uint32Array {
    this.#plain ??= new BpeEncoder(this.#model)
    const pieces = new PieceBuffer()
    pieces.bytes = Uint8Array.from(bytes)
    pieces.endPiece(bytes.length)
    this.#plain.encode(pieces)
    return this.#plain.take()
  }

  /** Text, then ids: no text has more of them than bytes. */
  #makeRoom(bytes: number): void {
    if (bytes + SLACK_BYTES <= this.#textBytes) return
    this.#textBytes = align(Math.max(2 * this.#textBytes, bytes + SLACK_BYTES, PAGE_BYTES))
    grow(this.#kernel.memory, this.#textAt + 5 * this.#textBytes + SLACK_BYTES)
    this.#text = new Uint8Array(this.#kernel.memory.buffer, this.#textAt, this.#textBytes)
  }

  /** Writes the model into the kernel's memory and returns where it is free. */
  #writeTables(model: BpeModel): number {
    const { memory, place, addTokens, addMerges, tables } = this.#kernel
    const tokens = model.starts.length - 1
    const merges = model.merges.length / 3
    const vocabularySlots = powerOfTwo(2 * tokens)
    const mergeSlots = powerOfTwo(2 * merges)
    let free: number = tables
    const reserve = (bytes: number) => {
      const at = free
      free = align(free + bytes)
      return at
    }
    const classes = reserve(characterClasses.length)
    const bytes = reserve(model.bytes.length)
    const starts = reserve(4 * model.starts.length)
    const vocabulary = reserve(4 * vocabularySlots)
    const mergeTable = reserve(16 * mergeSlots)
    const merged = reserve(4 * merges)
    const cache = reserve(CACHE_SLOTS * CACHE_SLOT_BYTES)
    const byteIds = reserve(4 * 256)
    // The triples are needed while the table is made only: text will lie over them.
    const triples = free
    grow(memory, triples + 4 * model.merges.length)
    new Uint8Array(memory.buffer).set(characterClasses, classes)
    new Uint8Array(memory.buffer).set(model.bytes, bytes)
    new Uint32Array(memory.buffer).set(model.starts, starts / 4)
    new Uint32Array(memory.buffer).set(singleByteIds(model), byteIds / 4)
    new Uint32Array(memory.buffer).set(model.merges, triples / 4)
    place(classes, bytes, starts, vocabulary, vocabularySlots, mergeTable, mergeSlots, merged, cache, CACHE_SLOTS, byteIds)
    if (model.takesWholePieces) addTokens(tokens)
    addMerges(triples, merges)
    return free
  }
}

function align(bytes: number): number {
  return Math.ceil(bytes / 64) * 64
}

function grow(memory: WebAssembly.Memory, bytes: number): void {
  const missing = bytes - memory.buffer.byteLength
  if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES))
}

function instantiate() {
  shared ??= loadKernel('bpe')
  const { exports } = new WebAssembly.Instance(shared, { env: { abort: () => undefined } })
  const { memory, place, addTokens, addMerges, encode, stoppedAt, pieceEnd, TABLES } = exports
  if (
    !(memory instanceof WebAssembly.Memory && TABLES instanceof WebAssembly.Global) ||
    !(stoppedAt instanceof WebAssembly.Global && pieceEnd instanceof WebAssembly.Global) ||
    !(typeof place === 'function' && typeof addTokens === 'function' && typeof addMerges === 'function' && typeof encode === 'function')
  )
    throw new SluiceError('SLUICE_KERNEL_MISSING', 'the WASM kernel bpe is of another version', { fix: 'run npm run build:kernels' })
  return { memory, place, addTokens, addMerges, encode, stoppedAt, pieceEnd, tables: TABLES.value }
}
