// Drops what holds examples of an evaluation set.

import { pipeline, withArguments } from 'sluice'
import * as s from 'sluice/stages'
import { z } from 'zod'

const parameters = z.strictObject({ input: z.string(), output: z.string() })

export default withArguments(parameters, ({ input, output }) =>
  pipeline('contaminated')
    .from(s.jsonl({ path: `${input}/*.jsonl` }))
    .pipe(s.decontaminate({ against: { riddles: `${input}/riddles.txt` } }))
    .to(s.jsonlShards({ path: output, compression: 'none' })),
)
