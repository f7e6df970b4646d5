// Which encoding a page is in, as browsers decide (html.spec.whatwg.org §13.2.3): byte order mark, HTTP header, `meta` in the
// first 1024 bytes, then a guess from the bytes. Labels and tables are encoding.spec.whatwg.org's, in the platform's TextDecoder.

import { guessEncoding } from './guess-encoding.ts'

export interface DecodedHtml {
  /** Well-formed Unicode without a byte order mark. */
  readonly text: string
  /** Name by the Encoding Standard, lower case. */
  readonly encoding: string
  readonly declaredBy: 'bom' | 'header' | 'meta' | 'guess'
}

const PRESCAN_BYTES = 1024

/** Decodes a page's bytes. Never throws: bytes that mean nothing become U+FFFD. */
export function decodeHtml(bytes: Uint8Array, contentType?: string): DecodedHtml {
  const mark = byteOrderMark(bytes)
  if (mark !== undefined) return decoded(bytes, mark, 'bom')
  const header = encodingOfLabel(charsetOfContentType(contentType ?? '') ?? '')
  if (header !== undefined) return decoded(bytes, header, 'header')
  const meta = prescan(bytes.subarray(0, PRESCAN_BYTES))
  if (meta !== undefined) return decoded(bytes, meta, 'meta')
  return decoded(bytes, guessEncoding(bytes), 'guess')
}

/** Name of the encoding that a label stands for; undefined where the standard knows none. */
export function encodingOfLabel(label: string): string | undefined {
  const wanted = label.replace(/^[\t\n\f\r ]+|[\t\n\f\r ]+$/g, '').toLowerCase()
  if (wanted === '') return undefined
  if (REPLACEMENT_LABELS.has(wanted)) return 'replacement'
  try {
    return new TextDecoder(wanted).encoding
  } catch {
    return undefined
  }
}

/** Encodings that can smuggle scripts past a filter: the standard decodes them to one U+FFFD, TextDecoder refuses them. */
const REPLACEMENT_LABELS = new Set(['replacement', 'csiso2022kr', 'hz-gb-2312', 'iso-2022-cn', 'iso-2022-cn-ext', 'iso-2022-kr'])

const decoders = new Map<string, TextDecoder>()

function decoded(bytes: Uint8Array, encoding: string, declaredBy: DecodedHtml['declaredBy']): DecodedHtml {
  if (encoding === 'replacement') return { text: bytes.length === 0 ? '' : '\ufffd', encoding, declaredBy }
  let decoder = decoders.get(encoding)
  if (decoder === undefined) decoders.set(encoding, (decoder = new TextDecoder(encoding)))
  return { text: decoder.decode(bytes), encoding, declaredBy }
}

function byteOrderMark(bytes: Uint8Array): string | undefined {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return 'utf-8'
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be'
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le'
  return undefined
}

/** The charset parameter of a Content-Type header. */
export function charsetOfContentType(contentType: string): string | undefined {
  const match = /;\s*charset\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s;]+))/i.exec(contentType)
  return match === null ? undefined : (match[1] ?? match[2] ?? match[3])
}

/** The charset in the content of a `meta http-equiv`: the standard's "extracting a character encoding from a meta element". */
export function charsetOfMeta(content: string): string | undefined {
  const match = /charset[\t\n\f\r ]*=[\t\n\f\r ]*(?:"([^"]*)"|'([^']*)'|([^"'\t\n\f\r ;][^\t\n\f\r ;]*))/i.exec(content)
  return match === null ? undefined : (match[1] ?? match[2] ?? match[3])
}

// ---- prescan a byte stream to determine its encoding ----

/**
 * The encoding that a `meta` element or an XML declaration within these bytes names.
 *
 * @param bytes the first 1024 bytes of a page
 */
