// Safetensors files (github.com/huggingface/safetensors, format section of its README): the header's length as u64, a
// JSON header, then the tensors' bytes, little-endian. Written in one pass, read tensor by tensor.

import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { z } from 'zod'
import { SluiceError } from '../core/errors.ts'
import { readAt } from '../io/read-at.ts'

/** The format's own limit on the header. */
const MAX_HEADER_BYTES = 100_000_000

const dtypeBytes = { F64: 8, F32: 4, F16: 2, BF16: 2, I64: 8, I32: 4, I16: 2, I8: 1, U8: 1, BOOL: 1 }

const tensorEntry = z.strictObject({
  dtype: z.enum(['F64', 'F32', 'F16', 'BF16', 'I64', 'I32', 'I16', 'I8', 'U8', 'BOOL']),
  shape: z.array(z.int().min(0)),
  data_offsets: z.tuple([z.int().min(0), z.int().min(0)]),
})
export type TensorEntry = z.output<typeof tensorEntry>

const headerSchema = z.record(z.string(), z.unknown())
const metadataSchema = z.record(z.string(), z.string())

export interface TensorToWrite {
  readonly name: string
  readonly shape: readonly number[]
  /** Called once, when it is its turn: a model need not be in memory twice. */
  readonly values: () => Float32Array
}

/**
 * Writes f32 tensors in the order given, and makes them durable before it returns.
 *
 * @returns sha256 of the file, in hex
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<string> {
  const file = await open(path, 'wx')
  try {
    const hash = createHash('sha256')
    const write = async (bytes: Uint8Array) => {
      hash.update(bytes)
      await file.writeFile(bytes)
    }
    await write(encodeHeader(tensors, metadata))
    for (const { name, shape, values } of tensors) {
      const data = values()
      if (data.length !== elements(shape))
        throw new RangeError(`tensor ${name} has ${data.length} values, its shape ${shape} wants another number`)
      await write(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    }
    await file.sync()
    return hash.digest('hex')
  } finally {
    await file.close()
  }
}

function encodeHeader(tensors: readonly TensorToWrite[], metadata: Readonly<Record<string, string>>): Uint8Array {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt', ...metadata } }
  let end = 0
  for (const { name, shape } of tensors) {
    const start = end
    end += 4 * elements(shape)
    header[name] = { dtype: 'F32', shape, data_offsets: [start, end] }
  }
  const json = Buffer.from(JSON.stringify(header))
  const padded = Math.ceil(json.length / 8) * 8 // the data begins 8-byte aligned; the padding is spaces
  const bytes = Buffer.alloc(8 + padded, ' ')
  bytes.writeBigUInt64LE(BigInt(padded), 0)
  json.copy(bytes, 8)
  return bytes
}

const elements = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1)

/** An open safetensors file. Close it: `await using file = await SafetensorsFile.open(path)`. */
export class SafetensorsFile {
  readonly path: string
  readonly tensors: ReadonlyMap<string, TensorEntry>
  readonly metadata: Readonly<Record<string, string>>
  readonly #file: FileHandle
  readonly #dataStart: number

  private constructor(path: string, file: FileHandle, header: Header, dataStart: number) {
    this.path = path
    this.#file = file
    this.tensors = header.tensors
    this.metadata = header.metadata
    this.#dataStart = dataStart
  }

