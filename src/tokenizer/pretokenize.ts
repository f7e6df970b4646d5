// Pre-tokenization: cuts text into the pieces that byte-pair merges never cross. The reference definitions are regular
// expressions (tiktoken's openai_public.py, Meta's and Qwen's tokenizer files); the ones in wide use are also written as
// scanners over UTF-8: here, and once more in the kernel that encodes. What a piece becomes is bpe.ts's matter.

import { SluiceError } from '../core/errors.ts'

/** Pieces of one text, as UTF-8. Reused from text to text. */
export class PieceBuffer {
  /** UTF-8, followed by the byte 0xff that ends every scan. */
  bytes = new Uint8Array(1 << 12)
  length = 0
  /** Exclusive ends of the pieces, ascending; the last is `length`. */
  ends = new Uint32Array(1 << 10)
  count = 0

  clear(): void {
    this.length = 0
    this.count = 0
    this.bytes[0] = SENTINEL
  }

  /** Appends text, without ending a piece. Lone surrogates become U+FFFD. */
  append(text: string): void {
    // Three bytes are the most that one UTF-16 unit takes.
    const needed = this.length + 3 * text.length + 1
    if (needed > this.bytes.length) {
      const grown = new Uint8Array(Math.max(needed, 2 * this.bytes.length))
      grown.set(this.bytes.subarray(0, this.length))
      this.bytes = grown
    }
    this.length += encoder.encodeInto(text, this.bytes.subarray(this.length)).written
    this.bytes[this.length] = SENTINEL
  }

  endPiece(end: number): void {
    if (this.count === this.ends.length) {
      const grown = new Uint32Array(2 * this.count)
      grown.set(this.ends)
      this.ends = grown
    }
    this.ends[this.count++] = end
  }
}

/** Appends the pieces of a text to the buffer. */
export type PreTokenizer = (text: string, pieces: PieceBuffer) => void

const encoder = new TextEncoder()
/** No byte of UTF-8: it belongs to no class, so a scan needs no other check for the end. */
const SENTINEL = 0xff

// ---- the definitions ----

export const patternNames = ['gpt2', 'gpt4', 'gpt4o', 'llama3', 'qwen2'] as const
export type PatternName = (typeof patternNames)[number]

/**
 * The regular expressions as `tokenizer.json` files carry them (syntax of Oniguruma). `\s+\z` stands in gpt4 (cl100k) where
 * tiktoken writes `\s++$`: elsewhere `$` may also mean the end of a line.
 */
export const patternSources: Readonly<Record<PatternName, string>> = {
  gpt2: String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
  gpt4: String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+\z|\s*[\r\n]+|\s+(?!\S)|\s+`,
  gpt4o: [
    String.raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?`,
    String.raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?`,
    String.raw`\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  ].join('|'),
  llama3: String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  qwen2: String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
}

/**
 * The same expression for JavaScript, whose `\s` lacks U+0085 and adds U+FEFF, and which has no `\z` and no possessive
 * quantifiers. Those are dropped: in a pattern written with them to save time, they change nothing.
 *
 * @throws SluiceError where the expression uses what JavaScript cannot say
 */
export function translatePattern(source: string): RegExp {
  const blank = String.raw`\t-\r \x85\p{Zs}\p{Zl}\p{Zp}`
  // What means more there than in JavaScript: word characters and their bounds.
  if (/(?<!\\)(?:\\\\)*\\[wWbB]/.test(source)) throw patternError(source)
  let inClass = false
  const translated = source.replace(/\\[pP]\{[^}]*\}|\\[\s\S]|\[\^?|\]|([?*+}])\+/g, (part, quantifier: string | undefined) => {
    if (part === ']') inClass = false
    else if (part.startsWith('[')) inClass = true
    else if (part === '\\s') return inClass ? blank : `[${blank}]`
    else if (part === '\\S' && !inClass) return `[^${blank}]`
    else if (part === '\\d') return '\\p{Nd}'
    else if (part === '\\D') return '\\P{Nd}'
    else if (part === '\\z') return '(?![^])'
    else if (quantifier !== undefined && !inClass) return quantifier
    return part
  })
  try {
    return new RegExp(translated, 'gu')
  } catch (cause) {
    throw patternError(source, cause)
  }
}

