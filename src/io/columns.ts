// Arrow columns from arrays and back, a buffer at a time: Arrow's own builders and getters cost a call or more per value,
// and its getters cut a byte order mark off the front of a string.

import {
  Binary,
  Bool,
  type Data,
  type DataType,
  Field,
  Float32,
  Float64,
  Int64,
  List,
  makeData,
  RecordBatch,
  type Schema,
  Struct,
  Uint8,
  Uint16,
  Uint32,
  Utf8,
} from 'apache-arrow'

type Maybe<T> = T | undefined

/** Strings as UTF-8. Lone surrogates become U+FFFD. */
export function utf8Column(values: readonly Maybe<string>[]): Data<Utf8> {
  const valueOffsets = new Int32Array(values.length + 1)
  let units = 0
  for (const value of values) units += value?.length ?? 0
  let buffer = Buffer.allocUnsafeSlow(units + (units >> 4) + 16)
  let end = 0
  for (let i = 0; i < values.length; i++) {
    const value = values[i]
    if (value !== undefined) {
      // A UTF-16 unit takes three bytes at most: short ones are measured only where the buffer runs out.
      if (buffer.length - end < value.length * 3) buffer = roomFor(buffer, end, value)
      end += buffer.write(value, end, 'utf8')
    }
    valueOffsets[i + 1] = end
  }
  return makeData({ type: new Utf8(), length: values.length, valueOffsets, data: buffer.subarray(0, end), ...validity(values) })
}

function roomFor(buffer: Buffer<ArrayBuffer>, end: number, value: string): Buffer<ArrayBuffer> {
  const need = end + Buffer.byteLength(value)
  if (need <= buffer.length) return buffer
  const larger = Buffer.allocUnsafeSlow(need + (need >> 2))
  buffer.copy(larger, 0, 0, end)
  return larger
}

export function binaryColumn(values: readonly Maybe<Uint8Array>[]): Data<Binary> {
  const valueOffsets = endsOf(values)
  const data = concatenatedInto(new Uint8Array(valueOffsets[values.length]), values, valueOffsets)
  return makeData({ type: new Binary(), length: values.length, valueOffsets, data, ...validity(values) })
}

export function uint8ListColumn(values: readonly Maybe<Uint8Array>[]): Data<List<Uint8>> {
  const valueOffsets = endsOf(values)
  const data = concatenatedInto(new Uint8Array(valueOffsets[values.length]), values, valueOffsets)
  return listColumn(makeData({ type: new Uint8(), data }), values, valueOffsets)
}

export function uint16ListColumn(values: readonly Maybe<Uint16Array | Uint32Array>[]): Data<List<Uint16>> {
  const valueOffsets = endsOf(values)
  const data = concatenatedInto(new Uint16Array(valueOffsets[values.length]), values, valueOffsets)
  return listColumn(makeData({ type: new Uint16(), data }), values, valueOffsets)
}

/** Takes u16 as well and widens it. */
export function uint32ListColumn(values: readonly Maybe<Uint16Array | Uint32Array>[]): Data<List<Uint32>> {
  const valueOffsets = endsOf(values)
  const data = concatenatedInto(new Uint32Array(valueOffsets[values.length]), values, valueOffsets)
  return listColumn(makeData({ type: new Uint32(), data }), values, valueOffsets)
}

export function float64Column(values: readonly Maybe<number>[]): Data<Float64> {
  return makeData({
    type: new Float64(),
    length: values.length,
    data: Float64Array.from(values, (value) => value ?? 0),
    ...validity(values),
  })
}

export function float32Column(values: readonly Maybe<number>[]): Data<Float32> {
  return makeData({
    type: new Float32(),
    length: values.length,
    data: Float32Array.from(values, (value) => value ?? 0),
    ...validity(values),
  })
}

/** Whole numbers up to 2⁵³, as int64. */
export function int64Column(values: readonly Maybe<number>[]): Data<Int64> {
  const data = BigInt64Array.from(values, (value) => BigInt(value ?? 0))
  return makeData({ type: new Int64(), length: values.length, data, ...validity(values) })
}

export function boolColumn(values: readonly boolean[]): Data<Bool> {
  return makeData({ type: new Bool(), length: values.length, data: bits(values, (value) => value), nullCount: 0 })
}

