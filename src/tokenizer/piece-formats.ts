// Models over pieces of words in `tokenizer.json`: WordPiece (BERT), Unigram (T5, XLM-R, ALBERT), and BPE over characters as
// SentencePiece has it (Llama 2, Mistral).

import { z } from 'zod'
import { decodersSchema } from './decoders.ts'
import type { PieceDefinition, PieceModel } from './definition.ts'
import { inSequence, toSequence } from './sequence.ts'
import { splittersSchema } from './word-splitters.ts'

const vocabSchema = z.record(z.string(), z.int().min(0))

const wordPieceSchema = z
  .object({
    type: z.literal('WordPiece'),
    unk_token: z.string(),
    continuing_subword_prefix: z.string(),
    max_input_chars_per_word: z.int().min(1),
    vocab: vocabSchema,
  })
  .transform((model, context): PieceModel => {
    const { type, continuing_subword_prefix: continuing, max_input_chars_per_word: longestWord } = model
    const vocabulary = new Map(Object.entries(model.vocab))
    const unknown = vocabulary.get(model.unk_token)
    if (unknown === undefined) return refuse(context, model.unk_token)
    return { type, vocabulary, unknown, continuing, longestWord }
  })

const unigramSchema = z
  .object({
    type: z.literal('Unigram'),
    unk_id: z.int({ error: 'a Unigram model without unk_id cannot encode every text' }).min(0),
    byte_fallback: z.boolean().default(false),
    vocab: z.array(z.tuple([z.string(), z.number()])).min(1),
  })
  .refine(({ unk_id, vocab }) => unk_id < vocab.length, { path: ['unk_id'], error: 'unk_id is not in the vocabulary' })
  .transform(
    ({ type, unk_id: unknown, byte_fallback: byteFallback, vocab: pieces }): PieceModel => ({ type, pieces, unknown, byteFallback }),
  )

const none = z.literal(['', null]).optional()

const bpeSchema = z
  .object({
    type: z.literal('BPE'),
    dropout: z.null({ error: 'dropout makes the ids random' }).or(z.literal(0)).optional(),
    unk_token: z.string().nullish(),
    continuing_subword_prefix: none,
    end_of_word_suffix: none,
    fuse_unk: z.boolean().default(false),
    byte_fallback: z.boolean().default(false),
    ignore_merges: z.boolean().default(false),
    vocab: vocabSchema,
    merges: z.array(
      z.union([z.string().transform((text) => text.split(' ')), z.array(z.string())]).pipe(z.tuple([z.string(), z.string()])),
    ),
  })
  .transform((model, context): PieceModel => {
    const { type, fuse_unk: fusesUnknown, byte_fallback: byteFallback, ignore_merges: takesWholePieces } = model
    const vocabulary = new Map(Object.entries(model.vocab))
    const idOf = (token: string) => vocabulary.get(token) ?? refuse(context, token)
    const merges = Uint32Array.from(model.merges.flatMap(([left, right]) => [idOf(left), idOf(right), idOf(left + right)]))
    const unknown = typeof model.unk_token === 'string' ? idOf(model.unk_token) : undefined
    return { type, vocabulary, merges, unknown, fusesUnknown, byteFallback, takesWholePieces }
  })

function refuse(context: z.RefinementCtx, token: string): never {
  context.addIssue({ code: 'custom', message: `the vocabulary lacks ${JSON.stringify(token)}` })
  return z.NEVER
}

const fileSchema = z.object({
  pre_tokenizer: splittersSchema,
  decoder: decodersSchema,
  model: z.discriminatedUnion('type', [wordPieceSchema, unigramSchema, bpeSchema], {
    error: ({ input }) => `the model ${JSON.stringify(input)?.slice(0, 60)} is not one of WordPiece, Unigram and BPE`,
  }),
})

const kindSchema = z.object({
  pre_tokenizer: inSequence('pretokenizers', z.object({ type: z.string() })),
  model: z.object({ type: z.string().optional() }),
})

/** BPE whose pre-tokenizer spells bytes. Files of old do not name the model. */
export function isByteLevel(json: unknown): boolean {
  const { data } = kindSchema.safeParse(json)
  return data !== undefined && (data.model.type ?? 'BPE') === 'BPE' && data.pre_tokenizer.some(({ type }) => type === 'ByteLevel')
}

/** @param read parses the file by a schema, and throws where that refuses it */
export function readPieceDefinition(
  read: (schema: typeof fileSchema) => z.output<typeof fileSchema>,
): Pick<PieceDefinition, 'kind' | 'model' | 'splitters' | 'decoders'> {
  const { model, pre_tokenizer: splitters, decoder: decoders } = read(fileSchema)
  return { kind: 'pieces', model, splitters, decoders }
}

/** All but the head of the file, which is the same for every model. */
export function writePieceDefinition({ model, splitters, decoders, processors }: PieceDefinition): object {
  return {
    pre_tokenizer: toSequence('pretokenizers', splitters),
    post_processor: toSequence('processors', processors),
    decoder: toSequence('decoders', decoders),
    model: writeModel(model),
  }
}

function writeModel(model: PieceModel): object {
  const { type } = model
  if (model.type === 'Unigram') return { type, unk_id: model.unknown, vocab: model.pieces, byte_fallback: model.byteFallback }
  const tokens: string[] = []
  for (const [token, id] of model.vocabulary) tokens[id] = token
  const vocab = Object.fromEntries(model.vocabulary)
  if (model.type === 'WordPiece')
    return {
      type,
      unk_token: tokens[model.unknown],
      continuing_subword_prefix: model.continuing,
      max_input_chars_per_word: model.longestWord,
      vocab,
    }
  const merges: string[][] = []
  for (let i = 0; i < model.merges.length; i += 3) merges.push([tokens[model.merges[i]], tokens[model.merges[i + 1]]])
  return {
    type,
    dropout: null,
    unk_token: model.unknown === undefined ? null : tokens[model.unknown],
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: model.fusesUnknown,
    byte_fallback: model.byteFallback,
    ignore_merges: model.takesWholePieces,
    vocab,
    merges,
  }
}
