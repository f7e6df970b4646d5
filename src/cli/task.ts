// `sluice task`: one task of a run, as a scheduler starts it. All state is in the run folder: a task whose marker is there
// is done, whoever did it.

import { Command } from 'commander'
import { describeError, packError, SluiceError } from '../core/errors.ts'
import { phaseRequests } from '../engine/requests.ts'
import { RunFolder } from '../engine/run-folder.ts'
import { inlineExecutor } from '../executors/inline.ts'
import { assertSamePlan, planOf } from '../executors/setup.ts'
import { exitCodes } from './exit-codes.ts'
import { size, wholeNumber } from './numbers.ts'

/** Where schedulers say which task of an array this is. */
const INDEX_VARIABLES = ['SLURM_ARRAY_TASK_ID', 'JOB_COMPLETION_INDEX', 'AWS_BATCH_JOB_ARRAY_INDEX']

export const command = new Command()
  .requiredOption('--run <folder>', 'run folder that sluice run made, with its frozen plan')
  .option('--phase <n>', 'phase, from 0', wholeNumber(0), 0)
  .option('--index <n>', `partition, from 0 (default: ${INDEX_VARIABLES.join(', ')})`, wholeNumber(0))
  .option('--of <n>', 'number of tasks: each then takes the partitions index, index + n, …', wholeNumber(1))
  .option('--memory <bytes>', 'what stages may hold before they spill', size(), 1e9)
  .option('--partition-size <bytes>', 'as the run was started', size(), 256e6)
  .addHelpText('after', '\nExit codes: 0 done, 75 try again, 64 do not retry (the plan or the input is wrong).')
  .action(async (flags: TaskFlags) => {
    try {
      await runShare(flags)
    } catch (error) {
      const packed = packError(error)
      if (packed.code === 'SLUICE_INTERNAL') throw error
      process.stderr.write(`sluice: ${describeError(packed)}\n`)
      process.exit(RETRIED.has(packed.code) ? exitCodes.tryAgain : exitCodes.doNotRetry)
    }
  })

/** What another attempt may find better: an earlier phase that is not sealed, a server, a disk. */
const RETRIED = new Set(['SLUICE_PHASE_OPEN', 'SLUICE_HTTP_FAILED', 'SLUICE_HTTP_SHORT', 'SLUICE_DISK_FULL', 'ENOSPC', 'EDQUOT', 'EIO'])

interface TaskFlags {
  readonly run: string
  readonly phase: number
  readonly index?: number
  readonly of?: number
  readonly memory: number
  readonly partitionSize: number
}

async function runShare(flags: TaskFlags): Promise<void> {
  const folder = new RunFolder(flags.run)
  const frozen = await folder.plan()
  if (!frozen)
    throw new SluiceError('SLUICE_RUN_MISSING', 'the folder holds no run', {
      where: { folder: flags.run },
      fix: 'start the run first with sluice run',
    })
  const plan = await planOf({ file: frozen.file, arguments: frozen.arguments, choices: frozen.choices, run: flags.run })
  assertSamePlan(plan, frozen.planHash)

  const abort = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(exitCodes.tryAgain))
  const options = { signal: abort.signal, partitionBytes: flags.partitionSize, memoryBytes: flags.memory }
  const requests = await phaseRequests(plan, folder, flags.phase, options)
  const index = flags.index ?? indexFromEnvironment()
  const mine = requests.filter((_, ordinal) => (flags.of === undefined ? ordinal === index : ordinal % flags.of === index))
  if (mine.length === 0)
    throw new SluiceError('SLUICE_TASK_INDEX', `phase ${flags.phase} has ${requests.length} tasks, there is no task ${index}`, {
      fix: 'indexes count from 0',
    })

  const asked = new Map(mine.map((request) => [request.partition.id, request]))
  const phase = folder.phase(mine[0].phase, mine[0].phaseHash)
  await phase.create()
  // As the gate does: what rests on attempts that were made anew since is not done.
  const done = await phase.markers(({ partition, basis }) => basis === asked.get(partition)?.basis)
  using executor = inlineExecutor(plan, folder, abort.signal)
  for (const request of mine) {
    if (done.has(request.partition.id)) process.stderr.write(`${request.partition.id} was done before\n`)
    else await executor.runTask(request)
  }
}

function indexFromEnvironment(): number {
  const variable = INDEX_VARIABLES.find((name) => process.env[name] !== undefined)
  const value = variable === undefined ? '' : (process.env[variable] ?? '')
  if (/^\d+$/.test(value)) return Number(value)
  throw new SluiceError('SLUICE_TASK_INDEX', variable === undefined ? 'no task index' : `${variable} is no task index: ${value}`, {
    fix: `give --index, or start it from a scheduler that sets ${INDEX_VARIABLES.join(' or ')}`,
  })
}