/** Puts columns of equal length together. The order is the schema's. */
export function recordBatch(schema: Schema, columns: readonly Data[]): RecordBatch {
  const length = columns[0]?.length ?? 0
  return new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length, nullCount: 0, children: [...columns] }))
}

// ---- and back ----

/** The strings of a utf8 column; undefined where null. */
export function utf8Values(column: Data | undefined): Maybe<string>[] {
  if (!column) return []
  const bytes = bytesOf(column)
  const { valueOffsets, length } = column
  const out = new Array<Maybe<string>>(length)
  for (let i = 0; i < length; i++)
    out[i] = isNull(column, i) ? undefined : bytes.toString('utf8', Number(valueOffsets[i]), Number(valueOffsets[i + 1]))
  return out
}

/** The byte strings of a binary column, borrowed from its buffer; undefined where null. */
export function binaryValues(column: Data | undefined): Maybe<Uint8Array>[] {
  if (!column) return []
  const bytes = bytesOf(column)
  return slices(column, new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length))
}

/** The lists of a list column of numbers, borrowed from its buffer; undefined where null. `type` is the column's own. */
export function listValues<A extends Sliceable<A>>(column: Data | undefined, type: abstract new (length: number) => A): Maybe<A>[] {
  if (!column) return []
  const values: unknown = column.children[0]?.values
  if (!(values instanceof type)) return new Array<Maybe<A>>(column.length).fill(undefined)
  return slices(column, values)
}

/** The numbers of a float or integer column; undefined where null. */
export function numberValues(column: Data | undefined): Maybe<number>[] {
  if (!column) return []
  const { values, length } = column
  return Array.from({ length }, (_, i) => (isNull(column, i) ? undefined : Number(values[i])))
}

/** A column of a batch by name. */
export function columnOf(batch: RecordBatch, name: string): Data | undefined {
  const index = batch.schema.fields.findIndex((field) => field.name === name)
  return batch.data.children[index]
}

// ---- parts ----

interface Sliceable<A> {
  subarray(start: number, end: number): A
}

function slices<A extends Sliceable<A>>(column: Data, values: A): Maybe<A>[] {
  const { valueOffsets, length } = column
  const out = new Array<Maybe<A>>(length)
  for (let i = 0; i < length; i++) out[i] = isNull(column, i) ? undefined : values.subarray(valueOffsets[i], valueOffsets[i + 1])
  return out
}

function isNull(column: Data, index: number): boolean {
  return column.nullCount > 0 && !column.getValid(index)
}

function bytesOf(column: Data): Buffer {
  const values: unknown = column.values
  return values instanceof Uint8Array ? Buffer.from(values.buffer, values.byteOffset, values.byteLength) : Buffer.alloc(0)
}

/** i32[values + 1], the bounds of each value among all, laid end to end. */
function endsOf(values: readonly Maybe<{ readonly length: number }>[]): Int32Array {
  const ends = new Int32Array(values.length + 1)
  for (let i = 0; i < values.length; i++) ends[i + 1] = ends[i] + (values[i]?.length ?? 0)
  return ends
}

function concatenatedInto<A extends { set(values: ArrayLike<number>, at: number): void }>(
  out: A,
  values: readonly Maybe<ArrayLike<number>>[],
  ends: Int32Array,
): A {
  for (let i = 0; i < values.length; i++) {
    const value = values[i]
    if (value) out.set(value, ends[i])
  }
  return out
}

function listColumn<T extends DataType>(child: Data<T>, values: readonly unknown[], valueOffsets: Int32Array): Data<List<T>> {
  const type = new List(new Field('item', child.type, false))
  return makeData({ type, length: values.length, valueOffsets, child, ...validity(values) })
}

/** Arrow's null bitmap, left out where nothing is null. */
function validity(values: readonly unknown[]): { nullCount: number; nullBitmap?: Uint8Array } {
  let nullCount = 0
  for (let i = 0; i < values.length; i++) if (values[i] === undefined) nullCount++
  return nullCount === 0 ? { nullCount } : { nullCount, nullBitmap: bits(values, (value) => value !== undefined) }
}

/** One bit a value, least significant first, padded to 8 bytes as Arrow wants. */
function bits<T>(values: readonly T[], isSet: (value: T) => boolean): Uint8Array {
  const out = new Uint8Array(Math.ceil(values.length / 64) * 8)
  for (let i = 0; i < values.length; i++) if (isSet(values[i])) out[i >> 3] |= 1 << (i & 7)
  return out
}
