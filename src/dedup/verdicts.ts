// What deduplication decided, per partition and row, from its last merge step to `apply`. Only documents of a group of
// duplicates have a record; a partition is a section of the file `verdicts`, its records ascend by row.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Document } from '../core/document.ts'
import { SluiceError } from '../core/errors.ts'
import type { ApplyContext, ApplyRun, MergeContext } from '../core/stage.ts'
import { RunFile, readRun, readRuns } from './records.ts'

/** row, documents in the group, the survivor's partition and row (none: all ones). */
const words = 4
export const noSurvivor = 0xffffffff

/** Ordinals of documents over all partitions: [partitions + 1] first ordinal of each, then their number. */
export function partitionStarts(collected: MergeContext['collected']): Float64Array {
  const starts = new Float64Array(collected.length + 1)
  for (const [i, { rows }] of collected.entries()) starts[i + 1] = starts[i] + rows
  const documents = starts[collected.length]
  if (documents > noSurvivor)
    throw new SluiceError('SLUICE_DEDUP_TOO_MANY', `${documents} documents are to be deduplicated, at most ${noSurvivor} are possible`, {
      fix: 'deduplicate by crawl or by year first',
    })
  return starts
}

/** The partition that holds an ordinal. */
export function partitionOf(starts: Float64Array, ordinal: number): number {
  let low = 0
  let high = starts.length - 1
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (starts[middle] <= ordinal) low = middle
    else high = middle
  }
  return low
}

export class VerdictWriter {
  readonly #file: RunFile
  readonly #starts: Float64Array
  readonly #record = new Uint32Array(words)
  #partition = 0

  constructor(folder: string, starts: Float64Array) {
    this.#file = new RunFile(join(folder, 'verdicts'), words)
    this.#starts = starts
  }

  /** Ordinals ascend from call to call. */
  add(ordinal: number, size: number, survivor: number): void {
    const starts = this.#starts
    while (ordinal >= starts[this.#partition + 1]) this.#partition++
    const partition = survivor === noSurvivor ? noSurvivor : partitionOf(starts, survivor)
    const record = this.#record
    record[0] = ordinal - starts[this.#partition]
    record[1] = size
    record[2] = partition
    record[3] = survivor === noSurvivor ? noSurvivor : survivor - starts[partition]
    this.#file.append(this.#partition, record)
  }

  close(): void {
    this.#file.close()
  }
}

export interface Application {
  /** Of the drop. */
  readonly reason: string
  /** Annotation of kept documents: how many there were, 1 for those without duplicates. */
  readonly annotation: string
}

/** Drops what the verdicts of the context's partition say, and annotates what stays. */
export async function applyVerdicts(context: ApplyContext, { reason, annotation }: Application): Promise<ApplyRun<Document>> {
  const records = readSection(join(context.merged, 'verdicts'), context.partition)
  let at = 0
  const sizeAt = (row: number): number => {
    while (at < records.length && records[at] < row) at += words
    if (at === records.length || records[at] !== row) return 1
    return records[at + 2] === context.partition && records[at + 3] === row ? records[at + 1] : 0
  }
  return {
    process: (batch, rows) => {
      const kept: Document[] = []
      for (const [i, document] of batch.entries()) {
        const size = sizeAt(rows[i])
        if (size === 0 && !context.drop(document, reason)) continue
        kept.push(size === 0 ? document : { ...document, annotations: { ...document.annotations, [annotation]: size } })
      }
      return kept
    },
  }
}

/** All records of a partition, of the file that a `RunFile` wrote; empty where there are none. */
export function readSection(path: string, partition: number): Uint32Array {
  if (!existsSync(path))
    throw new SluiceError('SLUICE_DEDUP_DAMAGED', 'the result of a deduplication is missing', { where: { file: path } })
  const [run] = readRuns(path, partition)
  return run ? readRun(run) : new Uint32Array(0)
}
