// Parts of documents that occur more than once in the data set: sentences, lines, stretches of tokens. Each part is a hash
// and its position in its document; sorted by hash over all partitions, every copy but the first is a repeat.

import { join } from 'node:path'
import type { Document } from '../core/document.ts'
import type { ApplyContext, CollectContext, CollectRun, MergeContext, MergeStep } from '../core/stage.ts'
import { mergeRuns } from '../io/merge-runs.ts'
import { RecordWriter, RunFile } from '../io/sorted-runs.ts'
import { collectRecords } from './collect.ts'
import { collectedRuns, previousRuns } from './collected-runs.ts'
import { partitionOf, partitionStarts, readSection } from './verdicts.ts'

/** Ranges of hashes that are merged at once. */
const ranges = 16
/** hash high, hash low, row, position. */
const recordWords = 4
/** Row and position of each repeat, a section a partition. */
export const REPEATS_FILE = 'spans'

export interface RepeatRules {
  /** The copy that stays is the first in the input, or, as datatrove, of the lowest row in its partition. */
  readonly ties: 'input' | 'row'
  /** Whether a copy stays at all. */
  readonly keep: 'first' | 'none'
}

/** Takes a part of the document at hand. */
export type AddPart = (high: number, low: number, position: number) => void

/** @param parts calls back for each part of a document */
export function collectParts(context: CollectContext, parts: (document: Document, add: AddPart) => void): CollectRun<Document> {
  const writer = new RecordWriter(context.path, recordWords, ranges, context.memoryBytes)
  const record = new Uint32Array(recordWords)
  const add = (high: number, low: number, position: number) => {
    record[0] = high
    record[1] = low
    record[3] = position
    writer.add(record[0] >>> 28, record)
  }
  return collectRecords(context, writer, (document, row) => {
    record[2] = row
    parts(document, add)
    if (writer.isFull) writer.flush()
  })
}

export function repeatMerges(rules: RepeatRules): readonly [MergeStep, MergeStep] {
  return [
    { name: 'repeats', tasks: ranges, run: (context, range) => findRepeats(context, range, rules) },
    { name: 'spans', tasks: 1, run: gatherSpans },
  ]
}

/** One range of hashes over all partitions: ordinal and position of each copy that goes, sorted. */
async function findRepeats(context: MergeContext, range: number, { ties, keep }: RepeatRules): Promise<void> {
  const starts = partitionStarts(context.collected)
  const { memoryBytes, signal } = context
  const writer = new RecordWriter(join(context.folder, repeatsName(range)), 2, 1, memoryBytes / 2)
  const first = new Uint32Array(2)
  const repeat = new Uint32Array(2)
  let high = -1
  let low = -1
  let copies = 0
  const add = (record: Uint32Array) => {
    writer.add(0, record)
    if (writer.isFull) writer.flush()
  }
  const merge = { words: recordWords, orderWords: ties === 'input' ? 2 : 3, memoryBytes: memoryBytes / 2, signal }
  await mergeRuns(collectedRuns(context, range), merge, (records, at, partition) => {
    const isNew = records[at] !== high || records[at + 1] !== low
    high = records[at]
    low = records[at + 1]
    const target = isNew ? first : repeat
    target[0] = starts[partition] + records[at + 2]
    target[1] = records[at + 3]
    copies = isNew ? 1 : copies + 1
    if (copies === 2 && keep === 'none') add(first)
    if (copies > 1) add(repeat)
  })
  writer.close()
}

const repeatsName = (range: number) => `repeats-${range}`

async function gatherSpans(context: MergeContext): Promise<void> {
  const writer = new RepeatWriter(context)
  const sources = previousRuns(
    context,
    Array.from({ length: ranges }, (_, range) => repeatsName(range)),
  )
  const { memoryBytes, signal } = context
  await mergeRuns(sources, { words: 2, orderWords: 2, memoryBytes, signal }, (records, at) => writer.add(records[at], records[at + 1]))
  writer.close()
}

/** Writes the file of repeats. */
export class RepeatWriter {
  readonly #file: RunFile
  readonly #starts: Float64Array
  readonly #record = new Uint32Array(2)

  constructor(context: MergeContext) {
    this.#file = new RunFile(join(context.folder, REPEATS_FILE), 2)
    this.#starts = partitionStarts(context.collected)
  }

  /** @param ordinal of the document over all partitions; ordinals, and positions of one, ascend from call to call */
  add(ordinal: number, position: number): void {
    const partition = partitionOf(this.#starts, ordinal)
    this.#record[0] = ordinal - this.#starts[partition]
    this.#record[1] = position
    this.#file.append(partition, this.#record)
  }

  close(): void {
    this.#file.close()
  }
}

/** The repeats of the context's partition: ascending positions of a row; rows ascend from call to call. */
export function openRepeats(context: ApplyContext): (row: number) => number[] {
  const spans = readSection(join(context.merged, REPEATS_FILE), context.partition)
  let at = 0
  return (row) => {
    const positions: number[] = []
    while (at < spans.length && spans[at] < row) at += 2
    for (; at < spans.length && spans[at] === row; at += 2) positions.push(spans[at + 1])
    return positions
  }
}
