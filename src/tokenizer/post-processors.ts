// The special tokens that a model expects around a text, [CLS] and [SEP] or </s>: the post-processors of Hugging Face's
// `tokenizer.json`, for one text. What they say about pairs of texts is kept, not used.

import { z } from 'zod'
import { inSequence } from './sequence.ts'

const specialSchema = z.tuple([z.string(), z.int().min(0)])
const pieceSchema = z.union([
  z.object({ SpecialToken: z.object({ id: z.string(), type_id: z.int() }) }),
  z.object({ Sequence: z.object({ id: z.enum(['A', 'B']), type_id: z.int() }) }),
])
const templateSchema = z
  .object({
    type: z.literal('TemplateProcessing'),
    single: z.array(pieceSchema),
    pair: z.array(pieceSchema),
    special_tokens: z.record(z.string(), z.object({ id: z.string(), ids: z.array(z.int().min(0)), tokens: z.array(z.string()) })),
  })
  .refine(({ single }) => single.filter((piece) => 'Sequence' in piece).length === 1, 'the template of one text must hold it once')
  .refine(
    ({ single, special_tokens }) => single.every((piece) => 'Sequence' in piece || Object.hasOwn(special_tokens, piece.SpecialToken.id)),
    'the template names a special token that is not among special_tokens',
  )

const processorSchema = z.discriminatedUnion(
  'type',
  [
    z.object({ type: z.literal('ByteLevel') }),
    templateSchema,
    z.object({ type: z.literal('BertProcessing'), cls: specialSchema, sep: specialSchema }),
    z.object({
      type: z.literal('RobertaProcessing'),
      cls: specialSchema,
      sep: specialSchema,
      trim_offsets: z.boolean().default(true),
      add_prefix_space: z.boolean().default(true),
    }),
  ],
  { error: ({ input }) => `the post_processor ${JSON.stringify(input)?.slice(0, 100)} is not supported` },
)
/** ByteLevel changes offsets only: it is left out. */
export const processorsSchema = inSequence('processors', processorSchema).transform((steps) =>
  steps.flatMap((step) => (step.type === 'ByteLevel' ? [] : [step])),
)
export type PostProcessor = z.output<typeof processorsSchema>[number]

/** Ids in front of a text and behind it. */
export interface Frame {
  readonly before: readonly number[]
  readonly after: readonly number[]
}

export function frameOf(processors: readonly PostProcessor[]): Frame {
  let frame: Frame = { before: [], after: [] }
  for (const processor of processors) {
    const { before, after } = processorFrame(processor)
    frame = { before: [...before, ...frame.before], after: [...frame.after, ...after] }
  }
  return frame
}

function processorFrame(processor: PostProcessor): Frame {
  if (processor.type !== 'TemplateProcessing') return { before: [processor.cls[1]], after: [processor.sep[1]] }
  const { single, special_tokens } = processor
  const text = single.findIndex((piece) => 'Sequence' in piece)
  const idsOf = (pieces: typeof single) =>
    pieces.flatMap((piece) => ('SpecialToken' in piece ? special_tokens[piece.SpecialToken.id].ids : []))
  return { before: idsOf(single.slice(0, text)), after: idsOf(single.slice(text + 1)) }
}
