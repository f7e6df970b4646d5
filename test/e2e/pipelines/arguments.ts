// A pipeline with an argument of every kind.

import { pipeline, withArguments } from 'sluice'
import * as s from 'sluice/stages'
import { z } from 'zod'

const parameters = z.strictObject({
  color: z.enum(['red', 'blue']).default('red').describe('what it looks like'),
  languages: z.array(z.string()).default([]),
  sizes: z.array(z.number()).optional(),
  isDeep: z.boolean().default(true),
  dry: z.boolean().default(false),
  topURLCount: z.int().min(1).default(3),
  limitOrNone: z.number().nullable().default(null),
  workers: z.union([z.int(), z.literal('auto')]).default('auto'),
})

export default withArguments(
  parameters,
  (values) =>
    pipeline('arguments')
      .from(s.jsonl({ path: 'in' }))
      .to(s.jsonlShards({ path: 'out', shardBytes: values.color === 'blue' ? 0 : 1 })), // 0 is refused
)