function patternError(source: string, cause?: unknown): SluiceError {
  return new SluiceError('SLUICE_TOKENIZER_PATTERN', `the pre-tokenization pattern cannot be used here: ${source}`, {
    fix: 'use a pattern without features that only Oniguruma has',
    cause,
  })
}

// ---- pre-tokenizers ----

/** One cut of a text: matches of the expression are pieces of their own, and what lies between them is one, unless dropped. */
export interface SplitStep {
  readonly pattern: string
  readonly dropsGaps: boolean
}

/** Cuts by each step in turn; one step with a known pattern runs as a scanner. */
export function preTokenizer(steps: readonly SplitStep[]): PreTokenizer {
  const scanner = steps.length === 1 ? scannerFor(steps[0].pattern) : undefined
  return scanner ? scanWith(scanner) : splitByExpressions(steps)
}

/** The plain reference: cuts with regular expressions only. */
export function splitByExpressions(steps: readonly SplitStep[]): PreTokenizer {
  const expressions = steps.map((step) => ({ expression: translatePattern(step.pattern), dropsGaps: step.dropsGaps }))
  return (text, pieces) => {
    let parts = text === '' ? [] : [text]
    for (const { expression, dropsGaps } of expressions) parts = parts.flatMap((part) => cut(part, expression, dropsGaps))
    for (const part of parts) {
      pieces.append(part)
      pieces.endPiece(pieces.length)
    }
  }
}

function cut(text: string, expression: RegExp, dropsGaps: boolean): string[] {
  const parts: string[] = []
  let end = 0
  for (const match of text.matchAll(expression)) {
    if (match[0] === '') continue
    if (match.index > end && !dropsGaps) parts.push(text.slice(end, match.index))
    parts.push(match[0])
    end = match.index + match[0].length
  }
  if (end < text.length && !dropsGaps) parts.push(text.slice(end))
  return parts
}

function scanWith(pieceEnd: Scanner): PreTokenizer {
  return (text, pieces) => {
    let at = pieces.length
    pieces.append(text)
    const { bytes, length } = pieces
    while (at < length) {
      at = pieceEnd(bytes, at)
      pieces.endPiece(at)
    }
  }
}

// ---- scanners ----

/** End of the piece that starts at a byte offset. The bytes are well-formed UTF-8 and end in 0xff; the start is not the end. */
type Scanner = (bytes: Uint8Array, start: number) => number

const scanners: Readonly<Record<PatternName, Scanner>> = {
  gpt2: scanGpt2,
  gpt4: (bytes, start) => scanGpt4(bytes, start, 3, true),
  gpt4o: scanGpt4o,
  llama3: (bytes, start) => scanGpt4(bytes, start, 3, false),
  qwen2: (bytes, start) => scanGpt4(bytes, start, 1, false),
}

/** Spellings of the same patterns that published files use, tiktoken's own among them. */
const otherSpellings: ReadonlyMap<string, PatternName> = new Map([
  [String.raw`'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s`, 'gpt2'],
  [
    String.raw`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s`,
    'gpt4',
  ],
])

/** The well-known pattern of that expression, if it is one. */
export function patternName(source: string): PatternName | undefined {
  return patternNames.find((name) => patternSources[name] === source) ?? otherSpellings.get(source)
}

function scannerFor(source: string): Scanner | undefined {
  const name = patternName(source)
  return name && scanners[name]
}

const LOWER = 1
const UPPER = 2
/** Letters without case: \p{Lm} and \p{Lo}. */
const CASELESS = 4
const MARK = 8
const NUMBER = 16
const BLANK = 32
const NEWLINE = 64
const OTHER = 128
const LETTER = LOWER | UPPER | CASELESS
const SPACE = BLANK | NEWLINE
const SYMBOL = MARK | OTHER

/** Class of each code point, one bit set. */
export const characterClasses = buildClasses()

function buildClasses(): Uint8Array {
  const classes = new Uint8Array(0x110000).fill(OTHER)
  const properties: [RegExp, number][] = [
    [/\p{Ll}+/gu, LOWER],
    [/[\p{Lu}\p{Lt}]+/gu, UPPER],
    [/[\p{Lm}\p{Lo}]+/gu, CASELESS],
    [/\p{M}+/gu, MARK],
    [/\p{N}+/gu, NUMBER],
  ]
  for (let start = 0; start < 0x110000; start += 0x1000) {
    // Surrogates, and the planes in which nothing is assigned that is a letter, mark or number.
    if (start === 0xd000 + 0x800 || (start >= 0x40000 && start < 0xe0000) || start >= 0xe1000) continue
    for (const [expression, bit] of properties) markClass(classes, start, expression, bit)
  }
  for (const [from, to] of [
    [0x09, 0x0d],
    [0x20],
    [0x85],
    [0xa0],
    [0x1680],
    [0x2000, 0x200a],
    [0x2028, 0x2029],
    [0x202f],
    [0x205f],
    [0x3000],
  ])
    classes.fill(BLANK, from, (to ?? from) + 1)
  classes[0x0a] = NEWLINE
  classes[0x0d] = NEWLINE
  return classes
}

