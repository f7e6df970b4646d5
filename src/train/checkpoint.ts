// Checkpoints: `step-N` folders of model.safetensors, optimizer.safetensors, config.json and state.json, which names the
// sha256 of the others; average.safetensors where an average of the weights is kept. A folder is there whole or not at all
// (src/train/checkpoint-write.ts), and what fails its hashes is never read.
//
//   <model folder>/latest            name of the newest checkpoint, rewritten by rename
//                 /best              of the one with the lowest validation loss, where such are kept
//                 /step-N/           see above
//                 /step-N.tmp/       a save that was cut off; removed by the next run
//                 /log.jsonl         src/train/log.ts
//                 /tokenizer.json    copied from beside the shards

import { createHash } from 'node:crypto'
import { createReadStream, existsSync, type Stats, statSync } from 'node:fs'
import { readdir, readFile, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { z } from 'zod'
import { TOKENIZER_FILE } from '../../schemas/tokens.ts'
import { SluiceError, systemCode } from '../core/errors.ts'
import type { Trainable } from '../model/trainable.ts'
import { lossScale } from './loss-scale.ts'
import { SafetensorsFile } from './safetensors.ts'
import { laterSettings, trainSettings } from './settings.ts'

/** Raised when a state is written that an older sluice could not go on from; what older ones wrote is read (`upgrade`). */
export const CHECKPOINT_FORMAT = 2

export const MODEL_FILE = 'model.safetensors'
export const OPTIMIZER_FILE = 'optimizer.safetensors'
export const AVERAGE_FILE = 'average.safetensors'
export const CONFIG_FILE = 'config.json'
export const STATE_FILE = 'state.json'
export const LATEST_FILE = 'latest'
export const BEST_FILE = 'best'

const evaluation = z.strictObject({
  step: z.int(),
  loss: z.number(),
  bitsPerByte: z.number().nullable(),
  accuracy: z.number().nullable(),
  targets: z.int(),
})
/**
 * Validation loss in nats a target; bits per byte of the text behind the targets, null where their lengths are unknown or the
 * objective hides text; share of the targets that came first, null for decoders.
 */
export type Evaluation = z.output<typeof evaluation>

/** Everything besides the tensors that a run goes on from. Holds no time and no path: the same run writes the same bytes. */
export const trainState = z.strictObject({
  format: z.literal(CHECKPOINT_FORMAT),
  step: z.int().min(0),
  settings: trainSettings,
  vocabularyHash: z.string(),
  /** Hash of the shards' names, plans and sizes. */
  corpusHash: z.string(),
  parameterCount: z.int(),
  /** Position in each corpus. */
  cursors: z.array(z.strictObject({ rows: z.int(), epoch: z.int(), window: z.int(), at: z.int() })),
  /** Positions trained on. */
  seenTokens: z.int(),
  /** Of the last step, nats a token. */
  loss: z.number().nullable(),
  /** Exponential average of the losses, a step weighing 1/20. */
  smoothedLoss: z.number().nullable(),
  evaluation: evaluation.nullable(),
  /** Of the last steps: what a spike is measured against. */
  recent: z.strictObject({ losses: z.array(z.number()), gradientNorms: z.array(z.number()) }),
  /** Steps that were left out in a row, up to this one. */
  skippedInRow: z.int().min(0),
  /** Of runs in f16. */
  lossScale: lossScale.optional(),
  /** How often the run went back to a checkpoint. */
  rollbacks: z.int().min(0),
  /** Steps that were left out in all. */
  skippedSteps: z.int().min(0),
  /** Lowest validation loss among the checkpoints. */
  best: z.strictObject({ step: z.int(), loss: z.number() }).nullable(),
  /** Names of the labels of a classifier. */
  labels: z.array(z.string()),
})
export type TrainState = z.output<typeof trainState>

const stateFile = z.strictObject({ state: z.looseObject({ format: z.int() }), files: z.record(z.string(), z.string()), sha256: z.string() })

export interface Checkpoint {
  readonly folder: string
  readonly state: TrainState
}

/** Removes what saves left that were cut off. Only for who holds the folder's lock: a save may be under way elsewhere. */
export async function removeCutOffSaves(modelFolder: string): Promise<void> {
  for (const name of await readdir(modelFolder))
    if (/^step-\d+\.tmp$/.test(name)) await rm(join(modelFolder, name), { recursive: true, force: true })
}

/** The newest checkpoint that passes its hashes, and what is wrong with each newer one. */
export async function findCheckpoint(
  modelFolder: string,
  isWanted: (step: number) => boolean = () => true,
): Promise<{ checkpoint?: Checkpoint; refused: SluiceError[] }> {
  const refused: SluiceError[] = []
  if (!existsSync(modelFolder)) return { refused }
  for (const { path, step } of await listCheckpoints(modelFolder)) {
    if (!isWanted(step)) continue
    try {
      return { checkpoint: await verifyCheckpoint(path), refused }
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error
      refused.push(error)
    }
  }
  return { refused }
}

/** Newest first. */
export async function listCheckpoints(modelFolder: string): Promise<{ path: string; step: number }[]> {
  return (await readdir(modelFolder))
    .map((name) => /^step-(\d+)$/.exec(name))
    .filter((match) => match !== null)
    .map((match) => ({ path: join(modelFolder, match[0]), step: Number(match[1]) }))
    .sort((a, b) => b.step - a.step)
}

/**
 * Reads a checkpoint's state after checking every file.
 *
 * @throws SluiceError `SLUICE_TRAIN_CHECKPOINT_DAMAGED`
 */
export async function verifyCheckpoint(folder: string): Promise<Checkpoint> {
  const { state, files } = await readStateFile(folder)
  for (const [name, hash] of Object.entries(files)) {
    const path = join(folder, name)
    if (!existsSync(path)) throw damaged(folder, name, 'the file is missing')
    if ((await sha256OfFile(path)) !== hash) throw damaged(folder, name, 'its sha256 is not the one that was recorded')
  }
  return { folder, state }
}

async function readStateFile(folder: string): Promise<{ state: TrainState; files: Record<string, string> }> {
  try {
    const content = stateFile.parse(JSON.parse(await readFile(join(folder, STATE_FILE), 'utf8')))
    const { state, files } = content
    // the values in the order of the file: the schema that wrote them may have been another
    if (sha256(JSON.stringify({ state, files })) !== content.sha256)
      throw damaged(folder, STATE_FILE, 'it was changed after it was written')
    return { state: trainState.parse(upgrade(state)), files }
  } catch (cause) {
    if (cause instanceof z.ZodError)
      throw damaged(folder, STATE_FILE, `it does not have this version's fields: ${z.prettifyError(cause)}`, cause)
    if (cause instanceof SyntaxError || systemCode(cause) === 'ENOENT')
      throw damaged(folder, STATE_FILE, 'it is missing or not JSON', cause)
    throw cause
  }
}

const firstVersion = z.looseObject({ settings: z.looseObject({}), cursor: z.unknown(), evaluation: z.looseObject({}).nullable() })

/** A state of the first format, which knew one corpus and no guards, as one of now. */
function upgrade(state: z.output<typeof stateFile>['state']): unknown {
  if (state.format !== 1) return state
  const { cursor, settings, evaluation, ...rest } = firstVersion.parse(state)
  return {
    ...rest,
    format: CHECKPOINT_FORMAT,
    settings: { ...laterSettings, ...settings },
    cursors: [cursor],
    evaluation: evaluation && { ...evaluation, accuracy: null },
    best: null,
    recent: { losses: [], gradientNorms: [] },
    skippedSteps: 0,
    skippedInRow: 0,
    rollbacks: 0,
    labels: [],
  }
}

/** The file with the weights that a model is used with: their average, where one was kept. */
export function weightsFile(folder: string): string {
  const average = join(folder, AVERAGE_FILE)
  return existsSync(average) ? average : join(folder, MODEL_FILE)
}

/** The tokenizer.json of a model: beside its weights, or beside its checkpoints. */
export function tokenizerFileOf(folder: string): string | undefined {
  return [folder, dirname(resolve(folder))].map((place) => join(place, TOKENIZER_FILE)).find((file) => existsSync(file))
}

/** Puts a checkpoint's weights and what its optimizer keeps into a model of the same shape. */
export async function restoreCheckpoint(folder: string, model: Trainable): Promise<void> {
  await restoreWeights(folder, model)
  await using file = await SafetensorsFile.open(join(folder, OPTIMIZER_FILE))
  for (const { name, states } of model.parameters)
    for (const kind of states) if (kind !== 'average') model.write(kind, name, await file.read(`${kind}.${name}`))
  if (!model.parameters.some(({ states }) => states.includes('average'))) return
  await using averages = await SafetensorsFile.open(join(folder, AVERAGE_FILE))
  for (const { name } of model.parameters) model.write('average', name, await averages.read(name))
}

async function restoreWeights(folder: string, model: Trainable): Promise<void> {
  await using file = await SafetensorsFile.open(join(folder, MODEL_FILE))
  for (const { name, shape } of model.parameters) {
    const stored = file.tensors.get(name)?.shape
    if (stored && stored.join() !== shape.join())
      throw new SluiceError('SLUICE_TRAIN_SHAPE', `tensor ${name} is ${stored.join('×')}, the model wants ${shape.join('×')}`, {
        where: { file: join(folder, MODEL_FILE) },
        fix: 'give the config.json that belongs to these weights',
      })
    model.write('weights', name, await file.read(name))
  }
}

/**
 * The checkpoint that a person means by a path: itself, or the newest of a model folder.
 *
 * @param onNotice is told of newer ones that are damaged
 * @throws SluiceError `SLUICE_TRAIN_MODEL_MISSING`, `SLUICE_TRAIN_CHECKPOINT_DAMAGED`
 */
export async function openCheckpoint(path: string, onNotice?: (notice: string) => void): Promise<Checkpoint> {
  if (existsSync(join(path, STATE_FILE))) return verifyCheckpoint(path)
  const found = statSync(path, { throwIfNoEntry: false })
  const { checkpoint, refused } = found?.isDirectory() ? await findCheckpoint(path) : { refused: [] }
  if (checkpoint) {
    for (const { message } of refused) onNotice?.(`${message}; reading ${basename(checkpoint.folder)}, an earlier one`)
    return checkpoint
  }
  if (refused.length > 0)
    throw new SluiceError(refused[0].code, `${refused[0].message}; no other checkpoint is left`, {
      where: refused[0].where,
      fix: 'train it again: remove the folder, or give another --out',
    })
  throw modelMissing(path, found)
}

function modelMissing(path: string, found: Stats | undefined): SluiceError {
  const isGguf = found?.isFile() && path.endsWith('.gguf')
  const problem = found?.isDirectory()
    ? 'no checkpoint in this folder'
    : found
      ? 'a model is a folder, this is a file'
      : 'there is no such folder'
  return new SluiceError('SLUICE_TRAIN_MODEL_MISSING', problem, {
    where: { path },
    fix: isGguf
      ? `import it first: sluice model import ${path} --out <folder>`
      : 'give the folder that sluice train wrote to (--out), or one step-N folder in it',
  })
}

export const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk)
  return hash.digest('hex')
}

function damaged(folder: string, file: string, problem: string, cause?: unknown): SluiceError {
  return new SluiceError('SLUICE_TRAIN_CHECKPOINT_DAMAGED', `checkpoint ${basename(folder)} is damaged: ${file}: ${problem}`, {
    where: { file: join(folder, file) },
    fix: 'give the folder of the run, of which the newest sound checkpoint is used; remove this one to be rid of the message',
    cause,
  })
}
