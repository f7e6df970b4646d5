// GGUF files, version 2 and 3 (github.com/ggml-org/ggml, docs/gguf.md): metadata by name, then tensors, most of them packed into
// blocks of few bits a value (gguf-blocks.ts). Read only. What the metadata say of a model is src/model/hf/read-gguf.ts's matter.

import { type FileHandle, open } from 'node:fs/promises'
import { SluiceError } from '../core/errors.ts'
import { diskError } from '../io/disk-errors.ts'
import { readAt } from '../io/read-at.ts'
import { elements } from '../tensor/shape.ts'
import { type BlockFormat, blockFormats } from './gguf-blocks.ts'

const MAGIC = 0x46554747 // "GGUF"
const FIRST_READ_BYTES = 2 ** 20
const DEFAULT_ALIGNMENT = 32

export type GgufValue = number | boolean | string | readonly (number | boolean | string)[]

export interface GgufTensor {
  /** Slowest first, as everywhere here; files say them the other way round. */
  readonly shape: readonly number[]
  readonly format: number
  /** From the start of the file. */
  readonly at: number
}

interface Head {
  readonly metadata: ReadonlyMap<string, GgufValue>
  readonly tensors: ReadonlyMap<string, GgufTensor>
}

/** An open GGUF file. Close it: `await using file = await GgufFile.open(path)`. */
export class GgufFile {
  readonly path: string
  readonly metadata: ReadonlyMap<string, GgufValue>
  readonly tensors: ReadonlyMap<string, GgufTensor>
  readonly #file: FileHandle

  private constructor(path: string, file: FileHandle, { metadata, tensors }: Head) {
    this.path = path
    this.metadata = metadata
    this.tensors = tensors
    this.#file = file
  }

  /** @throws SluiceError `SLUICE_GGUF_DAMAGED` where the file is none, or its head is not whole; `SLUICE_FILE_MISSING` */
  static async open(path: string): Promise<GgufFile> {
    const file = await open(path, 'r').catch((error: unknown) => {
      throw diskError(error, path)
    })
    try {
      return new GgufFile(path, file, await readHead(path, file))
    } catch (error) {
      await file.close()
      throw diskError(error, path)
    }
  }

