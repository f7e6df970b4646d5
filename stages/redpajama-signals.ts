// Writes the quality signals of RedPajama-v2 down as annotations, under its names: Weber et al. 2024, arxiv.org/abs/2411.12372.
// Signals of lines are lists, a number for each line; the others are numbers, NaN where there is nothing to measure.
//
//   .pipe(s.redPajamaSignals())
//   .pipe(s.filter('prose', ({ annotations: a }) => a.rps_doc_word_count >= 50 && a.rps_doc_frac_chars_top_2gram <= 0.2))
//
// Left out is what needs a file that is not shipped: rps_doc_ml_palm_score, rps_doc_ml_wikiref_score and rps_doc_ml_wikipedia_score
// (fastText models trained by RedPajama), rps_doc_*_importance (DSIR's n-gram counts of books, OpenWebText and Wikipedia),
// rps_doc_ut1_blacklist (the lists of UT1: give them to urlFilter), ccnet_perplexity and ccnet_bucket (a KenLM model), ccnet_language_score
// (that is languageScore, from the stage language).

import { z } from 'zod'
import type { Annotated, Document } from '../src/core/document.ts'
import { mapStage, type Stage } from '../src/core/stage.ts'
import { type RedPajamaSignals, redPajamaMeter } from '../src/signals/redpajama.ts'
import { stopWordsOf } from '../src/signals/stop-words.ts'
import { annotate } from '../src/text/analysis.ts'
import { listVersion, readList } from '../src/text/lists.ts'
import { variantOption } from './variant.ts'

const list = z.union([z.array(z.string()), z.strictObject({ file: z.string() })])

export const redPajamaSignalsOptions = z.strictObject({
  variant: variantOption('signals@redpajama-2'),
  badWords: z
    .record(z.string(), list)
    .default({})
    .describe(
      'block lists by language code, for rps_doc_ldnoobw_words: { en: { file: "ldnoobw/en.txt" } }; a language without one counts 0',
    ),
  defaultLanguage: z.string().default('en').describe('language of documents that name none: whose stop words and bad words are counted'),
})
export type RedPajamaSignalsOptions = z.input<typeof redPajamaSignalsOptions>
type Choices = z.output<typeof redPajamaSignalsOptions>

/** Adds the annotations; changes and drops nothing. */
export function redPajamaSignals<T extends Document>(options: RedPajamaSignalsOptions = {}): Stage<T, Annotated<T, RedPajamaSignals>> {
  const choices = redPajamaSignalsOptions.parse(options)
  const versions = Object.fromEntries(Object.entries(choices.badWords).map(([language, words]) => [language, listVersion(words)]))
  return mapStage('redPajamaSignals', {
    options: { ...choices, versions },
    prepare: () => {
      const measure = redPajamaMeters(choices)
      return (document, report) => {
        const signals = measure(document)
        report(documentSignals(signals))
        return annotate(document, signals)
      }
    },
  })
}

/** Measures each document with the lists of its language. */
export function redPajamaMeters({
  badWords,
  defaultLanguage,
}: Pick<Choices, 'badWords' | 'defaultLanguage'>): (document: Pick<Document, 'text' | 'language'>) => RedPajamaSignals {
  const meters = new Map<string, ReturnType<typeof redPajamaMeter>>()
  return ({ text, language = defaultLanguage }) => {
    const known = meters.get(language)
    if (known !== undefined) return known(text)
    const meter = redPajamaMeter({ stopWords: stopWordsOf(language), badWords: language in badWords ? readList(badWords[language]) : [] })
    meters.set(language, meter)
    return meter(text)
  }
}

/** Those that are one number a document: for receipts and histograms. */
function documentSignals(signals: RedPajamaSignals): Record<string, number> {
  const numbers: Record<string, number> = {}
  for (const [name, signal] of Object.entries(signals)) if (typeof signal === 'number') numbers[name] = signal
  return numbers
}
