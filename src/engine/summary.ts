// What a task, a phase and a run count. Summaries merge by addition, in any order, into the same numbers, and they must
// close: records = documents + ignored + damaged, documents = kept + dropped + quarantined.

import { SluiceError } from '../core/errors.ts'
import type { Damage, Statistics } from '../core/stage.ts'
import { addValue, emptyHistogram, type Histogram, mergeHistogram } from './histogram.ts'

export interface StageSummary {
  name: string
  /** Documents that reached the stage, shadows not counted. */
  in: number
  kept: number
  /** By reason. */
  dropped: Record<string, number>
  quarantined: number
  /** Bytes of text (or HTML) that reached it and left it. */
  bytesIn: number
  bytesOut: number
  /** Wall time inside the stage, shadows included. */
  seconds: number
  statistics: Record<string, Histogram>
}

/** Of the documents that name the part of a corpus they belong to. */
export interface SubsetSummary {
  documents: number
  kept: number
  /** Of those that were kept, where they are tokenized by then. */
  tokens: number
}

/** A damaged record, where it lies. */
export interface DamageNote extends Damage {
  source: string
}

export interface QuarantineNote {
  id: string
  source: string
  offset: number
  stage: string
  /** `threw`, `hung`, `crashed` or `out_of_memory`. */
  cause: string
  /** The error's first line, redacted; empty where the process died without one. */
  message: string
}

export interface Summary {
  /** Records read from the inputs: 0 in phases that read what an earlier one kept. */
  records: number
  ignored: Record<string, number>
  damaged: number
  damagedBytes: number
  /** Documents that entered. */
  documents: number
  kept: number
  dropped: number
  quarantined: number
  inputBytes: number
  /** Of worker time, not wall time. */
  seconds: number
  /** In pipeline order. */
  stages: StageSummary[]
  /** Hosts of the documents that were kept, at most `TOP_HOSTS`. */
  hosts: Record<string, number>
  /** By the name of the subset, at most `TOP_SUBSETS`. */
  subsets: Record<string, SubsetSummary>
  /** At most `NOTES` of each, the first ones. */
  damages: DamageNote[]
  quarantines: QuarantineNote[]
}

export const TOP_HOSTS = 200
export const TOP_SUBSETS = 1000
export const NOTES = 200

export function emptySummary(stageNames: readonly string[]): Summary {
  return {
    records: 0,
    ignored: {},
    damaged: 0,
    damagedBytes: 0,
    documents: 0,
    kept: 0,
    dropped: 0,
    quarantined: 0,
    inputBytes: 0,
    seconds: 0,
    stages: stageNames.map((name) => ({
      name,
      in: 0,
      kept: 0,
      dropped: {},
      quarantined: 0,
      bytesIn: 0,
      bytesOut: 0,
      seconds: 0,
      statistics: {},
    })),
    hosts: {},
    subsets: {},
    damages: [],
    quarantines: [],
  }
}

export function addStatistics(stage: StageSummary, statistics: Statistics): void {
  for (const [name, value] of Object.entries(statistics)) {
    stage.statistics[name] ??= emptyHistogram()
    addValue(stage.statistics[name], value)
  }
}

export function addCount(counts: Record<string, number>, key: string, count = 1): void {
  counts[key] = (counts[key] ?? 0) + count
}

export function addSubset(subsets: Record<string, SubsetSummary>, name: string, more: Partial<SubsetSummary>): void {
  subsets[name] ??= { documents: 0, kept: 0, tokens: 0 }
  for (const key of ['documents', 'kept', 'tokens'] as const) subsets[name][key] += more[key] ?? 0
}

