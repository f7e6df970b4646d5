// A pipeline over WARC files, for the tests of damaged input and of the whole way to a model.

import { pipeline, withArguments } from 'sluice'
import * as s from 'sluice/stages'
import { z } from 'zod'

const parameters = z.strictObject({ input: z.string(), output: z.string() })

export default withArguments(parameters, ({ input, output }) =>
  pipeline('pages', { seed: 1 })
    .from(s.warc({ path: input.split(',') }))
    .pipe(s.urlFilter())
    .pipe(s.extractText())
    .pipe(s.minhashDedup())
    .pipe(s.redactPii())
    .to(s.parquetShards({ path: output })),
)
