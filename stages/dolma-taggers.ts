// Writes what Dolma's taggers find down as annotations, named tagger__attribute as in its files: Soldaini et al. 2024,
// arxiv.org/abs/2402.00159 (allenai/dolma, commit 669f5348). A score of the whole document is a number; stretches of the text are lists
// of [start, end, score] in code points; an attribute that the toolkit leaves out is 0 (a claim), NaN (an n-gram of too few words) or
// the empty list.
//
//   .pipe(s.dolmaTaggers({ taggers: ['gopher_v1', 'c4_v1'] }))
//   .pipe(s.filter('prose', ({ annotations: a }) => a.gopher_v1__word_count >= 50 && a.c4_v1__has_curly_brace === 0))
//
// Not here: taggers that need another program's tokenizer or model (olmo_pretokenizer_v1, dolma_v1_tokenizer, uniseg_length_*,
// tokenizer_repetitions_*, ft_*, cld2_*), those for code, and those of PII, which redactPii finds.

import { z } from 'zod'
import type { Annotated, Annotation, Annotations, Document } from '../src/core/document.ts'
import { mapStage, type Stage } from '../src/core/stage.ts'
import {
  bytesLength,
  charLength,
  charLengthStripped,
  charLengthWithParagraphs,
  notAlphanumParagraphs,
  paragraphRepetitions,
  repetitions,
  round5,
  type Span,
  whitespaceLength,
  whitespaceLengthWithParagraphs,
} from '../src/signals/dolma.ts'
import { annotate, type HasText } from '../src/text/analysis.ts'
import { listVersion, readList } from '../src/text/lists.ts'
import { measureC4Dolma, measureC4DolmaFast, type NaughtyList, naughtyList } from './c4-dolma.ts'
import { gopherDolmaOptions, measureGopherDolma } from './gopher-dolma.ts'
import { variantOption } from './variant.ts'

const taggers = {
  gopher_v1: (document: HasText) => gopherAttributes(document, false),
  gopher_v2: (document: HasText) => gopherAttributes(document, true),
  c4_v1: (document: HasText, naughty: NaughtyList) => c4Attributes(measureC4Dolma(document, naughty)),
  c4_v2: (document: HasText, naughty: NaughtyList) => c4Attributes(measureC4DolmaFast(document, naughty)),
  bytes_length_v1: ({ text }: HasText) => bytesLength(text),
  char_length_v1: ({ text }: HasText) => charLength(text),
  char_length_strip_ws_v1: ({ text }: HasText) => charLengthStripped(text),
  char_length_with_paragraphs_v1: ({ text }: HasText) => charLengthWithParagraphs(text),
  whitespace_tokenizer_v1: ({ text }: HasText) => whitespaceLength(text),
  whitespace_tokenizer_with_paragraphs_v1: ({ text }: HasText) => whitespaceLengthWithParagraphs(text),
  not_alphanum_paragraph_v1: ({ text }: HasText) => notAlphanumParagraphs(text),
  repetitions_v1: ({ text }: HasText) => repetitions(text),
  paragraph_repetitions_v1: ({ text }: HasText) => paragraphRepetitions(text),
}

type Taggers = typeof taggers
export type DolmaTagger = keyof Taggers
type Made<N extends DolmaTagger> = ReturnType<Taggers[N]>
type Name<N extends DolmaTagger> = N extends DolmaTagger ? `${N}__${keyof Made<N> & string}` : never
/** The annotations of these taggers. */
export type DolmaAttributes<N extends DolmaTagger> = {
  readonly [K in Name<N>]: K extends `${infer T extends DolmaTagger}__${infer A}` ? Made<T>[A & keyof Made<T>] : never
}

export const dolmaTaggerNames = [
  'gopher_v1',
  'gopher_v2',
  'c4_v1',
  'c4_v2',
  'bytes_length_v1',
  'char_length_v1',
  'char_length_strip_ws_v1',
  'char_length_with_paragraphs_v1',
  'whitespace_tokenizer_v1',
  'whitespace_tokenizer_with_paragraphs_v1',
  'not_alphanum_paragraph_v1',
  'repetitions_v1',
  'paragraph_repetitions_v1',
] as const satisfies readonly DolmaTagger[]

export const dolmaTaggersOptions = z.strictObject({
  variant: variantOption('taggers@dolma-1'),
  taggers: z
    .array(z.enum(dolmaTaggerNames))
    .min(1)
    .describe(`which of them: ${dolmaTaggerNames.join(', ')}`),
  naughtyWords: z
    .union([z.array(z.string()), z.strictObject({ file: z.string() })])
    .default([])
    .describe('words and phrases for has_naughty_word: inline, or { file } with one a line, lower case'),
})
export interface DolmaTaggersOptions<N extends DolmaTagger> extends Omit<z.input<typeof dolmaTaggersOptions>, 'taggers'> {
  readonly taggers: N[]
}

