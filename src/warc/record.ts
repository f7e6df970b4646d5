// A WARC record and its header. ISO 28500:2017 (WARC/1.1) and 1.0, read leniently: bare line feeds, folded lines, wget's
// angle brackets around URLs, any version number. What a record's block means (HTTP, text) is left to others.

/** Header fields in order; names in lower case, values trimmed and unfolded. A name may repeat. */
export type Fields = readonly (readonly [name: string, value: string])[]

export interface WarcRecord {
  /** `1.1`; of ARC files `ARC/1` or `ARC/2` */
  readonly version: string
  /** `warc-type`, lower case: response, request, conversion, … ; `unknown` where the header has none. ARC: `arc_header`, `response`. */
  readonly type: string
  readonly fields: Fields
  /** The header as stored, empty line included. */
  readonly head: Buffer
  /** The content block, `content-length` bytes: a view into what was read, which nobody overwrites. */
  readonly block: Buffer
  /**
   * Byte offset of the gzip member or frame or, in a plain file, of the record. The n-th record behind the first one of a
   * member has the member's offset plus n: unique, but no place to start reading at.
   */
  readonly offset: number
  /** Bytes from `offset` to the next record, as stored; of records that share a member, their part of its bytes, roughly. */
  readonly length: number
}

export interface WarcHead {
  readonly version: string
  readonly fields: Fields
  /** Of the header with its empty line. */
  readonly headBytes: number
  /** NaN where the field is absent or no number. */
  readonly contentBytes: number
}

export type HeadResult = WarcHead | 'incomplete' | 'no-head' | 'bad-version'

/** What is to be known of WARC and of ARC, to find their records in decompressed bytes. */
export interface RecordFormat {
  /** Whether a record may begin there; what is cut off of its head is not missed as far as possible. */
  readonly startsAt: (bytes: Buffer, start?: number) => boolean
  readonly parseHead: (bytes: Buffer, start?: number) => HeadResult
  /** The first whole head at `from` or behind. Where none is, `at` is where one may begin that is not all there yet. */
  readonly findHead: (bytes: Buffer, from: number) => { readonly at: number; readonly isFound: boolean }
  /** Behind a record's content. */
  readonly lineFeeds: number
}

/** A longer header is none. */
const MAX_HEAD_BYTES = 1 << 20

const SPACE = 32,
  TAB = 9
const HEAD_LINE = '\nWARC/'
const MAGIC = [0x77, 0x61, 0x72, 0x63, 0x2f] // "warc/"

export const warcRecords: RecordFormat = {
  parseHead: parseWarcHead,
  findHead: findWarcHead,
  startsAt: startsWithWarc,
  lineFeeds: 2,
}

/** Whether a record may begin here. Its letters may be of either case: JHOVE's suite says so. */
function startsWithWarc(bytes: Buffer, start = 0): boolean {
  return bytes.length >= start + 5 && couldBeWarc(bytes, start)
}

function couldBeWarc(bytes: Buffer, start: number): boolean {
  const length = Math.min(MAGIC.length, bytes.length - start)
  for (let index = 0; index < length; index++) if ((bytes[start + index] | 0x20) !== MAGIC[index]) return false
  return true
}

/** Parses the header that begins at `start`. */
function parseWarcHead(bytes: Buffer, start = 0): HeadResult {
  if (!couldBeWarc(bytes, start)) return 'no-head'
  const end = headEnd(bytes, start)
  if (end === -1) return bytes.length - start > MAX_HEAD_BYTES ? 'no-head' : 'incomplete'
  const { firstLine, fields } = parseHead(bytes, start, end)
  const version = /^WARC\/(\d+\.\d+)$/i.exec(firstLine)
  if (!version) return 'bad-version'
  return { version: version[1], fields, headBytes: end - start, contentBytes: contentLength(fields) }
}

