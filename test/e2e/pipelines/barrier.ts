// A pipeline with a barrier of its own, for the tests of poison in `collect` and behind it.

import { writeFileSync } from 'node:fs'
import { type Barrier, type Document, pipeline, withArguments } from 'sluice'
import * as s from 'sluice/stages'
import { z } from 'zod'

const parameters = z.strictObject({ input: z.string(), output: z.string() })

export default withArguments(parameters, ({ input, output }) =>
  pipeline('barrier')
    .from(s.jsonl({ path: `${input}/*.jsonl` }))
    .pipe(picky)
    .pipe(s.filter('fragile', survive, { version: 1 }))
    .to(s.jsonlShards({ path: output, compression: 'none' })),
)

const picky: Barrier<Document> = {
  kind: 'barrier',
  name: 'picky',
  version: 1,
  options: {},
  collect: async (context) => ({
    process: (batch) => {
      for (const document of batch)
        context.examine(document, () => {
          if (document.text.startsWith('throw')) throw new Error('cannot collect this')
        })
    },
    close: async () => writeFileSync(context.path, ''),
  }),
  merges: [{ name: 'nothing', tasks: 1, run: async () => {} }],
  apply: async () => ({ process: (batch) => batch }),
}

function survive({ text }: Document): boolean {
  if (text.startsWith('exit')) process.exit(0)
  return true
}
