// Records of comma-separated values: RFC 4180, with any one delimiter, line feeds with or without carriage returns, and, as
// in Python's csv module, quotes that stand inside a field taken as they are. Offsets are exact, memory is bounded.

import { ByteWindow } from './byte-window.ts'

const QUOTE = 0x22
const FEED = 0x0a

export interface CsvRecord {
  /** Without the line break behind it. */
  readonly bytes: Buffer
  /** Of its first byte in the stream. */
  readonly offset: number
}

export interface CsvDamage {
  readonly offset: number
  readonly length: number
  readonly code: 'SLUICE_CSV_QUOTE' | 'SLUICE_CSV_TOO_LONG'
  readonly message: string
}

export interface CsvOptions {
  /** One ASCII character. */
  readonly delimiter: string
  /** Offset of the first byte. */
  readonly start?: number
  readonly maxRecordBytes: number
  /** Reading goes on behind the line that the damaged record begins with: a stray quote costs that line and no other. */
  readonly damaged: (damage: CsvDamage) => void
}

/** Records in order, as many at once as became whole with what was read. Blank lines too are records. */
export async function* csvRecords(chunks: AsyncIterable<Buffer>, options: CsvOptions): AsyncGenerator<CsvRecord[]> {
  const delimiter = options.delimiter.charCodeAt(0)
  const window = new ByteWindow(chunks, options.start ?? 0)
  try {
    while (window.buffer.length > 0 || (await window.grow())) {
      const { buffer, offset } = window
      const records: CsvRecord[] = []
      let start = 0
      for (let end = recordEnd(buffer, start, delimiter); end !== undefined; end = recordEnd(buffer, start, delimiter)) {
        records.push({ bytes: withoutReturn(buffer.subarray(start, end)), offset: offset + start })
        start = end + 1
      }
      window.advance(start)
      if (records.length > 0) yield records
      const rest = window.buffer.length
      if (rest === 0) continue
      // Twice as much each time, so that a long record is not scanned again and again.
      if (rest <= options.maxRecordBytes && (await window.fill(rest * 2))) continue
      if (window.buffer.length > rest) continue
      const last = lastRecord(window, delimiter, options)
      if (last) yield [last]
    }
  } finally {
    await window.close()
  }
}

/** What is left at the end of the stream, or is too long: a record without a line break, or damage. */
function lastRecord(window: ByteWindow, delimiter: number, { maxRecordBytes, damaged }: CsvOptions): CsvRecord | undefined {
  const { buffer, offset } = window
  const isTooLong = buffer.length > maxRecordBytes
  if (!isTooLong && recordEnd(Buffer.concat([buffer, Buffer.of(FEED)]), 0, delimiter) !== undefined) {
    window.advance(buffer.length)
    return { bytes: withoutReturn(buffer), offset }
  }
  const feed = buffer.indexOf(FEED)
  const length = feed === -1 ? buffer.length : feed
  window.advance(Math.min(buffer.length, length + 1))
  damaged({
    offset,
    length,
    code: isTooLong ? 'SLUICE_CSV_TOO_LONG' : 'SLUICE_CSV_QUOTE',
    message: isTooLong
      ? `a record is longer than ${maxRecordBytes} bytes, or a quote is missing`
      : 'a quote opens a field, and none closes it',
  })
  return undefined
}

/** Where the line feed stands that ends the record; undefined where it is not there yet. */
function recordEnd(buffer: Buffer, start: number, delimiter: number): number | undefined {
  let at = start
  let feed = buffer.indexOf(FEED, at)
  for (let isFieldStart = true; feed !== -1; ) {
    const quote = at + buffer.subarray(at, feed).indexOf(QUOTE)
    if (quote < at) return feed
    if (buffer[quote - 1] !== delimiter && !(isFieldStart && quote === start)) {
      at = quote + 1
      continue
    }
    at = behindQuotes(buffer, quote + 1)
    if (at === -1) return undefined
    isFieldStart = false
    if (feed < at) feed = buffer.indexOf(FEED, at)
  }
  return undefined
}

/** Behind the quote that closes a field; -1 where it is not there, or its neighbour is not, which tells whether it closes. */
function behindQuotes(buffer: Buffer, start: number): number {
  for (let quote = buffer.indexOf(QUOTE, start); quote !== -1 && quote + 1 < buffer.length; quote = buffer.indexOf(QUOTE, quote + 2))
    if (buffer[quote + 1] !== QUOTE) return quote + 1
  return -1
}

function withoutReturn(bytes: Buffer): Buffer {
  return bytes[bytes.length - 1] === 0x0d ? bytes.subarray(0, -1) : bytes
}

/** The fields of a record, quotes resolved. */
export function csvFields(record: string, delimiter: string): string[] {
  if (!record.includes('"')) return record.split(delimiter)
  const fields: string[] = []
  for (let at = 0; ; ) {
    let field = ''
    if (record[at] === '"') {
      const end = closingQuote(record, at + 1)
      field = record.slice(at + 1, end).replaceAll('""', '"')
      at = Math.min(end + 1, record.length)
    }
    const next = record.indexOf(delimiter, at)
    fields.push(field + record.slice(at, next === -1 ? undefined : next))
    if (next === -1) return fields
    at = next + 1
  }
}

function closingQuote(record: string, start: number): number {
  let quote = record.indexOf('"', start)
  while (quote !== -1 && record[quote + 1] === '"') quote = record.indexOf('"', quote + 2)
  return quote === -1 ? record.length : quote
}

const DELIMITERS = [',', '\t', ';', '|']

/** The delimiter that the first line, which names the columns, has most of; a comma where it has none. */
export function guessDelimiter(head: string): string {
  const line = /^(?:[^"\r\n]|"[^"]*")*/.exec(head)?.[0] ?? ''
  const counts = DELIMITERS.map((delimiter) => csvFields(line, delimiter).length)
  return DELIMITERS[counts.indexOf(Math.max(...counts))]
}
