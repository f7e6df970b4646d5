// What a run will need. How many documents there are, a few partitions tell, read for a while: documents a byte of input. What
// they take, two pilots tell: a few documents go through the whole plan in a temporary folder, then ten times as many, and the
// difference is scaled by the documents; so what a start costs is not. Barriers grow a little faster than their input, so their
// share is a lower bound.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Partition } from '../core/stage.ts'
import type { ErasedSource, Pipeline, Step } from '../engine/pipeline.ts'
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

/** Of each source; a crawl has more files than a pilot should open. */
const PILOT_PARTITIONS = 16
const COUNTED_PARTITIONS = 4
/** The first pilot runs a share of the second's documents. */
const FIRST_SHARE = 0.1

const silent: Reporter = { phaseStarted: () => {}, taskDone: () => {}, mergeStarted: () => {}, phaseDone: () => {} }

/** @returns undefined where the inputs do not say how large they are, or the pilot found no document */
export async function forecast(
  plan: Plan,
  partitions: readonly PlannedPartition[],
  threads: number,
  pilotDocuments: number,
): Promise<Forecast | undefined> {
  const all = await countDocuments(plan.pipeline, partitions, pilotDocuments)
  const { sample = 1, limit = Number.POSITIVE_INFINITY } = plan.choices
  const documents = Math.round(Math.min(limit, all * sample))
  const most = Math.min(pilotDocuments, documents)
  const first = most === 0 ? undefined : await runPilot(plan, Math.ceil(most * FIRST_SHARE))
  const pilot = most === 0 ? undefined : await runPilot(plan, most)
  if (!first || !pilot || pilot.documents === 0) return undefined
  /** A little grows by the documents, what is left of it is paid once. */
  const scaled = (of: (pilot: Pilot) => number, workers = 1): number => {
    const more = pilot.documents - first.documents
    const each = more > 0 ? Math.max(0, (of(pilot) - of(first)) / more) : of(pilot) / pilot.documents
    const once = Math.max(0, of(pilot) - each * pilot.documents)
    return once + (each * documents) / workers
  }
  return {
    pilotDocuments: pilot.documents,
    documents,
    keptShare: pilot.kept / pilot.documents,
    seconds: scaled(({ seconds }) => seconds, Math.max(1, Math.min(threads, partitions.length))),
    shardBytes: Math.round(scaled(({ shardBytes }) => shardBytes)),
    runFolderBytes: Math.round(scaled(({ runFolderBytes }) => runFolderBytes)),
  }
}

/** Documents of all partitions, by those a byte of some of each source. */
async function countDocuments({ sources }: Pipeline, partitions: readonly PlannedPartition[], atLeast: number): Promise<number> {
  let documents = 0
  for (const [index, source] of sources.entries()) {
    const own = partitions.filter(({ sourceIndex }) => sourceIndex === index).map(({ input }) => input)
    const read = { documents: 0, bytes: 0 }
    const chosen = spread(own, COUNTED_PARTITIONS)
    for (const input of chosen) {
      const one = await readSome(source, input, atLeast / chosen.length)
      read.documents += one.documents
      read.bytes += one.bytes
    }
    if (read.bytes > 0) documents += (read.documents / read.bytes) * own.reduce((sum, input) => sum + partitionBytes(input), 0)
  }
  return documents
}

/** Documents of the partition's first bytes. A source tells of bytes before it gives the documents in them, so it is read on until it tells of more. */
async function readSome(source: ErasedSource, input: Partition, atLeast: number): Promise<{ documents: number; bytes: number }> {
  const abort = new AbortController()
  let documents = 0
  let bytes = 0
  let whole = { documents: 0, bytes: 0 }
  const context = {
    signal: abort.signal,
    batchBytes: 1, // documents come one by one, none waits for others
    begin: () => true,
    damaged: () => {},
    ignored: () => {},
    consumed: (more: number) => {
      whole = { documents, bytes }
      bytes += more
    },
  }
  for await (const batch of source.read(input, context)) {
    documents += batch.length
    if (whole.documents >= atLeast) return whole
  }
  return { documents, bytes }
}

/** At most so many, at even distances. */
function spread<T>(list: readonly T[], most: number): T[] {
  if (list.length <= most) return [...list]
  return Array.from({ length: most }, (_, i) => list[Math.floor(((i + 0.5) * list.length) / most)])
}

interface Pilot {
  readonly documents: number
  readonly kept: number
  readonly seconds: number
  readonly shardBytes: number
  readonly runFolderBytes: number
}

/** Runs about so many documents of some partitions of each source. */
async function runPilot(plan: Plan, documents: number): Promise<Pilot> {
  const scratch = await mkdtemp(join(tmpdir(), 'sluice-pilot-'))
  try {
    const pilot = await makePlan(elsewhere(plan.pipeline, join(scratch, 'out')), plan.file, plan.arguments, {
      ...plan.choices,
      sample: undefined,
      limit: documents,
      rejected: 'sample',
    })
    const folder = new RunFolder(join(scratch, 'run'))
    await folder.writePlan({
      format: RUN_FORMAT,
      pipeline: '',
      file: '',
      arguments: {},
      seed: 0,
      choices: plan.choices,
      planHash: '',
      sluice: '',
      node: '',
      phases: [],
    })
    const { signal } = new AbortController()
    using executor = inlineExecutor(pilot, folder, signal)
    const options = { signal, partitionBytes: Number.MAX_SAFE_INTEGER, memoryBytes: 256e6, maxErrorRate: 1 }
    const { summary } = await runPlan(pilot, folder, executor, silent, options)
    return {
      documents: summary.documents,
      kept: summary.kept,
      seconds: summary.seconds,
      shardBytes: await treeBytes(join(scratch, 'out')),
      runFolderBytes: await treeBytes(folder.path),
    }
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

/** The pipeline with a few partitions of its sources, sinks in a folder of their own, and barriers that leave no trace in an index. */
function elsewhere(pipeline: Pipeline, folder: string): Pipeline {
  const few = (source: ErasedSource): ErasedSource => ({
    ...source,
    partitions: async (context) => spread(await source.partitions(context), PILOT_PARTITIONS),
  })
  const moved = (step: Step): Step => {
    if (step.kind === 'sink') return { ...step, path: join(folder, step.name) }
    return step.kind === 'barrier' ? { ...step, publish: undefined } : step
  }
  return {
    ...pipeline,
    sources: pipeline.sources.map(few),
    steps: pipeline.steps.map(moved),
    sink: { ...pipeline.sink, path: join(folder, 'end') },
  }
}

export function inputBytes(partitions: readonly PlannedPartition[]): number {
  return partitions.reduce((sum, { input }) => sum + partitionBytes(input), 0)
}
