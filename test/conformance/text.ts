// Words, sentences and simplified text.

import { z } from 'zod'
import { splitSentences } from '../../src/text/sentences.ts'
import { simplify } from '../../src/text/simplify.ts'
import { splitWords } from '../../src/text/words.ts'
import { difference, type Runner, rowByRow } from './cases.ts'

const segmentation = z.object({
  text: z.string(),
  words: z.array(z.string()),
  sentences_split: z.array(z.string()).optional(),
  simplified: z.string().optional(),
})

export const textRunners: readonly Runner[] = [
  rowByRow(
    'segmentation*.jsonl',
    segmentation,
    (row) =>
      difference('words', row.words, splitWords(row.text)) ??
      (row.sentences_split && difference('sentences', row.sentences_split, splitSentences(row.text))) ??
      (row.simplified === undefined ? undefined : difference('simplified', row.simplified, simplify(row.text))),
  ),
]
