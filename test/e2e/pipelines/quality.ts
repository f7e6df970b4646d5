// A classifier that the run trains for itself, on examples in <input>/good.jsonl.

import { join } from 'node:path'
import { pipeline, withArguments } from 'sluice'
import * as s from 'sluice/stages'
import { z } from 'zod'

const parameters = z.strictObject({ input: z.string(), output: z.string() })

export default withArguments(parameters, ({ input, output }) =>
  pipeline('quality', { seed: 3 })
    .from(s.jsonl({ path: join(input, 'part-*.jsonl') }))
    .pipe(
      s.qualityClassifier({
        positives: s.jsonl({ path: join(input, 'good.jsonl') }),
        keep: 0.2,
        training: { dim: 10, bucket: 5000, epoch: 20, lr: 0.5 },
      }),
    )
    .to(s.jsonlShards({ path: output })),
)
