// Several corpora in one pipeline, each with a name and a weight: how often its documents count, in epochs, as The Pile's
// table 1 gives it (Gao et al. 2020, arxiv.org/abs/2101.00027). `.from(...s.mixture({ web: { source, weight: 0.3 }, code: source }))`
//
// 0.3 takes that share of a member's documents, by hashes of their ids; 2.5 gives each twice and half of them a third time,
// under ids of their own, all first epochs first. 1 where none is given; `{ ArXiv: 2, Books3: 0 }` weighs the subsets that a
// source itself names. Documents get the member's name as `subset`, or `<member>/<subset>`. Weights are shares of what is
// read, before filters; a pipeline that repeats documents and deduplicates is refused.

import { z } from 'zod'
import type { Item } from '../src/core/document.ts'
import { idInEpoch, sampleFraction } from '../src/core/identity.ts'
import type { Source } from '../src/core/stage.ts'

const weight = z.number().positive().max(100)
const memberSettings = z.strictObject({
  weight: z
    .union([weight, z.record(z.string(), z.number().min(0).max(100))])
    .default(1)
    .describe('epochs of its documents; or by the subset that each names itself, 1 for those not listed'),
})

export interface Member<T> extends z.input<typeof memberSettings> {
  readonly source: Source<T>
}

export const mixtureOptions = z.strictObject({
  seed: z.int().default(0).describe('another seed, another choice of the documents that a fraction of a weight takes'),
})
export type MixtureOptions = z.input<typeof mixtureOptions>

/**
 * The sources of a mixture, to be spread into `from`. A weight of 0.3 takes that share of a member's documents, chosen by
 * hashes of their ids: the same for any number of workers, and a larger weight takes all that a smaller one took, and more.
 * A weight of 2.5 gives every document twice and half of them a third time. What is left out counts as
 * `left_out_by_weight`.
 *
 * A document's `subset` becomes the member's name, or `<member>/<subset>` where the source names one. A repeated document
 * has an id of its own and its epoch, from 1, as metadata `epoch`. All first epochs come before all second ones, so that
 * copies lie far apart. A deduplication behind a mixture that repeats is refused: it would drop the copies.
 */
export function mixture<T extends Item>(
  members: Readonly<Record<string, Source<T> | Member<T>>>,
  options: MixtureOptions = {},
): Source<T>[] {
  const { seed } = mixtureOptions.parse(options)
  const parts = Object.entries(members).flatMap(([name, member]) => {
    const { source, ...settings } = 'kind' in member ? { source: member } : member
    const { weight } = memberSettings.parse(settings)
    const epochs = Math.max(1, Math.ceil(typeof weight === 'number' ? weight : Math.max(1, ...Object.values(weight))))
    return Array.from({ length: epochs }, (_, epoch) => ({ epoch, part: memberSource(source, { name, weight, epoch, seed }) }))
  })
  return parts.sort((a, b) => a.epoch - b.epoch).map(({ part }) => part)
}

interface Share {
  readonly name: string
  readonly weight: number | Readonly<Record<string, number>>
  readonly epoch: number
  readonly seed: number
}

function memberSource<T extends Item>(source: Source<T>, share: Share): Source<T> {
  return {
    ...source,
    options: { mixture: { ...share }, source: source.options },
    epoch: share.epoch,
    read: async function* (partition, context) {
      for await (const batch of source.read(partition, context)) {
        const taken = batch.flatMap((item) => takenItem(item, share))
        if (taken.length < batch.length) context.ignored('left_out_by_weight', batch.length - taken.length)
        if (taken.length > 0) yield taken
      }
    },
  }
}

/** The item in this epoch, or nothing. */
function takenItem<T extends Item>(item: T, { name, weight, epoch, seed }: Share): T[] {
  const epochs = typeof weight === 'number' ? weight : own(weight, item.subset)
  const share = epochs - epoch // of this epoch: all where it is 1 or more
  if (share <= 0 || (share < 1 && sampleFraction(item.id, `mixture ${seed}`) >= share)) return []
  const subset = item.subset === undefined ? name : `${name}/${item.subset}`
  if (epoch === 0) return [{ ...item, subset }]
  return [{ ...item, subset, id: idInEpoch(item.id, epoch), metadata: { ...item.metadata, epoch } }]
}

function own(weights: Readonly<Record<string, number>>, subset: string | undefined): number {
  return subset !== undefined && Object.hasOwn(weights, subset) ? weights[subset] : 1
}
