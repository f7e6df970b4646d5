// Texts to token shards.

import { pipeline, withArguments } from 'sluice'
import * as s from 'sluice/stages'
import { z } from 'zod'

const parameters = z.strictObject({ input: z.string(), output: z.string() })

export default withArguments(parameters, ({ input, output }) =>
  pipeline('tokens')
    .from(s.jsonl({ path: `${input}/*.jsonl` }))
    .pipe(s.tokenize({ tokenizer: 'gpt2' }))
    .to(s.parquetShards({ path: output })),
)
