// What decontamination found, corpus-wide: the file that the barrier leaves in its folder, and that `sluice audit` shows.

import { z } from 'zod'

export const CONTAMINATION_FILE = 'contamination.json'

export const contaminationReport = z.strictObject({
  sets: z.array(
    z.strictObject({
      name: z.string(),
      /** Words an n-gram of this set. */
      ngramWords: z.number(),
      examples: z.number(),
      /** Examples shorter than an n-gram: they cannot be found. */
      tooShort: z.number(),
      /** Examples with n-grams in the corpus, by ordinal. */
      found: z.array(
        z.strictObject({
          example: z.number(),
          /** Of its distinct n-grams, those that some document holds. */
          share: z.number(),
          /** Documents that hold the example by the rule of the run. */
          documents: z.number(),
        }),
      ),
    }),
  ),
})
export type ContaminationReport = z.output<typeof contaminationReport>
