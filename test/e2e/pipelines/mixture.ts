// A pipeline over a mixture of sources with weights, for the test of mixtures through the command.

import { pipeline, withArguments } from 'sluice'
import * as s from 'sluice/stages'
import { z } from 'zod'

const parameters = z.strictObject({
  input: z.string(),
  output: z.string(),
  webWeight: z.number().default(0.5),
})

export default withArguments(parameters, ({ input, output, webWeight }) =>
  pipeline('mixture', { seed: 1 })
    .from(
      ...s.mixture({
        web: { source: s.jsonl({ path: `${input}/web` }), weight: webWeight },
        books: { source: s.csvFiles({ path: `${input}/books.csv` }), weight: 2 },
        notes: s.textFiles({ path: `${input}/notes` }),
        code: s.sourceCode({ path: `${input}/code` }),
      }),
    )
    .pipe(s.filter('no-nines', (document) => !document.text.includes('9'), { version: 1 }))
    .checkpoint()
    .to(s.parquetShards({ path: output })),
)
