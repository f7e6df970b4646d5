// The funnel: what entered every stage, what left it, and why the rest did not.

import type { Json } from '../core/document.ts'
import { counted } from '../core/format.ts'
import type { SubsetSummary } from '../engine/summary.ts'
import type { AuditedRun } from './read-run.ts'

export interface Reason {
  readonly reason: string
  readonly documents: number
}

export interface FunnelRow {
  readonly stage: string
  /** Whose definition of the rules the stage follows, `gopher@datatrove-0.10`, where it says so. */
  readonly variant?: string
  readonly phase: number
  readonly in: number
  readonly kept: number
  readonly dropped: number
  readonly quarantined: number
  /** Most frequent first. */
  readonly reasons: readonly Reason[]
  readonly bytesIn: number
  readonly bytesOut: number
  /** Of worker time. */
  readonly seconds: number
}

export interface Funnel {
  readonly pipeline: string
  readonly run: string
  readonly isFinished: boolean
  /** Phases that are not done, for a person; empty where the run is finished. */
  readonly missing: readonly string[]
  readonly records: number
  /** Records that are no documents, by reason. */
  readonly ignored: readonly Reason[]
  readonly damaged: number
  readonly documents: number
  readonly kept: number
  readonly dropped: number
  readonly quarantined: number
  readonly inputBytes: number
  /** Worker time in all, reading and writing included. */
  readonly seconds: number
  /** In pipeline order. */
  readonly stages: readonly FunnelRow[]
  /** Parts of the corpus that documents name, most documents first. */
  readonly subsets: readonly Subset[]
  /** By sink; empty before the run is finished. */
  readonly outputs: readonly Output[]
}

export interface Subset extends Readonly<SubsetSummary> {
  readonly name: string
}

export interface Output {
  readonly path: string
  readonly shards: number
  readonly documents: number
  readonly tokens: number
  readonly bytes: number
}

export function funnelOf(run: AuditedRun): Funnel {
  const { summary, plan, phases } = run
  return {
    pipeline: plan.pipeline,
    run: run.path,
    isFinished: run.isFinished,
    missing: run.isFinished ? [] : missingPhases(run),
    records: summary.records,
    ignored: sorted(summary.ignored),
    damaged: summary.damaged,
    documents: summary.documents,
    kept: summary.kept,
    dropped: summary.dropped,
    quarantined: summary.quarantined,
    inputBytes: summary.inputBytes,
    seconds: summary.seconds,
    stages: phases.flatMap(({ index, state, stages, summary: counts }) =>
      (state === 'missing' ? [] : counts.stages).map(({ name, statistics: _, dropped, ...stage }): FunnelRow => {
        const reasons = sorted(dropped)
        const variant = variantOf(stages.find((planned) => planned.name === name)?.options)
        return { stage: name, ...(variant !== undefined && { variant }), phase: index, ...stage, dropped: total(reasons), reasons }
      }),
    ),
    subsets: subsetsOf(summary.subsets),
    outputs: run.outputs.map(outputOf),
  }
}

function variantOf(options: Json | undefined): string | undefined {
  if (typeof options !== 'object' || options === null || !('variant' in options)) return undefined
  return typeof options.variant === 'string' ? options.variant : undefined
}

function subsetsOf(subsets: Readonly<Record<string, SubsetSummary>>): Subset[] {
  const named = Object.entries(subsets).map(([name, counts]) => ({ name, ...counts }))
  return named.sort((a, b) => b.documents - a.documents || (a.name < b.name ? -1 : 1))
}

function outputOf({ path, shards }: AuditedRun['outputs'][number]): Output {
  const output = { path, shards: 0, documents: 0, tokens: 0, bytes: 0 }
  for (const { rows, bytes, tokens = 0 } of shards) {
    if (rows === 0) continue // a file that lies beside the shards
    output.shards++
    output.documents += rows
    output.tokens += tokens
    output.bytes += bytes
  }
  return output
}

function missingPhases({ phases }: AuditedRun): string[] {
  const open = phases.filter(({ state }) => state !== 'sealed')
  if (open.length === 0) return ['publishing of the shards']
  return open.map(({ index, end, state, tasks }) => {
    const name = `phase ${index + 1} of ${phases.length} (up to ${end})`
    return state === 'begun' ? `${name}: ${counted(tasks, 'task')} done` : name
  })
}

function sorted(counts: Readonly<Record<string, number>>): Reason[] {
  const reasons = Object.entries(counts).map(([reason, documents]) => ({ reason, documents }))
  return reasons.sort((a, b) => b.documents - a.documents || (a.reason < b.reason ? -1 : 1))
}

function total(reasons: readonly Reason[]): number {
  return reasons.reduce((sum, { documents }) => sum + documents, 0)
}
