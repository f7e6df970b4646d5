// Learns what toxic documents look like, and drops those that look most like them. Examples are the user's, or lists of bad
// words label the documents that come by: those with one of the words are toxic, those without are not. Such labels are weak,
// so the words themselves are taken out of what is learnt from and tested on: what remains is the company they keep, and the
// report says how well that predicts the words, not toxicity itself. c4BadWords drops documents for the words alone.
// Like qualityClassifier one barrier, with its report.

import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import type { Barrier } from '../src/core/stage.ts'
import { listVersion } from '../src/text/lists.ts'
import { badWordPatterns, c4BadWordsOptions } from './c4-bad-words.ts'
import { describeSource, exampleSource, learningFields, trainedClassifier } from './trained-classifier.ts'

export const toxicityClassifierOptions = z
  .strictObject({
    toxic: exampleSource.optional().describe('a source of toxic documents'),
    clean: exampleSource.optional().describe('a source of others; documents that come by where left out'),
    lists: c4BadWordsOptions.shape.lists
      .optional()
      .describe('bad words by language code, as for c4BadWords: they label the documents that come by'),
    defaultLanguage: z.string().default('en').describe('language of documents that name none'),
    drop: z.number().gt(0).lt(1).optional().describe('share of the documents to drop'),
    maxScore: z.number().min(0).max(1).optional().describe('drops what scores this or more, instead of a share'),
    annotation: z.string().min(1).default('toxicity_score').describe('name of the annotation that gets the score, 0 to 1'),
    ...learningFields,
  })
  .refine((o) => o.toxic !== undefined || o.lists !== undefined, { path: ['toxic'], error: 'give toxic, or lists of bad words' })
  .refine((o) => o.drop === undefined || o.maxScore === undefined, { path: ['maxScore'], error: 'give drop or maxScore, not both' })
export type ToxicityClassifierOptions = z.input<typeof toxicityClassifierOptions>

/** Reason: `high_toxicity_score`. Without drop and maxScore nothing is dropped. Statistics: `score`, `threshold`. */
export function toxicityClassifier(options: ToxicityClassifierOptions): Barrier<Document> {
  const { toxic, clean, lists, defaultLanguage, drop, maxScore, ...rest } = toxicityClassifierOptions.parse(options)
  const versions = lists && Object.fromEntries(Object.entries(lists).map(([language, words]) => [language, listVersion(words)]))
  const described = {
    toxic: toxic === undefined ? null : describeSource(toxic),
    clean: clean === undefined ? null : describeSource(clean),
    lists: lists ?? null,
    versions: versions ?? null,
  }
  return trainedClassifier({
    ...rest,
    name: 'toxicityClassifier',
    options: { ...rest, ...described, defaultLanguage, drop: drop ?? null, maxScore: maxScore ?? null },
    positives: toxic,
    negatives: clean,
    ...(lists !== undefined && weakLabels(lists, defaultLanguage)),
    topShare: drop,
    threshold: maxScore,
    drops: 'from',
    reason: 'high_toxicity_score',
  })
}

function weakLabels(lists: z.output<typeof c4BadWordsOptions>['lists'], defaultLanguage: string) {
  let loaded: ReadonlyMap<string, RegExp> | undefined
  const patterns = () => {
    loaded ??= badWordPatterns(lists)
    return loaded
  }
  return {
    isPositive: ({ language, metadata, text }: Document) => {
      const named = language ?? metadata.language
      return patterns()
        .get(typeof named === 'string' ? named : defaultLanguage)
        ?.test(text.toLowerCase())
    },
    mask: (text: string) =>
      [...patterns().values()].reduce((masked, pattern) => masked.replace(new RegExp(pattern, `${pattern.flags}gi`), ' '), text),
  }
}
