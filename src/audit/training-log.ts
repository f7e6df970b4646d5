// What a training log says, for the page of curves. A step that was taken back, by a rollback, is not in it.

import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { type TrainingLogLine, trainingLogLine } from '../../schemas/training-log.ts'

type Line<E extends TrainingLogLine['event']> = Extract<TrainingLogLine, { event: E }>

export interface TrainingHistory {
  start: Line<'start'> | undefined
  readonly steps: Line<'step'>[]
  readonly evaluations: Line<'evaluation'>[]
  readonly skips: Line<'skip'>[]
  readonly rollbacks: Line<'rollback'>[]
}

/** Reads a log without the documents of its steps, which are most of it. A last line that is not whole yet is left out. */
export async function readTrainingLog(file: string): Promise<TrainingHistory> {
  const history: TrainingHistory = { start: undefined, steps: [], evaluations: [], skips: [], rollbacks: [] }
  for await (const text of createInterface({ input: createReadStream(file, 'utf8'), crlfDelay: Number.POSITIVE_INFINITY })) {
    const line = parseLine(text)
    if (line) addLine(history, line)
  }
  return history
}

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
