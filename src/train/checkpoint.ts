// Checkpoints: `step-N` folders of model.safetensors, optimizer.safetensors, config.json and state.json, which names the
// sha256 of the others. A folder is written under a temporary name, made durable, then renamed: it is there whole or not
// at all. What fails its hashes is never read.
//
//   <model folder>/latest            name of the newest checkpoint, rewritten by rename
//                 /step-N/           see above
//                 /step-N.tmp/       a save that was cut off; removed by the next run
//                 /log.jsonl         src/train/log.ts
//                 /tokenizer.json    copied from beside the shards

import { createHash } from 'node:crypto'
import { createReadStream, existsSync, statSync } from 'node:fs'
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { z } from 'zod'
import { SluiceError, systemCode } from '../core/errors.ts'
import { writeWhole } from '../io/write-whole.ts'
import type { Trainable } from '../model/trainable.ts'
import { SafetensorsFile, type TensorToWrite, writeSafetensors } from './safetensors.ts'
import { trainSettings } from './settings.ts'

/** Raised when a newer sluice can no longer go on from older checkpoints. */
const CHECKPOINT_FORMAT = 1

export const MODEL_FILE = 'model.safetensors'
const OPTIMIZER_FILE = 'optimizer.safetensors'
export const CONFIG_FILE = 'config.json'
const STATE_FILE = 'state.json'
const LATEST_FILE = 'latest'

const evaluation = z.strictObject({ step: z.int(), loss: z.number(), bitsPerByte: z.number().nullable(), targets: z.int() })
/** Validation loss in nats a token; bits per byte of the text behind the tokens, null where their lengths are unknown. */
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
  cursor: z.strictObject({ rows: z.int(), epoch: z.int(), window: z.int(), at: z.int() }),
  /** Positions trained on. */
  seenTokens: z.int(),
  /** Of the last step, nats a token. */
  loss: z.number().nullable(),
  /** Exponential average of the losses, a step weighing 1/20. */
  smoothedLoss: z.number().nullable(),
  evaluation: evaluation.nullable(),
})
export type TrainState = z.output<typeof trainState>

const stateFile = z.strictObject({ state: trainState, files: z.record(z.string(), z.string()), sha256: z.string() })

export interface Checkpoint {
  readonly folder: string
  readonly state: TrainState
}

/** Writes the checkpoint of a step and returns its folder. Older ones beyond the newest `keep` are removed. */
export async function saveCheckpoint(modelFolder: string, model: Trainable, state: TrainState, keep: number): Promise<string> {
  const folder = join(modelFolder, `step-${state.step}`)
  const temporary = `${folder}.tmp`
  await rm(temporary, { recursive: true, force: true })
  await mkdir(temporary, { recursive: true })
  const files = {
    [CONFIG_FILE]: await writeDurably(join(temporary, CONFIG_FILE), `${JSON.stringify(model.config, undefined, 2)}\n`),
    [MODEL_FILE]: await writeSafetensors(join(temporary, MODEL_FILE), tensors(model, 'weights')),
    [OPTIMIZER_FILE]: await writeSafetensors(join(temporary, OPTIMIZER_FILE), [...tensors(model, 'moment1'), ...tensors(model, 'moment2')]),
  }
  const content = { state: trainState.parse(state), files } // parsed: its keys in the schema's order, as a reader hashes them
  await writeDurably(
    join(temporary, STATE_FILE),
    `${JSON.stringify({ ...content, sha256: sha256(JSON.stringify(content)) }, undefined, 2)}\n`,
  )
  await syncFolder(temporary)
  // One of that name is there only where it failed its hashes: the run came here from an earlier one.
  await rm(folder, { recursive: true, force: true })
  await rename(temporary, folder)
  await syncFolder(modelFolder)
  await writeWhole(join(modelFolder, LATEST_FILE), `${basename(folder)}\n`)
  await syncFolder(modelFolder)
  for (const { path } of (await listCheckpoints(modelFolder)).slice(keep)) await rm(path, { recursive: true, force: true })
  return folder
}

