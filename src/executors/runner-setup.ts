// What the supervisor hands the runner process, and what it hears from it.

import type { PackedError } from '../core/errors.ts'
import type { RunResult } from '../engine/runner.ts'
import type { PlanSetup } from './setup.ts'

export interface RunnerSetup extends PlanSetup {
  readonly threads: number
  /** Bytes each task at work may hold before it spills. */
  readonly taskMemoryBytes: number
  readonly partitionBytes: number
  readonly maxErrorRate: number
  /** Progress as JSON lines though this is a terminal. */
  readonly isJson: boolean
  /** File for the counts in OpenMetrics form. */
  readonly metrics?: string
  /** Runs only these documents of one task, to see whether one of them kills the process. */
  readonly trial?: { readonly phase: number; readonly partition: number; readonly suspects: readonly string[] }
}

export const runnerExit = { done: 0, failed: 1, workerDied: 70, interrupted: 130 }

/** Told once, before the runner ends by itself. */
export type RunnerMessage = { readonly result: RunResult } | { readonly error: PackedError }
