// Where a text is cut before WordPiece, Unigram and BPE over characters: the pre-tokenizers of Hugging Face's `tokenizer.json`
// that give words rather than bytes, each as its version 0.23 does it. Those of byte-level BPE are pretokenize.ts's matter.

import { z } from 'zod'
import { patternSchema } from './normalizers.ts'
import { translatePattern } from './pretokenize.ts'
import { punctuation, wordCharacter } from './reference-characters.ts'
import { inSequence } from './sequence.ts'

const behaviors = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'] as const
/** What becomes of a match: it goes, stands alone, joins the part before or behind it, or the matches beside it. */
type Behavior = (typeof behaviors)[number]

const metaspaceSchema = z
  .object({
    type: z.literal('Metaspace'),
    replacement: z.string().refine((text) => [...text].length === 1, 'not one character'),
    add_prefix_space: z.boolean().optional(),
    prepend_scheme: z.enum(['always', 'first', 'never']).optional(),
    split: z.boolean().default(true),
  })
  .refine((o) => o.add_prefix_space !== false || (o.prepend_scheme ?? 'never') === 'never', 'add_prefix_space and prepend_scheme differ')
  .transform(({ type, replacement, add_prefix_space, prepend_scheme, split }) => {
    return {
      type,
      replacement,
      prepend_scheme: prepend_scheme ?? (add_prefix_space === false ? ('never' as const) : ('always' as const)),
      split,
    }
  })

const splitterSchema = z.discriminatedUnion(
  'type',
  [
    z.object({ type: z.enum(['BertPreTokenizer', 'Whitespace', 'WhitespaceSplit']) }),
    z.object({ type: z.literal('Punctuation'), behavior: z.enum(behaviors).default('Isolated') }),
    z.object({ type: z.literal('Digits'), individual_digits: z.boolean().default(false) }),
    z.object({ type: z.literal('Split'), pattern: patternSchema, behavior: z.enum(behaviors), invert: z.boolean().default(false) }),
    metaspaceSchema,
  ],
  { error: ({ input }) => `the pre_tokenizer ${JSON.stringify(input)?.slice(0, 100)} is not supported` },
)
export const splittersSchema = inSequence('pretokenizers', splitterSchema)
export type Splitter = z.output<typeof splitterSchema>
/** Decoders ask the same of it. */
export const metaspaceDecoderSchema = metaspaceSchema

interface Parts {
  readonly parts: readonly string[]
  /** Whether the first part begins where the text of the user does. */
  readonly fromStart: boolean
}

/** Cuts by all of them, in turn. `fromStart`: the text is the beginning of what the user gave. */
export function splitterOf(splitters: readonly Splitter[]): (text: string, fromStart: boolean) => readonly string[] {
  const steps = splitters.map(stepOf)
  return (text, fromStart) => {
    if (text === '') return []
    let parts: Parts = { parts: [text], fromStart }
    for (const step of steps) parts = step(parts)
    return parts.parts
  }
}

/** Whether it matters if a text is the beginning of what the user gave. */
export function asksForStart(splitters: readonly Splitter[]): boolean {
  return splitters.some((splitter) => splitter.type === 'Metaspace' && splitter.prepend_scheme === 'first')
}

function stepOf(splitter: Splitter): (parts: Parts) => Parts {
  switch (splitter.type) {
    case 'BertPreTokenizer':
      return wordsStep(bertWords)
    case 'Whitespace':
      return wordsStep(wordsAndMarks)
    case 'WhitespaceSplit':
      return wordsStep(unblank)
    case 'Punctuation':
      return cutStep(new RegExp(punctuation, 'gv'), splitter.behavior, false)
    case 'Digits':
      return cutStep(/\p{N}/gu, splitter.individual_digits ? 'Isolated' : 'Contiguous', false)
    case 'Split': {
      const { pattern, behavior, invert } = splitter
      return cutStep(translatePattern('Regex' in pattern ? pattern.Regex : RegExp.escape(pattern.String)), behavior, invert)
    }
    case 'Metaspace':
      return metaspaceStep(splitter)
  }
}

/** Words between blanks; a mark is a word of its own. */
const bertWords = new RegExp(`${punctuation}|[^\\p{White_Space}${punctuation}]+`, 'gv')
const wordsAndMarks = new RegExp(`${wordCharacter}+|[^${wordCharacter}\\p{White_Space}]+`, 'gv')
const unblank = /\P{White_Space}+/gu

/** Matches are the parts; what lies between them goes. */
function wordsStep(words: RegExp): (parts: Parts) => Parts {
  return ({ parts, fromStart }) => {
    const found = parts.map((part) => part.match(words) ?? [])
    const first = found.findIndex((words) => words.length > 0)
    return { parts: found.length === 1 ? found[0] : found.flat(), fromStart: fromStart && first === 0 && parts[0].startsWith(found[0][0]) }
  }
}

function cutStep(pattern: RegExp, behavior: Behavior, inverted: boolean): (parts: Parts) => Parts {
  return ({ parts, fromStart }) => {
    const cut = parts.map((part) => cutText(part, pattern, behavior, inverted))
    return { parts: cut.flat(), fromStart: fromStart && (cut[0]?.length ?? 0) > 0 && parts[0].startsWith(cut[0][0]) }
  }
}

function cutText(text: string, pattern: RegExp, behavior: Behavior, inverted: boolean): string[] {
  const parts: string[] = []
  let wasMatch = false
  const add = (part: string, isMatch: boolean) => {
    const joins =
      (behavior === 'MergedWithPrevious' && isMatch && !wasMatch) ||
      (behavior === 'MergedWithNext' && !isMatch && wasMatch) ||
      (behavior === 'Contiguous' && isMatch === wasMatch)
    if (joins && parts.length > 0) parts[parts.length - 1] += part
    else if (!(behavior === 'Removed' && isMatch)) parts.push(part)
    wasMatch = isMatch
  }
  let end = 0
  for (const { 0: match, index } of text.matchAll(pattern)) {
    if (match === '') continue
    if (index > end) add(text.slice(end, index), inverted)
    add(match, !inverted)
    end = index + match.length
  }
  if (end < text.length) add(text.slice(end), inverted)
  return parts
}

/** Blanks as marks; one in front, and cuts before each, as it says. */
function metaspaceStep({ replacement, prepend_scheme, split }: Extract<Splitter, { type: 'Metaspace' }>): (parts: Parts) => Parts {
  return ({ parts, fromStart }) => {
    const out: string[] = []
    for (const [i, part] of parts.entries()) {
      const marked = part.replaceAll(' ', replacement)
      const prepends = prepend_scheme === 'always' || (prepend_scheme === 'first' && fromStart && i === 0)
      const whole = prepends && !marked.startsWith(replacement) ? replacement + marked : marked
      if (split) cutBefore(whole, replacement, out)
      else out.push(whole)
    }
    return { parts: out, fromStart }
  }
}

function cutBefore(text: string, mark: string, out: string[]): void {
  let start = 0
  for (let at = text.indexOf(mark, 1); at >= 0; at = text.indexOf(mark, at + 1)) {
    out.push(text.slice(start, at))
    start = at
  }
  if (start < text.length) out.push(text.slice(start))
}
