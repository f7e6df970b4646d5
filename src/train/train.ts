// A training run from its options: settles what was left open, goes on from a checkpoint where there is one, and hands over to
// the loop. Its data and its model are src/train/prepare.ts's matter.

import { copyFile, readdir, readFile, rmdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { TOKENIZER_FILE } from '../../schemas/tokens.ts'
import { TRAINING_LOG_FILE } from '../../schemas/training-log.ts'
import { SluiceError } from '../core/errors.ts'
import { counted, formatCount } from '../core/format.ts'
import { diskError } from '../io/disk-errors.ts'
import { lockFolder } from '../io/folder-lock.ts'
import { makeFolder } from '../io/make-folder.ts'
import type { ModelConfig } from '../model/config.ts'
import type { GroupOf } from '../model/optimizer.ts'
import { parameterCount } from '../model/size.ts'
import { createTrainable } from '../model/trainable.ts'
import { type Checkpoint, CONFIG_FILE, findCheckpoint, removeCutOffSaves, restoreCheckpoint } from './checkpoint.ts'
import { deviceOf } from './device.ts'
import { EXAMPLES_PER_ROW } from './example-loader.ts'
import { runLoop, type TrainOutcome } from './loop.ts'
import { mostPicks } from './masked.ts'
import { parseModel } from './model-choice.ts'
import { documentWord } from './objective.ts'
import { type Prepared, prepare } from './prepare.ts'
import { resolveSettings } from './resolve-settings.ts'
import type { RunData } from './run-data.ts'
import { assertSameRun, type TrainSettings } from './settings.ts'
import { SENTINELS } from './spans.ts'
import { startFrom } from './start.ts'
import { inputsOf, parseOptions, type TrainHooks, type TrainOptions } from './train-options.ts'

export interface TrainResult extends TrainOutcome {
  readonly folder: string
  readonly settings: TrainSettings
}

/**
 * Trains a model on token shards or examples, or goes on with a run that was stopped: the same options continue it bit for bit.
 *
 * @throws SluiceError `SLUICE_TRAIN_…`, each naming what is wrong with the options, the data or the checkpoints
 */
export async function train(options: TrainOptions, hooks: TrainHooks = {}): Promise<TrainResult> {
  const parsed = parseOptions(options)
  const { shards, out, model, params, init, validation, tokenizer, ...asked } = parsed
  const prepared = await prepare(parsed, hooks)
  const { data, config, start, reason } = prepared
  const { settings, reasons } = resolveSettings(asked, {
    parameterCount: parameterCount(config),
    contextLength: config.contextLength,
    vocabularySize: config.vocabularySize,
    corpusTokens: data.tokens,
    documents: data.documents,
    cores: availableParallelism(),
    objective: prepared.objective,
    maskToken: data.vocabulary.size,
    sentinel: data.vocabulary.size + SENTINELS - 1,
    isFineTuning: start !== undefined,
    hasValidation: validation !== undefined,
  })
  const folder = out ?? join('models', basename(resolve(inputsOf(shards)[0])).replace(/(?<=.)\..*|=[\d.]+$/, ''))
  const made = await makeFolder(folder)
  try {
    await assertUsable(folder)
    await using _lock = await lock(folder)
    hooks.onFolder?.(folder)
    await removeCutOffSaves(folder)
    const checkpoint = await checkpointToContinue(folder, hooks)
    if (checkpoint) {
      await assertSameModel(checkpoint, config)
      assertSameData(checkpoint, data)
      assertSameRun(checkpoint.state.settings, settings, folder)
      hooks.onNotice?.(`going on from ${basename(checkpoint.folder)} of ${formatCount(settings.steps)}`)
    } else for (const line of [reason, ...reasons]) hooks.onNotice?.(line)
    return await runOrContinue({ ...prepared, folder, settings, checkpoint }, hooks)
  } catch (error) {
    for (const empty of made) await rmdir(empty).catch(() => {}) // those with a run in them stay
    throw diskError(error, folder)
  }
}

interface Run extends Prepared {
  readonly folder: string
  readonly settings: TrainSettings
  readonly checkpoint: Checkpoint | undefined
}

async function runOrContinue(
  { folder, data, config, start, tokenizer, settings, checkpoint }: Run,
  hooks: TrainHooks,
): Promise<TrainResult> {
  if (checkpoint && checkpoint.state.step >= settings.steps)
    return { checkpoint: checkpoint.folder, state: checkpoint.state, isInterrupted: false, tokensPerSecond: 0, folder, settings }
  const chosen = deviceOf(settings, hooks.onNotice)
  const validation = await data.validation(settings, config)
  if (validation.length === 0) tellNoValidation(data, settings, hooks)
  const { threads, seed, memory, zLoss, labelSmoothing, averageDecay } = settings
  const model = await createTrainable(config, {
    ...batchShape(settings),
    ...chosen,
    ...{ threads, seed, memoryBytes: memory || undefined, loss: { zLoss, labelSmoothing } },
    groupOf: groupsOf(settings),
    keepsAverage: averageDecay > 0,
  })
  if (model.repeatedOperations > 0)
    hooks.onNotice?.(
      `memory ${formatCount(Math.ceil(model.arenaBytes / 1e6))} MB: ${counted(model.repeatedOperations, 'operation')} run twice a pass`,
    )
  try {
    if (checkpoint) await restoreCheckpoint(checkpoint.folder, model)
    else if (start) await startFrom(start, model)
    if (data.tokenizerFile) await copyFile(data.tokenizerFile, join(folder, TOKENIZER_FILE))
    const tokenBytes = tokenizer?.tokenBytes
    const peakFlops = await hooks.peakFlops?.(settings, chosen.device === 'cpu' ? 'cpu' : 'cuda')
    const outcome = await runLoop({ model, data, validation, settings, folder, state: checkpoint?.state, tokenBytes, ...hooks, peakFlops })
    return { ...outcome, folder, settings }
  } finally {
    await model.dispose()
  }
}

function tellNoValidation({ documents }: RunData, { objective, validationShare }: TrainSettings, hooks: TrainHooks): void {
  const all = counted(documents, documentWord(objective))
  if (hooks.onNoValidation) hooks.onNoValidation()
  else hooks.onNotice?.(`no validation: of ${all}, --validation-share ${validationShare} holds out none`)
}

/** What the largest batch holds. */
function batchShape({ objective, rows, length, targetLength, hiddenShare }: TrainSettings) {
  if (objective === 'masked') return { rows, length, picks: rows * mostPicks(length, { share: hiddenShare }) }
  if (objective === 'classify') return { rows, length, picks: rows * EXAMPLES_PER_ROW }
  return targetLength > 0 ? { rows, length, targetLength } : { rows, length }
}

function groupsOf({ optimizer, matrixRate, embeddingRate, vectorRate, headRate }: TrainSettings): GroupOf {
  const rates = { matrix: matrixRate, embedding: embeddingRate, vector: vectorRate, head: headRate }
  return ({ role }) => ({
    optimizer: role === 'matrix' ? optimizer : 'adamw',
    decays: role !== 'vector',
    rateFactor: rates[role],
  })
}

/** Refuses a folder with other things in it: checkpoints come and go in there. */
async function assertUsable(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => name !== 'lock' && name !== TOKENIZER_FILE)
  if (names.length === 0 || names.includes(TRAINING_LOG_FILE) || names.some((name) => name.startsWith('step-'))) return
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

function assertSameData({ folder, state }: Checkpoint, data: RunData): void {
  if (state.corpusHash === data.hash) return
  const what = state.vocabularyHash === data.vocabulary.hash ? 'the shards are not those' : 'the tokenizer is not the one'
  throw new SluiceError(
    'SLUICE_TRAIN_CHANGED',
    `${what} that the run in this folder was started with: it cannot go on from its checkpoint`,
    {
      where: { folder, data: data.shards[0] },
      fix: 'give the shards it was started with, or another --out for a new run',
    },
  )
}
