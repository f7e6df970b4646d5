// Text from a trained model, as token ids: who calls has the tokenizer.

import { z } from 'zod'
import { generate, generateOptions } from '../model/generate.ts'
import { loadModel } from './load-model.ts'

export const sampleOptions = z.strictObject({
  model: z.string().min(1).describe('folder that sluice train wrote to, one checkpoint in it, or a folder of transformers'),
  prompt: z.array(z.int().min(0)).min(1).describe('token ids to go on from; the end-of-text token to begin a document'),
  ...generateOptions.shape,
})
export type SampleOptions = z.input<typeof sampleOptions>

/** The tokens after a prompt, one by one. */
export async function* sample(options: SampleOptions): AsyncGenerator<number, void, undefined> {
  const { model, prompt, ...choice } = sampleOptions.parse(options)
  yield* generate(await loadModel(model), prompt, choice)
}
