// The public surface of `sluice`: what a pipeline file, a stage of one's own, or a program around runs needs.

export type {
  Annotated,
  Annotation,
  Annotations,
  Document,
  Item,
  Json,
  Metadata,
  TokenizedDocument,
  Vocabulary,
  WebPage,
} from './core/document.ts'
export { SluiceError } from './core/errors.ts'
export {
  type Barrier,
  type Drop,
  drop,
  filterStage,
  type Keep,
  keep,
  mapStage,
  type Partition,
  type Shard,
  type Sink,
  type Source,
  type Stage,
  type StageContext,
  type StageRun,
  type Statistics,
  type Verdict,
} from './core/stage.ts'
export { type Pipeline, type PipelineBuilder, type PipelineFactory, pipeline, withArguments } from './engine/pipeline.ts'
export { asReadable, asTransform, asWritable } from './engine/standalone.ts'
export { WarcWriter, type WarcWriterOptions, type WrittenResponse } from './warc/writer.ts'
