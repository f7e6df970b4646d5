// From a pipeline to phases. A barrier or a checkpoint ends a phase; each phase has a hash over all that decides its
// bytes, chained to the phase before, so that a changed option redoes what follows it and nothing else.

import type { Json } from '../core/document.ts'
import { SluiceError } from '../core/errors.ts'
import { hash128, sourceName } from '../core/identity.ts'
import type { Partition, PlanContext } from '../core/stage.ts'
import { packageVersion } from '../core/version.ts'
import type { RunChoices } from './choices.ts'
import { moduleHash } from './module-hash.ts'
import type { Checkpoint, ErasedBarrier, ErasedSink, ErasedSource, ErasedStage, Pipeline } from './pipeline.ts'
import { type FrozenPlan, type FrozenStage, RUN_FORMAT, type Seal } from './run-folder.ts'

export interface Phase {
  readonly index: number
  /** The barrier that ended the phase before: its apply comes first here. */
  readonly apply?: ErasedBarrier
  /** Map stages, and sinks that items pass on their way. */
  readonly steps: readonly (ErasedStage | ErasedSink)[]
  readonly end: ErasedBarrier | Checkpoint | ErasedSink
  /** Of everything up to its end, inputs left out. */
  readonly definition: string
  /** What summaries and receipts call its stages, apply first; unique within the pipeline. */
  readonly stageNames: readonly string[]
}

export interface Plan {
  readonly pipeline: Pipeline
  readonly file: string
  readonly arguments: Readonly<Record<string, Json>>
  readonly choices: RunChoices
  readonly phases: readonly Phase[]
  readonly hash: string
}

export async function makePlan(
  pipeline: Pipeline,
  file: string,
  values: Readonly<Record<string, Json>>,
  choices: RunChoices,
): Promise<Plan> {
  const needsModule =
    pipeline.steps.some((step) => step.kind !== 'checkpoint' && step.isUserCode) || pipeline.sources.some((source) => source.isUserCode)
  const userCode = needsModule ? await moduleHash(file) : ''
  const reads = await readByBarriers(pipeline)
  const describe = (part: ErasedStage | ErasedBarrier | ErasedSink | ErasedSource): Json[] => {
    const described = [part.kind, part.name, part.version, part.options, part.isUserCode ? userCode : '']
    return part.kind === 'barrier' && reads.has(part) ? [...described, reads.get(part) ?? null] : described
  }

  let definition = hash128(JSON.stringify([RUN_FORMAT, pipeline.name, pipeline.seed, choices, pipeline.sources.map(describe)]))
  const phases: Phase[] = []
  const uses = new Map<string, number>()
  let apply: ErasedBarrier | undefined
  let steps: (ErasedStage | ErasedSink)[] = []
  const close = (end: Phase['end']) => {
    definition = hash128(JSON.stringify([definition, steps.map(describe), end.kind === 'checkpoint' ? 'checkpoint' : describe(end)]))
    const stages = [apply, ...steps].filter((step) => step?.kind === 'map' || step?.kind === 'barrier')
    phases.push({ index: phases.length, apply, steps, end, definition, stageNames: stages.map(({ name }) => uniqueName(name, uses)) })
    apply = end.kind === 'barrier' ? end : undefined
    steps = []
  }
  for (const step of pipeline.steps) {
    if (step.kind === 'map' || step.kind === 'sink') steps.push(step)
    else close(step)
  }
  close(pipeline.sink)
  return { pipeline, file, arguments: values, choices, phases, hash: definition }
}

/** Versions of what barriers read besides their documents: examples to learn from, for one. */
async function readByBarriers({ steps }: Pipeline): Promise<Map<ErasedBarrier, Json>> {
  const context = { signal: new AbortController().signal, partitionBytes: Number.MAX_SAFE_INTEGER }
  const reads = new Map<ErasedBarrier, Json>()
  for (const step of steps) if (step.kind === 'barrier' && step.reads) reads.set(step, await step.reads(context))
  return reads
}

function uniqueName(name: string, uses: Map<string, number>): string {
  const use = (uses.get(name) ?? 0) + 1
  uses.set(name, use)
  return use === 1 ? name : `${name}#${use}`
}

/** Behind a barrier every partition depends on all of the phase before, so the set of its inputs enters the hash. */
export function phaseHash(phase: { readonly definition: string; readonly apply?: unknown }, before: Seal | undefined): string {
  if (!phase.apply || !before) return phase.definition
  return hash128(JSON.stringify([phase.definition, before.hash, before.tasks.map(({ partition }) => partition)]))
}

export interface PlannedPartition {
  readonly id: string
  /** Ordinal among the pipeline's sources. */
  readonly sourceIndex: number
  readonly input: Partition
}

/**
 * All partitions of all sources, in the pipeline's order. Their ids depend on the inputs, not on their places.
 *
 * @throws SluiceError `SLUICE_INPUT_TWICE`
 */
export async function planPartitions(plan: Plan, context: PlanContext): Promise<PlannedPartition[]> {
  const planned: PlannedPartition[] = []
  const read = new Set<string>()
  for (const [sourceIndex, source] of plan.pipeline.sources.entries()) {
    for (const input of await source.partitions(context)) {
      // By the kind of source, whatever its options: ids of documents do not depend on them.
      const what = JSON.stringify([source.name, source.epoch ?? 0, sourceName(input.source), input.version, input.range ?? null])
      if (read.has(what))
        throw new SluiceError('SLUICE_INPUT_TWICE', 'the pipeline names an input twice: each of its documents would be there twice', {
          where: { source: input.source },
          fix: 'take it out of one of the sources',
        })
      read.add(what)
      planned.push({ id: partitionId(source, input), sourceIndex, input })
    }
  }
  return planned
}

/** Bytes that a partition reads; 0 where its input does not say. */
export function partitionBytes({ range, rangeBytes, bytes = 0 }: Partition): number {
  if (rangeBytes !== undefined) return rangeBytes
  return range ? Math.min(range[1], bytes || range[1]) - range[0] : bytes
}

function partitionId(source: ErasedSource, input: Partition): string {
  return hash128(JSON.stringify([source.name, source.options, sourceName(input.source), input.version, input.range ?? null])).slice(0, 16)
}

export function freezePlan(plan: Plan): FrozenPlan {
  const freeze = (
    kind: FrozenStage['kind'],
    { name, version, options }: { name: string; version: number; options: Json },
  ): FrozenStage => ({ name, kind, version, options })
  return {
    format: RUN_FORMAT,
    pipeline: plan.pipeline.name,
    file: plan.file,
    arguments: plan.arguments,
    seed: plan.pipeline.seed,
    choices: plan.choices,
    planHash: plan.hash,
    sluice: packageVersion,
    node: process.version,
    phases: plan.phases.map((phase) => {
      const stages: FrozenStage[] = []
      if (phase.index === 0) stages.push(...plan.pipeline.sources.map((source) => freeze('source', source)))
      const names = [...phase.stageNames]
      if (phase.apply) stages.push({ ...freeze('apply', phase.apply), name: names.shift() ?? phase.apply.name })
      for (const step of phase.steps)
        stages.push(step.kind === 'map' ? { ...freeze('map', step), name: names.shift() ?? step.name } : freeze('sink', step))
      if (phase.end.kind !== 'checkpoint') stages.push(freeze(phase.end.kind, phase.end))
      return { hash: phase.definition, end: phase.end.kind, stages }
    }),
  }
}
