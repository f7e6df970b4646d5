// The contract of a pipeline's parts: sources make items, stages judge or change them, barriers see all of them before
// any goes on, sinks end them. What every stage needs (counting, timing, receipts, quarantine) is done here once.

import type { Item, Json } from './document.ts'

/** Numbers measured on one document. NaN means: not measured, because the filter stopped before it. */
export type Statistics = Readonly<Record<string, number>>

export interface Keep {
  readonly keep: true
}
export interface Drop {
  readonly keep: false
  /** The reference's id of why, or snake_case. Never changes once released: people count them. */
  readonly reason: string
}
export type Verdict = Keep | Drop

export const keep: Keep = { keep: true }
export const drop = (reason: string): Drop => ({ keep: false, reason })

/** What a stage may ask of whoever runs it: the engine, `sluice stage`, or a test. */
export interface StageContext {
  readonly seed: number
  readonly signal: AbortSignal
  /** Bytes that this stage may hold in memory before it spills to disk. */
  readonly memoryBytes: number
  /**
   * Runs the work on one item. The item is noted first, so that a crash can be traced to it; where the work throws, the
   * item is quarantined and the answer is undefined.
   */
  readonly examine: <T>(item: Item, work: () => T) => T | undefined
  /** Keeps what was measured on an item, for receipts, histograms and what-if. */
  readonly record: (item: Item, statistics: Statistics) => void
  /** Counts a drop. True where the item nevertheless goes on as a shadow, so that its receipt shows the remaining rules. */
  readonly drop: (item: Item, reason: string) => boolean
  /** Folder with what the barrier of that name made earlier in this run. */
  readonly artifact: (barrier: string) => string
}

export interface StageRun<In, Out> {
  /** Takes and gives a batch, order kept. Synchronous where the work is. */
  readonly process: (batch: In[]) => Out[] | Promise<Out[]>
  readonly close?: () => Promise<void>
}

interface Named {
  readonly name: string
  /** Raised whenever the same input and options give other output. */
  readonly version: number
  /** Resolved options: they enter the plan hash, the manifest and the audit. */
  readonly options: Json
  /** True where the stage holds a function of the user's, whose module then enters the plan hash. */
  readonly isUserCode?: boolean
}

export interface Stage<In, Out = In> extends Named {
  readonly kind: 'map'
  readonly open: (context: StageContext) => Promise<StageRun<In, Out>>
}

// ---- map stages ----

export interface FilterDefinition<T, S extends Statistics> extends Partial<Named> {
  /** Measures a document: numbers only, no judgement. */
  readonly measure: (item: T) => S
  /** Judges the numbers alone: the audit calls it again with other limits. */
  readonly decide: (statistics: S) => Verdict
}

/** A stage that keeps or drops, and changes nothing. */
export function filterStage<T extends Item, S extends Statistics>(name: string, definition: FilterDefinition<T, S>): Stage<T> {
  return {
    kind: 'map',
    ...named(name, definition),
    open: async (context) => {
      const passes = (item: T) => {
        const statistics = definition.measure(item)
        context.record(item, statistics)
        const verdict = definition.decide(statistics)
        return verdict.keep || context.drop(item, verdict.reason)
      }
      return { process: (batch) => batch.filter((item) => context.examine(item, () => passes(item)) === true) }
    },
  }
}

/** Measured by a map stage besides its result. */
export type Report = (statistics: Statistics) => void

export interface MapDefinition<In, Out> extends Partial<Named> {
  /** Loads what the stage needs (a model, a list), once per task, and gives the function that is called per item. */
  readonly prepare: (
    context: StageContext,
  ) => Promise<(item: In, report: Report) => Out | Drop> | ((item: In, report: Report) => Out | Drop)
  readonly close?: () => Promise<void>
}

/** A stage that turns each item into another, or drops it. Where it drops one, nothing is left that could go on as a shadow. */
export function mapStage<In extends Item, Out extends Item>(name: string, definition: MapDefinition<In, Out>): Stage<In, Out> {
  return {
    kind: 'map',
    ...named(name, definition),
    open: async (context) => {
      const map = await definition.prepare(context)
      const process = (batch: In[]) => {
        const out: Out[] = []
        for (const item of batch) {
          const result = context.examine(item, () => map(item, (statistics) => context.record(item, statistics)))
          if (result === undefined) continue
          if (isDrop(result)) context.drop(item, result.reason)
          else out.push(result)
        }
        return out
      }
      return { process, close: definition.close }
    },
  }
}

export function isDrop(result: object): result is Drop {
  return 'keep' in result && result.keep === false
}

export function named(name: string, part: Partial<Named>): Named {
  return { name, version: part.version ?? 1, options: part.options ?? {}, isUserCode: part.isUserCode ?? false }
}

// ---- sources ----

/** What one task reads: an input, or a byte range of one. Plain JSON, made by the plan, the same on every machine. */
export interface Partition {
  /** URL of the input. */
  readonly source: string
  /** Bytes of the whole input, where known. */
  readonly bytes?: number
  /** ETag, or size and modification time: changes when the input does. */
  readonly version: string
  /** Byte range [start, end) of a large input, or one of rows or files; the record that starts before `end` belongs to it whole. */
  readonly range?: readonly [start: number, end: number]
  /** Bytes that the range takes, where it counts something else. */
  readonly rangeBytes?: number
  /** The same range in the decompressed stream, where a compressed input is cut at its frames. */
  readonly decoded?: readonly [start: number, end: number]
  /** Rows [first, end) of a list of records that the plan has made, where only some records of the inputs are read. */
  readonly records?: { readonly list: string; readonly rows: readonly [first: number, end: number] }
}