  /** @throws SluiceError `SLUICE_SAFETENSORS_DAMAGED` where the header does not describe the file's bytes exactly */
  static async open(path: string): Promise<SafetensorsFile> {
    const file = await open(path, 'r')
    try {
      const { size } = await file.stat()
      const prefix = await readExactly(path, file, 0, Math.min(8, size))
      const headerBytes = size < 8 ? -1 : Number(prefix.readBigUInt64LE(0))
      if (headerBytes < 2 || headerBytes > MAX_HEADER_BYTES || 8 + headerBytes > size)
        throw damaged(path, `the file has ${size} bytes and says that its header has ${headerBytes}`)
      const header = parseHeader(path, (await readExactly(path, file, 8, headerBytes)).toString('utf8'), size - 8 - headerBytes)
      return new SafetensorsFile(path, file, header, 8 + headerBytes)
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** The values as f32, converted where the file holds F16, BF16 or F64. */
  async read(name: string): Promise<Float32Array<ArrayBuffer>> {
    const entry = this.tensors.get(name)
    if (!entry)
      throw new SluiceError('SLUICE_SAFETENSORS_MISSING', `no tensor ${name} in the file`, {
        where: { file: this.path },
        fix: `it holds ${[...this.tensors.keys()].slice(0, 5).join(', ')}${this.tensors.size > 5 ? ', …' : ''}`,
      })
    const [start, end] = entry.data_offsets
    const bytes = await readExactly(this.path, this.#file, this.#dataStart + start, end - start)
    return toFloat32(this.path, name, entry.dtype, bytes)
  }

  async close(): Promise<void> {
    await this.#file.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

interface Header {
  readonly tensors: ReadonlyMap<string, TensorEntry>
  readonly metadata: Readonly<Record<string, string>>
}

function parseHeader(path: string, json: string, dataBytes: number): Header {
  let header: Record<string, unknown>
  try {
    header = headerSchema.parse(JSON.parse(json))
  } catch (cause) {
    throw damaged(path, 'its header is not a JSON object', cause)
  }
  const { __metadata__: rawMetadata = {}, ...entries } = header
  const metadata = metadataSchema.safeParse(rawMetadata)
  if (!metadata.success) throw damaged(path, '__metadata__ does not map strings to strings')
  const tensors = new Map<string, TensorEntry>()
  for (const [name, value] of Object.entries(entries)) {
    const entry = tensorEntry.safeParse(value)
    if (!entry.success) throw damaged(path, `tensor ${name}: ${z.prettifyError(entry.error)}`)
    tensors.set(name, entry.data)
  }
  checkLayout(path, tensors, dataBytes)
  return { tensors, metadata: metadata.data }
}

/** The format wants the data without holes, overlaps or bytes left over. */
function checkLayout(path: string, tensors: ReadonlyMap<string, TensorEntry>, dataBytes: number): void {
  let expected = 0
  for (const [name, { dtype, shape, data_offsets }] of [...tensors].sort(
    (a, b) => a[1].data_offsets[0] - b[1].data_offsets[0] || a[1].data_offsets[1] - b[1].data_offsets[1],
  )) {
    const [start, end] = data_offsets
    const bytes = elements(shape) * dtypeBytes[dtype]
    if (start !== expected) throw damaged(path, `tensor ${name} begins at byte ${start}, the one before it ends at ${expected}`)
    if (end - start !== bytes) throw damaged(path, `tensor ${name} spans ${end - start} bytes, its shape wants ${bytes}`)
    expected = end
  }
  if (expected !== dataBytes) throw damaged(path, `its tensors take ${expected} bytes, the file holds ${dataBytes}`)
}

async function readExactly(path: string, file: FileHandle, position: number, length: number): Promise<Buffer<ArrayBuffer>> {
  const bytes = await readAt(file, position, length)
  if (bytes.length === length) return bytes
  throw damaged(path, `it ends after ${position + bytes.length} bytes, ${length - bytes.length} more were expected`)
}

function toFloat32(path: string, name: string, dtype: TensorEntry['dtype'], bytes: Buffer<ArrayBuffer>): Float32Array<ArrayBuffer> {
  switch (dtype) {
    case 'F32':
      return new Float32Array(bytes.buffer)
    case 'F64':
      return Float32Array.from(new Float64Array(bytes.buffer))
    case 'F16':
      return Float32Array.from(new Float16Array(bytes.buffer))
    case 'BF16': {
      const bits = Uint32Array.from(new Uint16Array(bytes.buffer), (half) => half << 16)
      return new Float32Array(bits.buffer)
    }
    default:
      throw new SluiceError('SLUICE_SAFETENSORS_DTYPE', `tensor ${name} holds ${dtype}, not floating-point numbers`, {
        where: { file: path },
      })
  }
}

function damaged(path: string, problem: string, cause?: unknown): SluiceError {
  return new SluiceError('SLUICE_SAFETENSORS_DAMAGED', `not a whole safetensors file: ${problem}`, {
    where: { file: path },
    fix: 'fetch or write the file again',
    cause,
  })
}
