// The run's log, one JSON object a line: every step with its loss and the documents it was made of, and every evaluation.
// A resumed run cuts it back to its checkpoint first, so that it reads as if the run had never stopped.

import { createReadStream, existsSync } from 'node:fs'
import { type FileHandle, open, readFile, rename, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { z } from 'zod'
import { TRAINING_LOG_FILE, type TrainingLogLine, trainingLogLine } from '../../schemas/training-log.ts'
import type { Json } from '../core/document.ts'
import { SluiceError } from '../core/errors.ts'
import { isRemote } from '../io/inputs.ts'

type LogLine = { readonly [key: string]: Json | undefined }

const loggedLine = z.looseObject({ event: z.string(), step: z.number() })

/** Where a run's data is, as a log keeps it: it can be found from any folder. */
export function absoluteInput(input: string): string {
  return isRemote(input) ? input : resolve(input)
}

export class TrainLog {
  readonly #file: FileHandle

  private constructor(file: FileHandle) {
    this.#file = file
  }

  /**
   * Opens the log for what follows `step` (−1: all of it): later lines of an earlier attempt are dropped.
   *
   * @param start its first line, without which the others say little: written where there is none, or no longer
   */
  static async open(path: string, step: number, start: LogLine): Promise<TrainLog> {
    const first = JSON.stringify(start)
    if (existsSync(path)) {
      const kept = linesUpTo((await readFile(path, 'utf8')).split('\n'), step)
      const isBegun = kept.length > 0 && parseLine(kept[0])?.event === 'start'
      await writeFile(`${path}.tmp`, (isBegun ? kept : [first, ...kept]).map((line) => `${line}\n`).join(''))
      await rename(`${path}.tmp`, path)
    } else await writeFile(path, `${first}\n`)
    return new TrainLog(await open(path, 'a'))
  }

  async write(line: LogLine): Promise<void> {
    await this.#file.appendFile(`${JSON.stringify(line)}\n`)
  }

  /** A checkpoint stands on the lines before it. */
  async sync(): Promise<void> {
    await this.#file.sync()
  }

  async close(): Promise<void> {
    await this.#file.close()
  }
}

/**
 * The lines that a checkpoint of that step stands on: up to the last time that the step was taken, which it was twice where the run
 * went back in between, and what follows of that step. A line that a kill cut off is none.
 */
function linesUpTo(lines: readonly string[], step: number): string[] {
  const logged = lines.map(parseLine)
  const last = logged.findLastIndex((line) => line?.event === 'step' && line.step === step)
  return lines.filter((_, index) => {
    const line = logged[index]
    return line !== undefined && (index <= last || line.step <= step)
  })
}

function parseLine(line: string): z.output<typeof loggedLine> | undefined {
  try {
    return loggedLine.parse(JSON.parse(line))
  } catch {
    return undefined
  }
}

/** Shard → rows, sorted, from a flat list shard, row, shard, row, …: `{"0":[3,17],"4":[2]}`. */
export function documentsByShard(flat: readonly number[]): Record<string, number[]> {
  const byShard = new Map<number, Set<number>>()
  for (let i = 0; i < flat.length; i += 2) {
    const rows = byShard.get(flat[i]) ?? new Set()
    byShard.set(flat[i], rows.add(flat[i + 1]))
  }
  return Object.fromEntries([...byShard].sort(([a], [b]) => a - b).map(([shard, rows]) => [shard, [...rows].sort((a, b) => a - b)]))
}

// ---- reading ----

/** As its log has it: the first line says what the run is. */
export type LogStart = Extract<TrainingLogLine, { event: 'start' }>

/**
 * What the run in a folder is.
 *
 * @throws SluiceError `SLUICE_TRAIN_LOG_MISSING` where there is no log of a run, `SLUICE_TRAIN_LOG_EMPTY` where it says nothing yet
 */
export async function readLogStart(run: string): Promise<LogStart> {
  const file = join(run, TRAINING_LOG_FILE)
  if (!existsSync(file)) throw noTrainingLog(run)
  for await (const text of linesOf(file)) {
    const line = parseLogLine(text)
    if (line?.event === 'start') return line
    throw noTrainingLog(run)
  }
  throw new SluiceError('SLUICE_TRAIN_LOG_EMPTY', `the ${TRAINING_LOG_FILE} in this folder is empty: its run has not begun`, {
    where: { folder: run },
    fix: 'wait for its first step, or start it again: the same sluice train command goes on',
  })
}

/** The lines of a log that follow its start, as text: most that ask look at few of them closer. */
export async function* linesAfterStart(run: string): AsyncGenerator<string> {
  let isFirst = true
  for await (const text of linesOf(join(run, TRAINING_LOG_FILE))) {
    if (!isFirst) yield text
    isFirst = false
  }
}

/** Undefined where it is none, as the last line of a run that goes on may be. */
export function parseLogLine(text: string): TrainingLogLine | undefined {
  try {
    return trainingLogLine.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

async function* linesOf(file: string): AsyncGenerator<string> {
  const input = createReadStream(file, 'utf8')
  try {
    yield* createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })
  } finally {
    input.destroy() // who stops before the end leaves readline with an open file
  }
}

function noTrainingLog(run: string): SluiceError {
  return new SluiceError('SLUICE_TRAIN_LOG_MISSING', `there is no ${TRAINING_LOG_FILE} of a training run in this folder`, {
    where: { folder: run },
    fix: 'give the folder that sluice train wrote to',
  })
}