/** Sums summaries of tasks of one phase: same stages in the same order. */
export function mergeSummaries(summaries: readonly Summary[], stageNames: readonly string[]): Summary {
  const total = emptySummary(stageNames)
  for (const summary of summaries) {
    for (const key of [
      'records',
      'damaged',
      'damagedBytes',
      'documents',
      'kept',
      'dropped',
      'quarantined',
      'inputBytes',
      'seconds',
    ] as const) {
      total[key] += summary[key]
    }
    for (const [reason, count] of Object.entries(summary.ignored)) addCount(total.ignored, reason, count)
    for (const [host, count] of Object.entries(summary.hosts)) addCount(total.hosts, host, count)
    for (const [name, counts] of Object.entries(summary.subsets)) addSubset(total.subsets, name, counts)
    total.damages.push(...summary.damages.slice(0, NOTES - total.damages.length))
    total.quarantines.push(...summary.quarantines.slice(0, NOTES - total.quarantines.length))
    for (const [index, stage] of summary.stages.entries()) mergeStage(total.stages[index], stage)
  }
  total.hosts = largest(total.hosts, TOP_HOSTS, (count) => count)
  total.subsets = largest(total.subsets, TOP_SUBSETS, ({ documents, kept }) => documents + kept)
  return total
}

function mergeStage(total: StageSummary, stage: StageSummary): void {
  for (const key of ['in', 'kept', 'quarantined', 'bytesIn', 'bytesOut', 'seconds'] as const) total[key] += stage[key]
  for (const [reason, count] of Object.entries(stage.dropped)) addCount(total.dropped, reason, count)
  for (const [name, histogram] of Object.entries(stage.statistics)) {
    total.statistics[name] ??= emptyHistogram()
    mergeHistogram(total.statistics[name], histogram)
  }
}

/** A run's summary from those of its phases, in order: what enters the first, what the last keeps. */
export function chainSummaries(phases: readonly Summary[]): Summary {
  const total = mergeSummaries([], [])
  const [first] = phases
  const last = phases.at(-1)
  if (!first || !last) return total
  for (const phase of phases) {
    total.dropped += phase.dropped
    total.quarantined += phase.quarantined
    total.seconds += phase.seconds
    total.stages.push(...phase.stages)
    total.quarantines.push(...phase.quarantines)
  }
  const { records, ignored, damaged, damagedBytes, documents, inputBytes, damages } = first
  const subsets = Object.fromEntries(Object.entries(first.subsets).map(([name, counts]) => [name, { ...counts, kept: 0, tokens: 0 }]))
  for (const [name, { kept, tokens }] of Object.entries(last.subsets)) addSubset(subsets, name, { kept, tokens })
  return { ...total, records, ignored, damaged, damagedBytes, documents, inputBytes, damages, kept: last.kept, hosts: last.hosts, subsets }
}

/**
 * Every record and every document must be somewhere.
 *
 * @throws SluiceError `SLUICE_ACCOUNT` where the numbers do not close: documents were lost or counted twice
 */
export function assertCloses(summary: Summary, what: string): void {
  const ignored = Object.values(summary.ignored).reduce((sum, count) => sum + count, 0)
  const records = summary.documents + ignored + summary.damaged
  const documents = summary.kept + summary.dropped + summary.quarantined
  if (summary.records === records && summary.documents === documents) return
  throw new SluiceError(
    'SLUICE_ACCOUNT',
    `the count of ${what} does not close: ${summary.records} records = ${summary.documents} documents + ${ignored} ignored + ${summary.damaged} damaged; ` +
      `${summary.documents} documents = ${summary.kept} kept + ${summary.dropped} dropped + ${summary.quarantined} quarantined`,
    {
      fix: 'a stage or source of your own may add or lose items: give out at most one item for each that came in; otherwise this is a fault in sluice',
    },
  )
}

function largest<T>(counts: Record<string, T>, size: number, sizeOf: (value: T) => number): Record<string, T> {
  const entries = Object.entries(counts).sort(([a, m], [b, n]) => sizeOf(n) - sizeOf(m) || (a < b ? -1 : 1))
  return Object.fromEntries(entries.slice(0, size))
}
