// The footer of a Parquet file: Thrift structs in compact protocol, read and written without knowing their fields, so that
// row groups that were written one at a time can be listed in one footer with their places moved.
// Formats: apache/thrift doc/specs/thrift-compact-protocol.md, apache/parquet-format parquet.thrift.

export const parquetMagic: Uint8Array = Buffer.from('PAR1')
const TAIL_BYTES = 8

const TRUE = 1
const FALSE = 2
const BYTE = 3
const I16 = 4
const I32 = 5
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
  | { type: typeof I16 | typeof I32 | typeof I64; value: bigint }
  | { type: typeof DOUBLE | typeof BINARY; value: Uint8Array }
  | { type: typeof LIST | typeof SET; element: number; value: ThriftValue[] }
  | { type: typeof STRUCT; value: ThriftStruct }

// parquet.thrift: ids of the fields that are read, moved, summed or left out.
const fileMetaData = { schema: 2, numRows: 3, rowGroups: 4, keyValues: 5, columnOrders: 7 }
const schemaElement = { type: 1, repetition: 3, name: 4, children: 5, convertedType: 6, logicalType: 10 }
const keyValue = { key: 1, value: 2 }
const rowGroup = { columns: 1, numRows: 3, sorting: 4, fileOffset: 5, ordinal: 7 }
const columnChunk = { fileOffset: 2, metaData: 3, offsetIndex: [4, 5], columnIndex: [6, 7] }
const columnMetaData = {
  encodings: 2,
  path: 3,
  codec: 4,
  values: 5,
  totalCompressedSize: 7,
  dataPage: 9,
  indexPage: 10,
  dictionaryPage: 11,
  statistics: 12,
  bloomFilter: [14, 15],
}
const statistics = { max: 5, min: 6 }
const pageHeader = { type: 1, bytes: 2, storedBytes: 3, data: 5, dictionary: 7, data2: 8 }
const dataPage = { values: 1, encoding: 2, levelEncoding: 3 }
const dataPage2 = { values: 1, encoding: 4, levelBytes: 5, isCompressed: 7 }
/** Numbers of parquet.thrift's enums. */
const BYTE_ARRAY = 6
const OPTIONAL = 1
const REPEATED = 2
const STRING = 1

export interface ParquetFacts {
  readonly rows: number
  /** By row group, in file order; bytes are compressed. */
  readonly rowGroups: readonly { readonly rows: number; readonly bytes: number }[]
  /** Keys and values of the footer. */
  readonly metadata: Readonly<Record<string, string>>
}

/**
 * @param footer from the Thrift struct to the end of the file
 * @throws RangeError where it is no such struct
 */
export function parseFooter(footer: Uint8Array): ThriftStruct {
  return new ThriftReader(footer, 0).struct()
}

export function factsOf(footer: ThriftStruct): ParquetFacts {
  const rowGroups = structs(footer, fileMetaData.rowGroups).map((group) => ({
    rows: integer(group, rowGroup.numRows),
    bytes: structs(group, rowGroup.columns).reduce((sum, chunk) => sum + chunkLength(chunk), 0),
  }))
  const pairs = structs(footer, fileMetaData.keyValues).map((pair) => [text(pair, keyValue.key), text(pair, keyValue.value)])
  return { rows: integer(footer, fileMetaData.numRows), rowGroups, metadata: Object.fromEntries(pairs) }
}

/** The top-level columns with their subtrees in the list of schema elements, which is in depth-first order. */
function schemaColumns(footer: ThriftStruct): { root: ThriftStruct | undefined; columns: { name: string; elements: ThriftStruct[] }[] } {
  const [root, ...elements] = structs(footer, fileMetaData.schema)
  const columns = []
  for (let at = 0; at < elements.length; ) {
    const start = at
    for (let open = 1; open > 0 && at < elements.length; at++) open += integer(elements[at], schemaElement.children) - 1
    columns.push({ name: text(elements[start], schemaElement.name), elements: elements.slice(start, at) })
  }
  return { root, columns }
}

