// Text that was decoded by the wrong encoding: found and decoded again, as ftfy 6.3.1 does it (Speer 2019, ftfy; Apache-2.0).
// A segment is suspicious where characters stand side by side that hardly ever do in any language; it is encoded by each
// likely single-byte encoding in turn, until the bytes are UTF-8. Bytes are kept as strings of U+0000–00FF, for expressions.

/** The text with its encoding mended, step by step until nothing changes: some text was mangled twice. */
export function fixEncoding(text: string, options: EncodingOptions): string {
  let fixed = text
  let before: string
  do {
    before = fixed
    fixed = fixOneStep(before, options)
  } while (fixed !== before)
  return fixed
}

export interface EncodingOptions {
  /** A byte A0 that became a blank on the way is taken for what it was. */
  readonly restoreByteA0: boolean
  /** UTF-8 sequences with a byte lost become U+FFFD, so that the rest can be read. */
  readonly replaceLossySequences: boolean
  /** Mangled stretches within sound text are mended on their own. */
  readonly decodeInconsistentUtf8: boolean
  readonly fixC1Controls: boolean
}

const fullOptions: EncodingOptions = { restoreByteA0: true, replaceLossySequences: true, decodeInconsistentUtf8: true, fixC1Controls: true }
const ascii = /^[\0-\x7f]*$/

function fixOneStep(text: string, options: EncodingOptions): string {
  if (ascii.test(text) || !looksMangled(text)) return text
  for (const encoding of encodings) {
    const bytes = encode(text, encoding)
    const decoded = bytes === undefined ? undefined : decodeUtf8(repaired(bytes, encoding, options))
    if (decoded !== undefined) return decoded
  }
  if (options.decodeInconsistentUtf8) {
    const mended = text.replace(mangledStretch, (part) =>
      part.length < text.length && looksMangled(part) ? fixEncoding(part, fullOptions) : part,
    )
    if (mended !== text) return mended
  }
  if (/^[\0-\xff]*$/.test(text) && !undefinedInWindows1252.test(text)) {
    const decoded = replaceC1Controls(text)
    if (decoded !== text) return decoded
  }
  return options.fixC1Controls ? replaceC1Controls(text) : text
}

// ---- what looks mangled ----

const bad = '¤¦¨ª¬¯¸ºƒˆˇ˘˛˜†‡‰⌐◊\\ufffd'
const common = '\\xa0\\xad´·–-―’…'
const law = '§¶'
const currency = '¢£¥₧€'
const opening = '¡©«¿΄΅‘‚“„•‹\\uf8ff'
const closing = '®»˝”›™'
const numeric = '±-³µ¹¼-¾×÷⁄№∂∆∏∑√∞∩∫≈≠≡≤≥'
const kaomoji = '°Ò-ÖÙ-Üò-öø-üŌŐŪŲ'
const upperAccented = 'À-ÑØÜÝĀĂĄĆČĎĐĒĖĘĚĞĢĪİĶĹĻĽŁŃŅŇŒŘŚŞŠŢŤŮŰŸŹŻŽҐ'
const lowerAccented = 'ß-ñüāăąćčďđēėęěğģīįķĺļľłœŕśşšťźżžґﬁﬂ'
const upperCommon = 'ÞΆΈ-ΊΌΎΏΑ-ΫЁ-Я'
const lowerCommon = 'ά-ωа-џ'
const box = '│┌┐┘├┤┬┼═-╬▀▄█▌▐-▓'
const c1 = '\\x80-\\x9f'
const arabic = `[ØÙ][${common}${currency}${bad}${numeric}${opening}ŸŠ®°µ»]`

