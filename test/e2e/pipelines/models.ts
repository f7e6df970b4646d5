// A pipeline that asks models: an n-gram model in every worker, and one behind an endpoint where an address is given.

import { pipeline, withArguments } from 'sluice'
import * as s from 'sluice/stages'
import { z } from 'zod'

const parameters = z.strictObject({
  input: z.string(),
  output: z.string(),
  model: z.string(),
  baseUrl: z.string(),
  cache: z.string(),
  requests: z.int().default(1000).describe('budget'),
})

export default withArguments(parameters, ({ input, output, model, baseUrl, cache, requests }) =>
  pipeline('models', { seed: 1 })
    .from(s.jsonl({ path: `${input}/*.jsonl` }))
    .pipe(s.perplexity({ model }))
    .pipe(s.perplexityBuckets({ keep: ['head', 'middle'] }))
    .pipe(s.scoreWithModel({ baseUrl, model: 'judge', cache, minScore: 1, pauseMs: 5, attempts: 3, concurrency: 2, budget: { requests } }))
    .to(s.jsonlShards({ path: output, compression: 'none' })),
)
