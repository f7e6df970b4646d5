// The process in which a run's gate and its worker threads live. The supervisor starts it, watches it, and starts it
// again; it keeps nothing that is not on disk. Its one argument is a RunnerSetup as JSON.

import { packError } from '../core/errors.ts'
import { phaseRequests } from '../engine/requests.ts'
import { RunFolder } from '../engine/run-folder.ts'
import { runPlan } from '../engine/runner.ts'
import { localExecutor, TaskLost } from './local.ts'
import { metricsReporter } from './metrics.ts'
import { progressReporter } from './progress.ts'
import type { RunnerMessage, RunnerSetup } from './runner-setup.ts'
import { planOf } from './setup.ts'

const setup: RunnerSetup = JSON.parse(process.argv[2])
const folder = new RunFolder(setup.run)
const abort = new AbortController()
for (const event of ['SIGINT', 'SIGTERM', 'disconnect']) process.once(event, () => abort.abort(new Error('interrupted'))) // disconnect: the supervisor died

await tell(await outcome())
process.exit()

async function outcome(): Promise<RunnerMessage> {
  try {
    return await (setup.trial ? tryAlone(setup.trial) : work())
  } catch (error) {
    if (abort.signal.aborted) return { ended: 'interrupted' }
    return error instanceof TaskLost ? { lost: error.loss } : { error: packError(error) }
  }
}

async function work(): Promise<RunnerMessage> {
  const plan = await planOf(setup)
  await using executor = localExecutor({ ...setup, planHash: plan.hash }, setup.threads, abort.signal)
  const progress = progressReporter(executor, setup)
  using reporter = setup.metrics === undefined ? progress : metricsReporter(setup.metrics, plan.pipeline.name, executor, progress)
  const options = { ...setup, signal: abort.signal, memoryBytes: setup.taskMemoryBytes }
  return { result: await runPlan(plan, folder, executor, reporter, options) }
}

/** Runs one document of a task as the task would; whoever watches sees whether the process survives it. */
async function tryAlone({ phase, partition, suspect }: NonNullable<RunnerSetup['trial']>): Promise<RunnerMessage> {
  const plan = await planOf(setup)
  const options = { ...setup, signal: abort.signal, memoryBytes: setup.taskMemoryBytes }
  const request = (await phaseRequests(plan, folder, phase, options))[partition]
  await using executor = localExecutor({ ...setup, planHash: plan.hash }, 1, abort.signal)
  await executor.runTask({ ...request, suspect })
  return { ended: 'survived' }
}

/** Waits until the message has left: `process.exit` would cut it off. */
function tell(message: RunnerMessage): Promise<void> {
  return new Promise((resolve) => {
    if (process.connected) process.send?.(message, undefined, undefined, () => resolve())
    else resolve()
  })
}