export interface PlanContext {
  readonly signal: AbortSignal
  /** Inputs are cut into pieces of about this many bytes where their format allows it. */
  readonly partitionBytes: number
}

/** A damaged stretch of an input: reported, set aside, and reading went on behind it. */
export interface Damage {
  readonly offset: number
  readonly length: number
  /** An error code: `SLUICE_WARC_…`. */
  readonly code: string
  readonly message: string
  /** Its input, where the partition reads several. */
  readonly source?: string
}

export interface SourceContext {
  readonly signal: AbortSignal
  /** Batches are cut at about this many bytes of content. */
  readonly batchBytes: number
  /** Called before a record is decoded. False: the record is quarantined, leave it out. */
  readonly begin: (source: string, offset: number) => boolean
  readonly damaged: (damage: Damage) => void
  /** Counts records that are no documents: a WARC request, an image, an empty line. */
  readonly ignored: (reason: string, count?: number) => void
  /** Bytes of input read since the last call: progress. */
  readonly consumed: (bytes: number) => void
}

export interface Source<Out> extends Named {
  readonly kind: 'source'
  /** Which repetition of its documents it gives, where a mixture gives them several times; 0 is the first. */
  readonly epoch?: number
  /** In order: as declared, then by file name, then by offset. Depends on the inputs and the options only. */
  readonly partitions: (context: PlanContext) => Promise<Partition[]>
  /** Records in input order, in batches. */
  readonly read: (partition: Partition, context: SourceContext) => AsyncIterable<Out[]>
}

// ---- barriers ----

export interface CollectContext extends StageContext {
  /** File that this partition's collection is written to. Written whole before close resolves. */
  readonly path: string
}

export interface CollectRun<T> {
  /** `rows[i]` is the ordinal of `batch[i]` among the partition's documents at this barrier, ascending. */
  readonly process: (batch: T[], rows: Uint32Array) => void | Promise<void>
  readonly close: () => Promise<void>
}

export interface MergeContext {
  readonly seed: number
  /** Names what the run publishes: the same for every run into the same output. */
  readonly build: string
  readonly signal: AbortSignal
  readonly memoryBytes: number
  /** One file per partition, in partition order, as `collect` wrote it. */
  readonly collected: readonly { readonly path: string; readonly rows: number }[]
  /** Folder to write results into; shared by the tasks of this step, so name files by task. */
  readonly folder: string
  /** Folder of the step before; undefined in the first. */
  readonly previous?: string
}

export interface MergeStep {
  readonly name: string
  /** Independent tasks of this step; they may run at once. */
  readonly tasks: number
  readonly run: (context: MergeContext, task: number) => Promise<void>
}

export interface PublishContext {
  /** Folder of the last merge step. */
  readonly merged: string
  /** As in the merges. */
  readonly build: string
}

export interface ApplyContext extends StageContext {
  /** Folder of the last merge step. */
  readonly merged: string
  /** Ordinal of this partition among all: what `collected` was indexed by. */
  readonly partition: number
}

export interface ApplyRun<T> {
  readonly process: (batch: T[], rows: Uint32Array) => T[] | Promise<T[]>
  readonly close?: () => Promise<void>
}

/** A stage that must see all documents before the first goes on: deduplication, training of a tokenizer. */
export interface Barrier<T> extends Named {
  readonly kind: 'barrier'
  /** It would take repeated documents for duplicates. */
  readonly dropsDuplicates?: boolean
  /** Versions of what it reads besides its documents, asked when the plan is made: other ones are another plan. */
  readonly reads?: (context: PlanContext) => Promise<Json>
  readonly collect: (context: CollectContext) => Promise<CollectRun<T>>
  readonly merges: readonly [MergeStep, ...MergeStep[]]
  readonly apply: (context: ApplyContext) => Promise<ApplyRun<T>>
  /** Called when the run's shards are published, for what later runs consult. May be called again for the same run. */
  readonly publish?: (context: PublishContext) => Promise<void>
}

// ---- sinks ----

export interface Shard {
  /** Base name. */
  readonly name: string
  readonly rows: number
  readonly bytes: number
  /** Tokens in it, for token shards. */
  readonly tokens?: number
}

export interface SinkContext {
  readonly signal: AbortSignal
  /** Folder to write shards into; they appear in the sink's own folder by rename, when the task is done. */
  readonly folder: string
  /** Shards are named `<partition>-<part>.<extension>`. */
  readonly partition: string
  /** Goes into the shards' own metadata: which plan made them. */
  readonly planHash: string
  readonly artifact: (barrier: string) => string
}

export interface SinkRun<In> {
  readonly write: (batch: In[]) => Promise<void>
  readonly close: () => Promise<Shard[]>
}

export interface Sink<In> extends Named {
  readonly kind: 'sink'
  /** Output folder, as the user gave it. */
  readonly path: string
  readonly open: (context: SinkContext) => Promise<SinkRun<In>>
}