  /**
   * The values as f32.
   *
   * @throws SluiceError `SLUICE_GGUF_FORMAT` where their packing is not known, `SLUICE_GGUF_DAMAGED` where the file ends before
   */
  async read(name: string): Promise<Float32Array<ArrayBuffer>> {
    const tensor = this.tensors.get(name)
    if (!tensor) throw damaged(this.path, `there is no tensor ${name}`)
    const format = blockFormats.get(tensor.format)
    if (!format)
      throw new SluiceError('SLUICE_GGUF_FORMAT', `tensor ${name} is packed in a way that is not known here, number ${tensor.format}`, {
        where: { file: this.path },
        fix: `give a file with tensors of ${[...blockFormats.values()].map((known) => known.name).join(', ')}`,
      })
    const values = new Float32Array(elements(tensor.shape))
    const blocks = values.length / format.values
    if (!Number.isInteger(blocks)) throw damaged(this.path, `tensor ${name} is no whole number of blocks`)
    const bytes = await readAt(this.#file, tensor.at, blocks * format.bytes)
    if (bytes.length < blocks * format.bytes) throw damaged(this.path, `it ends within tensor ${name}`)
    unpack(format, bytes, values)
    return values
  }

  async close(): Promise<void> {
    await this.#file.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

function unpack(format: BlockFormat, bytes: Buffer, values: Float32Array): void {
  const view = (at: number, length: number) => new DataView(bytes.buffer, bytes.byteOffset + at, length)
  const { values: count, bytes: size } = format
  if (count === 1) {
    format.unpack(view(0, bytes.length), values)
    return
  }
  for (let block = 0; block * count < values.length; block++)
    format.unpack(view(block * size, size), values.subarray(block * count, (block + 1) * count))
}

/** How long a head is nobody says: more is read until it is whole. */
async function readHead(path: string, file: FileHandle): Promise<Head> {
  for (let wanted = FIRST_READ_BYTES; ; wanted *= 2) {
    const bytes = await readAt(file, 0, wanted)
    try {
      return parseHead(path, new Cursor(bytes))
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      if (bytes.length < wanted) throw damaged(path, 'it ends within its head')
    }
  }
}

function parseHead(path: string, cursor: Cursor): Head {
  if (cursor.u32() !== MAGIC) throw damaged(path, 'it does not begin with GGUF')
  const version = cursor.u32()
  if (version !== 2 && version !== 3) throw damaged(path, `its version is ${version}, not 2 or 3`)
  const tensorCount = cursor.u64()
  const entryCount = cursor.u64()
  const metadata = new Map<string, GgufValue>()
  for (let i = 0; i < entryCount; i++) {
    const key = cursor.text()
    metadata.set(key, readValue(path, cursor))
  }
  const tensors = new Map<string, GgufTensor>()
  for (let i = 0; i < tensorCount; i++) {
    const name = cursor.text()
    const dimensions = cursor.u32()
    if (dimensions > 8) throw damaged(path, `tensor ${name} has ${dimensions} dimensions`)
    const shape = Array.from({ length: dimensions }, () => cursor.u64()).reverse()
    tensors.set(name, { shape, format: cursor.u32(), at: cursor.u64() })
  }
  const alignment = metadata.get('general.alignment') ?? DEFAULT_ALIGNMENT
  if (typeof alignment !== 'number' || alignment < 1) throw damaged(path, `its alignment is ${alignment}`)
  const dataStart = Math.ceil(cursor.at / alignment) * alignment
  return { metadata, tensors: new Map([...tensors].map(([name, tensor]) => [name, { ...tensor, at: dataStart + tensor.at }])) }
}

const ARRAY = 9

function readValue(path: string, cursor: Cursor): GgufValue {
  const type = cursor.u32()
  if (type !== ARRAY) return readScalar(path, cursor, type)
  const itemType = cursor.u32()
  const count = cursor.u64()
  const items: (number | boolean | string)[] = []
  for (let i = 0; i < count; i++) items.push(readScalar(path, cursor, itemType))
  return items
}

function readScalar(path: string, cursor: Cursor, type: number): number | boolean | string {
  switch (type) {
    case 0:
      return cursor.u8()
    case 1:
      return (cursor.u8() << 24) >> 24
    case 2:
      return cursor.u16()
    case 3:
      return (cursor.u16() << 16) >> 16
    case 4:
      return cursor.u32()
    case 5:
      return cursor.u32() | 0
    case 6:
      return cursor.f32()
    case 7:
      return cursor.u8() !== 0
    case 8:
      return cursor.text()
    case 10:
      return cursor.u64()
    case 11:
      return cursor.i64()
    case 12:
      return cursor.f64()
    default:
      throw damaged(path, `a value has type ${type}`)
  }
}

/** Little-endian values one after another; a RangeError where the bytes end. */
class Cursor {
  at = 0
  readonly #bytes: Buffer
  readonly #view: DataView

  constructor(bytes: Buffer) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  u8(): number {
    return this.#view.getUint8(this.#next(1))
  }

  u16(): number {
    return this.#view.getUint16(this.#next(2), true)
  }

  u32(): number {
    return this.#view.getUint32(this.#next(4), true)
  }

  u64(): number {
    return Number(this.#view.getBigUint64(this.#next(8), true))
  }

  i64(): number {
    return Number(this.#view.getBigInt64(this.#next(8), true))
  }

  f32(): number {
    return this.#view.getFloat32(this.#next(4), true)
  }

  f64(): number {
    return this.#view.getFloat64(this.#next(8), true)
  }

  text(): string {
    const length = this.u64()
    const at = this.#next(length)
    if (at + length > this.#bytes.length) throw new RangeError('a text goes on behind the end')
    return this.#bytes.toString('utf8', at, at + length)
  }

  #next(bytes: number): number {
    const { at } = this
    this.at += bytes
    return at
  }
}

function damaged(file: string, problem: string): SluiceError {
  return new SluiceError('SLUICE_GGUF_DAMAGED', `not a whole GGUF file: ${problem}`, { where: { file }, fix: 'fetch the file again' })
}
