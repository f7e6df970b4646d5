// Trains a byte-level BPE tokenizer on all documents that come by, and lets them pass. Counting is per partition and
// bounded in memory; the training itself holds the distinct words (src/tokenizer/train.ts).

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { TOKENIZER_FILE } from '../schemas/tokens.ts'
import type { Document } from '../src/core/document.ts'
import { SluiceError } from '../src/core/errors.ts'
import { type Barrier, type CollectContext, type CollectRun, type MergeContext, named } from '../src/core/stage.ts'
import { serializeTokenizerJson } from '../src/tokenizer/formats.ts'
import { PieceBuffer, patternNames, patternSources, preTokenizer } from '../src/tokenizer/pretokenize.ts'
import { endOfTextNames } from '../src/tokenizer/tokenizer.ts'
import { TRAINING_BYTES_PER_WORD_BYTE, trainTokenizerOn } from '../src/tokenizer/train.ts'
import { mergeWordFiles, readFrequentWords, SpillingWordCounter } from '../src/tokenizer/words.ts'

export const trainTokenizerOptions = z
  .strictObject({
    vocabSize: z.int().min(257).max(1_048_576).default(32_768).describe('tokens, special ones and the 256 bytes included'),
    pattern: z.enum(patternNames).default('gpt4').describe('where text is cut before merging: the pre-tokenization of that model'),
    minFrequency: z.int().min(1).default(2).describe('a pair that occurs less often is never merged'),
    specialTokens: z
      .array(z.string().min(1))
      .min(1)
      .default(['<|endoftext|>'])
      .describe('get the first ids; one of them must be a usual name of the token that ends a document'),
    maxWords: z.int().min(1).default(4_000_000).describe('distinct words to train on: where there are more, the rarest are left out'),
  })
  .refine((o) => new Set(o.specialTokens).size === o.specialTokens.length, { path: ['specialTokens'], error: 'a token is there twice' })
  .refine((o) => o.specialTokens.some((token) => endOfTextNames.includes(token)), {
    path: ['specialTokens'],
    error: `none of them ends a document: have one of ${endOfTextNames.join(', ')}`,
  })
  .refine((o) => o.vocabSize >= 256 + o.specialTokens.length, {
    path: ['vocabSize'],
    error: 'too small for the 256 bytes and the special tokens',
  })
export type TrainTokenizerOptions = z.input<typeof trainTokenizerOptions>
type Resolved = z.output<typeof trainTokenizerOptions>

/** Trains a tokenizer. Give what this returns to `tokenize({ tokenizer })`, or read tokenizer.json in the barrier's folder. */
export function trainTokenizer(options: TrainTokenizerOptions = {}): Barrier<Document> {
  const resolved = trainTokenizerOptions.parse(options)
  return {
    kind: 'barrier',
    ...named('trainTokenizer', { options: resolved }),
    collect: async (context) => collect(context, resolved),
    merges: [{ name: 'train', tasks: 1, run: (context) => train(context, resolved) }],
    apply: async () => ({ process: (batch) => batch }),
  }
}

function collect(context: CollectContext, { pattern }: Resolved): CollectRun<Document> {
  const preTokenize = preTokenizer([{ pattern: patternSources[pattern], dropsGaps: false }])
  const pieces = new PieceBuffer()
  const words = new SpillingWordCounter(context.path, context.memoryBytes)
  return {
    process: (batch) => {
      for (const document of batch) {
        context.examine(document, () => {
          pieces.clear()
          preTokenize(document.text, pieces)
          words.add(pieces)
        })
      }
    },
    close: async () => words.close(),
  }
}

async function train(context: MergeContext, options: Resolved): Promise<void> {
  const summed = join(context.folder, 'words')
  mergeWordFiles(
    context.collected.map(({ path }) => path),
    summed,
  )
  const words = readFrequentWords(summed, options.maxWords)
  const neededBytes = words.bytes.length * TRAINING_BYTES_PER_WORD_BYTE
  if (neededBytes > context.memoryBytes)
    throw new SluiceError('SLUICE_TOKENIZER_MEMORY', `training on ${words.counts.length} distinct words needs about ${neededBytes} bytes`, {
      where: { memoryBytes: context.memoryBytes },
      fix: 'give more memory, or lower maxWords',
    })
  const settings = { ...options, vocabularySize: options.vocabSize }
  await writeFile(join(context.folder, TOKENIZER_FILE), serializeTokenizerJson(trainTokenizerOn(words, settings)))
}
