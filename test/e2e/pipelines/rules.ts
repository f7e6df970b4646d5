// A pipeline whose rules are its arguments, for comparing it with itself.

import { pipeline, withArguments } from 'sluice'
import * as s from 'sluice/stages'
import { z } from 'zod'

const parameters = z.strictObject({
  input: z.string().describe('JSON lines'),
  minWords: z.int().default(50).describe('fewest words'),
  endMarks: z.boolean().default(true).describe('take out lines without an end mark'),
})

export default withArguments(parameters, ({ input, minWords, endMarks }) =>
  pipeline('rules', { seed: 1 })
    .from(s.jsonl({ path: input }))
    .pipe(s.gopherQuality({ minDocWords: minWords }))
    .checkpoint()
    .pipe(s.c4Quality({ filterNoTerminalPunct: endMarks }))
    .pipe(s.exactDedup())
    .pipe(s.redactPii())
    .to(s.jsonlShards({ path: 'out' })),
)
