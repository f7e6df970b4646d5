// A run over texts with planted personal data, some of which throw, are dropped, or are duplicates.

import { pipeline, withArguments } from 'sluice'
import * as s from 'sluice/stages'
import { z } from 'zod'

const parameters = z.strictObject({ input: z.string(), output: z.string(), index: z.string() })

export default withArguments(parameters, ({ input, output, index }) =>
  pipeline('private')
    .from(s.jsonl({ path: `${input}/*.jsonl` }))
    .pipe(
      s.filter('poison', ({ text }) => {
        if (text.startsWith('throw')) throw new Error(`cannot read ${text}`)
        return !text.startsWith('drop')
      }),
    )
    .pipe(s.exactDedup({ index }))
    .pipe(s.redactPii({ set: 'strict', fields: ['text', 'url', 'metadata'] }))
    .to(s.jsonlShards({ path: output, compression: 'none' })),
)
