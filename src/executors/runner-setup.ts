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
  /** Runs only this document of one task, to see whether it kills the process. */
  readonly trial?: {
    readonly phase: number
    readonly partition: number
    readonly suspect: { readonly id: string; readonly offset: number }
  }
}

/** Why a document is under suspicion, or guilty. */
export type Cause = 'threw' | 'crashed' | 'hung' | 'out_of_memory'

/** A thread or a document that the runner could not get over. */
export interface Loss {
  readonly cause: Cause
  readonly message: string
}

/**
 * Told once, before the runner ends by itself. Exit codes say nothing: a stage may call `process.exit` with any.
 * `survived` is a trial that came to its end.
 */
export type RunnerMessage =
  | { readonly result: RunResult }
  | { readonly error: PackedError }
  | { readonly lost: Loss }
  | { readonly ended: 'interrupted' | 'survived' }
