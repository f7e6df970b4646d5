// The sorted runs that a barrier's earlier steps have left: those of its partitions, those of the step before.

import { join } from 'node:path'
import type { MergeContext } from '../core/stage.ts'
import type { Source } from '../io/merge-runs.ts'
import { readRuns } from '../io/sorted-runs.ts'

/** The runs of one section of what was collected; sources are the partitions, numbered from `first` on. */
export function collectedRuns(context: MergeContext, section: number, first = 0): Source[] {
  return context.collected.flatMap(({ path }, partition) => readRuns(path, section).map((run) => ({ run, ordinal: first + partition })))
}

/** The runs of the files that the previous step wrote; sources are the files. */
export function previousRuns(context: MergeContext, names: readonly string[]): Source[] {
  const sources: Source[] = []
  for (const [ordinal, name] of names.entries())
    for (const run of readRuns(join(context.previous ?? '', name))) sources.push({ run, ordinal })
  return sources
}
