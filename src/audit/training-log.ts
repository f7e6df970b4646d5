// What a training log says, for the page of curves. A step that was taken back, by a rollback, is not in it.

import { open } from 'node:fs/promises'
import { type TrainingLogLine, trainingLogLine } from '../../schemas/training-log.ts'

const READ_BYTES = 1 << 20

type Line<E extends TrainingLogLine['event']> = Extract<TrainingLogLine, { event: E }>

export interface TrainingHistory {
  start: Line<'start'> | undefined
  readonly steps: Line<'step'>[]
  readonly evaluations: Line<'evaluation'>[]
  readonly skips: Line<'skip'>[]
  readonly rollbacks: Line<'rollback'>[]
}

/**
 * Follows a log that grows: each reading goes on where the one before ended. It leaves out the documents of steps, which are most
 * of it.
 */
export class TrainingLogReader {
  readonly #file: string
  #history = emptyHistory()
  #readBytes = 0

  constructor(file: string) {
    this.#file = file
  }

  /** What the log says up to its last whole line. A log that has become shorter, for a run went back, is read anew. */
  async read(): Promise<TrainingHistory> {
    await using file = await open(this.#file)
    const { size } = await file.stat()
    if (size < this.#readBytes) {
      this.#history = emptyHistory()
      this.#readBytes = 0
    }
    let rest: Buffer = Buffer.alloc(0)
    const bytes = Buffer.alloc(READ_BYTES)
    for (let at = this.#readBytes; at < size; ) {
      const { bytesRead } = await file.read(bytes, 0, Math.min(READ_BYTES, size - at), at)
      if (bytesRead === 0) break
      at += bytesRead
      rest = this.#addLines(Buffer.concat([rest, bytes.subarray(0, bytesRead)]))
    }
    return this.#history
  }

  /** Takes the whole lines, and returns what is left. */
  #addLines(bytes: Buffer): Buffer {
    const end = bytes.lastIndexOf(10) + 1
    this.#readBytes += end
    for (const text of bytes.toString('utf8', 0, end).split('\n')) {
      const line = text === '' ? undefined : parseLine(text)
      if (line) addLine(this.#history, line)
    }
    return bytes.subarray(end)
  }
}

const emptyHistory = (): TrainingHistory => ({ start: undefined, steps: [], evaluations: [], skips: [], rollbacks: [] })

function parseLine(text: string): TrainingLogLine | undefined {
  const documents = text.lastIndexOf(',"documents":{')
  const short = documents < 0 ? text : `${text.slice(0, documents)},"documents":{}}`
  try {
    return trainingLogLine.safeParse(JSON.parse(short)).data
  } catch {
    return undefined
  }
}

function addLine(history: TrainingHistory, line: TrainingLogLine): void {
  if (line.event === 'start') history.start = line
  if (line.event === 'step') history.steps.push(line)
  if (line.event === 'evaluation') history.evaluations.push(line)
  if (line.event === 'skip') history.skips.push(line)
  if (line.event !== 'rollback') return
  history.rollbacks.push(line)
  for (const lines of [history.steps, history.evaluations]) while (lines.length > 0 && lines[lines.length - 1].step > line.to) lines.pop()
}