/** Adds the annotations; changes and drops nothing. */
export function dolmaTaggers<T extends Document, N extends DolmaTagger>(
  options: DolmaTaggersOptions<N>,
): Stage<T, Annotated<T, DolmaAttributes<N>>> {
  const { taggers: _, ...choices } = dolmaTaggersOptions.parse(options)
  return mapStage('dolmaTaggers', {
    options: { ...choices, taggers: options.taggers, version: listVersion(choices.naughtyWords) },
    prepare: () => {
      const naughty = naughtyList(readList(choices.naughtyWords))
      return (document, report) => {
        const attributes = dolmaAttributes(document, options.taggers, naughty)
        report(numbersOf(attributes))
        return annotate(document, attributes)
      }
    },
  })
}

/** The toolkit's own rounding included. */
export function dolmaAttributes<N extends DolmaTagger>(document: HasText, names: readonly N[], naughty: NaughtyList): DolmaAttributes<N>
export function dolmaAttributes(document: HasText, names: readonly DolmaTagger[], naughty: NaughtyList): Annotations {
  const attributes: Record<string, Annotation> = {}
  for (const tagger of names) {
    for (const [attribute, value] of Object.entries(taggers[tagger](document, naughty))) attributes[`${tagger}__${attribute}`] = value
  }
  return attributes
}

function numbersOf(attributes: Annotations): Record<string, number> {
  const numbers: Record<string, number> = {}
  for (const [name, value] of Object.entries(attributes)) if (typeof value === 'number') numbers[name] = value
  return numbers
}

// ---- attributes as the filters measure them ----

const gopherNgrams = gopherDolmaOptions.parse({})

function gopherAttributes(document: HasText, ignoreEmptyLines: boolean) {
  const measured = measureGopherDolma(document, { ...gopherNgrams, ignoreEmptyLines })
  const score = (name: string) => round5(measured[name] ?? Number.NaN)
  return {
    character_count: score('character_count'),
    word_count: score('word_count'),
    median_word_length: score('median_word_length'),
    symbol_to_word_ratio: score('symbol_to_word_ratio'),
    fraction_of_words_with_alpha_character: score('fraction_of_words_with_alpha_character'),
    required_word_count: score('required_word_count'),
    fraction_of_lines_starting_with_bullet_point: score('fraction_of_lines_starting_with_bullet_point'),
    fraction_of_lines_ending_with_ellipsis: score('fraction_of_lines_ending_with_ellipsis'),
    fraction_of_duplicate_lines: score('fraction_of_duplicate_lines'),
    fraction_of_characters_in_duplicate_lines: score('fraction_of_characters_in_duplicate_lines'),
    fraction_of_characters_in_most_common_2grams: score('fraction_of_characters_in_most_common_2grams'),
    fraction_of_characters_in_most_common_3grams: score('fraction_of_characters_in_most_common_3grams'),
    fraction_of_characters_in_most_common_4grams: score('fraction_of_characters_in_most_common_4grams'),
    fraction_of_characters_in_duplicate_5grams: score('fraction_of_characters_in_duplicate_5grams'),
    fraction_of_characters_in_duplicate_6grams: score('fraction_of_characters_in_duplicate_6grams'),
    fraction_of_characters_in_duplicate_7grams: score('fraction_of_characters_in_duplicate_7grams'),
    fraction_of_characters_in_duplicate_8grams: score('fraction_of_characters_in_duplicate_8grams'),
    fraction_of_characters_in_duplicate_9grams: score('fraction_of_characters_in_duplicate_9grams'),
    fraction_of_characters_in_duplicate_10grams: score('fraction_of_characters_in_duplicate_10grams'),
  }
}

function c4Attributes(measured: ReturnType<typeof measureC4Dolma>) {
  const spans = (of: readonly (readonly [number, number])[]) => of.map(([start, end]): Span => [start, end, 1])
  return {
    lines_with_no_ending_punctuation: spans(measured.lines_with_no_ending_punctuation),
    lines_with_too_few_words: spans(measured.lines_with_too_few_words),
    has_naughty_word: Number(measured.has_naughty_word),
    has_javascript: Number(measured.has_javascript),
    has_lorem_ipsum: Number(measured.has_lorem_ipsum),
    has_curly_brace: Number(measured.has_curly_brace),
    line_count: measured.line_count,
  }
}
