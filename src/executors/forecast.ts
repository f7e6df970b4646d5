// What a run will need, from a pilot: a few documents of every partition go through the whole plan in a temporary folder,
// and what they took is scaled by the bytes of input. Barriers grow a little faster than their input, so their share is
// a lower bound.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ErasedSink, Step } from '../engine/pipeline.ts'
import { makePlan, type Plan, type PlannedPartition, partitionBytes } from '../engine/plan.ts'
import { RUN_FORMAT, RunFolder } from '../engine/run-folder.ts'
import { type Reporter, runPlan } from '../engine/runner.ts'
import { treeBytes } from '../io/tree-bytes.ts'
import { inlineExecutor } from './inline.ts'

export interface Forecast {
  /** Documents that the pilot ran. */
  readonly pilotDocuments: number
  readonly documents: number
  readonly keptShare: number
  /** On the threads given. */
  readonly seconds: number
  /** Of the final shards, and of the run folder at its largest. */
  readonly shardBytes: number
  readonly runFolderBytes: number
}

const silent: Reporter = { phaseStarted: () => {}, taskDone: () => {}, mergeStarted: () => {}, phaseDone: () => {} }

/** @returns undefined where the inputs do not say how large they are, or the pilot found no document */
export async function forecast(
  plan: Plan,
  partitions: readonly PlannedPartition[],
  threads: number,
  documents: number,
): Promise<Forecast | undefined> {
  const totalBytes = inputBytes(partitions)
  const scratch = await mkdtemp(join(tmpdir(), 'sluice-pilot-'))
  try {
    const elsewhere = <T extends Step>(step: T): T | ErasedSink =>
      step.kind === 'sink' ? { ...step, path: join(scratch, 'out', step.name) } : step
    const { pipeline, choices } = plan
    const moved = { ...pipeline, steps: pipeline.steps.map(elsewhere), sink: { ...pipeline.sink, path: join(scratch, 'out', 'end') } }
    const pilot = await makePlan(moved, plan.file, plan.arguments, {
      ...choices,
      limit: Math.max(documents, partitions.length),
      rejected: 'sample',
    })
    const folder = new RunFolder(join(scratch, 'run'))
    await folder.writePlan({
      format: RUN_FORMAT,
      pipeline: '',
      file: '',
      arguments: {},
      seed: 0,
      choices,
      planHash: '',
      sluice: '',
      node: '',
      phases: [],
    })
    const { signal } = new AbortController()
    using executor = inlineExecutor(pilot, folder, signal)
    const options = { signal, partitionBytes: Number.MAX_SAFE_INTEGER, memoryBytes: 256e6, maxErrorRate: 1 }
    const { summary } = await runPlan(pilot, folder, executor, silent, options)
    if (summary.documents === 0 || summary.inputBytes === 0 || totalBytes === 0) return undefined
    const scale = totalBytes / summary.inputBytes
    return {
      pilotDocuments: summary.documents,
      documents: Math.round(summary.documents * scale),
      keptShare: summary.kept / summary.documents,
      seconds: (summary.seconds * scale) / Math.min(threads, partitions.length),
      shardBytes: Math.round((await treeBytes(join(scratch, 'out'))) * scale),
      runFolderBytes: Math.round((await treeBytes(folder.path)) * scale),
    }
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

export function inputBytes(partitions: readonly PlannedPartition[]): number {
  return partitions.reduce((sum, { input }) => sum + partitionBytes(input), 0)
}
