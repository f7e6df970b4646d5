// Removes long stretches of text that occur more than once in the data set, within a document or across. Lee et al. 2022,
// "Deduplicating Training Data Makes Language Models Better", section 4.1 (ExactSubstr), arxiv.org/abs/2107.06499. The
// paper finds them with a suffix array, here every window of tokens is hashed and sorted on disk: the same stretches, in
// bounded memory.

import { z } from 'zod'
import type { Document } from '../src/core/document.ts'
import { type ApplyContext, type ApplyRun, type Barrier, type CollectContext, type CollectRun, drop, named } from '../src/core/stage.ts'
import { applyEach } from '../src/dedup/apply.ts'
import { collectParts, openRepeats, repeatMerges } from '../src/dedup/repeats.ts'
import { coveredRanges, eachWindow, withoutRanges } from '../src/dedup/token-windows.ts'
import { codePointLength } from '../src/text/characters.ts'
import { loadTokenizer, type Tokenizer, tokenizerNames } from '../src/tokenizer/tokenizer.ts'

export const substringDedupOptions = z.strictObject({
  tokens: z.int().min(2).max(65_536).default(50).describe('tokens that a repeated stretch has at least'),
  tokenizer: z.enum(tokenizerNames).default('gpt2').describe('what the tokens are of'),
  keep: z
    .enum(['first', 'none'])
    .default('first')
    .describe('which copy of a stretch stays: the first in the input, or none of them, as in the paper'),
  action: z.enum(['cut', 'drop']).default('cut').describe('what goes: the stretch, or the document that holds it'),
  minChars: z.int().min(1).default(1).describe('cut: a document of which less is left is dropped'),
})
export type SubstringDedupOptions = z.input<typeof substringDedupOptions>
type Resolved = z.output<typeof substringDedupOptions>

/**
 * Cuts out repeated stretches, or drops the documents that hold them. Reasons: `substring_duplicate`,
 * `substring_dedup_too_short`. Statistics: `tokens`, `repeated_tokens`. Lengths of text are in code points. Disk: 16 bytes a token.
 */
export function substringDedup(options: SubstringDedupOptions = {}): Barrier<Document> {
  const resolved = substringDedupOptions.parse(options)
  return {
    kind: 'barrier',
    dropsDuplicates: true,
    ...named('substringDedup', { options: resolved }),
    collect: (context) => collect(context, resolved),
    merges: repeatMerges({ keep: resolved.keep, ties: 'input' }),
    apply: (context) => apply(context, resolved),
  }
}

async function collect(context: CollectContext, { tokenizer: name, tokens: length }: Resolved): Promise<CollectRun<Document>> {
  const tokenizer = await loadTokenizer(name)
  return collectParts(context, ({ text }, add) => eachWindow(tokenizer.encode(text), length, add))
}

async function apply(context: ApplyContext, options: Resolved): Promise<ApplyRun<Document>> {
  const tokenizer = await loadTokenizer(options.tokenizer)
  const repeatsOf = openRepeats(context)
  return applyEach(context, (document, row) => {
    const tokens = tokenizer.encode(document.text)
    const ranges = coveredRanges(repeatsOf(row), options.tokens)
    const repeated = ranges.reduce((sum, [start, end]) => sum + end - start, 0)
    context.record(document, { tokens: tokens.length, repeated_tokens: repeated })
    if (repeated === 0) return document
    if (options.action === 'drop') return drop('substring_duplicate')
    const text = withoutTokens(tokenizer, tokens, ranges)
    const isTooShort = text.trim() === '' || codePointLength(text) < options.minChars
    return isTooShort ? drop('substring_dedup_too_short') : { ...document, text }
  })
}

function withoutTokens(tokenizer: Tokenizer, tokens: Uint32Array, ranges: readonly (readonly [start: number, end: number])[]): string {
  const bytesBefore = new Uint32Array(tokens.length + 1)
  for (let i = 0; i < tokens.length; i++) bytesBefore[i + 1] = bytesBefore[i] + tokenizer.decodeBytes([tokens[i]]).length
  const byteRanges = ranges.map(([start, end]) => [bytesBefore[start], bytesBefore[end]] as const)
  return withoutRanges(tokenizer.decodeBytes(tokens), byteRanges)
}