/** Marks 4,096 code points: a match's offsets give the ordinals, two units each above U+FFFF. */
function markClass(classes: Uint8Array, start: number, expression: RegExp, bit: number): void {
  const end = Math.min(start + 0x1000, start < 0xd800 ? 0xd800 : 0x110000)
  let text = ''
  for (let codePoint = start; codePoint < end; codePoint++) text += String.fromCodePoint(codePoint)
  const units = start > 0xffff ? 2 : 1
  for (const match of text.matchAll(expression))
    classes.fill(bit, start + match.index / units, start + (match.index + match[0].length) / units)
}

/** Class of the character at an offset; 0 at the end. */
function classAt(bytes: Uint8Array, at: number): number {
  const lead = bytes[at]
  return lead < 0x80 ? characterClasses[lead] : wideClassAt(bytes, at, lead)
}

function wideClassAt(bytes: Uint8Array, at: number, lead: number): number {
  if (lead < 0xe0) return characterClasses[((lead & 0x1f) << 6) | (bytes[at + 1] & 0x3f)]
  if (lead < 0xf0) return characterClasses[((lead & 0x0f) << 12) | ((bytes[at + 1] & 0x3f) << 6) | (bytes[at + 2] & 0x3f)]
  if (lead === SENTINEL) return 0
  return characterClasses[((lead & 0x07) << 18) | ((bytes[at + 1] & 0x3f) << 12) | ((bytes[at + 2] & 0x3f) << 6) | (bytes[at + 3] & 0x3f)]
}

function widthOf(lead: number): number {
  return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
}

/** End of the run of characters of the given classes. */
function runEnd(bytes: Uint8Array, start: number, mask: number): number {
  let at = start
  for (;;) {
    const lead = bytes[at]
    if (lead < 0x80) {
      if ((characterClasses[lead] & mask) === 0) return at
      at++
    } else {
      if ((wideClassAt(bytes, at, lead) & mask) === 0) return at
      at += widthOf(lead)
    }
  }
}

/** Offset of the character before. */
function before(bytes: Uint8Array, end: number): number {
  let at = end - 1
  while ((bytes[at] & 0xc0) === 0x80) at--
  return at
}

/** `\s+(?!\S)|\s+`: a run at the end of the text whole, else all but its last character, else that one. */
function blanksEnd(bytes: Uint8Array, start: number, end: number): number {
  if (bytes[end] === SENTINEL) return end
  const last = before(bytes, end)
  return last > start ? last : end
}

/** `\s*[\r\n]+` within the blanks [start, end): behind the last newline, or start where there is none. */
function lastNewlineEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = end
  while (at > start && bytes[at - 1] !== 0x0a && bytes[at - 1] !== 0x0d) at--
  return at
}

/** End of 's, 't, 're, 've, 'm, 'll or 'd at an apostrophe, or the apostrophe's own offset. */
function contractionEnd(bytes: Uint8Array, at: number): number {
  const first = bytes[at + 1]
  if (first === 0x73 || first === 0x74 || first === 0x6d || first === 0x64) return at + 2
  const second = bytes[at + 2]
  if (second === 0x65 && (first === 0x72 || first === 0x76)) return at + 3
  return first === 0x6c && second === 0x6c ? at + 3 : at
}

/** The same in any case; U+017F (long s) is an s to that rule. */
function caselessContractionEnd(bytes: Uint8Array, at: number): number {
  const raw = bytes[at + 1]
  if (raw >= 0x80) return raw === 0xc5 && bytes[at + 2] === 0xbf ? at + 3 : at
  const first = raw | 0x20
  if (first === 0x73 || first === 0x74 || first === 0x6d || first === 0x64) return at + 2
  // A sentinel or a lead byte here is above 0x7f, and stays so.
  const second = bytes[at + 2] | 0x20
  if (second === 0x65 && (first === 0x72 || first === 0x76)) return at + 3
  return first === 0x6c && second === 0x6c ? at + 3 : at
}

