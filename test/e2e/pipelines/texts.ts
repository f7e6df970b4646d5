// A pipeline over JSON lines with two cuts, for the tests of the engine. What poisons it is said in the documents.

import { type Document, pipeline, withArguments } from 'sluice'
import * as s from 'sluice/stages'
import { z } from 'zod'

const parameters = z.strictObject({
  input: z.string(),
  output: z.string(),
  minimum: z.int().default(5).describe('fewest characters of a text'),
  slowMs: z.number().default(0).describe('milliseconds that each document takes'),
})

export default withArguments(parameters, ({ input, output, minimum, slowMs }) =>
  pipeline('texts', { seed: 1 })
    .from(s.jsonl({ path: `${input}/*.jsonl` }))
    .pipe(s.filter('not-poisonous', (document) => survive(document, slowMs), { version: 1 }))
    .checkpoint()
    .pipe(s.filter('long-enough', (document) => document.text.length >= minimum, { version: minimum }))
    .pipe(s.exactDedup())
    .to(s.jsonlShards({ path: output, compression: 'none', shardBytes: 20_000 })),
)

function survive({ text }: Document, slowMs: number): boolean {
  if (slowMs > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, slowMs)
  if (text.startsWith('throw')) throw new Error('this document throws')
  if (text.startsWith('abort')) abort()
  if (text.startsWith('exit')) process.exit(0)
  if (text.startsWith('hang')) for (;;);
  if (text.startsWith('eat')) {
    const eaten: Buffer[] = []
    for (;;) eaten.push(Buffer.alloc(64e6, 1))
  }
  return true
}

/** As native code does: process.abort() only throws in a thread, and a signal takes its time. */
function abort(): never {
  process.kill(process.pid, 'SIGABRT')
  for (;;);
}
