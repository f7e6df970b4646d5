// The builder: sources, then stages whose types must fit, then a sink. `pipe` accepts a stage only where what flows is
// what the stage takes, so a wrong order does not compile. What comes out is plain data for the plan.

import { resolve } from 'node:path'
import type { z } from 'zod'
import type { Item, Json } from '../core/document.ts'
import { SluiceError } from '../core/errors.ts'
import type {
  ApplyContext,
  Barrier,
  CollectContext,
  MergeStep,
  Partition,
  PlanContext,
  PublishContext,
  Shard,
  Sink,
  SinkContext,
  Source,
  SourceContext,
  Stage,
  StageContext,
} from '../core/stage.ts'

// Parts whose item types the builder has checked and the engine no longer knows. They are written as methods because the
// compiler compares a method's parameters both ways: the one place where a Stage<Document> may stand for a stage of items.

interface ErasedPart {
  readonly name: string
  readonly version: number
  readonly options: Json
  readonly isUserCode?: boolean
}
export interface ErasedRun {
  process(batch: Item[]): Item[] | Promise<Item[]>
  close?(): Promise<void>
}
export interface ErasedRowRun {
  process(batch: Item[], rows: Uint32Array): Item[] | Promise<Item[]>
  close?(): Promise<void>
}
export interface ErasedCollectRun {
  process(batch: Item[], rows: Uint32Array): void | Promise<void>
  close(): Promise<void>
}
export interface ErasedStage extends ErasedPart {
  readonly kind: 'map'
  open(context: StageContext): Promise<ErasedRun>
}
export interface ErasedSource extends ErasedPart {
  readonly kind: 'source'
  readonly epoch?: number
  partitions(context: PlanContext): Promise<Partition[]>
  read(partition: Partition, context: SourceContext): AsyncIterable<Item[]>
}
export interface ErasedBarrier extends ErasedPart {
  readonly kind: 'barrier'
  readonly dropsDuplicates?: boolean
  collect(context: CollectContext): Promise<ErasedCollectRun>
  readonly merges: readonly MergeStep[]
  apply(context: ApplyContext): Promise<ErasedRowRun>
  readonly reads?: (context: PlanContext) => Promise<Json>
  readonly publish?: (context: PublishContext) => Promise<void>
}
export interface ErasedSinkRun {
  write(batch: Item[]): Promise<void>
  close(): Promise<Shard[]>
}
export interface ErasedSink extends ErasedPart {
  readonly kind: 'sink'
  readonly path: string
  open(context: SinkContext): Promise<ErasedSinkRun>
}

export interface Checkpoint {
  readonly kind: 'checkpoint'
}

/** What happens to an item between source and end, in order. A sink among the steps is one that also lets items go on. */
export type Step = ErasedStage | ErasedBarrier | ErasedSink | Checkpoint

export interface Pipeline {
  readonly name: string
  readonly seed: number
  readonly sources: readonly ErasedSource[]
  readonly steps: readonly Step[]
  readonly sink: ErasedSink
}

export interface PipelineBuilder<T extends Item> {
  /** Adds a stage. Does not compile where the stage takes something else than what flows here. */
  pipe<Next extends Item>(stage: Stage<T, Next>): PipelineBuilder<Next>
  /** A barrier makes no items: it hands on those it was given, or copies with changes. So what is known of them stays known. */
  pipe<Base extends Item>(barrier: Barrier<Base> & ([T] extends [Base] ? unknown : never)): PipelineBuilder<T>
  /** Writes what flows here into a sink as well, and goes on. */
  tee(sink: Sink<T>): PipelineBuilder<T>
  /** Keeps what flows here on disk: a changed stage behind it does not run the ones before it again. */
  checkpoint(): PipelineBuilder<T>
  /** Ends the pipeline. */
  to(sink: Sink<T>): Pipeline
}

export interface PipelineOptions {
  /** Same inputs, stages and seed: the same bytes. */
  readonly seed?: number
}

/**
 * Starts a pipeline.
 *
 * @param name letters, digits, `-`, `_`: names the run folder
 */
export function pipeline(
  name: string,
  options: PipelineOptions = {},
): { from<T extends Item>(...sources: Source<T>[]): PipelineBuilder<T> } {
  if (!/^[\w-]+$/.test(name)) {
    throw new SluiceError('SLUICE_PIPELINE_NAME', `"${name}" cannot name a pipeline`, { fix: 'use letters, digits, - and _ only' })
  }
  const seed = options.seed ?? 0
  const extend = <T extends Item>(sources: readonly ErasedSource[], steps: readonly Step[]): PipelineBuilder<T> => ({
    pipe: <Next extends Item>(part: ErasedStage | ErasedBarrier) => extend<Next>(sources, [...steps, part]),
    tee: (sink: ErasedSink) => extend(sources, [...steps, sink]),
    checkpoint: () => extend(sources, [...steps, { kind: 'checkpoint' }]),
    to: (sink: ErasedSink) => checked({ name, seed, sources, steps, sink }),
  })
  return { from: (...sources) => extend(sources, []) }
}

/** Barriers are found by name, sinks own their folder: both must be unique. What is repeated on purpose must not meet a deduplication. */
function checked(built: Pipeline): Pipeline {
  const barriers = built.steps.filter((step) => step.kind === 'barrier').map((step) => step.name)
  const folders = [...built.steps.filter((step) => step.kind === 'sink'), built.sink].map((sink) => resolve(sink.path))
  const twice = [...barriers, ...folders].find((name, index, all) => all.indexOf(name) !== index)
  if (built.sources.length === 0)
    throw new SluiceError('SLUICE_PIPELINE_EMPTY', `pipeline ${built.name} has no source`, { fix: 'give .from() at least one' })
  if (twice !== undefined) {
    throw new SluiceError('SLUICE_PIPELINE_NAME', `"${twice}" stands twice in pipeline ${built.name}`, {
      fix: 'give the second barrier stage a name of its own, or the second sink another path',
    })
  }
  const dedup = built.steps.find((step) => step.kind === 'barrier' && step.dropsDuplicates === true)
  if (dedup?.kind === 'barrier' && built.sources.some(({ epoch = 0 }) => epoch > 0)) {
    throw new SluiceError('SLUICE_MIXTURE_DEDUP', `the mixture repeats documents, and ${dedup.name} would drop the repetitions`, {
      where: { pipeline: built.name },
      fix: 'deduplicate in a first pipeline, and mix its shards (s.shards) in a second one; or keep all weights at 1 or below',
    })
  }
  return built
}

// ---- pipeline files that take arguments ----

export interface PipelineFactory {
  readonly parameters: z.ZodObject
  build(values: unknown): Pipeline
}

/**
 * A pipeline file's default export where it takes arguments: `sluice run file.ts --crawl CC-MAIN-…` parses them with the
 * schema, and `--help` lists them with their descriptions.
 */
export function withArguments<S extends z.ZodObject>(parameters: S, factory: (values: z.output<S>) => Pipeline): PipelineFactory {
  return { parameters, build: (values) => factory(parameters.parse(values)) }
}