function scanGpt2(bytes: Uint8Array, start: number): number {
  const lead = bytes[start]
  let at = start
  if (lead === 0x27) {
    const end = contractionEnd(bytes, start)
    if (end > start) return end
  } else if (lead === 0x20) at++
  const kind = classAt(bytes, at)
  if (kind & LETTER) return runEnd(bytes, at, LETTER)
  if (kind & NUMBER) return runEnd(bytes, at, NUMBER)
  if (kind & SYMBOL) return runEnd(bytes, at, SYMBOL)
  return blanksEnd(bytes, start, runEnd(bytes, at, SPACE))
}

function scanGpt4(bytes: Uint8Array, start: number, digits: number, keepsLastBlanks: boolean): number {
  const lead = bytes[start]
  if (lead === 0x27) {
    const end = caselessContractionEnd(bytes, start)
    if (end > start) return end
  }
  const kind = classAt(bytes, start)
  if (kind & LETTER) return runEnd(bytes, start, LETTER)
  if (kind & NUMBER) return numberEnd(bytes, start, digits)
  let next = start + widthOf(lead)
  if ((kind & NEWLINE) === 0) {
    const nextKind = classAt(bytes, next)
    if (nextKind & LETTER) return runEnd(bytes, next, LETTER)
    if (kind & SYMBOL || (lead === 0x20 && nextKind & SYMBOL)) {
      next = runEnd(bytes, next, SYMBOL)
      while (bytes[next] === 0x0a || bytes[next] === 0x0d) next++
      return next
    }
  }
  const end = runEnd(bytes, next, SPACE)
  if (keepsLastBlanks && bytes[end] === SENTINEL) return end
  const newlineEnd = lastNewlineEnd(bytes, start, end)
  return newlineEnd > start ? newlineEnd : blanksEnd(bytes, start, end)
}

function numberEnd(bytes: Uint8Array, start: number, digits: number): number {
  let at = start
  for (let i = 0; i < digits && classAt(bytes, at) & NUMBER; i++) at += widthOf(bytes[at])
  return at
}

function scanGpt4o(bytes: Uint8Array, start: number): number {
  const lead = bytes[start]
  const kind = classAt(bytes, start)
  if (kind & NUMBER) return numberEnd(bytes, start, 3)
  const next = start + widthOf(lead)
  if ((kind & NEWLINE) === 0) {
    const end = kind & LETTER ? casedWordEnd(bytes, start, start) : casedWordEnd(bytes, start, next)
    if (end > start) return bytes[end] === 0x27 ? caselessContractionEnd(bytes, end) : end
    if (kind & SYMBOL || (lead === 0x20 && classAt(bytes, next) & SYMBOL)) {
      let symbolsEnd = runEnd(bytes, next, SYMBOL)
      while (bytes[symbolsEnd] === 0x0a || bytes[symbolsEnd] === 0x0d || bytes[symbolsEnd] === 0x2f) symbolsEnd++
      return symbolsEnd
    }
  }
  const end = runEnd(bytes, next, SPACE)
  const newlineEnd = lastNewlineEnd(bytes, start, end)
  return newlineEnd > start ? newlineEnd : blanksEnd(bytes, start, end)
}

/**
 * End of the first two alternatives of gpt4o (o200k): `.?U*L+` else `.?U+L*`, where U and L are the upper and lower letters, and
 * both hold the caseless and the marks. `word` is `start`, or behind the one character that may stand in front.
 * Returns start where neither matches.
 */
function casedWordEnd(bytes: Uint8Array, start: number, word: number): number {
  const upperEnd = runEnd(bytes, word, UPPER | CASELESS | MARK)
  const lowerEnd = runEnd(bytes, upperEnd, LOWER | CASELESS | MARK)
  if (lowerEnd > upperEnd) return lowerEnd
  // U* gives back characters until L+ finds one that is in both; what follows that one is upper case only.
  for (let end = upperEnd; end > word; ) {
    const at = before(bytes, end)
    if (classAt(bytes, at) & (CASELESS | MARK)) return end
    end = at
  }
  // The first alternative without the character in front: that one, where it is a mark, is all that is left of L+.
  if (word > start && classAt(bytes, start) & MARK) return word
  return upperEnd > word ? upperEnd : start
}
