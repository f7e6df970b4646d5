// Writing checkpoints: under a temporary name, made durable, then renamed, so that a folder is there whole or not at all; then
// those that the policy does not keep are removed. A run copies its state at the end of a step and a thread writes it.

import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { type PackedError, packError, unpackError } from '../core/errors.ts'
import { writeWhole } from '../io/write-whole.ts'
import type { StateKind } from '../model/optimizer.ts'
import type { Trainable } from '../model/trainable.ts'
import {
  AVERAGE_FILE,
  BEST_FILE,
  CONFIG_FILE,
  LATEST_FILE,
  listCheckpoints,
  MODEL_FILE,
  OPTIMIZER_FILE,
  STATE_FILE,
  sha256,
  type TrainState,
  trainState,
} from './checkpoint.ts'
import { writeSafetensors } from './safetensors.ts'

interface StoredTensor {
  readonly name: string
  readonly shape: readonly number[]
  readonly values: Float32Array
}

/** A checkpoint's content, apart from the model it was copied from. */
export interface CheckpointCopy {
  readonly modelFolder: string
  readonly config: string
  readonly files: Readonly<Record<string, readonly StoredTensor[]>>
  readonly state: TrainState
}

/** Copies what a checkpoint holds out of the model: the next step may change it. */
export function copyCheckpoint(modelFolder: string, model: Trainable, state: TrainState): CheckpointCopy {
  const tensors = (kind: StateKind, prefix = '') =>
    model.parameters
      .filter(({ states }) => kind === 'weights' || states.includes(kind))
      .map(({ name, shape }) => ({ name: prefix + name, shape, values: model.read(kind, name) }))
  const averages = tensors('average')
  return {
    modelFolder,
    config: `${JSON.stringify(model.config, undefined, 2)}\n`,
    files: {
      [MODEL_FILE]: tensors('weights'),
      [OPTIMIZER_FILE]: [...tensors('moment1', 'moment1.'), ...tensors('moment2', 'moment2.')],
      ...(averages.length > 0 ? { [AVERAGE_FILE]: averages } : {}),
    },
    state: trainState.parse(state), // its keys in the schema's order
  }
}

/** Writes the checkpoint and returns its folder; what could not be written whole is removed. */
export async function writeCheckpoint(copy: CheckpointCopy): Promise<string> {
  const { modelFolder, state } = copy
  const folder = join(modelFolder, `step-${state.step}`)
  const temporary = `${folder}.tmp`
  await rm(temporary, { recursive: true, force: true })
  try {
    await writeFiles(copy, temporary)
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => {}) // the first error is the one to tell
    throw error
  }
  // One of that name is there where it failed its hashes or the run was rolled back behind it.
  await rm(folder, { recursive: true, force: true })
  await rename(temporary, folder)
  await syncFolder(modelFolder)
  await writeWhole(join(modelFolder, LATEST_FILE), `${basename(folder)}\n`)
  if (state.settings.keepBest && state.best?.step === state.step) await writeWhole(join(modelFolder, BEST_FILE), `${basename(folder)}\n`)
  await syncFolder(modelFolder)
  await removeOthers(modelFolder, state)
  return folder
}

async function writeFiles({ config, files, state }: CheckpointCopy, temporary: string): Promise<void> {
  await mkdir(temporary) // in a folder that was taken away meanwhile, the log and the tokenizer would be missing
  const hashes: Record<string, string> = { [CONFIG_FILE]: await writeDurably(join(temporary, CONFIG_FILE), config) }
  for (const [name, tensors] of Object.entries(files))
    hashes[name] = await writeSafetensors(
      join(temporary, name),
      tensors.map(({ values, ...tensor }) => ({ ...tensor, values: () => values })),
    )
  const content = { state, files: hashes }
  await writeDurably(
    join(temporary, STATE_FILE),
    `${JSON.stringify({ ...content, sha256: sha256(JSON.stringify(content)) }, undefined, 2)}\n`,
  )
  await syncFolder(temporary)
}

/** Keeps the newest ones, the newest that was due (a run goes back to it), the best, and those that the settings name. */
async function removeOthers(modelFolder: string, { best, settings }: TrainState): Promise<void> {
  const { keep, keepEvery, keepBest, saveEvery } = settings
  const newest = await listCheckpoints(modelFolder)
  const lastDue = newest.find(({ step }) => step % saveEvery === 0)?.step
  for (const { path, step } of newest.slice(keep)) {
    if ((keepEvery > 0 && step % keepEvery === 0) || (keepBest && step === best?.step) || step === lastDue) continue
    await rm(path, { recursive: true, force: true })
  }
  const bestFile = join(modelFolder, BEST_FILE)
  if (existsSync(bestFile) && !existsSync(join(modelFolder, (await readFile(bestFile, 'utf8')).trim()))) await rm(bestFile)
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

// ---- the thread ----

export type WriterReply = { readonly folder: string } | { readonly error: PackedError }

/** One write at a time: a copy more in memory, none of the run's time. */
export class CheckpointWriter implements AsyncDisposable {
  #worker: Worker | undefined
  #pending: Promise<string> | undefined

  /** Waits for the write before it, then hands over and resolves with the promise of the folder. */
  async start(copy: () => CheckpointCopy): Promise<{ readonly written: Promise<string> }> {
    await this.settled()
    const content = copy()
    this.#pending = this.#write(content)
    this.#pending.catch(() => {}) // whoever waits next gets it
    return { written: this.#pending }
  }

  /** @throws what the last write failed with */
  async settled(): Promise<void> {
    const pending = this.#pending
    this.#pending = undefined
    await pending
  }

  async #write(content: CheckpointCopy): Promise<string> {
    this.#worker ??= new Worker(new URL(`./checkpoint-worker${extname(import.meta.url)}`, import.meta.url))
    const worker = this.#worker
    worker.ref()
    const buffers = Object.values(content.files).flatMap((tensors) => tensors.map(({ values }) => values.buffer))
    worker.postMessage(
      content,
      buffers.filter((buffer) => buffer instanceof ArrayBuffer),
    )
    const [reply]: WriterReply[] = await once(worker, 'message')
    worker.unref()
    if ('error' in reply) throw unpackError(reply.error)
    return reply.folder
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pending?.catch(() => {})
    await this.#worker?.terminate()
  }
}

/** What the thread does with what it is sent. */
export async function replyTo(copy: CheckpointCopy): Promise<WriterReply> {
  try {
    return { folder: await writeCheckpoint(copy) }
  } catch (error) {
    return { error: packError(error) }
  }
}
