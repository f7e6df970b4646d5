// A training run from its options: opens the corpus, settles what was left open, goes on from a checkpoint where there is
// one, and hands over to the loop.

import { existsSync } from 'node:fs'
import { copyFile, mkdir, readdir, readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { TOKENIZER_FILE } from '../../schemas/tokens.ts'
import { SluiceError } from '../core/errors.ts'
import { diskError } from '../io/disk-errors.ts'
import { lockFolder } from '../io/folder-lock.ts'
import type { ModelConfig } from '../model/config.ts'
import { parameterCount } from '../model/size.ts'
import { createTrainable } from '../model/trainable.ts'
import { type Corpus, openCorpus } from '../tokens/corpus.ts'
import { type Checkpoint, CONFIG_FILE, findCheckpoint, removeCutOffSaves, restoreCheckpoint } from './checkpoint.ts'
import { LOG_FILE } from './log.ts'
import { loadValidation, runLoop, type TrainOutcome, type TrainReport } from './loop.ts'
import { chooseModel, parseModel } from './model-choice.ts'
import { assertSameRun, number, resolveSettings, settingOptions, type TrainSettings } from './settings.ts'

export const trainOptions = z.strictObject({
  shards: z.string().min(1).describe('folder of token shards'),
  out: z.string().min(1).optional().describe('folder for checkpoints and the log; models/<name of the shards folder> where not given'),
  model: z.string().min(1).optional().describe('a preset, or a JSON file with a model configuration'),
  params: z.number().min(1000).max(1e12).optional().describe('size of the model, in place of a preset: 3M picks its depth and width'),
  ...settingOptions.shape,
})
export type TrainOptions = z.input<typeof trainOptions>

/** What a caller may listen to and add: none of it changes what is computed. */
export interface TrainHooks {
  /** [vocabulary] bytes of text behind each token: without them, no bits per byte. */
  readonly tokenBytes?: ArrayLike<number>
  /** Floating-point operations a second that the machine could do: without them, no utilization. */
  readonly peakFlops?: number
  /** Stops the run, its last whole step saved. */
  readonly signal?: AbortSignal
  readonly onReport?: (report: TrainReport) => void
  /** A line for the person who waits: choices made for them with their reasons, and warnings. */
  readonly onNotice?: (line: string) => void
}

export interface TrainResult extends TrainOutcome {
  readonly folder: string
  readonly settings: TrainSettings
}

/**
 * Trains a model on token shards, or goes on with a run that was stopped: the same options continue it bit for bit.
 *
 * @throws SluiceError `SLUICE_TRAIN_…`, each naming what is wrong with the options, the shards or the checkpoints
 */
export async function train(options: TrainOptions, hooks: TrainHooks = {}): Promise<TrainResult> {
  const { shards, out, model, params, ...asked } = parseOptions(options)
  const corpus = await openCorpus(shards)
  const { config, reason } = await chooseModel(
    { model, params, length: asked.length },
    { vocabularySize: corpus.vocabulary.size, tokens: corpus.tokens },
  )
  const { settings, reasons } = resolveSettings(asked, {
    parameterCount: parameterCount(config),
    contextLength: config.contextLength,
    vocabularySize: config.vocabularySize,
    corpusTokens: corpus.tokens,
    documents: corpus.documents,
    cores: availableParallelism(),
  })
  const folder = out ?? join('models', basename(resolve(shards)))
  try {
    await assertUsable(folder)
    await using _lock = await lock(folder)
    await removeCutOffSaves(folder)
    const checkpoint = await checkpointToContinue(folder, hooks)
    if (checkpoint) {
      await assertSameModel(checkpoint, config)
      assertSameCorpus(checkpoint, corpus)
      assertSameRun(checkpoint.state.settings, settings, folder)
      hooks.onNotice?.(`going on from ${basename(checkpoint.folder)} of ${number(settings.steps)}`)
    } else for (const line of [reason, ...reasons]) hooks.onNotice?.(line)
    return await runOrContinue({ folder, corpus, config, settings, checkpoint }, hooks)
  } catch (error) {
    throw diskError(error, folder)
  }
}

interface Prepared {
  readonly folder: string
  readonly corpus: Corpus
  readonly config: ModelConfig
  readonly settings: TrainSettings
  readonly checkpoint: Checkpoint | undefined
}

async function runOrContinue({ folder, corpus, config, settings, checkpoint }: Prepared, hooks: TrainHooks): Promise<TrainResult> {
  if (checkpoint && checkpoint.state.step >= settings.steps)
    return { checkpoint: checkpoint.folder, state: checkpoint.state, isInterrupted: false, tokensPerSecond: 0, folder, settings }
  const validation = await loadValidation(corpus, settings)
  if (validation.length === 0) {
    const { validationShare } = settings
    hooks.onNotice?.(`no validation: none of ${number(corpus.documents)} documents is held out at --validation-share ${validationShare}`)
  }
  if (corpus.tokenizerFile) await copyFile(corpus.tokenizerFile, join(folder, TOKENIZER_FILE))
  const { rows, length, threads, seed } = settings
  const model = await createTrainable(config, { rows, length, threads, seed })
  try {
    if (checkpoint) await restoreCheckpoint(checkpoint.folder, model)
    const outcome = await runLoop({ model, corpus, validation, settings, folder, state: checkpoint?.state, ...hooks })
    return { ...outcome, folder, settings }
  } finally {
    await model.dispose()
  }
}

function parseOptions(options: TrainOptions): z.output<typeof trainOptions> {
  const parsed = trainOptions.safeParse(options)
  if (parsed.success) return parsed.data
  throw new SluiceError('SLUICE_TRAIN_OPTIONS', `the options of the training run are wrong:\n${z.prettifyError(parsed.error)}`, {
    fix: 'see sluice train --help',
  })
}

/** Refuses a folder with other things in it: checkpoints come and go in there. */
async function assertUsable(folder: string): Promise<void> {
  if (!existsSync(folder)) {
    await mkdir(folder, { recursive: true })
    return
  }
  const names = (await readdir(folder)).filter((name) => name !== 'lock' && name !== TOKENIZER_FILE)
  if (names.length === 0 || names.includes(LOG_FILE) || names.some((name) => name.startsWith('step-'))) return
  throw new SluiceError('SLUICE_TRAIN_FOLDER', 'the output folder holds something that is not a training run', {
    where: { folder, example: names[0] },
    fix: 'give an empty or new folder with --out',
  })
}

async function lock(folder: string): Promise<AsyncDisposable> {
  try {
    return await lockFolder(folder)
  } catch (error) {
    if (!(error instanceof SluiceError) || error.code !== 'SLUICE_RUN_LOCKED') throw error
    throw new SluiceError('SLUICE_TRAIN_LOCKED', 'another sluice is training in this folder', {
      where: error.where,
      fix: 'wait for it, stop it, or give another folder with --out',
      cause: error,
    })
  }
}

/** The newest sound checkpoint; the damaged ones are named. Where all are damaged, starting over would hide it. */
async function checkpointToContinue(folder: string, hooks: TrainHooks): Promise<Checkpoint | undefined> {
  const { checkpoint, refused } = await findCheckpoint(folder)
  if (!checkpoint && refused.length > 0)
    throw new SluiceError(refused[0].code, `${refused[0].message}; no other checkpoint is left to go on from`, {
      where: refused[0].where,
      fix: 'remove the folder to start over, or give another --out',
    })
  for (const { message } of refused) hooks.onNotice?.(`${message}; going on from an earlier one`)
  return checkpoint
}

async function assertSameModel({ folder }: Checkpoint, config: ModelConfig): Promise<void> {
  const file = join(folder, CONFIG_FILE)
  // parsed: an earlier version may have known fewer options
  if (isDeepStrictEqual(parseModel(await readFile(file, 'utf8'), file), config)) return
  throw new SluiceError('SLUICE_TRAIN_CHANGED', 'the run in this folder trains another model: it cannot go on from its checkpoint', {
    where: { folder },
    fix: 'give the --model or --params it was started with, or another --out for a new run',
  })
}

function assertSameCorpus({ folder, state }: Checkpoint, corpus: Corpus): void {
  if (state.corpusHash === corpus.hash) return
  const what = state.vocabularyHash === corpus.vocabulary.hash ? 'the shards are not those' : 'the tokenizer is not the one'
  throw new SluiceError(
    'SLUICE_TRAIN_CHANGED',
    `${what} that the run in this folder was started with: it cannot go on from its checkpoint`,
    {
      where: { folder, shards: corpus.folder },
      fix: 'give the shards it was started with, or another --out for a new run',
    },
  )
}