function tensors(model: Trainable, kind: 'weights' | 'moment1' | 'moment2'): TensorToWrite[] {
  const prefix = kind === 'weights' ? '' : `${kind}.`
  return model.parameters.map(({ name, shape }) => ({ name: prefix + name, shape, values: () => model.read(kind, name) }))
}

/** Removes what saves left that were cut off. Only for who holds the folder's lock: a save may be under way elsewhere. */
export async function removeCutOffSaves(modelFolder: string): Promise<void> {
  for (const name of await readdir(modelFolder))
    if (/^step-\d+\.tmp$/.test(name)) await rm(join(modelFolder, name), { recursive: true, force: true })
}

/** The newest checkpoint that passes its hashes, and what is wrong with each newer one. */
export async function findCheckpoint(modelFolder: string): Promise<{ checkpoint?: Checkpoint; refused: SluiceError[] }> {
  const refused: SluiceError[] = []
  if (!existsSync(modelFolder)) return { refused }
  for (const { path } of await listCheckpoints(modelFolder)) {
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
async function listCheckpoints(modelFolder: string): Promise<{ path: string; step: number }[]> {
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
  const { state, files, sha256: expected } = await readStateFile(folder)
  if (sha256(JSON.stringify({ state, files })) !== expected) throw damaged(folder, STATE_FILE, 'it was changed after it was written')
  for (const [name, hash] of Object.entries(files)) {
    const path = join(folder, name)
    if (!existsSync(path)) throw damaged(folder, name, 'the file is missing')
    if ((await sha256OfFile(path)) !== hash) throw damaged(folder, name, 'its sha256 is not the one that was recorded')
  }
  return { folder, state }
}

async function readStateFile(folder: string): Promise<z.output<typeof stateFile>> {
  try {
    return stateFile.parse(JSON.parse(await readFile(join(folder, STATE_FILE), 'utf8')))
  } catch (cause) {
    if (cause instanceof z.ZodError)
      throw damaged(folder, STATE_FILE, `it does not have this version's fields: ${z.prettifyError(cause)}`, cause)
    if (cause instanceof SyntaxError || systemCode(cause) === 'ENOENT')
      throw damaged(folder, STATE_FILE, 'it is missing or not JSON', cause)
    throw cause
  }
}

/** Puts a checkpoint's weights and moments into a model of the same shape. */
export async function restoreCheckpoint(folder: string, model: Trainable): Promise<void> {
  await restoreWeights(folder, model)
  await using file = await SafetensorsFile.open(join(folder, OPTIMIZER_FILE))
  for (const { name } of model.parameters) {
    model.write('moment1', name, await file.read(`moment1.${name}`))
    model.write('moment2', name, await file.read(`moment2.${name}`))
  }
}

export async function restoreWeights(folder: string, model: Trainable): Promise<void> {
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
 * @throws SluiceError `SLUICE_TRAIN_MODEL_MISSING`, `SLUICE_TRAIN_CHECKPOINT_DAMAGED`
 */
export async function openCheckpoint(path: string): Promise<Checkpoint> {
  if (existsSync(join(path, STATE_FILE))) return verifyCheckpoint(path)
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
  const { checkpoint, refused } = isFolder ? await findCheckpoint(path) : { refused: [] }
  if (checkpoint) return checkpoint
  throw (
    refused[0] ??
    new SluiceError('SLUICE_TRAIN_MODEL_MISSING', isFolder ? 'no checkpoint in this folder' : 'there is no such folder', {
      where: { folder: path },
      fix: 'give the folder that sluice train wrote to (--out), or one step-N folder in it',
    })
  )
}

async function writeDurably(path: string, text: string): Promise<string> {
  const file = await open(path, 'wx')
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  return sha256(text)
}

/** Makes renames in a folder survive a power cut. Windows cannot open folders and needs none of it. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk)
  return hash.digest('hex')
}

function damaged(folder: string, file: string, problem: string, cause?: unknown): SluiceError {
  return new SluiceError('SLUICE_TRAIN_CHECKPOINT_DAMAGED', `checkpoint ${basename(folder)} is damaged: ${file}: ${problem}`, {
    where: { file: join(folder, file) },
    fix: 'the checkpoint before it is used where there is one; remove this folder to be rid of the message',
    cause,
  })
}
