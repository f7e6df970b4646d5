// What the parts of a task share: what was asked, what surrounds it, and what its stages may ask of it.

import { SluiceError } from '../core/errors.ts'
import type { Partition, StageContext } from '../core/stage.ts'
import type { NoteSlot } from './notes.ts'
import type { Phase, Plan } from './plan.ts'
import type { Receipts } from './receipts.ts'
import type { PhaseFolder } from './run-folder.ts'
import type { QuarantineNote } from './summary.ts'

/** Text per batch: what crosses one await together. */
export const BATCH_BYTES = 1 << 20

/** What a worker is asked to do; plain data. */
export interface TaskRequest {
  readonly phase: number
  readonly phaseHash: string
  readonly partition: { readonly id: string; readonly sourceIndex: number; readonly index: number; readonly input: Partition }
  readonly attempt: string
  /** Items file of the phase before; absent in the first phase. */
  readonly upstream?: string
  /** Which attempts of the phase before this task depends on. */
  readonly basis?: string
  /** Folder of the merged barrier that this phase applies. */
  readonly merged?: string
  /** Merged folders of all barriers before, by name. */
  readonly artifacts: Readonly<Record<string, string>>
  /** At most so many documents of this partition. */
  readonly limit?: number
  readonly quarantined: readonly QuarantineNote[]
  readonly memoryBytes: number
  /** A trial: only this document goes through, to see whether the process survives it. No marker may be written. */
  readonly suspect?: { readonly id: string; readonly offset: number }
}

/** What the surroundings of a task give it. */
export interface TaskHost {
  readonly signal: AbortSignal
  readonly notes: NoteSlot
  /** Counts up while the task works. */
  readonly progress: (documents: number, inputBytes: number) => void
  readonly redact: (text: string) => string
}

export interface TaskScope {
  readonly plan: Plan
  readonly phase: Phase
  readonly folder: PhaseFolder
  readonly request: TaskRequest
  readonly host: TaskHost
  readonly receipts: Receipts
}

/** @param stage ordinal in the phase's stage names; their number where it is what ends the phase */
export function stageContext({ plan, request, host, receipts }: TaskScope, stage: number): Omit<StageContext, 'examine'> {
  return {
    seed: plan.pipeline.seed,
    signal: host.signal,
    memoryBytes: request.memoryBytes,
    record: (item, statistics) => receipts.record(stage, item, statistics),
    drop: (item, reason) => receipts.drop(stage, item, reason),
    artifact: (barrier) => artifact(request, barrier),
  }
}

export function artifact({ artifacts }: TaskRequest, barrier: string): string {
  const folder = artifacts[barrier]
  if (folder !== undefined) return folder
  throw new SluiceError('SLUICE_ARTIFACT', `no barrier stage "${barrier}" ran before this stage`, {
    fix: `put it into the pipeline in front: there are ${Object.keys(artifacts).join(', ') || 'none'}`,
  })
}
