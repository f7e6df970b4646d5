// The footer of a Parquet file: Thrift structs in compact protocol, read and written without knowing their fields, so that
// row groups that were written one at a time can be listed in one footer with their places moved.
// Formats: apache/thrift doc/specs/thrift-compact-protocol.md, apache/parquet-format parquet.thrift.

const MAGIC = 'PAR1'
const TRUE = 1
const FALSE = 2
const BYTE = 3
const I64 = 6
const DOUBLE = 7
const BINARY = 8
const LIST = 9
const SET = 10
const STRUCT = 12

/** By field id. */
export type ThriftStruct = Map<number, ThriftValue>
export type ThriftValue =
  | { type: typeof TRUE | typeof FALSE }
  | { type: typeof BYTE; value: number }
  | { type: 4 | 5 | typeof I64; value: bigint }
  | { type: typeof DOUBLE | typeof BINARY; value: Uint8Array }
  | { type: typeof LIST | typeof SET; element: number; value: ThriftValue[] }
  | { type: typeof STRUCT; value: ThriftStruct }

// parquet.thrift: ids of the fields that are moved, summed or left out.
const fileMetaData = { numRows: 3, rowGroups: 4, keyValues: 5 }
const rowGroup = { columns: 1, numRows: 3, fileOffset: 5, ordinal: 7 }
const columnChunk = { fileOffset: 2, metaData: 3, offsetIndex: [4, 5], columnIndex: [6, 7] }
const columnMetaData = { totalCompressedSize: 7, dataPage: 9, indexPage: 10, dictionaryPage: 11, bloomFilter: [14, 15] }

/** A whole one-row-group file in memory, taken apart: the bytes of its columns, and its footer. */
export interface RowGroupPart {
  readonly bytes: Uint8Array
  /** Where the bytes began in the file that they come from. */
  readonly start: number
  readonly footer: ThriftStruct
}

/** @param file a Parquet file with at most one row group; borrowed */
export function takeApart(file: Uint8Array): RowGroupPart {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const footerStart = file.length - 8 - view.getUint32(file.length - 8, true)
  const footer = new ThriftReader(file, footerStart).struct()
  const chunks = structs(footer, fileMetaData.rowGroups).flatMap((group) => structs(group, rowGroup.columns))
  let end = 4
  for (const chunk of chunks) {
    const meta = struct(chunk, columnChunk.metaData)
    const first = meta.has(columnMetaData.dictionaryPage)
      ? integer(meta, columnMetaData.dictionaryPage)
      : integer(meta, columnMetaData.dataPage)
    end = Math.max(end, first + integer(meta, columnMetaData.totalCompressedSize))
  }
  return { bytes: file.subarray(4, end), start: 4, footer }
}

/**
 * One footer over row groups of the same schema.
 *
 * @param parts in file order, `at` is where their bytes now begin
 * @param metadata joins the keys and values that the parts have themselves
 * @returns footer, its length and the magic: the end of the file
 */
