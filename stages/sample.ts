// Keeps a share of the documents, chosen by their ids: the same ones in every run with the same seed.

import { z } from 'zod'
import type { Item } from '../src/core/document.ts'
import { drop, filterStage, keep, type Stage, type Verdict } from '../src/core/stage.ts'
import { idFraction } from '../src/text/chance.ts'

export const sampleOptions = z.strictObject({
  rate: z.number().min(0).max(1).default(0.5).describe('share of the documents that is kept'),
  seed: z.int().optional().describe("another seed, another choice; the pipeline's where none is given"),
})
export type SampleOptions = z.input<typeof sampleOptions>
type Limits = z.output<typeof sampleOptions>

/** Reason: `not_sampled`. */
export function sample<T extends Item>(options: SampleOptions = {}): Stage<T> {
  const limits = sampleOptions.parse(options)
  const stage = (seed: number): Stage<T> =>
    filterStage('sample', {
      options: limits,
      measure: (item) => ({ chance: idFraction(item.id, seed) }),
      decide: (statistics) => decideSample(statistics, limits),
    })
  return { ...stage(0), open: (context) => stage(limits.seed ?? context.seed).open(context) }
}

export function decideSample({ chance }: { chance: number }, { rate }: Pick<Limits, 'rate'>): Verdict {
  return chance < rate ? keep : drop('not_sampled')
}
