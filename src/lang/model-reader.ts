// A cursor over a model's file, little-endian, of any size: what it reads is in the file, or it says where it is not.

import { SluiceError } from '../core/errors.ts'
import { floatsOf } from './matrix.ts'
import { type Allocate, allocatePlain } from './word-table.ts'

export interface ModelSource {
  readonly file: string
  /** Bytes. */
  readonly length: number
  readonly readInto: (target: Uint8Array, position: number) => void
}

const WINDOW_BYTES = 1 << 18

/** It sees the file through a window. All it throws are SluiceErrors that say where. */
export class ModelReader {
  position = 0
  readonly #source: ModelSource
  #window = new Uint8Array(0)
  #windowStart = 0

  constructor(source: ModelSource) {
    this.#source = source
  }

  get length(): number {
    return this.#source.length
  }

  get file(): string {
    return this.#source.file
  }

  damaged(what: string): SluiceError {
    return this.#error('SLUICE_LANG_MODEL_DAMAGED', `the fastText model is damaged: ${what}`, 'fetch the file again')
  }

  unsupported(what: string): SluiceError {
    return this.#error('SLUICE_LANG_MODEL_UNSUPPORTED', `the fastText model is not usable here: ${what}`, 'use another model')
  }

  #error(code: string, message: string, fix: string): SluiceError {
    return new SluiceError(code, message, { where: { file: this.file, byte: this.position }, fix })
  }

  /** Where the next `size` bytes begin; steps over them. */
  skip(size: number): number {
    const start = this.position
    if (size > this.length - start)
      throw this.#error(
        'SLUICE_LANG_MODEL_TRUNCATED',
        `the fastText model is truncated: ${size} bytes should follow, the file has ${this.length - start}`,
        'fetch the file again',
      )
    this.position += size
    return start
  }

  /** A view of the next `size` bytes, good until the next call; steps over them. */
  #take(size: number): DataView {
    const start = this.skip(size)
    this.#see(start, size)
    return new DataView(this.#window.buffer, this.#window.byteOffset + start - this.#windowStart, size)
  }

  /** Moves the window, where it does not show all of that. */
  #see(start: number, size: number): void {
    if (start >= this.#windowStart && start + size <= this.#windowStart + this.#window.length) return
    this.#window = new Uint8Array(Math.min(Math.max(size, WINDOW_BYTES), this.length - start))
    this.#windowStart = start
    this.#source.readInto(this.#window, start)
  }

  byte(): number {
    return this.#take(1).getUint8(0)
  }

  flag(): boolean {
    return this.byte() !== 0
  }

  int32(): number {
    return this.#take(4).getInt32(0, true)
  }

  float64(): number {
    return this.#take(8).getFloat64(0, true)
  }

  /** Exact up to 2^53. */
  int64(): number {
    return Number(this.#take(8).getBigInt64(0, true))
  }

  /** Refuses what cannot be a number of things in this file. */
  count(value: number): number {
    if (value < 0 || value > 0x7fffffff) throw this.damaged(`${value} as a number of things`)
    return value
  }

  bytes(size: number, allocate: Allocate = allocatePlain): Uint8Array {
    const start = this.skip(size)
    const bytes = allocate(size)
    this.#source.readInto(bytes, start)
    return bytes
  }

  /** The bytes before the next zero, good until the next call. */
  word(): Uint8Array {
    const start = this.position
    for (let size = 64; ; size *= 4) {
      const seen = Math.min(size, this.length - start)
      this.#see(start, seen)
      const from = start - this.#windowStart
      const end = this.#window.indexOf(0, from)
      if (end >= 0) {
        this.skip(end - from + 1)
        return this.#window.subarray(from, end)
      }
      if (seen === this.length - start) this.skip(seen + 1)
    }
  }

  /** Steps over so many entries of the dictionary and gives the size of their words. */
  entryBytes(entries: number): number {
    let size = 0
    for (let i = 0; i < entries; i++) {
      size += this.word().length
      this.skip(9)
    }
    return size
  }

  int32s(size: number): Int32Array {
    return new Int32Array(this.bytes(4 * size).buffer)
  }

  float32s(size: number, allocate: Allocate): Float32Array {
    return floatsOf(this.bytes(4 * size, allocate))
  }
}