const mangled = new RegExp(
  [
    `[${c1}]`,
    `[${bad}${lowerAccented}${upperAccented}${box}${opening}${closing}${currency}${numeric}${law}][${bad}]`,
    `[a-zA-Z][${lowerCommon}${upperCommon}][${bad}]`,
    `[${bad}][${lowerAccented}${upperAccented}${box}${opening}${closing}${currency}${numeric}${law}]`,
    `[${lowerAccented}${lowerCommon}${box}${closing}${currency}${numeric}][${upperAccented}]`,
    `[${box}${closing}${currency}${numeric}][${lowerAccented}]`,
    `[${lowerAccented}${box}${closing}][${currency}]`,
    `[\\s\\x1c-\\x1f\\x85][${upperAccented}][${currency}]`,
    `[${upperAccented}${box}][${numeric}${law}]`,
    `[${lowerAccented}${upperAccented}${box}${currency}${closing}][${opening}][${numeric}]`,
    `[${lowerAccented}${upperAccented}${currency}${numeric}${box}${law}][${closing}][${opening}]`,
    `[${currency}${numeric}${box}][${opening}]`,
    `[a-z][${upperAccented}][${opening}${currency}]`,
    `[${box}][${kaomoji}]`,
    `[${lowerAccented}${upperAccented}${currency}${numeric}${opening}${closing}${law}][${box}]`,
    `[${box}][${closing}]`,
    `[${lowerAccented}${upperAccented}][${opening}${closing}][\\p{L}\\p{N}_]`,
    // Œ, œ, degree signs, and pairs of Windows-1252 that no rule above has
    '[Œœ][^A-Za-z]',
    `[${upperAccented}]°`,
    `[ÂÃÎÐ][€œŠš¢£Ÿž\\xa0\\xad®©°·»${opening}${closing}–—´]`,
    '×[²³]',
    arabic + arabic,
    'à[²µ¹¼½¾]',
    // MacRoman
    '√[±∂†≠®™´≤≥¥µø]',
    '≈[°¢]',
    '‚Ä[ìîïòôúùû†°¢π]',
    '‚[âó][àä°ê]',
    // Windows-1251
    'вЂ',
    `[ВГРС][${c1}${bad}${opening}${closing}${currency}°µ][ВГРС]`,
    'ГўВЂВ[^\\n][A-Za-z ]',
    // Windows-1252: à, á and the no-break space
    'Ã[\\xa0¡]',
    '[a-z][\\s\\x1c-\\x1f\\x85]?[ÃÂ] ',
    '^[ÃÂ] ',
    `[a-z.,?!${closing}]Â[ ${opening}${closing}]`,
    // Windows-1253 and 1257
    'β€[™\\xa0Ά\\xad®°]',
    `[ΒΓΞΟ][${c1}${bad}${opening}${closing}${currency}°][ΒΓΞΟ]`,
    'ā€',
  ].join('|'),
  'u',
)

function looksMangled(text: string): boolean {
  return mangled.test(text)
}

/** What bytes of UTF-8 look like in the encodings below. The strict set has none of the quotes and dashes of sound text. */
const continuationStrict = '\\x80-¿ÆØæøĄąĽľŁłŒœŖŗŚśŞ-šŤťŸ-žƒˆˇ˘˛-˝΄-ΆΈ-ΊΌΎΏЁ-ЌЎЏё-ќўџҐґ†‡‰‹›€№™'
const continuation = `${continuationStrict} –-―‘-‚“-„•…`
const firstOfTwo = 'Â-ßĀĂĆČĎĐĒĖĘĚĞĢĪİĶĹĻŁŃŅŇŌŐŘŚŞŠŢŪŮŰŲŹŻŽΒ-ΡΣ-ίВ-Я'
const firstOfThree = 'à-ïāăąćčďēėęěģīįķĺļŕźΰ-οа-п'
const firstOfFour = 'ðóđğšπσру'
const mangledStretch = new RegExp(
  `(?<![${continuationStrict}])(?:[${firstOfTwo}][${continuation}]|[${firstOfThree}][${continuation}]{2}|[${firstOfFour}][${continuation}]{3})+`,
  'gu',
)

// ---- encodings ----

interface Encoding {
  /** The byte of a character, as a string; ASCII is itself and not listed. */
  readonly bytes: ReadonlyMap<string, string>
  /** Undefined bytes stand for themselves, and 1A for U+FFFD. */
  readonly isSloppy: boolean
  readonly isMacRoman: boolean
}

const codePage437 =
  'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\xa0'
const highBytes = Uint8Array.from({ length: 128 }, (_, i) => i + 128)
const latin1 = String.fromCharCode(...highBytes)
const decoded = (label: string) => new TextDecoder(label).decode(highBytes)

/** In this order: the first whose bytes are UTF-8 wins. */
const encodings: readonly Encoding[] = [
  encodingOf(latin1),
  ...[1252, 1251, 1250, 1253, 1254, 1257].map((page) => encodingOf(decoded(`windows-${page}`), { isSloppy: true })),
  encodingOf(decoded('iso-8859-2')),
  encodingOf(decoded('macintosh'), { isMacRoman: true }),
  encodingOf(codePage437),
]