/** Names of the top-level columns, in order. */
export function columnNames(footer: ThriftStruct): string[] {
  return schemaColumns(footer).columns.map(({ name }) => name)
}

/** A footer whose schema has these columns only. What else lists columns goes, and Arrow's own copy of the schema. */
function withColumns(footer: ThriftStruct, names: readonly string[]): ThriftStruct {
  const { root, columns } = schemaColumns(footer)
  const kept = columns.filter(({ name }) => names.includes(name))
  const newRoot: ThriftStruct = new Map(root).set(schemaElement.children, { type: I32, value: BigInt(kept.length) })
  const out: ThriftStruct = new Map(footer)
  out.set(fileMetaData.schema, listOf([newRoot, ...kept.flatMap(({ elements }) => elements)]))
  out.set(
    fileMetaData.keyValues,
    listOf(structs(footer, fileMetaData.keyValues).filter((pair) => text(pair, keyValue.key) !== 'ARROW:schema')),
  )
  out.delete(fileMetaData.columnOrders)
  return out
}

/**
 * A file of one row group out of a larger one: magic, the bytes of `ranges` one after another, `footer`.
 *
 * @param columns top-level names; the others are left out
 * @throws RangeError where the places of the columns make no sense
 */
export function singleGroup(
  footer: ThriftStruct,
  index: number,
  columns: readonly string[] | undefined,
): { ranges: readonly (readonly [start: number, end: number])[]; footer: Uint8Array } {
  const group = structs(footer, fileMetaData.rowGroups)[index]
  const ranges: [number, number][] = []
  let at = parquetMagic.length
  const chunks = structs(group, rowGroup.columns).filter((chunk) => columns?.includes(columnOf(chunk)) ?? true)
  const movedChunks = chunks.map((chunk) => {
    const start = chunkStart(chunk)
    const length = chunkLength(chunk)
    if (start < parquetMagic.length || length < 0) throw new RangeError(`a column lies at ${start}, ${length} bytes long`)
    ranges.push([start, start + length])
    at += length
    return movedChunk(chunk, at - length - start)
  })
  const single: ThriftStruct = new Map(group)
  for (const field of [rowGroup.sorting, rowGroup.fileOffset, rowGroup.ordinal]) single.delete(field)
  single.set(rowGroup.columns, listOf(movedChunks))
  return { ranges, footer: footerBytes(columns ? withColumns(footer, columns) : footer, [single], {}) }
}

/** A column of strings in one row group: where its pages lie, and how they are packed. Codec and encodings are parquet.thrift's numbers. */
export interface StringChunk {
  readonly start: number
  readonly end: number
  readonly codec: number
  readonly encodings: readonly number[]
  readonly values: number
  /** Values may be missing. */
  readonly isOptional: boolean
}

/** @returns undefined where the file has no such column at its top level, or it holds something else than UTF-8 */
export function stringChunk(footer: ThriftStruct, index: number, name: string): StringChunk | undefined {
  const [element, ...inner] = schemaColumns(footer).columns.find((column) => column.name === name)?.elements ?? []
  const group = structs(footer, fileMetaData.rowGroups)[index]
  const chunk = structs(group, rowGroup.columns).find((chunk) => columnOf(chunk) === name)
  if (!element || !chunk || inner.length > 0 || integer(element, schemaElement.type) !== BYTE_ARRAY) return undefined
  const isUtf8 = element.has(schemaElement.convertedType) ? integer(element, schemaElement.convertedType) === 0 : false
  if (!isUtf8 && !struct(element, schemaElement.logicalType).has(STRING)) return undefined
  const repetition = integer(element, schemaElement.repetition)
  if (repetition === REPEATED) return undefined
  const meta = struct(chunk, columnChunk.metaData)
  const encodings = meta.get(columnMetaData.encodings)
  return {
    start: chunkStart(chunk),
    end: chunkStart(chunk) + chunkLength(chunk),
    codec: integer(meta, columnMetaData.codec),
    encodings:
      encodings?.type === LIST
        ? encodings.value.map((one) => ('value' in one && typeof one.value === 'bigint' ? Number(one.value) : -1))
        : [],
    values: integer(meta, columnMetaData.values),
    isOptional: repetition === OPTIONAL,
  }
}

