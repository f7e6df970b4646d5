// Removes lines, or paragraphs, that occur more than once in the data set. Wenzek et al. 2020 (CCNet), section 3.1,
// arxiv.org/abs/1911.00359: compared without case, numbers, punctuation and accents; the first copy stays.

import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import { type ApplyContext, type ApplyRun, type Barrier, type CollectContext, type CollectRun, drop, named } from '../src/core/stage.ts'
import { applyEach } from '../src/dedup/apply.ts'
import { createTextHasher } from '../src/dedup/kernel.ts'
import { collectParts, openRepeats, repeatMerges } from '../src/dedup/repeats.ts'
import { codePointLength } from '../src/text/characters.ts'
import { simplify } from '../src/text/simplify.ts'

export const lineDedupOptions = z.strictObject({
  unit: z.enum(['line', 'paragraph']).default('line').describe('what is compared: a line, or what blank lines part'),
  compare: z
    .enum(['simplified', 'exact'])
    .default('simplified')
    .describe('simplified: without case, punctuation, accents, and with all numbers alike'),
  keep: z.enum(['first', 'none']).default('first').describe('which copy stays: the first in the input, or none'),
  minUnitChars: z.int().min(1).default(1).describe('a shorter line or paragraph always stays, and is no copy of anything'),
  minChars: z.int().min(1).default(1).describe('a changed document of which less is left is dropped'),
})
export type LineDedupOptions = z.input<typeof lineDedupOptions>
type Resolved = z.output<typeof lineDedupOptions>

/**
 * Removes repeated lines. Reasons, for changed documents: `line_dedup_empty`, `line_dedup_too_short`.
 * Statistics: `removed_units`, `removed_chars`. Lengths are in code points.
 */
export function lineDedup(options: LineDedupOptions = {}): Barrier<Document> {
  const resolved = lineDedupOptions.parse(options)
  return {
    kind: 'barrier',
    dropsDuplicates: true,
    ...named('lineDedup', { options: resolved }),
    collect: async (context) => collect(context, resolved),
    merges: repeatMerges({ keep: resolved.keep, ties: 'input' }),
    apply: async (context) => apply(context, resolved),
  }
}

const separators = { line: '\n', paragraph: '\n\n' } as const
const breaks = { line: '\n', paragraph: /\n(?:[^\S\n]*\n)+/ } as const

function collect(context: CollectContext, { unit, compare, minUnitChars }: Resolved): CollectRun<Document> {
  const hash = createTextHasher()
  return collectParts(context, ({ text }, add) => {
    for (const [position, content] of text.split(breaks[unit]).entries()) {
      if (content.length < minUnitChars || codePointLength(content) < minUnitChars) continue
      const compared = compare === 'simplified' ? simplify(content) : content
      if (compared.trim() === '') continue
      const [high, low] = hash(compared)
      add(high, low, position)
    }
  })
}

function apply(context: ApplyContext, { unit, minChars }: Resolved): ApplyRun<Document> {
  const repeatsOf = openRepeats(context)
  return applyEach(context, (document, row) => {
    const repeats = new Set(repeatsOf(row))
    if (repeats.size === 0) {
      context.record(document, { removed_units: 0, removed_chars: 0 })
      return document
    }
    const kept = document.text.split(breaks[unit]).filter((_, position) => !repeats.has(position))
    const text = kept.join(separators[unit])
    const chars = codePointLength(text)
    context.record(document, { removed_units: repeats.size, removed_chars: codePointLength(document.text) - chars })
    if (text.trim() === '') return drop('line_dedup_empty')
    return chars < minChars ? drop('line_dedup_too_short') : { ...document, text }
  })
}
