// Which option of a stage bounds which of its statistics, and on which side documents are dropped: what the report draws
// into the histograms. Stages that are not listed here are found by their names: minFoo and maxFoo bound foo.

import type { Json } from '../core/document.ts'
import type { FrozenStage } from '../engine/run-folder.ts'

export interface Threshold {
  readonly option: string
  readonly value: number
  readonly drops: 'below' | 'above'
}

type Bound = readonly [option: string, drops: Threshold['drops']]

/** By stage, then statistic. */
const bounds: Record<string, Record<string, readonly Bound[]>> = {
  extractText: { textCharacters: [['minCharacters', 'below']] },
  language: { kept_score: [['minScore', 'below']] },
  urlFilter: { soft_words: [['softWordThreshold', 'above']] },
  gopherQuality: {
    n_non_symbol_words: [
      ['minDocWords', 'below'],
      ['maxDocWords', 'above'],
    ],
    avg_word_length: [
      ['minAvgWordLength', 'below'],
      ['maxAvgWordLength', 'above'],
    ],
    hash_ratio: [['maxSymbolWordRatio', 'above']],
    ellipsis_ratio: [['maxSymbolWordRatio', 'above']],
    bullet_line_ratio: [['maxBulletLinesRatio', 'above']],
    ellipsis_line_ratio: [['maxEllipsisLinesRatio', 'above']],
    alpha_ratio: [['maxNonAlphaWordsRatio', 'below']], // the reference's name says the opposite
    n_stop_words: [['minStopWords', 'below']],
  },
  gopherRepetition: {
    dup_line_frac: [['dupLineFrac', 'above']],
    dup_para_frac: [['dupParaFrac', 'above']],
    dup_line_char_frac: [['dupLineCharFrac', 'above']],
    dup_para_char_frac: [['dupParaCharFrac', 'above']],
  },
  gopherDolma: {
    word_count: [
      ['minWordCount', 'below'],
      ['maxWordCount', 'above'],
    ],
    median_word_length: [
      ['minMedianWordLength', 'below'],
      ['maxMedianWordLength', 'above'],
    ],
    symbol_to_word_ratio: [['maxSymbolToWordRatio', 'above']],
    fraction_of_words_with_alpha_character: [['minWordsWithAlphaCharacter', 'below']],
    required_word_count: [['minRequiredWordCount', 'below']],
    fraction_of_lines_starting_with_bullet_point: [['maxBulletPointLines', 'above']],
    fraction_of_lines_ending_with_ellipsis: [['maxEllipsisLines', 'above']],
    fraction_of_duplicate_lines: [['maxDuplicateLines', 'above']],
    fraction_of_characters_in_duplicate_lines: [['maxDuplicateLineCharacters', 'above']],
  },
  gopherRedPajama: {
    rps_doc_word_count: [
      ['minWordCount', 'below'],
      ['maxWordCount', 'above'],
    ],
    rps_doc_mean_word_length: [
      ['minMeanWordLength', 'below'],
      ['maxMeanWordLength', 'above'],
    ],
    rps_doc_symbol_to_word_ratio: [['maxSymbolToWordRatio', 'above']],
    bullet_lines: [['maxBulletLines', 'above']],
    rps_doc_frac_chars_top_2gram: [['maxTop2Gram', 'above']],
    rps_doc_frac_chars_top_3gram: [['maxTop3Gram', 'above']],
    rps_doc_frac_chars_top_4gram: [['maxTop4Gram', 'above']],
    rps_doc_frac_lines_end_with_ellipsis: [['maxEllipsisLines', 'above']],
    rps_doc_frac_no_alph_words: [['maxNoAlphWords', 'above']],
    rps_doc_frac_chars_dupe_5grams: [['maxDupe5Grams', 'above']],
    rps_doc_frac_chars_dupe_6grams: [['maxDupe6Grams', 'above']],
    rps_doc_frac_chars_dupe_7grams: [['maxDupe7Grams', 'above']],
    rps_doc_frac_chars_dupe_8grams: [['maxDupe8Grams', 'above']],
    rps_doc_frac_chars_dupe_9grams: [['maxDupe9Grams', 'above']],
    rps_doc_frac_chars_dupe_10grams: [['maxDupe10Grams', 'above']],
  },
  c4Quality: { n_sentences: [['minNumSentences', 'below']] },
  c4Paragraph: { n_paragraphs: [['minParagraphs', 'below']] },
  fineWebQuality: {
    line_punct_ratio: [['linePunctThr', 'below']],
    short_line_ratio: [['shortLineThr', 'above']],
    char_dup_ratio: [['charDuplicatesRatio', 'above']],
    list_ratio: [['newLineRatio', 'above']],
  },
  sample: { chance: [['rate', 'above']] },
}

/** Empty where nothing bounds it, or what does is switched off (null, 0, -1). */
export function thresholdsOf(stage: Pick<FrozenStage, 'name' | 'options'>, statistic: string): Threshold[] {
  const name = stage.name.replace(/#\d+$/, '')
  const grams = gramThreshold(stage.options, statistic)
  if (grams) return [grams]
  const listed = bounds[name]?.[statistic] ?? (name in bounds ? [] : boundsByName(stage.options, statistic))
  return listed.flatMap(([option, drops]) => {
    const value = optionOf(stage.options, option)
    return typeof value === 'number' && value > 0 ? [{ option, value, drops }] : []
  })
}

function optionOf(options: Json, name: string): Json | undefined {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) return undefined
  return Object.entries(options).find(([key]) => key === name)?.[1]
}

/** Of the n-gram rules, whose option is a list of n and limit. */
function gramThreshold(options: Json, statistic: string): Threshold | undefined {
  const [, top, duplicated] = /^(?:top_(\d+)_gram|duplicated_(\d+)_n_grams)$/.exec(statistic) ?? []
  const option = top ? 'topNGrams' : 'dupNGrams'
  const pairs = top || duplicated ? optionOf(options, option) : undefined
  if (!Array.isArray(pairs)) return undefined
  const pair: unknown = pairs.find((entry) => Array.isArray(entry) && entry[0] === Number(top ?? duplicated))
  if (!Array.isArray(pair) || typeof pair[1] !== 'number') return undefined
  return { option, value: pair[1], drops: 'above' }
}

function boundsByName(options: Json, statistic: string): Bound[] {
  const plain = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, '')
  return (['min', 'max'] as const).flatMap((prefix): Bound[] => {
    const names = typeof options === 'object' && options !== null ? Object.keys(options) : []
    const option = names.find((name) => plain(name) === prefix + plain(statistic))
    return option === undefined ? [] : [[option, prefix === 'min' ? 'below' : 'above']]
  })
}
