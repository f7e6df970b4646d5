// One task of a barrier's merge step.

import type { Plan } from './plan.ts'
import { blaming } from './stage-error.ts'

/** What a worker is asked to do; plain data. */
export interface MergeRequest {
  readonly phase: number
  readonly phaseHash: string
  readonly step: number
  readonly task: number
  readonly collected: readonly { readonly path: string; readonly rows: number }[]
  readonly folder: string
  readonly previous?: string
  readonly memoryBytes: number
  readonly build: string
}

export async function runMergeTask(plan: Plan, { phase, step, task, ...request }: MergeRequest, signal: AbortSignal): Promise<void> {
  const { end } = plan.phases[phase]
  if (end.kind !== 'barrier') return
  const { name, run } = end.merges[step]
  await blaming(`the barrier "${end.name}"`, { stage: end.name, step: name, task }, () =>
    run({ ...request, seed: plan.pipeline.seed, signal }, task),
  )
}
