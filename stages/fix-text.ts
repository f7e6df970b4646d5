// Mends what went wrong with a text's characters: wrong encodings, HTML entities, terminal escapes, control characters. The
// counterpart of datatrove 0.10's FTFY formatter: ftfy 6.3.1 with everything off that would change sound text.

import { Parser } from 'htmlparser2'
import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import { mapStage, type Stage } from '../src/core/stage.ts'
import { fixEncoding } from '../src/text/mojibake.ts'

export const fixTextOptions = z.strictObject({
  unescapeHtml: z
    .union([z.literal('auto'), z.boolean()])
    .default('auto')
    .describe('decodes HTML entities; auto: until the first line with <'),
  removeTerminalEscapes: z.boolean().default(true).describe('takes out colour codes of terminals'),
  fixEncoding: z.boolean().default(true).describe('decodes again what was decoded by the wrong encoding'),
  restoreByteA0: z.boolean().default(true).describe('in doing so, takes a blank for the byte A0 where that makes sense'),
  replaceLossySequences: z.boolean().default(true).describe('in doing so, replaces sequences that lost a byte by U+FFFD'),
  decodeInconsistentUtf8: z.boolean().default(true).describe('in doing so, mends mangled stretches within sound text'),
  fixC1Controls: z.boolean().default(true).describe('takes C1 control characters for Windows-1252'),
  fixLatinLigatures: z.boolean().default(false).describe('takes ligatures apart'),
  fixCharacterWidth: z.boolean().default(false).describe('full-width and half-width forms become ordinary ones'),
  uncurlQuotes: z.boolean().default(false).describe('curly quotes become straight'),
  fixLineBreaks: z.boolean().default(false).describe('all line breaks become "\\n"'),
  fixSurrogates: z.boolean().default(true).describe('lone surrogates become U+FFFD'),
  removeControlChars: z.boolean().default(true).describe('takes out control characters that mean nothing in text'),
  normalization: z.enum(['NFC', 'NFD', 'NFKC', 'NFKD']).nullable().default(null).describe('Unicode normalization form; null: none'),
})
export type FixTextOptions = z.input<typeof fixTextOptions>
type Choices = z.output<typeof fixTextOptions>

/** Changes texts, drops nothing. */
export function fixText<T extends Document>(options: FixTextOptions = {}): Stage<T> {
  const choices = fixTextOptions.parse(options)
  return mapStage<T, T>('fixText', {
    options: choices,
    prepare: () => (document) => {
      const text = mendText(document.text, choices)
      return text === document.text ? document : { ...document, text }
    },
  })
}

/** Longer lines are mended in pieces, in UTF-16 units. */
const LONGEST_SEGMENT = 1_000_000

export function mendText(text: string, choices: Choices): string {
  let mended = ''
  let decodesEntities = choices.unescapeHtml !== false
  for (let start = 0; start < text.length; ) {
    const lineEnd = text.indexOf('\n', start) + 1 || text.length
    const end = Math.min(lineEnd, start + LONGEST_SEGMENT)
    const segment = text.slice(start, end)
    if (choices.unescapeHtml === 'auto' && segment.includes('<')) decodesEntities = false
    mended += mendSegment(segment, choices, decodesEntities)
    start = end
  }
  return mended
}

/** Over and over, until nothing changes: what one step uncovers may be work for another. */
function mendSegment(segment: string, choices: Choices, decodesEntities: boolean): string {
  let text = segment
  let before: string
  do {
    before = text
    if (decodesEntities) text = text.replace(entity, decodeEntity)
    if (choices.fixEncoding) text = fixEncoding(text, choices)
    if (choices.fixC1Controls) text = text.replace(/[\x80-\x9f]/g, (control) => windows1252.decode(Uint8Array.of(control.charCodeAt(0))))
    text = tidyForms(text, choices)
    if (choices.fixSurrogates) text = text.toWellFormed()
    if (choices.removeTerminalEscapes) text = text.replace(/\x1b\[[\p{Nd};]*[a-zA-Z]/gu, '')
    if (choices.removeControlChars) text = text.replace(/[\0-\x08\x0b\x0e-\x1f\x7f\u206a-\u206f\ufeff\ufff9-\ufffc]/g, '')
    if (choices.normalization !== null) text = text.normalize(choices.normalization)
  } while (text !== before)
  return text
}

const windows1252 = new TextDecoder('windows-1252')

function tidyForms(text: string, choices: Choices): string {
  let tidy = text
  // Of the compatibility forms only these: NFKC would change much more. ŉ and ﬅ keep a letter that NFKC replaces.
  if (choices.fixLatinLigatures)
    tidy = tidy.replace(/[ĲĳŉǄ-ǌǱ-ǳﬀ-ﬆ]/g, (ligature) => (ligature === 'ﬅ' ? 'ſt' : ligature.normalize('NFKC')))
  if (choices.fixCharacterWidth) tidy = tidy.replace(/[\u3000\uff01-\uffef]/g, (form) => form.normalize('NFKC'))
  if (choices.uncurlQuotes) tidy = tidy.replace(/[“-‟]/g, '"').replace(/[ʼ‘-‛]/g, "'")
  if (choices.fixLineBreaks) tidy = tidy.replace(/\r\n|[\r\u2028\u2029\x85]/g, '\n')
  return tidy
}

// ---- HTML entities ----

const entity = /&#?[0-9A-Za-z]{1,24};/g
const known = new Map<string, string>()

/** The character, or the entity itself where it is none. "&NTILDE;", which is none, is taken for the upper case of "&ntilde;". */
function decodeEntity(text: string): string {
  const cached = known.get(text)
  if (cached !== undefined) return cached
  const decoded = text.startsWith('&#') ? decodeNumber(text) : (named(text) ?? upperNamed(text) ?? text)
  if (known.size < 10_000) known.set(text, decoded)
  return decoded
}

/** Undefined where HTML does not know the whole name: "&notit;" begins with a known one. */
function named(text: string): string | undefined {
  const decoded = parseText(text)
  return decoded === text || (decoded.endsWith(';') && text !== '&semi;') ? undefined : decoded
}

function upperNamed(text: string): string | undefined {
  return text === text.toUpperCase() && parseText(text) === text ? named(text.toLowerCase())?.toUpperCase() : undefined
}

function parseText(html: string): string {
  let text = ''
  const parser = new Parser({ ontext: (part) => void (text += part) }, { decodeEntities: true })
  parser.end(html)
  return text
}

/** Numbers as Python's `html.unescape` reads them, which the reference uses: "&#59;", a semicolon, stays, by an oversight there. */
function decodeNumber(text: string): string {
  const digits = /^&#(?:([0-9]+)|[xX]([0-9a-fA-F]+));$/.exec(text)
  if (digits === null) return text
  const code = digits[1] === undefined ? Number.parseInt(digits[2], 16) : Number.parseInt(digits[1], 10)
  if (code === 59) return text
  if (code >= 0x80 && code <= 0x9f) return windows1252.decode(Uint8Array.of(code))
  if (code === 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return '\ufffd'
  const isNoCharacter = (code & 0xfffe) === 0xfffe || (code >= 0xfdd0 && code <= 0xfdef)
  return isNoCharacter || code === 0x0b || code === 0x7f || (code < 0x20 && ![9, 10, 12, 13].includes(code))
    ? ''
    : String.fromCodePoint(code)
}
