// What is asked of the workers in a phase: one request a partition, made from the plan and from the seal of the phase before.

import { randomBytes } from 'node:crypto'
import { SluiceError } from '../core/errors.ts'
import { hash128 } from '../core/identity.ts'
import { type Phase, type Plan, type PlannedPartition, phaseHash, planPartitions } from './plan.ts'
import type { Marker, PhaseFolder, RunFolder, Seal } from './run-folder.ts'
import type { QuarantineNote } from './summary.ts'
import type { TaskRequest } from './task-scope.ts'

/** What the requests of a run depend on beside its plan. */
export interface RequestOptions {
  readonly signal: AbortSignal
  readonly partitionBytes: number
  /** Bytes for each task at work. */
  readonly memoryBytes: number
}

export interface RequestParts {
  readonly plan: Plan
  readonly folder: RunFolder
  readonly phase: Phase
  readonly hash: string
  readonly partitions: readonly PlannedPartition[]
  readonly before: Seal | undefined
  readonly artifacts: Readonly<Record<string, string>>
  readonly quarantined: readonly QuarantineNote[]
  readonly memoryBytes: number
}

/** What is asked of the workers in a phase, one request a partition. */
export function makeRequests(parts: RequestParts): TaskRequest[] {
  const { plan, folder, phase, hash, partitions, before, artifacts, quarantined, memoryBytes } = parts
  const attempt = randomBytes(4).toString('hex')
  const common = { phase: phase.index, phaseHash: hash, attempt, artifacts: { ...artifacts }, quarantined, memoryBytes }
  const { limit } = plan.choices
  if (!before) {
    return partitions.map(({ id, sourceIndex, input }, index) => ({
      ...common,
      partition: { id, sourceIndex, index, input },
      limit: limit === undefined ? undefined : share(limit, index, partitions.length),
    }))
  }
  const upstream = folder.phase(phase.index - 1, before.hash)
  return before.tasks.map((task, index) => ({
    ...common,
    partition: { id: task.partition, sourceIndex: partitions[index].sourceIndex, index, input: task.input },
    upstream: upstream.data('items', task.partition, task.attempt),
    basis: basisOf(phase, before, index),
    merged: phase.apply ? artifacts[phase.apply.name] : undefined,
  }))
}

/**
 * What a task's result rests on: the attempt of the phase before that it reads, behind a barrier those of all partitions.
 * Where one of them was made anew (with a document quarantined since, say), so is the task.
 */
export function basisOf(phase: Phase, before: Seal, index: number): string {
  const { attempt } = before.tasks[index]
  return phase.apply ? `${attempt} ${attemptsHash(before.tasks)}` : attempt
}

function attemptsHash(tasks: readonly Marker[]): string {
  return hash128(JSON.stringify(tasks.map(({ partition, attempt }) => `${partition}@${attempt}`))).slice(0, 8)
}

/** What is merged depends on the attempts it is made of, so its name does. */
export function mergedFolder(folder: PhaseFolder, step: string, tasks: readonly Marker[]): string {
  return folder.merged(`${attemptsHash(tasks)}-${step}`)
}

/**
 * All requests of one phase, for whoever runs single tasks: an executor's job, the trial of a suspect.
 *
 * @throws SluiceError `SLUICE_PHASE_OPEN` where a phase before it is not sealed yet
 */
export async function phaseRequests(plan: Plan, folder: RunFolder, phaseIndex: number, options: RequestOptions): Promise<TaskRequest[]> {
  const partitions = await planPartitions(plan, options)
  const quarantined = await folder.quarantine()
  const artifacts: Record<string, string> = {}
  let before: Seal | undefined
  for (const phase of plan.phases) {
    const hash = phaseHash(phase, before)
    if (phase.index === phaseIndex)
      return makeRequests({ plan, folder, phase, hash, partitions, before, artifacts, quarantined, memoryBytes: options.memoryBytes })
    const phaseFolder = folder.phase(phase.index, hash)
    before = await phaseFolder.seal()
    if (!before)
      throw new SluiceError('SLUICE_PHASE_OPEN', `phase ${phase.index} is not finished`, {
        where: { folder: phaseFolder.path },
        fix: 'run its tasks first',
      })
    if (phase.end.kind === 'barrier')
      artifacts[phase.end.name] = mergedFolder(phaseFolder, phase.end.merges[phase.end.merges.length - 1].name, before.tasks)
  }
  throw new SluiceError('SLUICE_PHASE_UNKNOWN', `the plan has ${plan.phases.length} phases, there is no phase ${phaseIndex}`, {
    fix: 'phases count from 0: sluice plan lists them',
  })
}

/** Part `index` of `count` nearly equal parts of a whole. */
function share(whole: number, index: number, count: number): number {
  return Math.floor(((index + 1) * whole) / count) - Math.floor((index * whole) / count)
}
