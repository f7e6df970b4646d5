// The page of a training run's curves, kept up to date as a file beside its log.

import { existsSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { TRAINING_LOG_FILE } from '../../schemas/training-log.ts'
import { TrainingLogReader } from '../audit/training-log.ts'
import { trainingPage } from '../audit/training-page.ts'
import { writeWhole } from '../io/write-whole.ts'

export const CURVES_FILE = 'curves.html'
/** Between two writings: drawing takes some 20 ms. */
const WRITE_MS = 10_000

export interface CurvesFile {
  readonly path: string
  /** Writes the page where the last one is old enough, in the background. */
  readonly refresh: () => void
  /** Writes the page as the run stands. */
  readonly finish: () => Promise<void>
}

/** @param run folder that sluice train writes to */
export function curvesFile(run: string, path = join(run, CURVES_FILE)): CurvesFile {
  const logFile = join(run, TRAINING_LOG_FILE)
  const log = new TrainingLogReader(logFile)
  const name = basename(resolve(run))
  let last = performance.now() - WRITE_MS / 2 // the first page comes soon
  let writing: Promise<void> = Promise.resolve()
  const write = async () => {
    if (existsSync(logFile)) await writeWhole(path, trainingPage(name, await log.read())) // a run may end before it began
  }
  return {
    path,
    refresh() {
      if (performance.now() - last < WRITE_MS) return
      last = performance.now()
      writing = writing.then(write).catch(() => {}) // a page that could not be written stops no training; the last one says why
    },
    finish: () => (writing = writing.then(write)),
  }
}