/** What stands before a page's bytes. */
export interface Page {
  readonly kind: 'data' | 'data2' | 'dictionary' | 'other'
  /** Where its bytes begin, and how many there are before and after decompression. */
  readonly start: number
  readonly storedBytes: number
  readonly bytes: number
  readonly values: number
  readonly encoding: number
  /** Of the first kind of data page. */
  readonly levelEncoding: number
  /** Of the second kind, before its values and never compressed. */
  readonly levelBytes: number
  readonly isCompressed: boolean
}

/** @throws RangeError where no page begins there */
export function parsePage(bytes: Uint8Array, at: number): Page {
  const reader = new ThriftReader(bytes, at)
  const header = reader.struct()
  const [data, dictionary, data2] = [pageHeader.data, pageHeader.dictionary, pageHeader.data2].map((id) => struct(header, id))
  const kind = data.size > 0 ? 'data' : data2.size > 0 ? 'data2' : dictionary.size > 0 ? 'dictionary' : 'other'
  const page = kind === 'dictionary' ? dictionary : data
  return {
    kind,
    start: reader.at,
    storedBytes: integer(header, pageHeader.storedBytes),
    bytes: integer(header, pageHeader.bytes),
    values: kind === 'data2' ? integer(data2, dataPage2.values) : integer(page, dataPage.values),
    encoding: kind === 'data2' ? integer(data2, dataPage2.encoding) : integer(page, dataPage.encoding),
    levelEncoding: integer(data, dataPage.levelEncoding),
    levelBytes: integer(data2, dataPage2.levelBytes),
    isCompressed: data2.get(dataPage2.isCompressed)?.type !== FALSE,
  }
}

/**
 * Whether a row group may hold one of the values, by the least and the greatest of the column as the writer noted them.
 * True where it noted none.
 *
 * @param values UTF-8
 */
export function mayHold(footer: ThriftStruct, index: number, column: string, values: readonly Uint8Array[]): boolean {
  const group = structs(footer, fileMetaData.rowGroups)[index]
  const chunk = structs(group, rowGroup.columns).find((chunk) => columnOf(chunk) === column)
  const noted = chunk && struct(struct(chunk, columnChunk.metaData), columnMetaData.statistics)
  const min = noted?.get(statistics.min)
  const max = noted?.get(statistics.max)
  if (min?.type !== BINARY || max?.type !== BINARY) return true
  return values.some((value) => Buffer.compare(min.value, value) <= 0 && Buffer.compare(value, max.value) <= 0)
}

function chunkStart(chunk: ThriftStruct): number {
  const meta = struct(chunk, columnChunk.metaData)
  const dictionary = integer(meta, columnMetaData.dictionaryPage) // 0 stands for none in some writers' files
  return dictionary > 0 ? Math.min(dictionary, integer(meta, columnMetaData.dataPage)) : integer(meta, columnMetaData.dataPage)
}

function chunkLength(chunk: ThriftStruct): number {
  return integer(struct(chunk, columnChunk.metaData), columnMetaData.totalCompressedSize)
}

function columnOf(chunk: ThriftStruct): string {
  const path = struct(chunk, columnChunk.metaData).get(columnMetaData.path)
  const first = path?.type === LIST ? path.value[0] : undefined
  return first?.type === BINARY ? Buffer.from(first.value).toString() : ''
}

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
  const footer = parseFooter(file.subarray(footerStart))
  const chunks = structs(footer, fileMetaData.rowGroups).flatMap((group) => structs(group, rowGroup.columns))
  const end = Math.max(parquetMagic.length, ...chunks.map((chunk) => chunkStart(chunk) + chunkLength(chunk)))
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
  const groups = parts.flatMap((part) => structs(part.footer, fileMetaData.rowGroups).map((group) => moved(group, part.at - part.start)))
  groups.forEach((group, ordinal) => {
    if (group.has(rowGroup.ordinal)) group.set(rowGroup.ordinal, { type: I16, value: BigInt(ordinal) })
  })
  return footerBytes(parts[0].footer, groups, metadata)
}