export function prescan(bytes: Uint8Array): string | undefined {
  const xml = prescanXml(bytes)
  // Bytes as Latin-1 characters: only ASCII is looked at.
  let head = ''
  for (const byte of bytes) head += String.fromCharCode(byte)
  let at = head.indexOf('<')
  while (at >= 0 && at < head.length) {
    if (head.startsWith('<!--', at)) at = behind(head, '-->', at + 2)
    else if (/^<meta[\t\n\f\r /]/i.test(head.slice(at, at + 6))) {
      const scan = attributesAt(head, at + 5)
      const encoding = metaEncoding(scan.attributes)
      if (encoding !== undefined && scan.end <= head.length) return encoding
      at = scan.end
    } else if (/^<\/?[a-z]/i.test(head.slice(at, at + 3))) at = attributesAt(head, endOfTagName(head, at + 1)).end
    else if (/^<[!/?]/.test(head.slice(at, at + 2))) at = behind(head, '>', at + 1)
    else at++
    at = at > head.length ? -1 : head.indexOf('<', at)
  }
  return xml
}

function behind(text: string, what: string, from: number): number {
  const found = text.indexOf(what, from)
  return found < 0 ? text.length + 1 : found + what.length
}

function endOfTagName(text: string, from: number): number {
  let at = from
  while (at < text.length && !/[\t\n\f\r >]/.test(text[at])) at++
  return at
}

function metaEncoding(attributes: ReadonlyMap<string, string>): string | undefined {
  const charset = attributes.get('charset')
  const content = attributes.get('content')
  let label = charset
  if (label === undefined) {
    if (content === undefined || attributes.get('http-equiv')?.toLowerCase() !== 'content-type') return undefined
    label = charsetOfMeta(content)
  }
  return label === undefined ? undefined : declaredInMeta(encodingOfLabel(label))
}

/** A meta that could be read byte by byte is not in UTF-16, whatever it says. */
function declaredInMeta(encoding: string | undefined): string | undefined {
  if (encoding === 'utf-16be' || encoding === 'utf-16le') return 'utf-8'
  return encoding === 'x-user-defined' ? 'windows-1252' : encoding
}

function attributesAt(text: string, from: number): { attributes: Map<string, string>; end: number } {
  const attributes = new Map<string, string>()
  let at = from
  for (;;) {
    while (at < text.length && /[\t\n\f\r /]/.test(text[at])) at++
    if (at >= text.length) return { attributes, end: text.length + 1 }
    if (text[at] === '>') return { attributes, end: at + 1 }
    const match =
      /^([^\t\n\f\r />][^\t\n\f\r />=]*)(?:[\t\n\f\r ]*=[\t\n\f\r ]*(?:"([^"]*)"|'([^']*)'|([^"'\t\n\f\r >][^\t\n\f\r >]*)))?/.exec(
        text.slice(at),
      )
    if (match === null) return { attributes, end: text.length + 1 }
    const name = match[1].toLowerCase()
    if (!attributes.has(name)) attributes.set(name, match[2] ?? match[3] ?? match[4] ?? '')
    at += match[0].length
    if (text[at] === '=') at++
  }
}

/** `<?xml … encoding="…"`, also where it is written in UTF-16. */
function prescanXml(bytes: Uint8Array): string | undefined {
  if (startsWith(bytes, [0x3c, 0x00, 0x3f, 0x00, 0x78, 0x00])) return 'utf-16le'
  if (startsWith(bytes, [0x00, 0x3c, 0x00, 0x3f, 0x00, 0x78])) return 'utf-16be'
  if (!startsWith(bytes, [0x3c, 0x3f, 0x78, 0x6d, 0x6c])) return undefined
  let declaration = ''
  for (const byte of bytes) {
    if (byte === 0x3e) break
    declaration += String.fromCharCode(byte)
  }
  const match = /encoding[\0- ]*=[\0- ]*(?:"([^"]*)"|'([^']*)')/.exec(declaration)
  return match === null ? undefined : declaredInMeta(encodingOfLabel(match[1] ?? match[2]))
}

function startsWith(bytes: Uint8Array, wanted: readonly number[]): boolean {
  return wanted.every((byte, i) => bytes[i] === byte)
}
