// Options that `run`, `plan` and `task` share: which pipeline, and what a run may use.

import { availableParallelism } from 'node:os'
import { type Command, Option } from 'commander'
import { formatBytes } from '../core/format.ts'
import { unaskedMemoryBytes } from '../core/machine-memory.ts'
import type { RunChoices } from '../engine/choices.ts'
import { numberIn, share, size, wholeNumber } from './numbers.ts'

/** Memory a worker thread needs before its stages hold anything: V8, a model, batches in flight. */
const WORKER_BYTES = 400e6
/** What the runner and one thread take before they hold a document. */
const LEAST_MEMORY = 256e6

export const threadCount = wholeNumber(1, 1024)
export const memorySize = size(LEAST_MEMORY)

export interface RunFlags {
  readonly run?: string
  readonly threads?: number
  readonly memory: number
  readonly limit?: number
  readonly sample?: number
  readonly partitionSize: number
  readonly maxErrorRate: number
  readonly documentTimeout: number
  readonly statistics: RunChoices['statistics']
  readonly rejected: RunChoices['rejected']
  readonly rejectedText: RunChoices['rejectedText']
  readonly shadows: number
  readonly json?: boolean
  readonly metrics?: string
}

export function withRunOptions(command: Command): Command {
  return command
    .argument('<file>', 'pipeline file (TypeScript or JavaScript) with a pipeline as its default export')
    .option('--run <folder>', 'run folder: state, statistics, rejected documents (default: runs/<pipeline name>)')
    .option('--threads <n>', 'worker threads (default: one a core, fewer where --memory is small)', threadCount)
    .option('--memory <bytes>', 'resident memory of all workers together, such as 4GB', memorySize, unaskedMemoryBytes())
    .option('--limit <n>', 'take about n documents, spread evenly over the partitions', wholeNumber(1))
    .option('--sample <share>', 'take a share of the documents by hash of their ids, such as 0.1%', share)
    .option('--partition-size <bytes>', 'cut large inputs into pieces of about this size', size(), 256e6)
    .option('--max-error-rate <share>', 'fail when more records than this are damaged or quarantined', share, 0.05)
    .option('--document-timeout <seconds>', 'quarantine a document that one stage does not finish in this time', numberIn({ above: 0 }), 60)
    .addOption(
      new Option('--statistics <which>', 'documents that get a row of statistics').choices(['all', 'sample', 'off']).default('all'),
    )
    .addOption(
      new Option('--rejected <which>', 'dropped documents kept for reading: 1 % and the first of each reason, or all')
        .choices(['all', 'sample', 'off'])
        .default('sample'),
    )
    .addOption(
      new Option('--rejected-text <how>', 'their text: personal data replaced, as it is, or left out')
        .choices(['redacted', 'raw', 'off'])
        .default('redacted'),
    )
    .option('--shadows <share>', 'share of dropped documents on which the remaining rules still run, for their receipts', share, 0.01)
    .option('--json', 'progress and result as JSON')
}

export function choicesOf(flags: RunFlags): RunChoices {
  const { limit, sample, statistics, rejected, rejectedText, shadows } = flags
  return { limit, sample, statistics, rejected, rejectedText, shadows }
}

/** How many threads, and why: a choice made for the user is told with its cause. */
export function threadsOf(flags: RunFlags): { threads: number; cause: string } {
  if (flags.threads !== undefined) return { threads: flags.threads, cause: 'as asked' }
  const cores = availableParallelism()
  const fitting = Math.max(1, Math.floor(flags.memory / WORKER_BYTES))
  if (fitting < cores) return { threads: fitting, cause: `${cores} cores, but ${formatBytes(flags.memory)} of memory` }
  return { threads: cores, cause: `${cores} cores` }
}

/** What is left for stages to hold, a worker. */
export function taskMemory(flags: RunFlags, threads: number): number {
  return Math.max(64e6, (flags.memory - threads * WORKER_BYTES) / threads / 2)
}
