// What deduplication decided, per partition and row, from its last merge step to `apply`. Only documents of a group of
// duplicates have a record; a partition is a section of the file `verdicts`, its records ascend by row.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Document } from '../core/document.ts'
import { SluiceError } from '../core/errors.ts'
import { type ApplyContext, type ApplyRun, drop, type MergeContext } from '../core/stage.ts'
import { RunFile, readRun, readRuns } from '../io/sorted-runs.ts'
import { applyEach } from './apply.ts'

/** row, documents in the group, the survivor's partition and row; where no document of this run survives, why, and the group's root. */
const words = 4
/** In the place of a survivor: none of the group stays, or one of an earlier build does. */
export const noSurvivor = 0xffffffff
export const earlierSurvivor = 0xfffffffe

/** Ordinals of documents over all partitions: [partitions + 1] first ordinal of each, then their number. */
export function partitionStarts(collected: MergeContext['collected']): Float64Array {
  const starts = new Float64Array(collected.length + 1)
  for (const [i, { rows }] of collected.entries()) starts[i + 1] = starts[i] + rows
  const documents = starts[collected.length]
  if (documents > earlierSurvivor)
    throw new SluiceError(
      'SLUICE_DEDUP_TOO_MANY',
      `${documents} documents are to be deduplicated, at most ${earlierSurvivor} are possible`,
      {
        fix: 'deduplicate by crawl or by year first',
      },
    )
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

  /**
   * Ordinals ascend from call to call.
   *
   * @param root names the group: the ordinal of its first document
   */
  add(ordinal: number, size: number, survivor: number, root: number): void {
    const starts = this.#starts
    while (ordinal >= starts[this.#partition + 1]) this.#partition++
    const isDocument = survivor < earlierSurvivor
    const partition = isDocument ? partitionOf(starts, survivor) : survivor
    const record = this.#record
    record[0] = ordinal - starts[this.#partition]
    record[1] = size
    record[2] = partition
    record[3] = isDocument ? survivor - starts[partition] : root
    this.#file.append(this.#partition, record)
  }

  close(): void {
    this.#file.close()
  }
}

/** row, documents of its group over all builds: of documents that stay, where other builds have seen some. Sections as of `verdicts`. */
const seenWords = 2

export class SeenWriter {
  readonly #file: RunFile
  readonly #starts: Float64Array
  #partition = 0

  constructor(folder: string, starts: Float64Array) {
    this.#file = new RunFile(join(folder, 'seen'), seenWords)
    this.#starts = starts
  }

  /** Ordinals ascend from call to call. */
  add(ordinal: number, count: number): void {
    while (ordinal >= this.#starts[this.#partition + 1]) this.#partition++
    this.#file.append(this.#partition, [ordinal - this.#starts[this.#partition], count])
  }

  close(): void {
    this.#file.close()
  }
}

export interface Application {
  /** Of the drop. */
  readonly reason: string
  /** Of the drop of what an earlier build has. */
  readonly earlierReason: string
  /** Annotation of kept documents: how many there were, 1 for those without duplicates. */
  readonly annotation: string
  /** Annotation of kept documents: how many there were over all builds; where an index counts them. */
  readonly seenAnnotation?: string
}

/** Drops what the verdicts of the context's partition say, and annotates what stays. */
export async function applyVerdicts(context: ApplyContext, application: Application): Promise<ApplyRun<Document>> {
  const { reason, earlierReason, annotation, seenAnnotation } = application
  const records = readSection(join(context.merged, 'verdicts'), context.partition)
  const seen = seenAnnotation === undefined ? new Uint32Array(0) : readSection(join(context.merged, 'seen'), context.partition)
  let at = 0
  let seenAt = 0
  return applyEach(context, (document, row) => {
    while (at < records.length && records[at] < row) at += words
    const isInGroup = at < records.length && records[at] === row
    const partition = isInGroup ? records[at + 2] : context.partition
    if (partition === earlierSurvivor) return drop(earlierReason)
    if (isInGroup && (partition !== context.partition || records[at + 3] !== row)) return drop(reason)
    const size = isInGroup ? records[at + 1] : 1
    const annotations = { ...document.annotations, [annotation]: size }
    if (seenAnnotation === undefined) return { ...document, annotations }
    while (seenAt < seen.length && seen[seenAt] < row) seenAt += seenWords
    annotations[seenAnnotation] = seen[seenAt] === row ? seen[seenAt + 1] : size
    return { ...document, annotations }
  })
}

/** A document in a group of duplicates. */
export interface GroupMember {
  readonly row: number
  /** Documents of this run in the group. */
  readonly size: number
  /** The same for all members of a group, and for them only. */
  readonly group: string
  readonly fate: 'stays' | 'duplicate' | 'earlier'
}

/** Members of groups in a partition, by row. @param merged folder of the last merge step */
export function readMembers(merged: string, partition: number): GroupMember[] {
  const records = readSection(join(merged, 'verdicts'), partition)
  const members: GroupMember[] = []
  for (let at = 0; at < records.length; at += words) {
    const [row, size, survivorPartition, survivorRow] = records.subarray(at, at + words)
    const isSurvivor = survivorPartition === partition && survivorRow === row
    const fate = survivorPartition === earlierSurvivor ? 'earlier' : isSurvivor ? 'stays' : 'duplicate'
    members.push({ row, size, group: `${survivorPartition}-${survivorRow}`, fate })
  }
  return members
}

/** All records of a partition, of the file that a `RunFile` wrote; empty where there are none. */
export function readSection(path: string, partition: number): Uint32Array {
  if (!existsSync(path))
    throw new SluiceError('SLUICE_DEDUP_DAMAGED', 'the result of a deduplication is missing', { where: { file: path } })
  const [run] = readRuns(path, partition)
  return run ? readRun(run) : new Uint32Array(0)
}
