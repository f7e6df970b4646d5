// What a training run is asked: its options, and what its caller listens to.

import { z } from 'zod'
import { SluiceError } from '../core/errors.ts'
import type { TrainReport } from './loop.ts'
import type { TextTokenizer } from './open-data.ts'
import { settingOptions, type TrainSettings } from './settings.ts'

export const trainOptions = z.strictObject({
  shards: z
    .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
    .describe('folders of token shards, mixed by weight: web=0.7 code=0.3; or one file of examples'),
  out: z.string().min(1).optional().describe('folder for checkpoints and the log; models/<name of the shards folder> where not given'),
  model: z.string().min(1).optional().describe('a preset, or a JSON file with a model configuration'),
  params: z.number().min(1000).max(1e12).optional().describe('size of the model, in place of a preset: 3M picks its depth and width'),
  init: z
    .string()
    .min(1)
    .optional()
    .describe('trained model to start from, in place of a new one: a folder that sluice train wrote to, or one of transformers'),
  validation: z.string().min(1).optional().describe('shards or examples to measure on, in place of a share of the documents'),
  tokenizer: z.string().min(1).optional().describe('tokenizer.json for examples; the one beside --init where not given'),
  ...settingOptions.shape,
})
export type TrainOptions = z.input<typeof trainOptions>
export type ParsedOptions = z.output<typeof trainOptions>

/** @throws SluiceError `SLUICE_TRAIN_OPTIONS` */
export function parseOptions(options: TrainOptions): ParsedOptions {
  const parsed = trainOptions.safeParse(options)
  if (parsed.success) return parsed.data
  throw new SluiceError('SLUICE_TRAIN_OPTIONS', `the options of the training run are wrong:\n${z.prettifyError(parsed.error)}`, {
    fix: 'see sluice train --help',
  })
}

/** Of `shards`, which may be one. */
export const inputsOf = (shards: ParsedOptions['shards']) => (typeof shards === 'string' ? [shards] : shards)

/** What a caller may listen to and add: none of it changes what is computed. */
export interface TrainHooks {
  /** Reads a tokenizer.json: without it, no bits per byte and no examples. */
  readonly openTokenizer?: (file: string) => Promise<TextTokenizer>
  /** Floating-point operations a second that the machine could do under these settings: without it, no utilization. */
  readonly peakFlops?: (settings: Pick<TrainSettings, 'threads' | 'precision'>, device: 'cpu' | 'cuda') => Promise<number | undefined>
  /** Stops the run, its last whole step saved. */
  readonly signal?: AbortSignal
  readonly onReport?: (report: TrainReport) => void
  /** The run's folder, once it is this run's alone: its log is there from the first report on. */
  readonly onFolder?: (folder: string) => void
  /** In place of a notice that no document is held out, before the first step: what it throws ends the run. */
  readonly onNoValidation?: () => void
  /** A line for the person who waits: choices made for them with their reasons, and warnings. */
  readonly onNotice?: (line: string) => void
}