/** A header counts where its length and type are there. */
function findWarcHead(bytes: Buffer, from: number): { at: number; isFound: boolean } {
  for (let position = from; ; ) {
    const at = headLine(bytes, position)
    if (at === -1) return { at: Math.max(0, bytes.length - HEAD_LINE.length + 2), isFound: false }
    const end = headEnd(bytes, at)
    if (end === -1) return { at: Math.max(at, bytes.length - MAX_HEAD_BYTES), isFound: false }
    // Where several first lines stand before one end, headers were cut off. To try all of them would take for ever on
    // a file that is made of them: the first and the last will do.
    for (const start of [at, at + bytes.subarray(at, end).lastIndexOf(HEAD_LINE) + 1]) {
      const head = parseWarcHead(bytes, start)
      if (typeof head !== 'string' && !Number.isNaN(head.contentBytes) && field(head.fields, 'warc-type') !== undefined)
        return { at: start, isFound: true }
    }
    position = end
  }
}

/** Where a line begins as the first one of a header does, at `from` or behind; -1 where none does. */
function headLine(bytes: Buffer, from: number): number {
  if (from === 0 && startsWithWarc(bytes)) return 0
  const feed = bytes.indexOf(HEAD_LINE, Math.max(0, from - 1), 'latin1')
  return feed === -1 ? -1 : feed + 1
}

/** First value of a field, or undefined. @param name in lower case */
export function field(fields: Fields, name: string): string | undefined {
  for (const entry of fields) if (entry[0] === name) return entry[1]
  return undefined
}

/** The URL that a record is about. wget 1.14 to 1.19 wrote it in angle brackets. */
export function recordUrl(record: WarcRecord): string | undefined {
  const value = field(record.fields, 'warc-target-uri')
  return value?.startsWith('<') && value.endsWith('>') ? value.slice(1, -1) : value
}

export function recordDate(record: WarcRecord): string | undefined {
  return field(record.fields, 'warc-date')
}

/** Offset behind the empty line that ends a header, or -1. */
export function headEnd(bytes: Buffer, start: number): number {
  const crlf = bytes.indexOf('\n\r\n', start, 'latin1')
  // Other line ends count only before that one: a search without a hit would scan the whole block.
  const limit = crlf === -1 ? Math.min(bytes.length, start + MAX_HEAD_BYTES) : crlf
  const before = bytes.subarray(start, limit)
  const bare = before.indexOf('\n\n', 0, 'latin1')
  const doubled = before.indexOf('\n\r\r\n', 0, 'latin1') // `\r\r\n`, by broken converters
  if (bare !== -1 && (doubled === -1 || bare < doubled)) return start + bare + 2
  if (doubled !== -1) return start + doubled + 4
  return crlf === -1 ? -1 : crlf + 3
}

/**
 * First line and fields of a header. UTF-8, as WARC/1.1 says; HTTP headers that are not come out readable enough.
 *
 * @param end behind its empty line
 */
export function parseHead(bytes: Buffer, start: number, end: number): { firstLine: string; fields: Fields } {
  const text = bytes.toString('utf8', start, end)
  const firstEnd = indexOrEnd(text, '\n', 0)
  const fields: [string, string][] = []
  let colon = -1
  for (let at = firstEnd + 1; at < text.length; ) {
    const end = indexOrEnd(text, '\n', at)
    const first = text.charCodeAt(at)
    const previous = fields[fields.length - 1]
    if (colon < at) colon = indexOrEnd(text, ':', at) // not again where it lies ahead: lines may be many
    if (previous && (first === SPACE || first === TAB)) {
      const piece = text.slice(at, end).trim() // folded
      previous[1] += previous[1] === '' || piece === '' ? piece : ` ${piece}`
    } else if (colon > at && colon < end) fields.push([text.slice(at, colon).trim().toLowerCase(), text.slice(colon + 1, end).trim()])
    at = end + 1
  }
  return { firstLine: text.slice(0, firstEnd).trimEnd(), fields }
}

function indexOrEnd(text: string, character: string, from: number): number {
  const index = text.indexOf(character, from)
  return index === -1 ? text.length : index
}

function contentLength(fields: Fields): number {
  const value = field(fields, 'content-length')
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN
}
