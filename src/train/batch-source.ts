// Where a run's batches come from: packed documents made into what the objective trains on, or examples; in this thread, or made
// ahead in another one (src/train/prefetch.ts).

import { type Batch, countTargets } from '../model/batch.ts'
import { ExampleLoader, type ExampleLoaderOptions } from './example-loader.ts'
import type { ExampleSet } from './examples.ts'
import type { Cursor, LoaderOptions } from './loader.ts'
import { type MaskOptions, maskTokens } from './masked.ts'
import { type MixedCorpus, MixedLoader } from './mixture.ts'
import type { PackedBatch } from './pack.ts'
import { corruptSpans, type SpanOptions } from './spans.ts'

/** A batch and the position after it: a run that stops here goes on there. */
export interface Delivery {
  readonly batch: Batch
  /** Positions whose target counts. */
  readonly targetCount: number
  /** Which documents it was made of: shard, row, shard, row, … in order of appearance. */
  readonly documents: readonly number[]
  /** One a corpus. */
  readonly cursors: readonly Cursor[]
}

export interface BatchSource extends AsyncDisposable {
  /** Undefined after the last epoch of a bounded source. */
  next(): Promise<Delivery | undefined>
}

/** What packed documents become. */
export type TokenObjective =
  | { readonly kind: 'causal' }
  | ({ readonly kind: 'masked' } & MaskOptions)
  | ({ readonly kind: 'spans' } & SpanOptions)

export function documentSource(
  corpora: readonly MixedCorpus[],
  options: LoaderOptions,
  objective: TokenObjective,
  cursors?: readonly Cursor[],
): BatchSource {
  const loader = new MixedLoader(corpora, options, cursors)
  return {
    next: async () => {
      const firstRow = loader.cursors.reduce((sum, { rows }) => sum + rows, 0)
      const packed = await loader.next()
      return packed && { ...objectiveBatch(packed, firstRow, objective), documents: packed.documents, cursors: loader.cursors }
    },
    [Symbol.asyncDispose]: async () => {},
  }
}

function objectiveBatch(packed: PackedBatch, firstRow: number, objective: TokenObjective): { batch: Batch; targetCount: number } {
  const { kind, rows, length, ids, targets, lo, targetCount } = packed
  if (objective.kind === 'causal') return { batch: { kind, rows, length, ids, targets, lo }, targetCount }
  if (objective.kind === 'masked') {
    const batch = maskTokens(packed, firstRow, objective)
    return { batch, targetCount: batch.targets.length }
  }
  const batch = corruptSpans(packed, firstRow, objective)
  return { batch, targetCount: countTargets(batch.target.targets) }
}

export function exampleSource(examples: ExampleSet, options: ExampleLoaderOptions, cursors: readonly Cursor[] = []): BatchSource {
  const loader = new ExampleLoader(examples, options, cursors[0])
  return {
    next: async () => {
      const next = loader.next()
      return next && { ...next, cursors: [loader.cursor] }
    },
    [Symbol.asyncDispose]: async () => {},
  }
}