export function joinFooters(
  parts: readonly { readonly footer: ThriftStruct; readonly start: number; readonly at: number }[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const footer: ThriftStruct = new Map(parts[0].footer)
  const groups = parts.flatMap((part) => structs(part.footer, fileMetaData.rowGroups).map((group) => moved(group, part.at - part.start)))
  groups.forEach((group, ordinal) => {
    if (group.has(rowGroup.ordinal)) group.set(rowGroup.ordinal, { type: 4, value: BigInt(ordinal) })
  })
  const rows = groups.reduce((sum, group) => sum + integer(group, rowGroup.numRows), 0)
  footer.set(fileMetaData.numRows, { type: I64, value: BigInt(rows) })
  footer.set(fileMetaData.rowGroups, listOf(groups))
  const own = Object.entries(metadata).map(
    ([key, value]): ThriftStruct =>
      new Map([
        [1, { type: BINARY, value: Buffer.from(key) }],
        [2, { type: BINARY, value: Buffer.from(value) }],
      ]),
  )
  footer.set(fileMetaData.keyValues, listOf([...structs(footer, fileMetaData.keyValues), ...own]))
  const bytes = writeStruct(footer)
  const tail = Buffer.alloc(8, MAGIC)
  tail.writeUInt32LE(bytes.length)
  tail.write(MAGIC, 4)
  return Buffer.concat([bytes, tail])
}

export const parquetMagic: Uint8Array = Buffer.from(MAGIC)

/** Page indexes and Bloom filters lie outside the columns' bytes and are left out: both are optional. */
function moved(group: ThriftStruct, by: number): ThriftStruct {
  const out: ThriftStruct = new Map(group)
  shift(out, rowGroup.fileOffset, by)
  out.set(rowGroup.columns, listOf(structs(group, rowGroup.columns).map((chunk) => movedChunk(chunk, by))))
  return out
}

function movedChunk(chunk: ThriftStruct, by: number): ThriftStruct {
  const out: ThriftStruct = new Map(chunk)
  for (const field of [...columnChunk.offsetIndex, ...columnChunk.columnIndex]) out.delete(field)
  const meta: ThriftStruct = new Map(struct(chunk, columnChunk.metaData))
  for (const field of columnMetaData.bloomFilter) meta.delete(field)
  for (const field of [columnMetaData.dataPage, columnMetaData.indexPage, columnMetaData.dictionaryPage]) shift(meta, field, by)
  out.set(columnChunk.metaData, { type: STRUCT, value: meta })
  // Deprecated, and written as 0 by newer writers: it is moved only where it was used.
  if (integer(out, columnChunk.fileOffset) !== 0) shift(out, columnChunk.fileOffset, by)
  return out
}

// ---- access ----

function shift(fields: ThriftStruct, id: number, by: number): void {
  const field = fields.get(id)
  if (field && 'value' in field && typeof field.value === 'bigint') fields.set(id, { type: I64, value: field.value + BigInt(by) })
}

function integer(fields: ThriftStruct, id: number): number {
  const field = fields.get(id)
  return field && 'value' in field && typeof field.value === 'bigint' ? Number(field.value) : 0
}

function struct(fields: ThriftStruct, id: number): ThriftStruct {
  const field = fields.get(id)
  return field?.type === STRUCT ? field.value : new Map()
}

function structs(fields: ThriftStruct, id: number): ThriftStruct[] {
  const field = fields.get(id)
  return field?.type === LIST ? field.value.flatMap((element) => (element.type === STRUCT ? [element.value] : [])) : []
}

function listOf(items: readonly ThriftStruct[]): ThriftValue {
  return { type: LIST, element: STRUCT, value: items.map((value) => ({ type: STRUCT, value })) }
}

// ---- compact protocol ----

class ThriftReader {
  readonly #bytes: Uint8Array
  #at: number
  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes
    this.#at = at
  }

  struct(): ThriftStruct {
    const fields: ThriftStruct = new Map()
    for (let id = 0; ; ) {
      const head = this.#bytes[this.#at++]
      if (!head) return fields
      id = head >> 4 ? id + (head >> 4) : Number(this.#zigzag())
      fields.set(id, this.#value(head & 15))
    }
  }

  #value(type: number): ThriftValue {
    switch (type) {
      case TRUE:
      case FALSE:
        return { type }
      case BYTE:
        return { type, value: this.#bytes[this.#at++] }
      case 4:
      case 5:
      case I64:
        return { type, value: this.#zigzag() }
      case DOUBLE:
        return { type, value: this.#take(8) }
      case BINARY:
        return { type, value: this.#take(Number(this.#varint())) }
      case LIST:
      case SET:
        return this.#list(type)
      case STRUCT:
        return { type, value: this.struct() }
      default:
        throw new RangeError(`Thrift type ${type} at byte ${this.#at}`)
    }
  }

  #list(type: typeof LIST | typeof SET): ThriftValue {
    const head = this.#bytes[this.#at++]
    const length = head >> 4 === 15 ? Number(this.#varint()) : head >> 4
    const element = head & 15
    // In a list a boolean takes a byte of its own.
    const next = (): ThriftValue => (element > FALSE ? this.#value(element) : { type: this.#bytes[this.#at++] === TRUE ? TRUE : FALSE })
    return { type, element, value: Array.from({ length }, next) }
  }

  #take(length: number): Uint8Array {
    const out = this.#bytes.slice(this.#at, this.#at + length)
    this.#at += length
    return out
  }

  #varint(): bigint {
    let value = 0n
    for (let shiftBits = 0n; ; shiftBits += 7n) {
      const byte = this.#bytes[this.#at++]
      value |= BigInt(byte & 127) << shiftBits
      if (byte < 128) return value
    }
  }

  #zigzag(): bigint {
    const value = this.#varint()
    return (value >> 1n) ^ -(value & 1n)
  }
}

function writeStruct(fields: ThriftStruct): Uint8Array {
  const out: number[] = []
  structInto(fields, out)
  return Uint8Array.from(out)
}

function structInto(fields: ThriftStruct, out: number[]): void {
  let last = 0
  for (const [id, field] of [...fields].sort(([a], [b]) => a - b)) {
    const delta = id - last
    if (delta <= 15) out.push((delta << 4) | field.type)
    else {
      out.push(field.type)
      zigzagInto(BigInt(id), out)
    }
    if (field.type > FALSE) valueInto(field, out)
    last = id
  }
  out.push(0)
}

function valueInto(field: ThriftValue, out: number[]): void {
  switch (field.type) {
    case TRUE:
    case FALSE:
    case BYTE:
      out.push(field.type === BYTE ? field.value : field.type)
      break
    case DOUBLE:
      out.push(...field.value)
      break
    case BINARY:
      varintInto(BigInt(field.value.length), out)
      for (const byte of field.value) out.push(byte)
      break
    case LIST:
    case SET:
      out.push((Math.min(field.value.length, 15) << 4) | field.element)
      if (field.value.length >= 15) varintInto(BigInt(field.value.length), out)
      for (const element of field.value) valueInto(element, out)
      break
    case STRUCT:
      structInto(field.value, out)
      break
    default:
      zigzagInto(field.value, out)
  }
}

function varintInto(value: bigint, out: number[]): void {
  let rest = value
  for (; rest > 127n; rest >>= 7n) out.push(Number(rest & 127n) | 128)
  out.push(Number(rest))
}

function zigzagInto(value: bigint, out: number[]): void {
  varintInto(BigInt.asUintN(64, (value << 1n) ^ (value >> 63n)), out)
}
