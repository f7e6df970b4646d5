// What is done to a text before it is cut: the normalizers of Hugging Face's `tokenizer.json`, each as its version 0.23 does it.

import { z } from 'zod'
import { CharacterMap } from './character-map.ts'
import { translatePattern } from './pretokenize.ts'
import { mark, nonspacingMark, unknownToNormalization } from './reference-characters.ts'
import { inSequence } from './sequence.ts'

const unicodeForms = ['NFC', 'NFD', 'NFKC', 'NFKD'] as const
type UnicodeForm = (typeof unicodeForms)[number]

/** How `Replace` and `Split` say what they look for. */
export const patternSchema = z.union([z.object({ Regex: z.string() }), z.object({ String: z.string() })])

const normalizerSchema = z.discriminatedUnion(
  'type',
  [
    z.object({ type: z.enum(unicodeForms) }),
    z.object({ type: z.enum(['Lowercase', 'StripAccents', 'Nmt']) }),
    z.object({
      type: z.literal('BertNormalizer'),
      clean_text: z.boolean(),
      handle_chinese_chars: z.boolean(),
      strip_accents: z.boolean().nullish(),
      lowercase: z.boolean(),
    }),
    z.object({ type: z.literal('Precompiled'), precompiled_charsmap: z.base64().refine(isCharacterMap, 'not a character map') }),
    z.object({ type: z.literal('Replace'), pattern: patternSchema, content: z.string() }),
    z.object({ type: z.literal('Prepend'), prepend: z.string() }),
    z.object({ type: z.literal('Strip'), strip_left: z.boolean(), strip_right: z.boolean() }),
  ],
  { error: ({ input }) => `the normalizer ${JSON.stringify(input)?.slice(0, 100)} is not supported` },
)
export const normalizersSchema = inSequence('normalizers', normalizerSchema)
export type Normalizer = z.output<typeof normalizerSchema>

/** One function that does what all of them do, in turn. */
export function normalizerOf(normalizers: readonly Normalizer[]): (text: string) => string {
  const steps = normalizers.map(stepOf)
  return (text) => steps.reduce((normal, step) => step(normal), text)
}

function stepOf(normalizer: Normalizer): (text: string) => string {
  switch (normalizer.type) {
    case 'Lowercase':
      return lowerCase
    case 'StripAccents':
      return (text) => text.replace(marks, '')
    case 'Nmt':
      return (text) => text.replace(nmtRemoved, '').replace(nmtBlanks, ' ')
    case 'BertNormalizer':
      return bertStep(normalizer)
    case 'Precompiled': {
      const map = new CharacterMap(Buffer.from(normalizer.precompiled_charsmap, 'base64'))
      return (text) => map.normalize(text)
    }
    case 'Replace': {
      const { pattern, content } = normalizer
      if ('String' in pattern) return (text) => text.replaceAll(pattern.String, () => content)
      const expression = translatePattern(pattern.Regex)
      return (text) => text.replace(expression, () => content)
    }
    case 'Prepend':
      return (text) => (text === '' ? '' : normalizer.prepend + text)
    case 'Strip':
      return stripStep(normalizer.strip_left, normalizer.strip_right)
    default:
      return unicodeStep(normalizer.type)
  }
}

/** Character by character: no final sigma at the end of a word. */
function lowerCase(text: string): string {
  return text.replaceAll('Σ', 'σ').toLowerCase()
}

const beyondLatin = /[^\0-\u02ff]/
const hasUnknown = new RegExp(`[${unknownToNormalization}]`, 'v')
const known = new RegExp(`[^${unknownToNormalization}]+`, 'gv')

/** Characters that the reference does not know stand still, and nothing moves past them. */
function unicodeStep(form: UnicodeForm): (text: string) => string {
  return (text) =>
    beyondLatin.test(text) && hasUnknown.test(text) ? text.replace(known, (part) => part.normalize(form)) : text.normalize(form)
}

const marks = new RegExp(mark, 'gv')
const nmtRemoved = /[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]/g
const nmtBlanks = /[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/g

// ---- BERT ----

/** Controls, format characters and private ones, but for those that came after Unicode 8. */
const bertRemoved = /[[\p{Cc}\p{Cf}\p{Co}\ufffd]--[\t\n\r\u{890}\u{891}\u{8e2}\u{110cd}\u{13430}-\u{1343f}]]+/gv
const bertBlanks = /\p{White_Space}/gu
const han =
  /[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu
const nonspacingMarks = new RegExp(nonspacingMark, 'gv')
const plainAscii = /^[ -~]*$/

function bertStep(options: Extract<Normalizer, { type: 'BertNormalizer' }>): (text: string) => string {
  const decompose = unicodeStep('NFD')
  // Unless told otherwise, accents go with the case.
  const stripsAccents = options.strip_accents ?? options.lowercase
  return (text) => {
    let normal = text
    if (!plainAscii.test(text)) {
      if (options.clean_text) normal = normal.replace(bertRemoved, '').replace(bertBlanks, ' ')
      if (options.handle_chinese_chars) normal = normal.replace(han, ' $& ')
      if (stripsAccents) normal = decompose(normal).replace(nonspacingMarks, '')
    }
    return options.lowercase ? lowerCase(normal) : normal
  }
}

// ---- strip ----

/** Not `trim`, to which U+0085 is no blank and U+FEFF one. */
const whiteSpace = /\p{White_Space}/u

function stripStep(left: boolean, right: boolean): (text: string) => string {
  return (text) => {
    let start = 0
    let end = text.length
    if (left) while (start < end && whiteSpace.test(text[start])) start++
    if (right) while (end > start && whiteSpace.test(text[end - 1])) end--
    return text.slice(start, end)
  }
}

function isCharacterMap(base64: string): boolean {
  try {
    new CharacterMap(Buffer.from(base64, 'base64'))
    return true
  } catch {
    return false // cut off, or empty
  }
}
