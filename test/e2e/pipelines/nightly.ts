// A build that drops what earlier builds have.

import { pipeline, withArguments } from 'sluice'
import * as s from 'sluice/stages'
import { z } from 'zod'

const parameters = z.strictObject({ input: z.string(), output: z.string(), index: z.string() })

export default withArguments(parameters, ({ input, output, index }) =>
  pipeline('nightly')
    .from(s.jsonl({ path: `${input}/*.jsonl` }))
    .pipe(s.exactDedup({ index: `${index}/exact` }))
    .pipe(s.minhashDedup({ index: `${index}/minhash` }))
    .to(s.jsonlShards({ path: output, compression: 'none' })),
)