/** The end of a file: footer, its length, the magic. */
function footerBytes(like: ThriftStruct, groups: readonly ThriftStruct[], metadata: Readonly<Record<string, string>>): Uint8Array {
  const footer: ThriftStruct = new Map(like)
  const rows = groups.reduce((sum, group) => sum + integer(group, rowGroup.numRows), 0)
  footer.set(fileMetaData.numRows, { type: I64, value: BigInt(rows) })
  footer.set(fileMetaData.rowGroups, listOf(groups))
  const own = Object.entries(metadata).map(
    ([key, value]): ThriftStruct =>
      new Map([
        [keyValue.key, binary(key)],
        [keyValue.value, binary(value)],
      ]),
  )
  footer.set(fileMetaData.keyValues, listOf([...structs(footer, fileMetaData.keyValues), ...own]))
  const bytes = writeStruct(footer)
  const tail = Buffer.alloc(TAIL_BYTES)
  tail.writeUInt32LE(bytes.length)
  tail.set(parquetMagic, 4)
  return Buffer.concat([bytes, tail])
}

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

function text(fields: ThriftStruct, id: number): string {
  const field = fields.get(id)
  return field?.type === BINARY ? Buffer.from(field.value).toString() : ''
}

function binary(value: string): ThriftValue {
  return { type: BINARY, value: Buffer.from(value) }
}

function listOf(items: readonly ThriftStruct[]): ThriftValue {
  return { type: LIST, element: STRUCT, value: items.map((value) => ({ type: STRUCT, value })) }
}

// ---- compact protocol ----

/** Deeper than any footer, shallow enough for the stack. */
const DEEPEST = 32

class ThriftReader {
  readonly #bytes: Uint8Array
  #at: number
  #depth = 0
  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes
    this.#at = at
  }

  /** Where the next byte is read. */
  get at(): number {
    return this.#at
  }

  struct(): ThriftStruct {
    if (++this.#depth > DEEPEST) throw new RangeError('its footer is nested too deep')
    const fields: ThriftStruct = new Map()
    for (let id = 0, head = this.#byte(); head !== 0; head = this.#byte()) {
      id = head >> 4 ? id + (head >> 4) : Number(this.#zigzag())
      fields.set(id, this.#value(head & 15))
    }
    this.#depth--
    return fields
  }

  #value(type: number): ThriftValue {
    switch (type) {
      case TRUE:
      case FALSE:
        return { type }
      case BYTE:
        return { type, value: this.#byte() }
      case I16:
      case I32:
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
        throw new RangeError(`its footer holds no Parquet metadata (Thrift type ${type})`)
    }
  }

  #list(type: typeof LIST | typeof SET): ThriftValue {
    const head = this.#byte()
    const length = head >> 4 === 15 ? Number(this.#varint()) : head >> 4
    const element = head & 15
    if (++this.#depth > DEEPEST) throw new RangeError('its footer is nested too deep')
    const value: ThriftValue[] = []
    // In a list a boolean takes a byte of its own.
    for (let i = 0; i < length; i++) value.push(element > FALSE ? this.#value(element) : { type: this.#byte() === TRUE ? TRUE : FALSE })
    this.#depth--
    return { type, element, value }
  }

  #byte(): number {
    if (this.#at >= this.#bytes.length) throw new RangeError('its footer ends too early')
    return this.#bytes[this.#at++]
  }

  #take(length: number): Uint8Array {
    if (this.#at + length > this.#bytes.length) throw new RangeError('its footer ends too early')
    const out = this.#bytes.slice(this.#at, this.#at + length)
    this.#at += length
    return out
  }

  #varint(): bigint {
    let value = 0n
    for (let shiftBits = 0n; shiftBits < 70n; shiftBits += 7n) {
      const byte = this.#byte()
      value |= BigInt(byte & 127) << shiftBits
      if (byte < 128) return value
    }
    throw new RangeError('its footer holds a number of more than 64 bits')
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
