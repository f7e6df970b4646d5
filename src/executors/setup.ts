// What a process needs to rebuild a plan: plain data, handed from the command to the runner and from it to its workers.
// Each imports the pipeline file itself; a plan that comes out with another hash is refused.

import type { Json } from '../core/document.ts'
import { type PackedError, SluiceError } from '../core/errors.ts'
import type { RunChoices } from '../engine/choices.ts'
import type { MergeRequest } from '../engine/merge-task.ts'
import { buildPipeline, importPipeline } from '../engine/pipeline-file.ts'
import { makePlan, type Plan } from '../engine/plan.ts'
import type { TaskRequest } from '../engine/task-scope.ts'

export interface PlanSetup {
  readonly file: string
  readonly arguments: Readonly<Record<string, Json>>
  readonly choices: RunChoices
  /** Path of the run folder. */
  readonly run: string
}

export async function planOf(setup: PlanSetup): Promise<Plan> {
  const pipeline = buildPipeline(setup.file, await importPipeline(setup.file), { ...setup.arguments })
  return await makePlan(pipeline, setup.file, setup.arguments, setup.choices)
}

/** @throws SluiceError `SLUICE_PLAN_CHANGED` where the file no longer gives the plan that the run was started with */
export function assertSamePlan(plan: Plan, hash: string): void {
  if (plan.hash === hash) return
  throw new SluiceError('SLUICE_PLAN_CHANGED', 'the pipeline file gives another plan than the one this run was started with', {
    where: { file: plan.file, expected: hash.slice(0, 12), got: plan.hash.slice(0, 12) },
    fix: 'do not change a pipeline file while it runs; options must not depend on the time, the machine or the environment',
  })
}

// ---- messages between the local executor and its threads ----

export const COUNTER_SLOTS = 1024

export interface WorkerSetup extends PlanSetup {
  readonly planHash: string
  /** Two f64 a thread: documents and input bytes. Each thread writes its own. */
  readonly counters: SharedArrayBuffer
}

export type Work = { readonly task: TaskRequest } | { readonly merge: MergeRequest }

/** Errors go back packed: a clone would lose their code and advice. */
export interface Answer {
  readonly error?: PackedError
}