function encodingOf(characters: string, { isSloppy = false, isMacRoman = false } = {}): Encoding {
  const bytes = new Map<string, string>()
  for (const [i, character] of [...characters].entries()) {
    bytes.set(character === '\ufffd' ? String.fromCharCode(i + 128) : character, String.fromCharCode(i + 128))
  }
  if (isSloppy) bytes.set('\ufffd', '\x1a')
  return { bytes, isSloppy, isMacRoman }
}

/** Undefined where the encoding lacks a character of the text. */
function encode(text: string, { bytes, isSloppy }: Encoding): string | undefined {
  let encoded = ''
  for (const character of text) {
    const isAscii = character < '\x80' && !(isSloppy && character === '\x1a')
    const byte = isAscii ? character : bytes.get(character)
    if (byte === undefined) return undefined
    encoded += byte
  }
  return encoded
}

const undefinedInWindows1252 = /[\x81\x8d\x8f\x90\x9d]/
const windows1252 = decoded('windows-1252')

function replaceC1Controls(text: string): string {
  return text.replace(/[\x80-\x9f]/g, (control) => windows1252[control.charCodeAt(0) - 128])
}

// ---- bytes ----

const aGrave = /\xc3 (?! |quele|quela|quilo|s )/g
const blankForA0 =
  /[\xc2\xc3\xc5\xce\xd0\xd9] |[\xe2\xe3] [\x80-\x84\x86-\x9f\xa1-\xbf]|[\xe0-\xe3][\x80-\x84\x86-\x9f\xa1-\xbf] |\xf0 [\x80-\xbf][\x80-\xbf]|\xf0[\x80-\xbf] [\x80-\xbf]|\xf0[\x80-\xbf][\x80-\xbf] /g
const lossy =
  /[\xc2-\xdf]\x1a|[\xc2-\xc3]\?|\xed[\xa0-\xaf][\x1a?]\xed[\xb0-\xbf][\x1a?\x80-\xbf]|\xed[\xa0-\xaf][\x1a?\x80-\xbf]\xed[\xb0-\xbf][\x1a?]|[\xe0-\xef][\x1a?][\x1a\x80-\xbf]|[\xe0-\xef][\x1a\x80-\xbf][\x1a?]|[\xf0-\xf4][\x1a?][\x1a\x80-\xbf][\x1a\x80-\xbf]|[\xf0-\xf4][\x1a\x80-\xbf][\x1a?][\x1a\x80-\xbf]|[\xf0-\xf4][\x1a\x80-\xbf][\x1a\x80-\xbf][\x1a?]|\x1a/g

function repaired(bytes: string, encoding: Encoding, options: EncodingOptions): string {
  let fixed = bytes
  if (options.restoreByteA0 && !encoding.isMacRoman && fixed.search(blankForA0) >= 0) {
    // A lone à before a word has lost its second byte to a blank: the blank between the words stays.
    fixed = fixed.replace(aGrave, '\xc3\xa0 ').replace(blankForA0, (sequence) => sequence.replaceAll(' ', '\xa0'))
  }
  if (options.replaceLossySequences && encoding.isSloppy) fixed = fixed.replace(lossy, '\xef\xbf\xbd')
  return fixed
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
/** What Java and old databases write instead of UTF-8: 0 in two bytes, a pair of surrogates in six. */
const variant = /\xc0\x80|\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]/g

/** Undefined where the bytes are not UTF-8. */
function decodeUtf8(bytes: string): string | undefined {
  let decoded = ''
  let start = 0
  try {
    for (const match of bytes.matchAll(variant)) {
      decoded += strictUtf8(bytes.slice(start, match.index)) + decodeVariant(match[0])
      start = match.index + match[0].length
    }
    return decoded + strictUtf8(bytes.slice(start))
  } catch (error) {
    if (error instanceof TypeError) return undefined
    throw error
  }
}

function strictUtf8(bytes: string): string {
  return utf8.decode(Buffer.from(bytes, 'latin1'))
}

function decodeVariant(bytes: string): string {
  if (bytes.length === 2) return '\0'
  const unit = (at: number) => 0xd000 | ((bytes.charCodeAt(at) & 0x3f) << 6) | (bytes.charCodeAt(at + 1) & 0x3f)
  return String.fromCharCode(unit(1), unit(4))
}
