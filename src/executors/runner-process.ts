// The process in which a run's gate and its worker threads live. The supervisor starts it, watches it, and starts it
// again; it keeps nothing that is not on disk. Its one argument is a RunnerSetup as JSON.

import { packError } from '../core/errors.ts'
import { clearNotes, NoteSlot } from '../engine/notes.ts'
import { RunFolder } from '../engine/run-folder.ts'
import { phaseRequests, type RunResult, runPlan } from '../engine/runner.ts'
import { runTask } from '../engine/task.ts'
import { redactText } from '../pii/redact.ts'
import { localExecutor, WorkerDied } from './local.ts'
import { metricsReporter } from './metrics.ts'
import { progressReporter } from './progress.ts'
import { type RunnerMessage, type RunnerSetup, runnerExit } from './runner-setup.ts'
import { planOf } from './setup.ts'

const setup: RunnerSetup = JSON.parse(process.argv[2])
const folder = new RunFolder(setup.run)
const abort = new AbortController()
for (const event of ['SIGINT', 'SIGTERM', 'disconnect']) process.once(event, () => abort.abort(new Error('interrupted'))) // disconnect: the supervisor died

try {
  if (setup.trial) await tryAlone(setup.trial)
  else await tell({ result: await work() })
  process.exit(runnerExit.done)
} catch (error) {
  if (abort.signal.aborted) process.exit(runnerExit.interrupted)
  if (error instanceof WorkerDied) process.exit(runnerExit.workerDied)
  await tell({ error: packError(error) })
  process.exit(runnerExit.failed)
}

async function work(): Promise<RunResult> {
  const plan = await planOf(setup)
  clearNotes(folder.noteFile)
  await using executor = localExecutor({ ...setup, planHash: plan.hash }, setup.threads, abort.signal)
  const progress = progressReporter(executor, setup)
  using reporter = setup.metrics === undefined ? progress : metricsReporter(setup.metrics, plan.pipeline.name, executor, progress)
  return await runPlan(plan, folder, executor, reporter, { ...setup, signal: abort.signal, memoryBytes: setup.taskMemoryBytes })
}

/** Runs the suspects of one task in this very thread and writes nothing; whoever watches sees whether it survives. */
async function tryAlone({ phase, partition, suspects }: NonNullable<RunnerSetup['trial']>): Promise<void> {
  const plan = await planOf(setup)
  const options = { ...setup, signal: abort.signal, memoryBytes: setup.taskMemoryBytes }
  const request = (await phaseRequests(plan, folder, phase, options))[partition]
  clearNotes(folder.noteFile)
  const notes = new NoteSlot(folder.noteFile, 0)
  const host = { signal: abort.signal, notes, progress: () => {}, redact: redactText }
  await runTask(plan, folder.phase(phase, request.phaseHash), { ...request, suspects }, host)
}

/** Waits until the message has left: `process.exit` would cut it off. */
function tell(message: RunnerMessage): Promise<void> {
  return new Promise((resolve) => {
    if (process.send) process.send(message, undefined, undefined, () => resolve())
    else resolve()
  })
}
