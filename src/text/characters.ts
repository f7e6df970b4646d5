// Python's notion of characters, where the reference rules are written in it: blanks, letters, lengths in code points.

const ASCII_BLANK = new Uint8Array(128)
for (const unit of [9, 10, 11, 12, 13, 28, 29, 30, 31, 32]) ASCII_BLANK[unit] = 1

/** Python's `str.isspace` of one UTF-16 unit: no blank lies outside the basic plane. Unlike `\s`, with U+001C–1F and U+0085, without U+FEFF. */
export function isBlank(unit: number): boolean {
  if (unit < 128) return ASCII_BLANK[unit] === 1
  if (unit < 0x1680) return unit === 0x85 || unit === 0xa0
  if (unit >= 0x2000 && unit <= 0x200a) return true
  return unit === 0x2028 || unit === 0x2029 || unit === 0x202f || unit === 0x205f || unit === 0x3000 || unit === 0x1680
}

/** What `isBlank` accepts, for the inside of a character class. */
export const blanks = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000'

/** Python's `str.strip`. */
export function strip(text: string): string {
  return stripStart(stripEnd(text))
}

/** Python's `str.lstrip`. */
export function stripStart(text: string): string {
  let start = 0
  while (start < text.length && isBlank(text.charCodeAt(start))) start++
  return start === 0 ? text : text.slice(start)
}

/** Python's `str.rstrip`. */
export function stripEnd(text: string): string {
  let end = text.length
  while (end > 0 && isBlank(text.charCodeAt(end - 1))) end--
  return end === text.length ? text : text.slice(0, end)
}

/** Python's `str.split()`: the stretches between blanks, none of them empty. */
export function splitBlanks(text: string): string[] {
  const parts: string[] = []
  let start = 0
  for (let i = 0; i <= text.length; i++) {
    if (i < text.length && !isBlank(text.charCodeAt(i))) continue
    if (i > start) parts.push(text.slice(start, i))
    start = i + 1
  }
  return parts
}

/** Are there fewer stretches between blanks than so many? */
export function hasFewerWords(line: string, fewest: number): boolean {
  let words = 0
  let isInside = false
  for (let i = 0; i < line.length && words < fewest; i++) {
    const blank = isBlank(line.charCodeAt(i))
    if (!blank && !isInside) words++
    isInside = !blank
  }
  return words < fewest
}

const highSurrogate = /[\ud800-\udbff]/

/** Length in code points: Python's `len`. */
export function codePointLength(text: string): number {
  if (!highSurrogate.test(text)) return text.length
  let length = text.length
  for (let i = 0; i < text.length - 1; i++) {
    if ((text.charCodeAt(i) & 0xfc00) === 0xd800 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) {
      length--
      i++
    }
  }
  return length
}

/** Does any character satisfy Python's `str.isalpha`? */
export function hasLetter(text: string): boolean {
  return /\p{L}/u.test(text)
}

/** Numbers that are digits without being decimal: superscripts, circled and old ones. */
const otherDigit =
  /^[²³¹\u1369-\u1371\u19da⁰⁴-⁹₀-₉①-⑨⑴-⑼⒈-⒐⓪⓵-⓽⓿❶-❾➀-➈➊-➒\u{10a40}-\u{10a43}\u{10e60}-\u{10e68}\u{11052}-\u{1105a}\u{1f100}-\u{1f10a}]$/u

/** Python's `str.isdigit` of one character. */
export function isDigit(character: string): boolean {
  return /^\p{Nd}$/u.test(character) || otherDigit.test(character)
}

/** Marks that end a sentence, in all scripts: datatrove's TERMINAL_PUNCTUATION. */
export const TERMINAL_PUNCTUATION: ReadonlySet<string> = new Set(
  '!.?։؝؞؟۔܀܁܂߹࠷࠹࠽࠾।॥၊။።፧፨᙮᜵᜶។៕៖៙៚᠃᠉᥄᥅᪨᪩᪪᪫᭚᭛᭞᭟\u1b7d\u1b7e᰻᰼᱾᱿‼‽⁇⁈⁉⸮⸼\u2e53\u2e54。꓿꘎꘏꛳꛷꡶꡷꣎꣏꤯꧈꧉꩝꩞꩟꫰꫱꯫﹒﹖﹗！．？｡' +
    '𐩖𐩗𐽕𐽖𐽗𐽘𐽙\u{10f86}\u{10f87}\u{10f88}\u{10f89}𑁇𑁈𑂾𑂿𑃀𑃁𑅁𑅂𑅃𑇅𑇆𑇍𑇞𑇟𑈸𑈹𑈻𑈼𑊩𑑋𑑌𑗂𑗃𑗉𑗊𑗋𑗌𑗍𑗎𑗏𑗐𑗑𑗒𑗓𑗔𑗕𑗖𑗗𑙁𑙂𑜼𑜽𑜾' +
    '𑥄𑥆𑩂𑩃𑪛𑪜𑱁𑱂𑻷𑻸\u{11f43}\u{11f44}𖩮𖩯𖫵𖬷𖬸𖭄𖺘𛲟𝪈',
)

/** Terminal marks to datatrove that spaCy 3.8 does not know, most of them newer than Unicode 11. */
const unknownToSpacy = new Set('\u061d؞࠷࠹࠽࠾។៕៖៙៚\u1b7d\u1b7e\u2e53\u2e54𐽕𐽖𐽗𐽘𐽙\u{10f86}\u{10f87}\u{10f88}\u{10f89}𑥄𑥆𑻷𑻸\u{11f43}\u{11f44}𖺘')

/** Does a word, on its own, end a sentence for spaCy's sentencizer? */
export function isTerminalWord(word: string): boolean {
  return TERMINAL_PUNCTUATION.has(word) && !unknownToSpacy.has(word)
}

/** What simplification turns into blanks: datatrove's PUNCTUATION, control characters included. `•` is not among them. */
export const PUNCTUATION: ReadonlySet<string> = new Set(
  '!/—”:％１〈&(、━\\【#%「」，】；+^]~“《„\';’{|∶´[=-`*．（–？！：$～«〉,><》)?）。…@_."}►»\0\x01\x02\x03\x04\x05\x06\x07\b\v\f\r' +
    '\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f\x80\x81\x82\x83\x84\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f' +
    '\x90\x91\x92\x93\x94\x95\x96\x97\x98\x99\x9a\x9b\x9c\x9d\x9e\x9f',
)

/** Does the text hold a character outside PUNCTUATION and TERMINAL_PUNCTUATION? The empty text does not. */
export function hasNonSymbol(text: string): boolean {
  for (const character of text) {
    if (!PUNCTUATION.has(character) && !TERMINAL_PUNCTUATION.has(character)) return true
  }
  return false
}

/** Occurrences that do not overlap: Python's `str.count`, for a part that is not empty. */
export function countOccurrences(text: string, part: string): number {
  let count = 0
  for (let i = text.indexOf(part); i >= 0; i = text.indexOf(part, i + part.length)) count++
  return count
}

/** The character that ends at `end`; empty at the start of the text. */
export function lastCodePoint(text: string, end = text.length): string {
  if (end <= 0) return ''
  const unit = text.charCodeAt(end - 1)
  const isPair = unit >= 0xdc00 && unit <= 0xdfff && end > 1 && (text.charCodeAt(end - 2) & 0xfc00) === 0xd800
  return text.slice(isPair ? end - 2 : end - 1, end)
}
